//! The command that does a run once more. It must never hold the value of a secret.

use std::path::Path;

use murphy_scenario::Loaded;

use crate::args::ScenarioArgs;

/// The command with what chose this run. A value set by hand may be a secret: its name is repeated, the value is not, but for the one
/// `level` that the command itself had set.
pub fn again(
    command: &str,
    file: &Path,
    args: &ScenarioArgs,
    scenario: &Loaded,
    level: Option<(&str, &str)>,
) -> String {
    let mut text =
        format!("murphy {command} {} --seed {}", quoted(&file.display().to_string()), scenario.plan.seed);
    if let Some(profile) = args.profile {
        text += &format!(" --profile {}", format!("{profile:?}").to_lowercase());
    }
    let by_hand =
        |axis: &str| args.set.iter().any(|(key, _)| key == axis) || level.is_some_and(|(key, _)| key == axis);
    // An axis that was set by hand is told below.
    for (axis, value) in scenario.cell.iter().filter(|(axis, _)| !by_hand(axis)) {
        text += &format!(" --set {axis}={}", quoted(value));
    }
    for (key, _) in &args.set {
        text += &format!(" --set {key}=...");
    }
    if let Some((key, value)) = level {
        text += &format!(" --set {key}={}", quoted(value));
    }
    scenario.plan.secrets.hide(&text).into_owned()
}

/// As a shell reads it back.
pub fn quoted(text: &str) -> String {
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c));
    if plain { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}
