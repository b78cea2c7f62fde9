//! Writes the OpenAPI document of the native API. `make schema` keeps what it prints.

fn main() -> Result<(), serde_json::Error> {
    println!("{}", serde_json::to_string_pretty(&murphy_control::openapi())?);
    Ok(())
}
