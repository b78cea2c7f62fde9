//! Faults as they are typed by hand: `latency 200ms`, `latency delay=200ms jitter=50ms`, `reset`. The words are those
//! of YAML; the same reader reads them. Also the finer turn of a number while traffic flows.

use murphy_faults::{Entry, Fault, Place, catalogue};
use serde_json::{Map, Value};

/// Why a line is not a fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TypedError {
    /// Nothing was typed.
    #[error("type a fault, for example `latency 200ms`")]
    Empty,
    /// The catalogue does not have the name.
    #[error("no fault is called `{name}`")]
    Unknown {
        /// As typed.
        name: String,
    },
    /// It does not sit on an edge.
    #[error("`{name}` acts on a {place}, not on the bytes of an edge")]
    Elsewhere {
        /// The fault.
        name: &'static str,
        /// What it acts on.
        place: &'static str,
    },
    /// Its settings cannot be read.
    #[error("{why}")]
    Settings {
        /// In the words of the reader.
        why: String,
    },
}

/// The faults that can sit on an edge and begin with what was typed.
pub fn candidates(typed: &str) -> Vec<&'static Entry> {
    let word = typed.split_whitespace().next().unwrap_or("");
    catalogue().iter().filter(|entry| entry.place == Place::Edge && entry.name.starts_with(word)).collect()
}

/// Reads one line.
pub fn fault(line: &str) -> Result<Fault, TypedError> {
    let mut words = line.split_whitespace();
    let name = words.next().ok_or(TypedError::Empty)?;
    let entry = catalogue()
        .iter()
        .find(|entry| entry.name == name)
        .ok_or_else(|| TypedError::Unknown { name: name.to_owned() })?;
    if entry.place != Place::Edge {
        return Err(TypedError::Elsewhere { name: entry.name, place: entry.place.key() });
    }
    let (named, bare): (Vec<&str>, Vec<&str>) = words.partition(|word| word.contains('='));
    let mut settings: Vec<(String, String)> = named
        .iter()
        .filter_map(|word| word.split_once('='))
        .map(|(field, value)| (field.to_owned(), value.to_owned()))
        .collect();
    match (bare.as_slice(), entry.shorthand) {
        ([], _) => {}
        (_, Some(short)) => settings.push((short.to_owned(), bare.join(" "))),
        (_, None) => {
            let why =
                format!("`{name}` has no short form: write field=value, for example `{}`", entry.example);
            return Err(TypedError::Settings { why });
        }
    }
    from_settings(entry.name, &settings)
}

fn from_settings(name: &str, settings: &[(String, String)]) -> Result<Fault, TypedError> {
    let mut fields = Map::new();
    for (field, text) in settings {
        if fields.insert(field.clone(), value(text)).is_some() {
            return Err(TypedError::Settings { why: format!("`{field}` stands there twice") });
        }
    }
    let fault = Fault::from_settings(name, fields)
        .map_err(|error| TypedError::Settings { why: error.to_string() })?;
    match fault.problems().iter().next() {
        Some(problem) => Err(TypedError::Settings { why: format!("{}; {}", problem.message, problem.help) }),
        None => Ok(fault),
    }
}

/// Numbers, truth values and whole JSON lists and maps are what they look like; all else is a text, so that no value can be
/// read as more than one.
fn value(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(Value::Null | Value::String(_)) | Err(_) => Value::from(text),
        Ok(json) => json,
    }
}

/// Which way a number is turned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// To more of it.
    Up,
    /// To less of it.
    Down,
}

/// The fault with its main number a tenth higher or lower (a whole step where a tenth is less). `None` where it has
/// no number to turn, or where the turned one could not be meant.
pub fn turned(fault: &Fault, turn: Turn) -> Option<Fault> {
    let entry = catalogue().iter().find(|entry| entry.name == fault.name())?;
    let main = entry.shorthand?;
    let mut settings: Vec<(String, String)> =
        fault.settings().into_iter().filter(|(_, value)| value != "null").collect();
    let (_, value) = settings.iter_mut().find(|(field, _)| field == main)?;
    *value = turned_value(value, turn)?;
    from_settings(entry.name, &settings).ok()
}

/// `800ms` up: `880ms`. Two digits are kept, so that a few turns do not end in crooked numbers.
fn turned_value(value: &str, turn: Turn) -> Option<String> {
    let end = value.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(value.len());
    let (number, unit) = value.split_at(end);
    let (mut number, mut unit) = (number.parse::<f64>().ok()?, unit.to_owned());
    if number < 10.0
        && let Some((scale, finer)) = finer(&unit)
    {
        number *= scale;
        unit = finer.to_owned();
    }
    let step = 10f64.powf(number.max(1.0).log10().floor() - 1.0).max(1.0);
    let tenth = (number / 10.0 / step).round().max(1.0) * step;
    let next = match turn {
        Turn::Up => number + tenth,
        Turn::Down => (number - tenth).max(1.0),
    };
    Some(format!("{}{unit}", (next / step).round() * step))
}

/// The next finer unit, so that 1s can become 1.1s.
fn finer(unit: &str) -> Option<(f64, &'static str)> {
    Some(match unit {
        "h" => (60.0, "m"),
        "m" => (60.0, "s"),
        "s" => (1000.0, "ms"),
        "MB/s" => (1000.0, "kB/s"),
        "GB/s" => (1000.0, "MB/s"),
        "MiB" => (1024.0, "KiB"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(line: &str) -> String {
        fault(line).map_or_else(|error| error.to_string(), |fault| fault.text())
    }

    #[test]
    fn a_line_is_read_in_the_words_of_yaml() {
        assert_eq!(text("latency 200ms"), "latency 200ms");
        assert_eq!(text("latency delay=200ms jitter=50ms"), "latency 200ms ± 50ms");
        assert_eq!(text("  latency  200ms jitter=50ms "), "latency 200ms ± 50ms");
        assert!(text("reset").starts_with("reset"));
    }

    #[test]
    fn every_fault_of_an_edge_can_be_typed_by_its_example() {
        for entry in candidates("") {
            let example: Fault = serde_yaml::from_str(entry.example).unwrap();
            let words: Vec<String> = example
                .settings()
                .into_iter()
                .filter(|(_, v)| v != "null")
                .map(|(f, v)| format!("{f}={v}"))
                .collect();
            let line = format!("{} {}", entry.name, words.join(" "));
            assert_eq!(fault(&line).as_ref(), Ok(&example), "{line}");
        }
    }

    #[test]
    fn what_cannot_be_read_says_what_to_type() {
        assert_eq!(fault(" "), Err(TypedError::Empty));
        assert_eq!(text("latncy 200ms"), "no fault is called `latncy`");
        assert!(text("latency 200").contains("200ms"), "{}", text("latency 200"));
        assert!(text("latency dealy=200ms").contains("dealy"), "{}", text("latency dealy=200ms"));
        assert!(text("freeze").contains("process"), "{}", text("freeze"));
        assert!(text("latency 10ms jitter=20ms").contains("at most"), "{}", text("latency 10ms jitter=20ms"));
        assert!(
            text("latency 1ms}, {reset: {").contains("latency") || fault("latency 1ms}, {reset: {").is_err()
        );
    }

    #[test]
    fn a_turn_moves_the_main_number_by_a_tenth() {
        let mut latency = fault("latency 200ms jitter=50ms").unwrap();
        let mut seen = Vec::new();
        for _ in 0..3 {
            latency = turned(&latency, Turn::Up).unwrap();
            seen.push(latency.text());
        }
        assert_eq!(seen, ["latency 220ms ± 50ms", "latency 240ms ± 50ms", "latency 260ms ± 50ms"]);
        let slow = turned(&fault("latency 1s").unwrap(), Turn::Up).unwrap();
        assert_eq!(
            slow.text(),
            "latency 1100ms".replace("1100ms", &"1.1s".parse::<murphy_core::Span>().unwrap().to_string())
        );
        assert_eq!(turned(&fault("reset").unwrap(), Turn::Up), None);
    }

    #[test]
    fn a_turn_down_never_reaches_zero_or_turns_around() {
        let mut fault = fault("latency 5ms").unwrap();
        for _ in 0..50 {
            let Some(next) = turned(&fault, Turn::Down) else { break };
            fault = next;
        }
        assert_eq!(fault.text(), "latency 1ms");
    }
}
