//! Packs the schema of scenarios, which the program carries. The text is committed; `make schema` writes it.

use std::path::PathBuf;

const TEXT: &str = "../../docs/scenario.schema.json";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={TEXT}");
    let text = std::fs::read(TEXT).unwrap_or_else(|error| panic!("{TEXT}: {error}"));
    let packed = miniz_oxide::deflate::compress_to_vec(&text, 10);
    let folder = PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default());
    let to = folder.join("scenario.schema.json.deflate");
    std::fs::write(&to, packed).unwrap_or_else(|error| panic!("{}: {error}", to.display()));
}
