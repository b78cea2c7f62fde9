//! The faults of the catalogue as flags, as the registry tells them.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use murphy_faults::{Fault, Flag, FlagError, FlagValue, Place, faults_of_flags, flags};

/// Names that commands with faults use for themselves.
const TAKEN: [&str; 37] = [
    "after",
    "api",
    "chance",
    "color",
    "direction",
    "dry-run",
    "every",
    "exclude",
    "fail",
    "first",
    "for",
    "from",
    "header",
    "help",
    "host",
    "http",
    "lease",
    "listen",
    "method",
    "name",
    "off",
    "open-connections",
    "output",
    "pass",
    "path",
    "per",
    "pick",
    "query",
    "save",
    "seed",
    "source",
    "to",
    "token",
    "upstream",
    "version",
    "wait",
    "yes",
];

static FLAGS: LazyLock<Vec<Flag>> = LazyLock::new(|| flags(Place::Edge));

/// Faults on connections, as typed.
#[derive(Debug, Clone, Default)]
pub struct FaultFlags {
    given: BTreeMap<String, Option<String>>,
}

impl FaultFlags {
    /// The faults that were asked for.
    pub fn faults(&self) -> Result<Vec<Fault>, FlagError> {
        faults_of_flags(Place::Edge, &self.given)
    }

    /// The same over a fault that stands: if all flags are for that one, its other settings stay.
    pub fn faults_over(&self, standing: &Fault) -> Result<Vec<Fault>, FlagError> {
        let mut given = self.given.clone();
        let own = |flag: &&Flag| flag.fault == standing.name();
        if given.keys().all(|name| FLAGS.iter().filter(own).any(|flag| flag.name == *name)) {
            let settings = standing.settings();
            for flag in FLAGS.iter().filter(own) {
                let setting = flag.field.as_ref().and_then(|field| settings.get(field));
                if let Some(value) = setting.filter(|value| *value != "null") {
                    given.entry(flag.name.clone()).or_insert_with(|| Some(value.clone()));
                }
            }
            given.entry(standing.name().to_owned()).or_insert(None);
        }
        faults_of_flags(Place::Edge, &given)
    }
}

fn arg(flag: &'static Flag) -> Arg {
    let arg = Arg::new(flag.name.as_str())
        .long(flag.name.as_str())
        .help(flag.about.trim_end_matches('.'))
        .help_heading("Faults");
    let arg = match &flag.short_name {
        Some(short) if !TAKEN.contains(&short.as_str()) => arg.visible_alias(short.as_str()),
        _ => arg,
    };
    match flag.value {
        FlagValue::None => arg.action(ArgAction::SetTrue),
        // `--body-value -1`: a negative number is a value, and where it cannot be one, the fault says so.
        FlagValue::Required => arg.value_name(flag.form.as_str()).allow_negative_numbers(true),
        FlagValue::Optional => {
            let arg = arg.value_name(flag.form.as_str()).num_args(0..=1).default_missing_value("");
            // A bare number is no address: `--abort 503` cannot be meant otherwise.
            arg.require_equals(flag.form != "integer")
        }
    }
}

impl Args for FaultFlags {
    fn augment_args(command: Command) -> Command {
        command.args(FLAGS.iter().map(arg))
    }

    fn augment_args_for_update(command: Command) -> Command {
        FaultFlags::augment_args(command)
    }
}

impl FromArgMatches for FaultFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<FaultFlags, clap::Error> {
        let mut given = BTreeMap::new();
        for flag in FLAGS.iter() {
            let name = flag.name.as_str();
            match flag.value {
                FlagValue::None if matches.get_flag(name) => drop(given.insert(flag.name.clone(), None)),
                FlagValue::None => {}
                FlagValue::Required | FlagValue::Optional => {
                    if let Some(text) = matches.get_one::<String>(name) {
                        let text = Some(text.clone()).filter(|text| !text.is_empty());
                        given.insert(flag.name.clone(), text);
                    }
                }
            }
        }
        Ok(FaultFlags { given })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = FaultFlags::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(flags: &[&str]) -> FaultFlags {
        let words = ["murphy"].iter().chain(flags);
        let matches = FaultFlags::augment_args(Command::new("murphy")).get_matches_from(words);
        FaultFlags::from_arg_matches(&matches).unwrap()
    }

    fn over(standing: &[&str], flags: &[&str]) -> String {
        let standing = typed(standing).faults().unwrap().remove(0);
        typed(flags).faults_over(&standing).unwrap().iter().map(Fault::text).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn what_is_not_given_stays_unless_it_becomes_another_fault() {
        let latency = ["--latency", "200ms", "--jitter", "50ms", "--latency-distribution", "normal"];
        assert_eq!(over(&latency, &[]), "latency 200ms ± 50ms normal");
        assert_eq!(over(&latency, &["--jitter", "10ms"]), "latency 200ms ± 10ms normal");
        assert_eq!(over(&latency, &["--latency", "1s"]), "latency 1s ± 50ms normal");
        assert_eq!(over(&latency, &["--bandwidth", "1MB/s"]), over(&["--reset"], &["--bandwidth", "1MB/s"]));
        assert_eq!(over(&["--reset=2s"], &[]), over(&["--reset=2s"], &["--reset=2s"]));
    }
}
