//! The JSON Schema of a scenario, made of the same types that read it. For editors; the checks say more.
//!
//! The program holds it as a text, which `make schema` writes: the makers of schemas have no place in it.

use std::sync::LazyLock;

use serde_json::Value;

use crate::document::Document;

/// The schema as it is printed (draft 2020-12).
pub static SCHEMA: LazyLock<String> = LazyLock::new(|| {
    murphy_core::unpacked(include_bytes!(concat!(env!("OUT_DIR"), "/scenario.schema.json.deflate")))
});

/// The schema, made anew of the types.
pub fn schema() -> Value {
    let settings = schemars::generate::SchemaSettings::draft2020_12();
    let mut schema = settings.into_generator().into_root_schema_for::<Document>().to_value();
    without_null(&mut schema);
    schema
}

/// A key that may be left out may not be written without a value, as the derived schema has it. A fault may: `refuse:`.
fn without_null(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(without_null),
        Value::Object(object) => {
            if let Some(Value::Array(types)) = object.get_mut("type") {
                types.retain(|one| one != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    object.insert("type".to_owned(), only);
                }
            }
            if let Some(Value::Array(forms)) = object.get("anyOf")
                && let [Value::Object(form), null] = forms.as_slice()
                && null.get("type") == Some(&Value::from("null"))
            {
                let form = form.clone();
                object.remove("anyOf");
                object.extend(form.into_iter().filter(|(key, _)| key != "description"));
            }
            for (name, part) in object.iter_mut() {
                if name != "Fault" {
                    without_null(part);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_fault_may_stand_without_a_value() {
        let mut schema = schema();
        schema["$defs"]["Fault"].take();
        let text = schema.to_string();
        assert!(!text.contains("\"type\":\"null\"") && !text.contains(",\"null\"]"), "{text}");
        assert!(schema["properties"]["phases"]["description"].is_string());
    }
}
