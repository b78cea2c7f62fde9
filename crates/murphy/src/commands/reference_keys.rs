//! The keys of a scenario as the reference page lists them, made of the schema that `murphy schema` prints. It says nothing that the
//! schema does not say, and nothing of faults: these have a section of their own.

use serde_json::Value;

/// The definition whose forms are the faults.
const FAULT: &str = "Fault";

/// A page that is being written.
struct Keys<'a> {
    definitions: &'a Value,
    /// The keys of blocks that are listed, each with the place at which they may stand.
    listed: Vec<(&'a Value, String)>,
    page: String,
}

/// Lists the keys of each block of a scenario with their meanings, and the forms of values, as Markdown. The same keys are listed once.
pub fn keys(schema: &Value) -> String {
    let mut keys = Keys { definitions: &schema["$defs"], listed: Vec::new(), page: String::new() };
    keys.block("", schema);
    keys.page += "\n### Values\n\n";
    for (_, value) in entries(&schema["$defs"]).filter(|(_, value)| value["pattern"].is_string()) {
        keys.page += &format!("- {}.\n", about(value));
    }
    keys.page
}

impl<'a> Keys<'a> {
    /// Lists the keys of a block, then those of the blocks within it.
    fn block(&mut self, path: &str, schema: &'a Value) {
        let fields = &schema["properties"];
        self.listed.push((fields, path.to_owned()));
        let place = if path.is_empty() { "the file".to_owned() } else { format!("`{path}`") };
        self.page += &format!("\n### Keys of {place}\n\n");
        for (key, value) in entries(fields) {
            let line = self.line(schema, key, value);
            self.page += &line;
        }
        // Of several places with the same keys, the one that must be there is where they are looked for.
        let (needed, others): (Vec<_>, Vec<_>) = entries(fields).partition(|(key, _)| is_needed(schema, key));
        for (key, value) in needed.into_iter().chain(others) {
            let inner = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
            self.within(&inner, value);
        }
        self.within(&format!("{path}.NAME"), &schema["additionalProperties"]);
    }

    /// Looks for blocks in what may stand at a place.
    fn within(&mut self, path: &str, schema: &'a Value) {
        if !schema.is_object() {
            return;
        }
        if let Some(name) = referred(schema) {
            if name != FAULT {
                let definitions = self.definitions;
                self.within(path, &definitions[name]);
            }
        } else if let Some(fields) = schema.get("properties") {
            if self.place(fields).is_none() {
                self.block(path, schema);
            }
        } else {
            self.within(&format!("{path}.NAME"), &schema["additionalProperties"]);
            self.within(&format!("{path}[]"), &schema["items"]);
            for form in forms(schema) {
                self.within(path, form);
            }
        }
    }

    /// One key: what it means, the words that may stand there, and where its own keys are listed if they are already.
    fn line(&self, block: &Value, key: &str, value: &'a Value) -> String {
        let key = if is_needed(block, key) { format!("**`{key}`**") } else { format!("`{key}`") };
        let name = referred(value);
        let described = match name {
            Some(name) if about(value).is_empty() => about(&self.definitions[name]),
            _ => about(value),
        };
        let mut line = format!("- {key}: {described}.");
        let words = self.words(value);
        if !words.is_empty() {
            line += &format!(" Words: `{}`.", words.join("`, `"));
        }
        if name == Some(FAULT) {
            line += " One of the [faults](#faults).";
        } else if let Some(place) = self.fields(value).and_then(|fields| self.place(fields)) {
            line += &format!(" Its keys are those of `{place}`.");
        }
        line + "\n"
    }

    /// The words that may stand at a place.
    fn words(&self, schema: &'a Value) -> Vec<&'a str> {
        let mut words = match referred(schema) {
            Some(FAULT) => return Vec::new(),
            Some(name) => self.words(&self.definitions[name]),
            None => Vec::new(),
        };
        words.extend(schema["const"].as_str());
        words.extend(schema["enum"].as_array().into_iter().flatten().filter_map(Value::as_str));
        for form in forms(schema).chain(schema.get("items")) {
            words.extend(self.words(form));
        }
        words
    }

    /// The keys of the block that may stand at a place, if one may.
    fn fields(&self, schema: &'a Value) -> Option<&'a Value> {
        match referred(schema) {
            Some(FAULT) => None,
            Some(name) => self.fields(&self.definitions[name]),
            None => schema.get("properties").or_else(|| forms(schema).find_map(|form| self.fields(form))),
        }
    }

    /// Where these keys are listed.
    fn place(&self, fields: &Value) -> Option<&str> {
        self.listed.iter().find(|(other, _)| *other == fields).map(|(_, place)| place.as_str())
    }
}

/// True if a block must have a key.
fn is_needed(block: &Value, key: &str) -> bool {
    block["required"].as_array().is_some_and(|keys| keys.iter().any(|one| one == key))
}

/// The name of the definition that a schema refers to.
fn referred(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.rsplit('/').next()
}

/// The forms of which a value has one.
fn forms(schema: &Value) -> impl Iterator<Item = &Value> {
    ["oneOf", "anyOf"].into_iter().filter_map(move |form| schema[form].as_array()).flatten()
}

/// The keys and values of an object; nothing of anything else.
fn entries(schema: &Value) -> impl Iterator<Item = (&str, &Value)> {
    schema.as_object().into_iter().flatten().map(|(key, value)| (key.as_str(), value))
}

/// What a schema says of itself, on one line and without its full stop.
fn about(schema: &Value) -> String {
    let text = schema["description"].as_str().unwrap_or_default();
    text.trim_end_matches('.').replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_are_listed_block_by_block_and_the_same_ones_once() {
        let schema = json!({
            "$defs": {
                "Edge": {
                    "description": "Calls.",
                    "properties": {
                        "tls": { "$ref": "#/$defs/Side", "description": "On which\nsides." },
                        "to": { "type": "string", "description": "The dependency." },
                    },
                    "required": ["to"],
                },
                "Fault": { "oneOf": [{ "properties": { "latency": { "const": "never" } } }] },
                "Side": { "oneOf": [{ "const": "both" }, { "enum": ["one", "none"] }] },
                "Span": { "description": "a duration: 2s", "pattern": "s$" },
                "Step": {
                    "properties": {
                        "edge": { "anyOf": [{ "$ref": "#/$defs/Edge" }, { "type": "string" }], "description": "Where." },
                        "inject": { "$ref": "#/$defs/Fault", "description": "What happens." },
                    },
                },
            },
            "additionalProperties": false,
            "properties": {
                "edges": { "additionalProperties": { "$ref": "#/$defs/Edge" }, "description": "By name." },
                "faults": { "items": { "$ref": "#/$defs/Step" }, "description": "What breaks." },
                "one": { "$ref": "#/$defs/Edge" },
            },
            "required": ["edges"],
        });
        let wanted = "
### Keys of the file

- **`edges`**: By name.
- `faults`: What breaks.
- `one`: Calls.

### Keys of `edges.NAME`

- `tls`: On which sides. Words: `both`, `one`, `none`.
- **`to`**: The dependency.

### Keys of `faults[]`

- `edge`: Where. Its keys are those of `edges.NAME`.
- `inject`: What happens. One of the [faults](#faults).

### Values

- a duration: 2s.
";
        assert_eq!(keys(&schema), wanted);
    }

    #[test]
    fn every_key_of_a_scenario_has_a_meaning() {
        let schema: Value = serde_json::from_str(&murphy_scenario::SCHEMA).unwrap();
        let page = keys(&schema);
        let silent: Vec<&str> = page.lines().filter(|line| line.ends_with(": .")).collect();
        assert!(silent.is_empty(), "{silent:?}");
        for place in ["the file", "`edges.NAME`", "`faults[].when`", "`probes.NAME.capture.NAME`"] {
            assert!(page.contains(&format!("\n### Keys of {place}\n")), "{place}");
        }
    }

    #[test]
    fn keys_of_several_places_are_listed_at_the_one_that_must_be_there() {
        let place = json!({ "properties": { "a": { "description": "One." } } });
        let schema = json!({
            "$defs": {},
            "properties": { "first": place, "second": place },
            "required": ["second"],
        });
        let page = keys(&schema);
        assert!(page.contains("### Keys of `second`") && !page.contains("### Keys of `first`"), "{page}");
    }
}
