//! The list of all faults, for help texts, documentation and the command line; made from the specifications alone. Their
//! fields are those of the types, written down by `make schema`: the makers of schemas have no place in the program.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::spec::{FaultSpec, Grain, Place};

/// One field of a fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// The key in YAML.
    pub name: String,
    /// What it means.
    pub about: String,
    /// The accepted form in words or values: `Span`, `uniform, normal, pareto`.
    pub form: String,
    /// True if it must be written.
    pub required: bool,
    /// What holds if it is not written, as text, where that is a value.
    pub default: Option<String>,
}

/// One fault of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name in YAML and on the command line.
    pub name: &'static str,
    /// What it does, in one sentence.
    pub about: &'static str,
    /// A whole fault as YAML.
    pub example: &'static str,
    /// What it sits on.
    pub place: Place,
    /// On an edge, what it is put on.
    pub grain: Grain,
    /// What else it can sit on.
    pub also: &'static [Place],
    /// The field that a bare value stands for.
    pub shorthand: Option<&'static str>,
    /// Its fields.
    pub fields: Vec<Field>,
}

/// All faults, in the order of the registry.
pub fn catalogue() -> &'static [Entry] {
    static ENTRIES: LazyLock<Vec<Entry>> = LazyLock::new(crate::registry::entries);
    &ENTRIES
}

/// The fields of each fault by its name, as they were written down.
static FIELDS: LazyLock<BTreeMap<String, Vec<Field>>> = LazyLock::new(|| {
    let text = murphy_core::unpacked(include_bytes!(concat!(env!("OUT_DIR"), "/fields.json.deflate")));
    serde_json::from_slice(text.as_bytes()).unwrap_or_default()
});

pub(crate) fn entry<T: FaultSpec>() -> Entry {
    Entry {
        name: T::NAME,
        about: T::ABOUT,
        example: T::EXAMPLE,
        place: T::PLACE,
        grain: T::GRAIN,
        also: T::ALSO,
        shorthand: T::SHORTHAND,
        fields: FIELDS.get(T::NAME).cloned().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_on_disk_are_those_of_the_types() {
        let made = crate::registry::described();
        let made: BTreeMap<String, Vec<Field>> = made.into_iter().map(|(name, f)| (name.into(), f)).collect();
        assert!(!FIELDS.is_empty() && *FIELDS == made, "`make schema` writes them anew");
    }
}
