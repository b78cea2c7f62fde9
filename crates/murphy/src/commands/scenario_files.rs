//! Which scenario files are meant by what was typed: files as they are, directories with all scenarios below them.

use std::path::{Path, PathBuf};

use super::{fail, note};
use crate::exit::Exit;

/// Directories deeper than this are not looked into.
const DEEPEST: usize = 16;

/// All files, in the order typed; those of a directory sorted by path. A YAML file of a directory that is no scenario (it has
/// no `murphy:` key) is passed over with a remark.
pub fn scenario_files(typed: &[PathBuf]) -> Result<Vec<PathBuf>, Exit> {
    let mut files = Vec::new();
    for path in typed {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let mut found = Vec::new();
        let read = below(path, DEEPEST, &mut found);
        if let Err(error) = read {
            return Err(fail(Exit::Usage, &format_args!("cannot read {}: {error}", path.display())));
        }
        murphy_core::sort_short(&mut found, Ord::cmp);
        let before = files.len();
        for file in found {
            // What cannot be read is kept: loading it says why.
            if std::fs::read_to_string(&file).is_ok_and(|text| !is_scenario(&text)) {
                note(&format_args!("passed over: {} has no `murphy:` key", file.display()));
            } else {
                files.push(file);
            }
        }
        if files.len() == before {
            return Err(fail(Exit::Usage, &format_args!("there is no scenario in {}", path.display())));
        }
    }
    Ok(files)
}

fn below(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        // A link to a directory is not followed: it may lead back here.
        if entry.file_type()?.is_dir() {
            if !hidden && depth > 0 {
                below(&path, depth - 1, found)?;
            }
        } else if !hidden && path.extension().is_some_and(|end| end == "yaml" || end == "yml") {
            found.push(path);
        }
    }
    Ok(())
}

fn is_scenario(text: &str) -> bool {
    text.lines()
        .any(|line| line.trim_start_matches('\u{feff}').starts_with("murphy:") || line.starts_with('{'))
}
