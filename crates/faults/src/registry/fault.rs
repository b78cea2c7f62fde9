//! What can be done with a fault, whichever it is: to read it from JSON, to write its settings as text, and to ask what
//! it acts on. Nothing here may name one fault: what differs between them is made by the registry.

use std::collections::BTreeMap;

use murphy_proxy::http::HttpEffect;
use serde_json::{Map, Value};

use super::Fault;
use crate::check::Problems;
use crate::http::{Match, Which};
use crate::read::{JsonError, from_json};
use crate::spec::Effect;

impl Fault {
    /// Reads one from JSON that is in memory.
    ///
    /// # Errors
    /// No such fault, or settings it does not have.
    pub fn from_json(json: &Value) -> Result<Fault, JsonError> {
        from_json(std::marker::PhantomData::<Fault>, &json.to_string())
    }

    /// A fault by its name and the JSON of its settings.
    ///
    /// # Errors
    /// As [`Fault::from_json`].
    pub fn from_settings(name: &str, settings: Map<String, Value>) -> Result<Fault, JsonError> {
        let mut fault = Map::new();
        fault.insert(name.to_owned(), Value::Object(settings));
        Fault::from_json(&Value::Object(fault))
    }

    /// The settings as text: `delay` → `800ms`. Those that were left out and have no value are not in it.
    pub fn settings(&self) -> BTreeMap<String, String> {
        let Ok(Value::Object(fields)) = self.to_value() else { return BTreeMap::new() };
        let mut settings = BTreeMap::new();
        for (name, value) in fields {
            let text = match value {
                Value::String(text) => text,
                other => other.to_string(),
            };
            settings.insert(name, text);
        }
        settings
    }

    /// True if it acts on requests, and so can be for chosen ones; false if on bytes, connections or processes.
    pub fn acts_on_requests(&self) -> bool {
        matches!(self.effect(), Effect::Edge(murphy_proxy::EdgeEffect::Http(_)))
    }

    /// True if it acts on the TLS handshakes of callers, and so only where callers speak TLS with Murphy.
    pub fn acts_on_handshakes(&self) -> bool {
        matches!(self.effect(), Effect::Edge(murphy_proxy::EdgeEffect::Handshake(_)))
    }

    /// What it does to the requests that are chosen. `None` if it does not act on requests.
    pub fn on_requests(&self, matching: &Match, which: &Which) -> Option<Effect> {
        let Effect::Edge(murphy_proxy::EdgeEffect::Http(effect)) = self.effect() else { return None };
        let chosen = HttpEffect { filter: matching.filter(), selection: which.selection(), ..effect };
        Some(Effect::Edge(murphy_proxy::EdgeEffect::Http(chosen)))
    }

    /// All findings about the settings.
    pub fn problems(&self) -> Problems {
        let mut problems = Problems::new();
        self.check(&mut problems);
        problems
    }
}
