//! Writes the fields of all faults as JSON, for the catalogue. `make schema` keeps what it prints.

fn main() -> Result<(), serde_json::Error> {
    println!("{}", serde_json::to_string_pretty(&murphy_faults::described())?);
    Ok(())
}
