//! `matrix:`: one file, several scenarios. Every combination of the values makes one, with `${NAME}` filled in.

use crate::diagnostic::Findings;
use crate::node::{Kind, Node, shortened};
use crate::settings::Settings;
use crate::source_map::Source;

/// One combination: names of variables with their values, in the order of the file.
pub(crate) type Cell = Vec<(String, String)>;

/// More scenarios than this in one file are a mistake.
const MOST: usize = 100;

/// All combinations; one without variables if there is no matrix. What is not well formed is reported, and what does not
/// even have the form of a matrix is left to the reader of the document.
pub(crate) fn cells(
    root: &Node,
    source: &Source,
    settings: &Settings,
    findings: &mut Findings<'_>,
) -> Vec<Cell> {
    let mut cells: Vec<Cell> = vec![Vec::new()];
    let Some(matrix) = root.entry("matrix") else { return cells };
    for axis in matrix.value.entries() {
        let good = axis.key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && axis.key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !good {
            findings
                .error(axis.key_region, format!("`{}` is not the name of a variable", shortened(&axis.key)))
                .help("write letters, digits and `_`, so that `${NAME}` can stand for it");
            continue;
        }
        let used = ["}", ":-"].iter().any(|end| source.text().contains(&format!("${{{}{end}", axis.key)));
        if !used {
            findings
                .error(
                    axis.key_region,
                    format!("`{}` changes nothing: there is no `${{{}}}` in this file", axis.key, axis.key),
                )
                .help(format!("write `${{{}}}` where the value belongs", axis.key));
        }
        let mut values = Vec::new();
        for item in axis.value.items() {
            match &item.kind {
                Kind::Scalar(scalar) if scalar.text.contains("${") => {
                    findings
                        .error(item.region, "a variable within the values of a variable")
                        .help("write the value itself, or `--set` the variable and leave it out here");
                }
                Kind::Scalar(scalar) if !scalar.text.trim().is_empty() => values.push(scalar.text.clone()),
                _ => {
                    findings
                        .error(item.region, format!("a value of `{}` is no single value", axis.key))
                        .help("write for example `delay: [100ms, 1s]`");
                }
            }
        }
        if axis.value.items().is_empty() {
            findings
                .error(axis.key_region, format!("`{}` has no values", axis.key))
                .help("write for example `delay: [100ms, 1s]`");
        }
        if let Some(only) = settings.set.get(&axis.key) {
            values = vec![only.clone()];
        }
        // Never without a combination: what is wrong was told, and the rest of the file is checked all the same.
        if values.is_empty() {
            continue;
        }
        if cells.len().saturating_mul(values.len()) > MOST {
            findings
                .error(matrix.key_region, format!("more than {MOST} scenarios in one file"))
                .help("give fewer values, or several files");
            // The rest of the file is checked with the first value of each.
            values.truncate(1);
            cells.truncate(1);
        }
        cells = cells
            .iter()
            .flat_map(|cell| {
                values.iter().map(|value| {
                    let mut cell = cell.clone();
                    cell.push((axis.key.clone(), value.clone()));
                    cell
                })
            })
            .collect();
    }
    cells
}

/// What tells one scenario of a file from the others: `delay=100ms, mode=careful`.
pub(crate) fn label(cell: &Cell) -> String {
    let part = |(name, value): &(String, String)| {
        let value = if crate::secret::is_telling(name) { "***" } else { value.as_str() };
        format!("{name}={value}")
    };
    cell.iter().map(part).collect::<Vec<_>>().join(", ")
}
