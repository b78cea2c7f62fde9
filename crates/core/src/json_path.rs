//! Places in a JSON document, and what is expected there: the part of JSONPath (RFC 9535) that a health check needs.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use serde_json::Value;

/// A place in a JSON document: `$.checks[0].state`, `$['a b'].c`, `$.data[*].up`; the `$.` may be left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonPath {
    text: String,
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Name(String),
    /// From the end if negative.
    Index(i64),
    All,
}

/// Why a text is no place in a JSON document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a path into JSON: {why} at character {at}")]
pub struct JsonPathError {
    /// The text.
    pub text: String,
    /// Where it goes wrong, from 1.
    pub at: usize,
    /// How.
    pub why: &'static str,
}

impl JsonPath {
    /// All values at this place, in the order of the document; none if there is no such place.
    pub fn select<'v>(&self, document: &'v Value) -> Vec<&'v Value> {
        let mut found = vec![document];
        for step in &self.steps {
            found = found.into_iter().flat_map(|value| step.below(value)).collect();
        }
        found
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl Step {
    fn below<'v>(&self, value: &'v Value) -> Vec<&'v Value> {
        match (self, value) {
            (Step::Name(name), Value::Object(map)) => map.get(name).into_iter().collect(),
            (Step::Index(index), Value::Array(list)) => {
                let length = list.len() as i64;
                let index = if *index < 0 { length + index } else { *index };
                usize::try_from(index).ok().and_then(|index| list.get(index)).into_iter().collect()
            }
            (Step::All, Value::Array(list)) => list.iter().collect(),
            (Step::All, Value::Object(map)) => map.values().collect(),
            _ => Vec::new(),
        }
    }
}

impl fmt::Display for JsonPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl Serialize for JsonPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.text.serialize(serializer)
    }
}

impl FromStr for JsonPath {
    type Err = JsonPathError;

    fn from_str(text: &str) -> Result<JsonPath, JsonPathError> {
        let text = text.trim();
        let error = |rest: &str, why| {
            let at = text.chars().count() - rest.chars().count() + 1;
            JsonPathError { text: text.to_owned(), at, why }
        };
        let mut steps = Vec::new();
        let mut rest = text.strip_prefix('$').unwrap_or(text);
        // Without `$` the first name has no dot before it.
        let mut bare = rest.len() == text.len() && !rest.starts_with('[');
        if text.is_empty() {
            return Err(error(rest, "nothing there"));
        }
        while !rest.is_empty() {
            if let Some(inside) = rest.strip_prefix('[') {
                let (step, after) = bracket(inside).map_err(|why| error(inside, why))?;
                steps.push(step);
                rest = after;
            } else {
                let name = match rest.strip_prefix('.') {
                    Some(name) => name,
                    None if bare => rest,
                    None => return Err(error(rest, "expected `.` or `[`")),
                };
                let end = name.find(['.', '[']).unwrap_or(name.len());
                match &name[..end] {
                    "" => return Err(error(name, "a name is missing")),
                    "*" => steps.push(Step::All),
                    word => steps.push(Step::Name(word.to_owned())),
                }
                rest = &name[end..];
            }
            bare = false;
        }
        Ok(JsonPath { text: text.to_owned(), steps })
    }
}

/// What stands between brackets, and what follows them.
fn bracket(inside: &str) -> Result<(Step, &str), &'static str> {
    if let Some(quote) = inside.chars().next().filter(|c| matches!(c, '\'' | '"')) {
        let (name, after) = inside[1..].split_once(quote).ok_or("the quote is not closed")?;
        let after = after.strip_prefix(']').ok_or("expected `]`")?;
        return Ok((Step::Name(name.to_owned()), after));
    }
    let (word, after) = inside.split_once(']').ok_or("the bracket is not closed")?;
    let step = match word.trim() {
        "*" => Step::All,
        number => Step::Index(number.parse().map_err(|_| "expected a number, `*` or a name in quotes")?),
    };
    Ok((step, after))
}

/// What is expected of a value.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum JsonTest {
    /// Just this; a text and a number that are written alike are alike.
    Is(Value),
    /// A number of at least this.
    AtLeast(f64),
    /// A number of at most this.
    AtMost(f64),
}

/// A sign of comparison without a number behind it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` compares with no number")]
pub struct JsonTestError {
    /// As written.
    pub text: String,
}

impl JsonTest {
    /// From a value as written: `>= 3` and `<= 3` compare, everything else is meant as it stands.
    pub fn of(value: &Value) -> Result<JsonTest, JsonTestError> {
        let Value::String(text) = value else { return Ok(JsonTest::Is(value.clone())) };
        let number = |rest: &str| rest.trim().parse().map_err(|_| JsonTestError { text: text.clone() });
        match text.trim() {
            text if text.starts_with(">=") => number(&text[2..]).map(JsonTest::AtLeast),
            text if text.starts_with("<=") => number(&text[2..]).map(JsonTest::AtMost),
            _ => Ok(JsonTest::Is(value.clone())),
        }
    }

    /// True if the value is as expected.
    pub fn holds(&self, value: &Value) -> bool {
        let text = |value: &Value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        // Prometheus and others write numbers as texts.
        let number = || text(value).parse::<f64>().ok();
        match self {
            JsonTest::Is(expected) => expected == value || text(expected) == text(value),
            JsonTest::AtLeast(bound) => number().is_some_and(|number| number >= *bound),
            JsonTest::AtMost(bound) => number().is_some_and(|number| number <= *bound),
        }
    }
}

impl fmt::Display for JsonTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JsonTest::Is(Value::String(text)) => f.write_str(text),
            JsonTest::Is(value) => value.fmt(f),
            JsonTest::AtLeast(bound) => write!(f, ">= {bound}"),
            JsonTest::AtMost(bound) => write!(f, "<= {bound}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn select(path: &str, document: &Value) -> Vec<Value> {
        path.parse::<JsonPath>().unwrap().select(document).into_iter().cloned().collect()
    }

    #[test]
    fn places_are_found() {
        let document =
            json!({ "a": { "b c": [1, { "x": 2 }, 3] }, "list": [{ "up": true }, { "up": false }] });
        assert_eq!(select("$", &document), std::slice::from_ref(&document));
        assert_eq!(select("$.a['b c'][1].x", &document), [json!(2)]);
        assert_eq!(select("a[\"b c\"][-1]", &document), [json!(3)]);
        assert_eq!(select("$.list[*].up", &document), [json!(true), json!(false)]);
        assert_eq!(select("list.*.up", &document).len(), 2);
        for nowhere in ["$.no", "$.a.b[0]", "$.list[7]", "$.list[-7]", "$.a[0]", "$[0]"] {
            assert!(select(nowhere, &document).is_empty(), "{nowhere}");
        }
    }

    #[test]
    fn what_is_no_path_is_pointed_at() {
        for (text, at) in [
            ("", 1),
            ("$.", 3),
            ("$..a", 3),
            ("$a", 2),
            ("$.a[", 5),
            ("$.a['b]", 5),
            ("$[x]", 3),
            ("$['a'b]", 3),
        ] {
            let error = text.parse::<JsonPath>().unwrap_err();
            assert_eq!(error.at, at, "{error}");
        }
    }

    #[test]
    fn values_compare_as_people_mean_them() {
        let holds = |expected: Value, value: Value| JsonTest::of(&expected).unwrap().holds(&value);
        assert!(holds(json!("ok"), json!("ok")) && !holds(json!("ok"), json!("OK")));
        assert!(holds(json!(3), json!("3")) && holds(json!("true"), json!(true)));
        assert!(holds(json!(">= 1"), json!("1.5")) && !holds(json!("<= 1"), json!("1.5")));
        assert!(!holds(json!(">= 1"), json!("many")));
        assert!(JsonTest::of(&json!(">= many")).is_err());
    }
}
