//! `murphy schema`: the JSON Schema of scenario files, for editors.

use super::print;
use crate::exit::Exit;

/// Prints it.
pub fn run() -> Exit {
    print(&murphy_scenario::SCHEMA);
    Exit::Graceful
}
