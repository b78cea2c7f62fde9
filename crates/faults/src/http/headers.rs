//! `headers`: headers are set or removed, on requests or on answers.

use std::collections::BTreeMap;
use std::str::FromStr;

use hyper::http::HeaderName;
use murphy_proxy::EdgeEffect;
use murphy_proxy::http::{HeaderEdits, HttpEffect, HttpStep};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::reply;
use crate::check::Problems;
use crate::spec::{Effect, FaultSpec, Grain, Place};

/// Whose headers change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Of {
    /// The request's, on its way to the service.
    Request,
    /// The answer's.
    #[default]
    Response,
}

/// Changes headers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Headers {
    /// Whose.
    #[serde(default)]
    pub of: Of,
    /// Headers that are there once, with this value.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub set: BTreeMap<String, String>,
    /// Headers that are gone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
}

impl FaultSpec for Headers {
    const NAME: &'static str = "headers";
    const ABOUT: &'static str = "Headers are set or removed, on requests or on answers.";
    const EXAMPLE: &'static str =
        "{ headers: { of: response, remove: [etag], set: { cache-control: no-store } } }";
    const PLACE: Place = Place::Edge;
    const GRAIN: Grain = Grain::Requests;

    fn text(&self) -> String {
        let of = if self.of == Of::Request { "request" } else { "response" };
        let set = self.set.iter().map(|(name, value)| format!("{name}: {value}"));
        let removed = self.remove.iter().map(|name| format!("no {name}"));
        format!("headers of {of}: {}", set.chain(removed).collect::<Vec<_>>().join(", "))
    }

    fn check(&self, problems: &mut Problems) {
        reply::check_headers("set", &self.set, problems);
        let none = self.remove.iter().map(|name| (name.clone(), String::new())).collect();
        reply::check_headers("remove", &none, problems);
        if self.set.is_empty() && self.remove.is_empty() {
            problems.whole("no header changes", "write `set: { x-cache: miss }` or `remove: [etag]`");
        }
    }

    fn effect(&self) -> Effect {
        let edits = HeaderEdits {
            remove: self.remove.iter().filter_map(|name| HeaderName::from_str(name).ok()).collect(),
            set: reply::headers(&self.set),
        };
        let step = match self.of {
            Of::Request => HttpStep::EditRequest(edits),
            Of::Response => HttpStep::EditReply(edits),
        };
        Effect::Edge(EdgeEffect::Http(HttpEffect::new(vec![step])))
    }
}
