//! `disk-pressure`: a file system that is nearly full, as under logs that nobody rotates.

use std::path::PathBuf;

use murphy_core::{Amount, Size};
use murphy_host::Pressure;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::not_nothing;
use crate::check::Problems;
use crate::spec::{Effect, FaultSpec, Place};

/// Fills a file system.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DiskPressure {
    /// A folder of the file system, by its whole path.
    #[schemars(with = "String")]
    pub folder: PathBuf,
    /// How much, `2GiB`, or which share of what is free when it begins, `80%`.
    pub amount: Amount,
    /// What stays free of the file system, or the fault is refused; a twentieth of all, at most 1GiB, if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reserve: Option<Size>,
}

impl DiskPressure {
    fn pressure(&self) -> Pressure {
        Pressure::Disk { folder: self.folder.clone(), amount: self.amount, reserve: self.reserve }
    }
}

impl FaultSpec for DiskPressure {
    const NAME: &'static str = "disk-pressure";
    const ABOUT: &'static str = "Fills a file system with a file that has no name and is gone with its worker process; it is refused where it \
                                 would take the last.";
    const EXAMPLE: &'static str = "{ disk-pressure: { folder: /var/lib/postgresql, amount: 90% } }";
    const PLACE: Place = Place::Host;
    const ALSO: &'static [Place] = &[Place::Container];

    fn text(&self) -> String {
        self.pressure().to_string()
    }

    fn check(&self, problems: &mut Problems) {
        if !self.folder.is_absolute() {
            problems.field(
                "folder",
                "`folder` is not a whole path",
                "write it from the root on, as `/var/lib/postgresql`",
            );
        }
        not_nothing(self.amount, problems);
    }

    fn effect(&self) -> Effect {
        Effect::Pressure(self.pressure())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_depends_on_where_one_stands_and_an_amount_of_nothing_are_reported() {
        let fault: DiskPressure = serde_yaml::from_str("{ folder: data, amount: 0% }").unwrap();
        let mut problems = Problems::new();
        fault.check(&mut problems);
        let fields: Vec<_> = problems.iter().map(|problem| problem.field).collect();
        assert_eq!(fields, [Some("folder"), Some("amount")]);
    }
}
