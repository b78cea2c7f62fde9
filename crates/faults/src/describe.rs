//! Faults told by JSON Schema: their forms for editors, and their fields for the catalogue. Only makers of documents come
//! here (`make schema`, tests); no running Murphy does, so the linker leaves all of it out.

use schemars::{Schema, SchemaGenerator};
use serde_json::Value;

use crate::catalogue::Field;
use crate::spec::FaultSpec;

fn text(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) => Some(text.clone()),
        Value::Null => None,
        other => Some(other.to_string()),
    }
}

/// The fields as the JSON Schema tells them: a second list by hand would go stale.
pub(crate) fn fields<T: FaultSpec>() -> Vec<Field> {
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
        Some(pattern) if pattern.contains("KiB") && pattern.contains('%') => "size or percentage".to_owned(),
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
