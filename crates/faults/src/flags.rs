//! The catalogue as flags of a command line, made from the registry alone: `--latency 200ms --latency-jitter 50ms`, and
//! `--jitter 50ms` where the field's name belongs to one fault on connections only. It reads texts; it knows no parser of
//! arguments.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::catalogue::{Entry, Field, catalogue};
use crate::registry::Fault;
use crate::spec::{Grain, Place};

/// What may stand behind a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlagValue {
    /// Nothing: the flag alone says it.
    None,
    /// A value or nothing: `--reset`, `--reset=2s`.
    Optional,
    /// A value.
    Required,
}

/// One flag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// Without the dashes.
    pub name: String,
    /// A second, shorter name, if the field belongs to one fault on connections only.
    pub short_name: Option<String>,
    /// The fault that it puts up or tunes.
    pub fault: &'static str,
    /// The field that the value is for.
    pub field: Option<String>,
    /// What may stand behind it.
    pub value: FlagValue,
    /// The form of the value: `duration`, or the choices.
    pub form: String,
    /// What it does, in one sentence.
    pub about: String,
}

/// Why flags do not make faults.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FlagError {
    /// A field without its fault.
    #[error("`--{flag}` tunes `{fault}`, which is not asked for: write {example}")]
    WithoutFault {
        /// As typed.
        flag: String,
        /// The fault.
        fault: &'static str,
        /// What to type.
        example: String,
    },
    /// The values make no fault.
    #[error("{fault}: {why}")]
    Value {
        /// The fault.
        fault: &'static str,
        /// Why, and what to type.
        why: String,
    },
}

/// All flags for faults on such a place, in the order of the registry.
pub fn flags(place: Place) -> Vec<Flag> {
    let entries: Vec<&Entry> = catalogue().iter().filter(|entry| entry.place == place).collect();
    let mut owners: BTreeMap<&str, usize> = BTreeMap::new();
    // Faults on requests share too many words with each other and with the choice of requests.
    let of_connections = |entry: &&&Entry| entry.grain == Grain::Connections;
    for field in entries.iter().filter(of_connections).flat_map(|entry| &entry.fields) {
        *owners.entry(&field.name).or_default() += 1;
    }
    let is_fault = |name: &str| entries.iter().any(|entry| entry.name == name);
    let mut flags = Vec::new();
    for entry in &entries {
        let main = entry.shorthand.and_then(|short| entry.fields.iter().find(|field| field.name == short));
        flags.push(Flag {
            name: entry.name.to_owned(),
            short_name: None,
            fault: entry.name,
            field: main.map(|field| field.name.clone()),
            value: match main {
                None => FlagValue::None,
                Some(field) if field.required => FlagValue::Required,
                Some(_) => FlagValue::Optional,
            },
            form: main.map(|field| field.form.clone()).unwrap_or_default(),
            about: entry.about.to_owned(),
        });
        for field in entry.fields.iter().filter(|field| Some(field.name.as_str()) != entry.shorthand) {
            let unique = of_connections(&entry)
                && owners.get(field.name.as_str()) == Some(&1)
                && !is_fault(&field.name);
            flags.push(Flag {
                name: format!("{}-{}", entry.name, field.name),
                short_name: unique.then(|| field.name.clone()),
                fault: entry.name,
                field: Some(field.name.clone()),
                value: FlagValue::Required,
                form: field.form.clone(),
                about: field.about.clone(),
            });
        }
    }
    flags
}

/// The faults that were asked for, in the order of the registry. `given` holds the flags by [`Flag::name`] with their values.
pub fn faults_of_flags(
    place: Place,
    given: &BTreeMap<String, Option<String>>,
) -> Result<Vec<Fault>, FlagError> {
    let mut faults = Vec::new();
    for entry in catalogue().iter().filter(|entry| entry.place == place) {
        let mut settings = Map::new();
        let mut tuned = None;
        for field in &entry.fields {
            let main = entry.shorthand == Some(field.name.as_str());
            let flag = if main { entry.name.to_owned() } else { format!("{}-{}", entry.name, field.name) };
            if let Some(Some(text)) = given.get(&flag) {
                settings.insert(field.name.clone(), typed(field, text));
                if !main {
                    tuned = tuned.or(Some(flag));
                }
            }
        }
        // A fault without a main value that must be given is put up by any of its fields: `--slice-size 10B`.
        let must =
            entry.fields.iter().any(|field| field.required && entry.shorthand == Some(field.name.as_str()));
        let asked = given.contains_key(entry.name) || (!must && tuned.is_some());
        match (asked, tuned) {
            (false, Some(flag)) => {
                let example = format!("`--{}` too, as in `murphy explain {}`", entry.name, entry.name);
                return Err(FlagError::WithoutFault { flag, fault: entry.name, example });
            }
            (false, None) => {}
            (true, _) => {
                let wrong = |why: String| FlagError::Value { fault: entry.name, why };
                let fault =
                    Fault::from_settings(entry.name, settings).map_err(|error| wrong(error.to_string()))?;
                if let Some(problem) = fault.problems().into_iter().next() {
                    return Err(wrong(format!("{}; {}", problem.message, problem.help)));
                }
                faults.push(fault);
            }
        }
    }
    Ok(faults)
}

/// A text as the JSON that the field wants. A map is JSON, or one `NAME: VALUE`; a list is JSON, or words with commas.
fn typed(field: &Field, text: &str) -> Value {
    let json = || serde_json::from_str::<Value>(text).ok();
    match field.form.as_str() {
        "integer" | "number" | "boolean" => json().filter(|value| !value.is_object() && !value.is_array()),
        "object" => json().filter(Value::is_object).or_else(|| {
            let (name, value) = text.split_once(':')?;
            let mut one = Map::new();
            one.insert(name.trim().to_owned(), Value::from(value.trim()));
            Some(Value::Object(one))
        }),
        "array" => json()
            .filter(Value::is_array)
            .or_else(|| Some(text.split(',').map(|word| Value::from(word.trim())).collect())),
        "any JSON" => json(),
        _ => None,
    }
    .unwrap_or_else(|| Value::String(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(flags: &[(&str, &str)]) -> BTreeMap<String, Option<String>> {
        let value = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        flags.iter().map(|(name, text)| ((*name).to_owned(), value(text))).collect()
    }

    fn texts(flags: &[(&str, &str)]) -> Result<Vec<String>, String> {
        match faults_of_flags(Place::Edge, &given(flags)) {
            Ok(faults) => Ok(faults.iter().map(Fault::text).collect()),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn every_example_of_the_catalogue_can_be_typed_as_flags() {
        for entry in catalogue().iter().filter(|entry| entry.place == Place::Edge) {
            let fault: Fault = serde_yaml::from_str(entry.example).unwrap();
            let mut typed = given(&[(entry.name, "")]);
            for (field, value) in fault.settings() {
                let main = entry.shorthand == Some(field.as_str());
                let flag = if main { entry.name.to_owned() } else { format!("{}-{field}", entry.name) };
                if value != "null" {
                    typed.insert(flag, Some(value));
                }
            }
            assert_eq!(faults_of_flags(Place::Edge, &typed), Ok(vec![fault]), "{}", entry.name);
        }
    }

    #[test]
    fn names_are_unique_and_short_where_that_is_clear() {
        let flags = flags(Place::Edge);
        let mut names: Vec<&str> = flags
            .iter()
            .flat_map(|flag| [Some(flag.name.as_str()), flag.short_name.as_deref()])
            .flatten()
            .collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "{names:?}");
        assert!(names.contains(&"jitter") && names.contains(&"latency-jitter"), "{names:?}");
        let reset = flags.iter().find(|flag| flag.name == "reset").unwrap();
        assert_eq!((reset.value, reset.form.as_str()), (FlagValue::Optional, "duration"));
    }

    #[test]
    fn what_cannot_be_meant_says_what_to_type() {
        assert_eq!(
            texts(&[("latency", "200ms"), ("latency-jitter", "50ms"), ("reset", "")]),
            Ok(vec!["latency 200ms ± 50ms".to_owned(), "reset".to_owned()])
        );
        assert!(texts(&[("latency-jitter", "50ms")]).unwrap_err().contains("`--latency` too"));
        assert!(texts(&[("latency", "200")]).unwrap_err().contains("200ms"), "a number needs its unit");
        assert!(texts(&[("limit", "0B"), ("limit-then", "stall")]).unwrap_err().contains("blackhole"));
        assert!(texts(&[("limit", "1kB"), ("limit-then", "explode")]).unwrap_err().contains("explode"));
    }

    #[test]
    fn maps_and_lists_can_be_typed_without_json() {
        assert_eq!(
            texts(&[
                ("abort", "503"),
                ("headers-set", "x-when: 12:00"),
                ("headers-remove", "etag, age"),
                ("body-at", "/price"),
                ("body-value", "-1"),
            ]),
            Ok(vec![
                "abort 503".to_owned(),
                "headers of response: x-when: 12:00, no etag, no age".to_owned(),
                "body with /price: -1".to_owned(),
            ])
        );
    }
}
