//! The scenarios that the repository has for its users to run or to begin with: those of `scenarios/` and of the cookbook.

use crate::action::repository;
use crate::bench::Bench;
use crate::fenced::fenced;

/// Writes each of them to the bench as it stands, beside the parts that it includes. Their paths in there.
pub fn shipped_scenarios(bench: &Bench) -> Vec<String> {
    let mut files = Vec::new();
    for folder in ["scenarios", "cookbook"] {
        std::fs::create_dir(bench.path().join(folder)).expect("the bench can be written");
    }
    for entry in std::fs::read_dir(repository().join("scenarios")).expect("scenarios/ is there") {
        let path = entry.expect("it can be listed").path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let name = path.file_name().expect("a file has a name").to_string_lossy();
            let file = format!("scenarios/{name}");
            bench.file(&file, &std::fs::read_to_string(&path).expect("it can be read"));
            files.push(file);
        }
    }
    let cookbook = repository().join("docs/cookbook.md");
    for (info, block) in fenced(&std::fs::read_to_string(cookbook).expect("the cookbook is there")) {
        let ["yaml", name] = info.iter().map(String::as_str).collect::<Vec<_>>()[..] else { continue };
        let file = format!("cookbook/{name}");
        bench.file(&file, &block);
        if block.contains("murphy: 1") {
            files.push(file);
        }
    }
    files.sort();
    files
}
