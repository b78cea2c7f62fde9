//! `malform`: an answer that breaks a rule, of HTTP or of its own content. It shows whether a caller checks what it reads.

use std::sync::Arc;

use bytes::Bytes;
use murphy_proxy::EdgeEffect;
use murphy_proxy::http::{BodyEdit, HttpEffect, HttpStep, Malformed};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::spec::{Effect, FaultSpec, Grain, Place};

/// What is wrong with the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Flaw {
    /// `Content-Length` promises more bytes than come.
    LengthTooLong,
    /// `Content-Length` promises fewer bytes than come.
    LengthTooShort,
    /// A chunk whose size is no number.
    Chunk,
    /// A line among the headers that is no header.
    Header,
    /// A JSON body without its last character, with a length that fits.
    Json,
    /// A body without a byte, with a length that fits.
    Empty,
}

/// Breaks the answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Malform {
    /// What is wrong.
    pub flaw: Flaw,
}

struct Chop;

impl BodyEdit for Chop {
    fn edit(&self, body: &[u8]) -> Option<Bytes> {
        let text = std::str::from_utf8(body).ok()?.trim_end();
        // Without its last bracket or quote, no JSON text is one; a bare number might be, and so becomes nothing.
        let last = text.char_indices().next_back()?;
        let keep = if last.1.is_ascii_digit() { 0 } else { last.0 };
        Some(Bytes::copy_from_slice(&text.as_bytes()[..keep]))
    }
}

struct Empty;

impl BodyEdit for Empty {
    fn edit(&self, _: &[u8]) -> Option<Bytes> {
        Some(Bytes::new())
    }
}

impl FaultSpec for Malform {
    const NAME: &'static str = "malform";
    const ABOUT: &'static str =
        "An answer breaks the rules: a wrong length, a bad chunk or header, broken JSON, an empty body.";
    const EXAMPLE: &'static str = "{ malform: { flaw: json } }";
    const PLACE: Place = Place::Edge;
    const GRAIN: Grain = Grain::Requests;
    const SHORTHAND: Option<&'static str> = Some("flaw");

    fn text(&self) -> String {
        let flaw = serde_json::to_value(self.flaw).ok();
        format!("malform {}", flaw.as_ref().and_then(|flaw| flaw.as_str()).unwrap_or_default())
    }

    fn effect(&self) -> Effect {
        let step = match self.flaw {
            Flaw::LengthTooLong => HttpStep::Malform(Malformed::LengthTooLong),
            Flaw::LengthTooShort => HttpStep::Malform(Malformed::LengthTooShort),
            Flaw::Chunk => HttpStep::Malform(Malformed::Chunk),
            Flaw::Header => HttpStep::Malform(Malformed::Header),
            Flaw::Json => HttpStep::EditBody(Arc::new(Chop)),
            Flaw::Empty => HttpStep::EditBody(Arc::new(Empty)),
        };
        Effect::Edge(EdgeEffect::Http(HttpEffect::new(vec![step])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chopped_json_is_no_json_any_more() {
        for json in ["{\"a\":1}", "[1,2]", "\"text\"", "true", "null", "17", "{\"a\":1}\n", "\"é\""] {
            let chopped = Chop.edit(json.as_bytes()).unwrap();
            assert!(serde_json::from_slice::<serde_json::Value>(&chopped).is_err(), "{json}: {chopped:?}");
        }
        assert_eq!(Chop.edit(b""), None);
        assert_eq!(Chop.edit(&[0xff, 0xfe]), None);
    }
}
