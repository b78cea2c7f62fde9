//! `truncate`: an answer that promises more than it brings. Status and headers are good; a caller that does not compare
//! what it got with what was promised takes the half for the whole.

use murphy_core::Size;
use murphy_proxy::http::{HttpEffect, HttpStep, Then as Cut};
use murphy_proxy::{EdgeEffect, Ending};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::spec::{Effect, FaultSpec, Grain, Place};
use crate::stream::Then;

/// The body ends too early.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Truncate {
    /// So many bytes of the body come; a shorter body is left alone. In a chunked body the cut goes through a chunk.
    pub bytes: Size,
    /// What happens after them. HTTP/2 knows only a reset of the stream, or a stall.
    #[serde(default)]
    pub then: Then,
}

impl FaultSpec for Truncate {
    const NAME: &'static str = "truncate";
    const ABOUT: &'static str =
        "The body of an answer ends too early: fewer bytes than promised, or a chunk cut through.";
    const EXAMPLE: &'static str = "{ truncate: { bytes: 20B, then: close } }";
    const PLACE: Place = Place::Edge;
    const GRAIN: Grain = Grain::Requests;
    const SHORTHAND: Option<&'static str> = Some("bytes");

    fn text(&self) -> String {
        let then = match self.then {
            Then::Close => "",
            Then::Reset => ", then reset",
            Then::Stall => ", then stall",
        };
        format!("truncate after {}{then}", self.bytes)
    }

    fn effect(&self) -> Effect {
        let then = match self.then {
            Then::Close => Cut::End(Ending::Close),
            Then::Reset => Cut::End(Ending::Reset),
            Then::Stall => Cut::Stall,
        };
        let step = HttpStep::Cut { after: self.bytes.as_bytes(), then };
        Effect::Edge(EdgeEffect::Http(HttpEffect::new(vec![step])))
    }
}
