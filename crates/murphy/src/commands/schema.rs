//! `murphy schema`: the JSON Schema of scenario files, for editors.

use super::{fail, print};
use crate::exit::Exit;

/// Prints it.
pub fn run() -> Exit {
    match serde_json::to_string_pretty(&murphy_scenario::schema()) {
        Ok(text) => {
            print(&(text + "\n"));
            Exit::Graceful
        }
        Err(error) => fail(Exit::Failed, &error),
    }
}
