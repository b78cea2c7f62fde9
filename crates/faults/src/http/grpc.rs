//! The status codes of gRPC, by the names that its documentation gives them.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A gRPC status that is an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs)] // the names are their own documentation
pub enum GrpcStatus {
    Cancelled,
    Unknown,
    InvalidArgument,
    DeadlineExceeded,
    NotFound,
    AlreadyExists,
    PermissionDenied,
    ResourceExhausted,
    FailedPrecondition,
    Aborted,
    OutOfRange,
    Unimplemented,
    Internal,
    Unavailable,
    DataLoss,
    Unauthenticated,
}

impl GrpcStatus {
    /// The number on the wire.
    pub fn code(self) -> u16 {
        // In the order of the codes, of which the first is 1.
        self as u16 + 1
    }
}

impl fmt::Display for GrpcStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = serde_json::to_value(self).ok();
        f.write_str(name.as_ref().and_then(|name| name.as_str()).unwrap_or("grpc error"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_specification() {
        let codes = [
            GrpcStatus::Cancelled,
            GrpcStatus::DeadlineExceeded,
            GrpcStatus::Unavailable,
            GrpcStatus::Unauthenticated,
        ];
        assert_eq!(codes.map(GrpcStatus::code), [1, 4, 14, 16]);
        assert_eq!(GrpcStatus::DeadlineExceeded.to_string(), "DEADLINE_EXCEEDED");
    }
}
