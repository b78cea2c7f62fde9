//! The build script of all crates that carry a long text: packs it. The texts are committed; `make schema` writes them.

use std::path::{Path, PathBuf};

/// The text of each crate, as seen from its folder.
const TEXTS: [(&str, &str); 3] = [
    ("murphy-control", "../../docs/openapi.json"),
    ("murphy-faults", "src/fields.json"),
    ("murphy-scenario", "../../docs/scenario.schema.json"),
];

fn main() {
    let package = std::env::var("CARGO_PKG_NAME").unwrap_or_default();
    let (_, text) =
        TEXTS.iter().find(|(of, _)| *of == package).unwrap_or_else(|| panic!("no text of {package}"));
    println!("cargo::rerun-if-changed=../pack.rs");
    println!("cargo::rerun-if-changed={text}");
    let whole = std::fs::read(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let packed = miniz_oxide::deflate::compress_to_vec(&whole, 10);
    let name = Path::new(text).file_name().unwrap_or_default().to_string_lossy();
    let folder = PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default());
    let to = folder.join(format!("{name}.deflate"));
    std::fs::write(&to, packed).unwrap_or_else(|error| panic!("{}: {error}", to.display()));
}
