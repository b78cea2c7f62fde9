//! Writes what is made of the types, as JSON with a line for each value and without indentation, for the program holds two of
//! the three as texts. `make schema` keeps what it prints.

use std::io::{self, Write as _};

use serde::Serialize as _;
use serde_json::Serializer;
use serde_json::ser::PrettyFormatter;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let made = match std::env::args().nth(1).as_deref() {
        Some("fields") => serde_json::to_value(murphy_faults::described())?,
        Some("schema") => murphy_scenario::schema(),
        Some("openapi") => murphy_control::openapi(),
        _ => return Err("say what: fields, schema or openapi".into()),
    };
    let mut out = io::stdout().lock();
    made.serialize(&mut Serializer::with_formatter(&mut out, PrettyFormatter::with_indent(b"")))?;
    Ok(writeln!(out)?)
}
