//! Structured log lines on standard output: one JSON object a line. Never fails and never stops the service, not even
//! when nobody reads the other end of the pipe.

use std::io::Write as _;

use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::LogLevel;

/// The log of one service.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    service: &'static str,
    level: LogLevel,
    started: Instant,
}

impl Log {
    /// A log whose clock starts now.
    pub fn new(service: &'static str, level: LogLevel) -> Log {
        Log { service, level, started: Instant::now() }
    }

    /// The service's name.
    pub fn service(&self) -> &'static str {
        self.service
    }

    /// Start, stop, a change of state.
    pub fn change<const N: usize>(&self, what: &str, facts: [(&str, Value); N]) {
        if self.level >= LogLevel::Changes {
            self.write(what, facts);
        }
    }

    /// One answered request.
    pub fn request<const N: usize>(&self, facts: [(&str, Value); N]) {
        if self.level >= LogLevel::Requests {
            self.write("request", facts);
        }
    }

    fn write<const N: usize>(&self, what: &str, facts: [(&str, Value); N]) {
        let mut line = Map::new();
        line.insert(
            "at_ms".into(),
            Value::from(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(0)),
        );
        line.insert("service".into(), Value::from(self.service));
        line.insert("event".into(), Value::from(what));
        for (name, value) in facts {
            line.insert(name.into(), value);
        }
        let mut text = Value::Object(line).to_string();
        text.push('\n');
        // A reader that went away is no reason to end the service.
        let _ = std::io::stdout().lock().write_all(text.as_bytes());
    }
}
