//! Writes the JSON Schema of scenario files. `make schema` keeps what it prints.

fn main() -> Result<(), serde_json::Error> {
    println!("{}", serde_json::to_string_pretty(&murphy_scenario::schema())?);
    Ok(())
}
