//! `ramp:`: settings of a fault that change while it lasts, from one value to another in even steps. All steps are made here,
//! so that each is checked before anything runs.

use murphy_core::{Chance, Rate, Size, Span};
use murphy_faults::{Fault, JsonError, Place, Problems};
use serde_json::{Map, Value};

use super::context::{Check, Cursor};
use crate::fault_document::{FaultDoc, RampDoc};
use crate::node::shortened;
use crate::plan::{Ramp, RampStage};

/// Steps do not follow each other faster.
const SHORTEST: u64 = 100_000;
/// The most steps of one setting.
const MOST_STEPS: u64 = 100;

/// A value that can grow and shrink, by its unit.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Level {
    Time(Span),
    Share(Chance),
    Rate(Rate),
    Size(Size),
    Whole(u64),
}

impl Level {
    fn of(value: &Value) -> Option<Level> {
        match value {
            Value::Number(number) => number.as_u64().map(Level::Whole),
            Value::String(text) => {
                let text = text.as_str();
                let time = text.parse().map(Level::Time).ok();
                time.or_else(|| text.parse().map(Level::Share).ok())
                    .or_else(|| text.parse().map(Level::Rate).ok())
                    .or_else(|| text.parse().map(Level::Size).ok())
            }
            _ => None,
        }
    }

    /// The value on the way to another of the same kind; `None` for one of another kind.
    fn towards(self, to: Level, share: f64) -> Option<Level> {
        let between = |from: f64, to: f64| from + (to - from) * share;
        let whole = |from: u64, to: u64| between(from as f64, to as f64).round() as u64;
        Some(match (self, to) {
            (Level::Time(from), Level::Time(to)) => {
                Level::Time(Span::from_micros(whole(from.as_micros(), to.as_micros())))
            }
            (Level::Share(from), Level::Share(to)) => {
                Level::Share(Chance::from_fraction(between(from.as_fraction(), to.as_fraction()))?)
            }
            (Level::Rate(from), Level::Rate(to)) => {
                Level::Rate(Rate::from_bytes_per_sec(whole(from.as_bytes_per_sec(), to.as_bytes_per_sec())))
            }
            (Level::Size(from), Level::Size(to)) => {
                Level::Size(Size::from_bytes(whole(from.as_bytes(), to.as_bytes())))
            }
            (Level::Whole(from), Level::Whole(to)) => Level::Whole(whole(from, to)),
            _ => return None,
        })
    }

    fn value(self) -> Value {
        match self {
            Level::Time(span) => Value::String(span.to_string()),
            Level::Share(chance) => Value::String(chance.to_string()),
            Level::Rate(rate) => Value::String(rate.to_string()),
            Level::Size(size) => Value::String(size.to_string()),
            Level::Whole(number) => Value::from(number),
        }
    }
}

/// One setting on its way.
struct Way {
    setting: String,
    from: Level,
    to: Level,
    over: u64,
}

impl Way {
    /// Times after the fault's start at which it changes.
    fn times(&self) -> impl Iterator<Item = u64> {
        let (over, steps) = (self.over, (self.over / SHORTEST).clamp(1, MOST_STEPS));
        (0..=steps).map(move |step| (u128::from(over) * u128::from(step) / u128::from(steps)) as u64)
    }

    fn at(&self, time: u64) -> Option<Level> {
        self.from.towards(self.to, (time as f64 / self.over as f64).min(1.0))
    }
}

/// The fault as it begins, and what it becomes; unchanged without a `ramp`. `None` after a finding.
pub(super) fn ramp(
    check: &mut Check<'_, '_>,
    here: Cursor<'_>,
    document: &FaultDoc,
    fault: &Fault,
    lasts: Span,
) -> Option<(Fault, Ramp)> {
    let Some(at) = here.child("ramp") else { return Some((fault.clone(), Ramp::default())) };
    if !here.has("edge") || !fault.sits_on(Place::Edge) {
        check
            .findings
            .error(here.key("ramp"), "only a fault on an edge changes while it lasts")
            .help("write several faults, each with its `at` and `for`");
        return None;
    }
    let errors = check.findings.error_count();
    let mut ways = Vec::new();
    for (setting, at) in at.fields() {
        let written = document.ramp.iter().flat_map(|ramp| &ramp.0).find(|(name, _)| name == setting);
        let Some((_, document)) = written else { continue };
        ways.extend(way(check, at, setting, document, fault, lasts));
    }
    if check.findings.error_count() > errors {
        return None;
    }
    if at.has_gone() || here.is_gone("ramp") {
        return None;
    }
    if ways.is_empty() {
        check
            .findings
            .error(here.key("ramp"), "`ramp` changes nothing")
            .help("write for example `ramp: { delay: { to: 2s, over: 20s } }`");
        return None;
    }
    let mut times: Vec<u64> = ways.iter().flat_map(Way::times).collect();
    times.sort_unstable();
    times.dedup();
    let mut stages = Vec::new();
    for time in times {
        let levels = ways.iter().filter_map(|way| Some((way.setting.clone(), way.at(time)?.value())));
        match with(fault, levels) {
            Ok(fault) => stages.push(RampStage { after: Span::from_micros(time), fault }),
            Err(error) => {
                check.refuse(at.own(), &error);
                return None;
            }
        }
    }
    let last = stages.last()?.fault.clone();
    let mut problems = Problems::new();
    last.check(&mut problems);
    super::fault::report(check, here.child("inject").unwrap_or(here), problems);
    let first = stages.remove(0).fault;
    Some((first, Ramp { stages }))
}

fn way(
    check: &mut Check<'_, '_>,
    at: Cursor<'_>,
    setting: &str,
    document: &RampDoc,
    fault: &Fault,
    lasts: Span,
) -> Option<Way> {
    let example = "write a value with its unit, as in `inject`: 200ms, 20%, 100kB/s, 4MiB, or a whole number";
    let Some(to) = document.to.as_ref() else {
        check.missing(at, &format!("`{}`", shortened(setting)), "to", "2s");
        return None;
    };
    let now = settings_of(fault).remove(setting);
    let Some(from) = document.from.as_ref().or(now.as_ref()) else {
        check
            .findings
            .error(at.own(), format!("`{}` is no setting that `inject` gives", shortened(setting)))
            .help(format!(
                "write `from` as well, or one of: {}",
                settings_of(fault).keys().map(String::as_str).collect::<Vec<_>>().join(", ")
            ));
        return None;
    };
    let mut level = |key: &str, value: &Value| {
        let level = Level::of(value);
        if level.is_none() {
            let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            check
                .findings
                .error(at.value(key), format!("`{}` does not grow or shrink", shortened(&shown)))
                .help(example);
        }
        level
    };
    let (from, to) = (level("from", from)?, level("to", to)?);
    if from.towards(to, 0.5).is_none() {
        check.findings.error(at.value("to"), "`from` and `to` are of two kinds").help(example);
        return None;
    }
    if from == to {
        check
            .findings
            .error(at.value("to"), "it stays the same")
            .help("write another value, or remove the ramp");
        return None;
    }
    check.some_time(at, "over", document.over);
    let over = document.over.unwrap_or(lasts);
    if over > lasts {
        check
            .findings
            .error(at.value("over"), format!("the fault lasts {lasts}, and so never reaches `to`"))
            .help(format!("write `over: {lasts}` or less, or a longer `for`"));
        return None;
    }
    // A setting that the fault does not know is told at once, and where it stands.
    let first = (setting.to_owned(), from.value());
    if let Err(error) = with(fault, std::iter::once(first)) {
        let text = error.to_string();
        let (what, known) = text.split_once(", expected ").unwrap_or((&text, ""));
        check
            .findings
            .error(at.own(), what)
            .maybe_help((!known.is_empty()).then(|| format!("write {known}")));
        return None;
    }
    (over.as_micros() > 0).then(|| Way { setting: setting.to_owned(), from, to, over: over.as_micros() })
}

fn settings_of(fault: &Fault) -> Map<String, Value> {
    let written = serde_json::to_value(fault).unwrap_or_default();
    written.get(fault.name()).and_then(Value::as_object).cloned().unwrap_or_default()
}

/// The same fault with other settings.
fn with(fault: &Fault, levels: impl Iterator<Item = (String, Value)>) -> Result<Fault, JsonError> {
    let mut settings = settings_of(fault);
    settings.extend(levels);
    Fault::from_settings(fault.name(), settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn halfway(from: impl Into<Value>, to: impl Into<Value>) -> Option<Value> {
        Some(Level::of(&from.into())?.towards(Level::of(&to.into())?, 0.5)?.value())
    }

    #[test]
    fn values_of_one_kind_grow_and_shrink_in_their_unit() {
        assert_eq!(halfway("100ms", "300ms"), Some(Value::from("200ms")));
        assert_eq!(halfway("1s", "0s"), Some(Value::from("500ms")));
        assert_eq!(halfway("0%", "50%"), Some(Value::from("25%")));
        assert_eq!(halfway("100kB/s", "300kB/s"), Some(Value::from("200kB/s")));
        assert_eq!(halfway(10, 20), Some(Value::from(15)));
        assert_eq!(halfway("1s", "50%"), None);
        assert_eq!(halfway("soon", "1s"), None);
    }

    #[test]
    fn steps_are_even_bounded_and_end_at_the_end() {
        let way = |over| Way {
            setting: "delay".to_owned(),
            from: Level::Time(Span::ZERO),
            to: Level::Time(Span::from_secs(1)),
            over,
        };
        assert_eq!(way(250_000).times().collect::<Vec<_>>(), [0, 125_000, 250_000]);
        assert_eq!(way(1).times().collect::<Vec<_>>(), [0, 1]);
        assert_eq!(way(86_400_000_000).times().count(), 101);
        assert_eq!(way(1_000_000).at(2_000_000), Some(Level::Time(Span::from_secs(1))));
    }
}
