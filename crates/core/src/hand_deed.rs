//! What somebody does by hand to a run that is under way.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{EdgeName, FaultId, Tally};

/// One intervention.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HandDeed {
    /// A fault was put on an edge, or switched on again; also because whoever had switched one of the plan off has left.
    Armed {
        /// Which edge.
        edge: EdgeName,
        /// One of the plan, or one that is called so from now on.
        fault: FaultId,
        /// The fault with its main settings, as printed: `latency 300ms`.
        text: String,
    },
    /// A fault that stands on an edge has other settings from now on; also because whoever had tuned one of the plan has left.
    Changed {
        /// Which edge.
        edge: EdgeName,
        /// Which fault.
        fault: FaultId,
        /// The fault with its main settings, as printed.
        text: String,
    },
    /// A fault was taken off an edge, or switched off; also that of somebody who has left, or at the end of the run.
    Lifted {
        /// Which edge.
        edge: EdgeName,
        /// Which fault.
        fault: FaultId,
        /// The fault with its main settings, as printed.
        text: String,
        /// What it did.
        tally: Tally,
    },
    /// Something else was done, as to a container.
    Done {
        /// In a few words.
        text: String,
    },
}

impl fmt::Display for HandDeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HandDeed::Armed { edge, text, .. } => write!(f, "{text} on {edge}"),
            HandDeed::Changed { edge, text, .. } => write!(f, "{text} on {edge}, tuned"),
            HandDeed::Lifted { edge, text, .. } => write!(f, "{text} off {edge}"),
            HandDeed::Done { text } => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deed_is_told_in_a_few_words() {
        let (edge, fault) = (EdgeName::new("db").unwrap(), FaultId::new("latency-1").unwrap());
        let text = || "latency 300ms".to_owned();
        let lifted = HandDeed::Lifted {
            edge: edge.clone(),
            fault: fault.clone(),
            text: text(),
            tally: Tally::default(),
        };
        assert_eq!(HandDeed::Armed { edge, fault, text: text() }.to_string(), "latency 300ms on db");
        assert_eq!(lifted.to_string(), "latency 300ms off db");
        assert_eq!(HandDeed::Done { text: "kill web-1".into() }.to_string(), "kill web-1");
    }
}
