//! The faults of the catalogue as flags, as the registry tells them.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use murphy_faults::{Fault, Flag, FlagError, FlagValue, Place, faults_of_flags, flags};

/// Names that commands with faults use for themselves.
const TAKEN: [&str; 27] = [
    "after",
    "chance",
    "color",
    "direction",
    "every",
    "fail",
    "first",
    "for",
    "from",
    "header",
    "help",
    "host",
    "http",
    "listen",
    "method",
    "off",
    "output",
    "pass",
    "path",
    "per",
    "query",
    "save",
    "seed",
    "source",
    "to",
    "upstream",
    "version",
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
        FlagValue::Required => arg.value_name(flag.form.as_str()),
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
