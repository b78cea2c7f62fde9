//! How close to Toxiproxy the answers keep where this project does better.

/// What a client may rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compat {
    /// Every client works, and nonsense is refused, errors are JSON, addresses are compared by what they mean.
    #[default]
    Better,
    /// Byte for byte what Toxiproxy 2.12.0 answers.
    Strict,
}
