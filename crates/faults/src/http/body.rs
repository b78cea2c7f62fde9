//! `body`: the answer's body is another one, or its JSON is changed at one place. A body of more than 4 MiB is not held for
//! that, and passes as it is.

use std::sync::Arc;

use bytes::Bytes;
use murphy_proxy::EdgeEffect;
use murphy_proxy::http::{BodyEdit, HttpEffect, HttpStep};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::check::Problems;
use crate::spec::{Effect, FaultSpec, Grain, Place};

/// Changes the answer's body.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Body {
    /// The new body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replace: Option<String>,
    /// The place in the JSON of the answer that changes, as a JSON Pointer (RFC 6901): `/items/0/price`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// What stands there instead; null if left out.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub value: Value,
}

struct Replace(Bytes);

impl BodyEdit for Replace {
    fn edit(&self, _: &[u8]) -> Option<Bytes> {
        Some(self.0.clone())
    }
}

struct Patch {
    at: String,
    value: Value,
}

impl BodyEdit for Patch {
    fn edit(&self, body: &[u8]) -> Option<Bytes> {
        let mut json: Value = serde_json::from_slice(body).ok()?;
        *json.pointer_mut(&self.at)? = self.value.clone();
        serde_json::to_vec(&json).ok().map(Bytes::from)
    }
}

impl FaultSpec for Body {
    const NAME: &'static str = "body";
    const ABOUT: &'static str = "The body of an answer is another one, or its JSON is changed at one place.";
    const EXAMPLE: &'static str = "{ body: { at: /price_cents, value: -1 } }";
    const PLACE: Place = Place::Edge;
    const GRAIN: Grain = Grain::Requests;
    const SHORTHAND: Option<&'static str> = Some("replace");

    fn text(&self) -> String {
        match (&self.replace, &self.at) {
            (Some(text), _) => format!("body of {} bytes", text.len()),
            (None, Some(at)) => format!("body with {at}: {}", self.value),
            (None, None) => "body".to_owned(),
        }
    }

    fn check(&self, problems: &mut Problems) {
        match (&self.replace, &self.at) {
            (Some(_), Some(_)) => problems.field("at", "`replace` and `at` in one fault", "keep one of them"),
            (None, None) => problems.whole(
                "nothing is said of the new body",
                "write `replace: TEXT`, or `at: /price` and `value: -1`",
            ),
            (None, Some(at)) if !at.is_empty() && !at.starts_with('/') => problems.field(
                "at",
                format!("`{at}` is no JSON Pointer"),
                format!("write `/{}`", at.replace('.', "/")),
            ),
            _ => {}
        }
    }

    fn effect(&self) -> Effect {
        let edit: Arc<dyn BodyEdit> = match (&self.replace, &self.at) {
            (Some(text), _) => Arc::new(Replace(Bytes::from(text.clone()))),
            (None, at) => Arc::new(Patch { at: at.clone().unwrap_or_default(), value: self.value.clone() }),
        };
        Effect::Edge(EdgeEffect::Http(HttpEffect::new(vec![HttpStep::EditBody(edit)])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_place_changes_and_what_is_not_there_stays_away() {
        let patch = |at: &str| Patch { at: at.to_owned(), value: Value::from(-1) };
        let body = br#"{"a":{"b":[1,2]}}"#;
        assert_eq!(patch("/a/b/1").edit(body).unwrap(), r#"{"a":{"b":[1,-1]}}"#);
        assert_eq!(patch("").edit(body).unwrap(), "-1");
        assert_eq!(patch("/a/c").edit(body), None);
        assert_eq!(patch("/a").edit(b"no json"), None);
    }
}
