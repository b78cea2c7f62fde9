//! What is given beside the file: on the command line and in the environment.

use std::collections::BTreeMap;

use murphy_core::Seed;

use crate::profile::Profile;

/// Where `${NAME}` looks, after `--set`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Environment {
    /// In the environment of this process.
    #[default]
    Process,
    /// Only in this table, as for a test or an embedded scenario.
    Only(BTreeMap<String, String>),
}

impl Environment {
    /// The value of a variable; `None` if it is not set or is not text.
    pub fn get(&self, name: &str) -> Option<String> {
        match self {
            Environment::Process => std::env::var(name).ok(),
            Environment::Only(table) => table.get(name).cloned(),
        }
    }
}

/// What is given beside the file. The default gives nothing and reads the environment of this process.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// `--profile`: wins over the file's `profile`, not over lengths written out in `phases`.
    pub profile: Option<Profile>,
    /// `--seed`: wins over the file's.
    pub seed: Option<Seed>,
    /// `--set NAME=VALUE`: wins over the environment.
    pub set: BTreeMap<String, String>,
    /// Where `${NAME}` looks next.
    pub environment: Environment,
}
