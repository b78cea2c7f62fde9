//! The list of all faults, for help texts, documentation and the command line; made from the specifications alone.

use std::sync::LazyLock;

use schemars::{Schema, SchemaGenerator};
use serde_json::Value;

use crate::spec::{FaultSpec, Grain, Place};

/// One field of a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
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

pub(crate) fn entry<T: FaultSpec>() -> Entry {
    Entry {
        name: T::NAME,
        about: T::ABOUT,
        example: T::EXAMPLE,
        place: T::PLACE,
        grain: T::GRAIN,
        also: T::ALSO,
        shorthand: T::SHORTHAND,
        fields: fields::<T>(),
    }
}

fn text(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) => Some(text.clone()),
        Value::Null => None,
        other => Some(other.to_string()),
    }
}

/// The fields as the JSON Schema tells them: a second list by hand would go stale.
fn fields<T: FaultSpec>() -> Vec<Field> {
    let schema = schemars::generate::SchemaSettings::draft2020_12()
        .with(|settings| settings.inline_subschemas = true)
        .into_generator()
        .into_root_schema_for::<T>();
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .map(|names| names.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return Vec::new() };
    properties
        .iter()
        .map(|(name, property)| Field {
            name: name.clone(),
            about: text(property.get("description")).unwrap_or_default(),
            form: form(property),
            required: required.contains(&name.as_str()),
            default: text(property.get("default")),
        })
        .collect()
}

/// The accepted form in words: the values of a choice, else the schema's type or pattern.
fn form(property: &Value) -> String {
    let choices: Vec<String> = property
        .get("enum")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .chain(
            property
                .get("oneOf")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(|one| one.get("const")),
        )
        .filter_map(|choice| text(Some(choice)))
        .collect();
    if !choices.is_empty() {
        return choices.join(", ");
    }
    if let Some(inner) = property.get("anyOf").and_then(Value::as_array).and_then(|any| any.first()) {
        return form(inner);
    }
    match text(property.get("pattern")).as_deref() {
        Some(pattern) if pattern.contains("µs") => "duration".to_owned(),
        Some(pattern) if pattern.contains("bit") => "rate".to_owned(),
        Some(pattern) if pattern.contains("KiB") => "size".to_owned(),
        Some(pattern) if pattern.contains('%') => "percentage".to_owned(),
        _ => match property.get("type") {
            // What may be left out is a type or nothing.
            Some(Value::Array(types)) => text(types.first()),
            // A schema that asks for nothing.
            None if property.get("$ref").is_none() => Some("any JSON".to_owned()),
            one => text(one),
        }
        .unwrap_or_else(|| "value".to_owned()),
    }
}

/// The schema of `{ name: settings }`, with the short form where there is one.
pub(crate) fn schema_of<T: FaultSpec>(generator: &mut SchemaGenerator) -> Schema {
    let settings = generator.subschema_for::<T>();
    let mut forms = vec![settings.to_value()];
    let own = T::json_schema(generator);
    let short = T::SHORTHAND.and_then(|field| own.get("properties")?.get(field).cloned());
    forms.extend(short);
    if own.get("required").is_none() {
        forms.push(serde_json::json!({ "type": "null" }));
    }
    schemars::json_schema!({
        "type": "object",
        "description": T::ABOUT,
        "properties": { T::NAME: { "anyOf": forms } },
        "required": [T::NAME],
        "additionalProperties": false,
    })
}

/// True if the name alone is a whole fault.
pub(crate) fn needs_nothing<T: FaultSpec>() -> bool {
    fields::<T>().iter().all(|field| !field.required)
}
