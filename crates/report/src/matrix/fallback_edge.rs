//! Edges that are called under a fault only.

use serde::Serialize;

/// An edge that nobody calls while nothing is broken, and that callers turn to under a fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct FallbackEdge {
    /// Which.
    pub edge: String,
    /// How many calls it had during that fault.
    pub calls: u64,
    /// The fault, as printed.
    pub fault: String,
    /// The edge that it was on.
    pub of: String,
}

impl FallbackEdge {
    /// In a line.
    pub(crate) fn text(&self) -> String {
        let FallbackEdge { edge, calls, fault, of } = self;
        let calls = murphy_core::plural(*calls, "call");
        format!("fallback edge: {edge}: {calls} during {fault} on {of}, none with nothing broken")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_under_what_it_is_called() {
        let (edge, fault, of) = ("replica".to_owned(), "refuse".to_owned(), "primary".to_owned());
        let text = FallbackEdge { edge, calls: 240, fault, of }.text();
        assert_eq!(
            text,
            "fallback edge: replica: 240 calls during refuse on primary, none with nothing broken"
        );
    }
}
