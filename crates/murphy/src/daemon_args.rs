//! What can be typed for the daemon and its client. Names and short forms are those of Toxiproxy's own programs.

use std::ffi::OsString;
use std::num::ParseIntError;
use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser as _};
use clap::{ArgAction, Args, Subcommand, ValueEnum};
use murphy_core::Seed;

use crate::limit_words::command;
use crate::output_args::OutputChoice;

#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Host on which the control API listens; proxies listen where they are told
    #[arg(long, default_value = "localhost", env = "MURPHY_HOST")]
    pub host: String,
    /// Port of the control API; 0 picks a free one
    #[arg(long, default_value_t = 8474, env = "MURPHY_PORT")]
    pub port: u16,
    /// JSON file with the proxies to begin with, as `POST /populate` takes them
    // Without a file where it is empty, as the variable of a compose file may be.
    #[arg(long, value_name = "FILE", env = "MURPHY_CONFIG", value_parser = OsStringValueParser::new().map(PathBuf::from))]
    pub config: Option<PathBuf>,
    /// Root of all random choices: the same seed and order of connections, the same choices. Random if left out
    #[arg(long, allow_negative_numbers = true, value_parser = signed_seed)]
    pub seed: Option<Seed>,
    /// Serve the proxies' counters on /metrics
    #[arg(long)]
    pub proxy_metrics: bool,
    /// Serve the process's counters on /metrics
    #[arg(long)]
    pub runtime_metrics: bool,
    /// Token that every client must send as `Authorization: Bearer TOKEN`. Off loopback the native API wants one always,
    /// and one is made and printed if none is given
    #[arg(long, env = "MURPHY_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// Let the API act on containers and the network between them, below /v1/containers; then /v1 always wants a token, and one
    /// is made and printed if none is given
    #[arg(long)]
    pub containers: bool,
    /// How close to Toxiproxy the answers keep
    #[arg(long, value_enum, default_value_t = CompatChoice::Better)]
    pub compat: CompatChoice,
    /// Lines for a person, on standard error; or beside them one JSON object a line, on standard output
    #[arg(long, value_enum, default_value_t = OutputChoice::Text)]
    pub output: OutputChoice,
}

impl ServeArgs {
    /// The file, if there is one.
    pub fn config(&self) -> Option<PathBuf> {
        self.config.clone().filter(|path| !path.as_os_str().is_empty())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CompatChoice {
    /// Every client works; nonsense is refused, updates are atomic.
    Better,
    /// Byte for byte what Toxiproxy 2.12.0 answers.
    Strict,
}

#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub struct ToxiproxyArgs {
    /// Address of the control API
    #[arg(long, short = 'h', global = true, default_value = "http://localhost:8474", env = "TOXIPROXY_URL")]
    pub host: String,
    /// The daemon's token, if it wants one
    #[arg(long, global = true, env = "MURPHY_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// Lines as toxiproxy-cli prints them, or JSON on one line
    #[arg(long, global = true, value_enum, default_value_t = OutputChoice::Text)]
    pub output: OutputChoice,
    /// Print help
    #[arg(long, global = true, action = ArgAction::Help)]
    pub help: Option<bool>,
    #[command(subcommand)]
    pub command: ToxiproxyCommand,
}

#[derive(Debug, Subcommand)]
pub enum ToxiproxyCommand {
    /// List all proxies
    #[command(visible_aliases = ["l", "li", "ls"])]
    List,
    /// Show a proxy's toxics
    #[command(visible_aliases = ["i", "ins"])]
    Inspect { proxy: String },
    /// Make a proxy
    #[command(visible_aliases = ["c", "new"])]
    Create {
        proxy: String,
        /// Address on which the proxy listens, HOST:PORT
        #[arg(long, short)]
        listen: String,
        /// Address to which it connects, HOST:PORT
        #[arg(long, short)]
        upstream: String,
    },
    /// Disable an enabled proxy, or enable a disabled one
    #[command(visible_alias = "tog")]
    Toggle { proxy: String },
    /// Take a proxy away
    #[command(visible_alias = "d")]
    Delete { proxy: String },
    /// Add, update or remove a toxic
    #[command(visible_alias = "t", subcommand)]
    Toxic(ToxicCommand),
}

#[derive(Debug, Subcommand)]
pub enum ToxicCommand {
    /// Put a toxic on a proxy
    #[command(visible_alias = "a")]
    Add {
        proxy: String,
        /// latency, bandwidth, slow_close, timeout, reset_peer, slicer, limit_data, packet_loss or noop
        #[arg(long = "type", short = 't', value_name = "TYPE")]
        kind: String,
        /// Its name; TYPE_STREAM if left out
        #[arg(long = "toxicName", visible_alias = "name", short = 'n', value_name = "NAME")]
        name: Option<String>,
        #[command(flatten)]
        settings: ToxicSettingsArgs,
        /// Sit on what clients send
        #[arg(long, short, conflicts_with = "downstream")]
        upstream: bool,
        /// Sit on what clients receive; the default
        #[arg(long, short)]
        downstream: bool,
    },
    /// Edit a toxic; what is not given stays
    #[command(visible_alias = "u")]
    Update {
        proxy: String,
        /// Its name
        #[arg(long = "toxicName", visible_alias = "name", short = 'n', value_name = "NAME")]
        name: String,
        #[command(flatten)]
        settings: ToxicSettingsArgs,
    },
    /// Take a toxic off a proxy
    #[command(visible_aliases = ["r", "delete", "d"])]
    Remove {
        proxy: String,
        /// Its name
        #[arg(long = "toxicName", visible_alias = "name", short = 'n', value_name = "NAME")]
        name: String,
    },
}

#[derive(Debug, Args)]
pub struct ToxicSettingsArgs {
    /// Share of connections that it acts on, 0 to 1
    #[arg(long, visible_alias = "tox", value_name = "SHARE")]
    pub toxicity: Option<f32>,
    /// One of its numbers, such as latency=1000; may be given again
    #[arg(long, short, value_name = "NAME=NUMBER", value_parser = attribute)]
    pub attribute: Vec<(String, f64)>,
}

fn attribute(text: &str) -> Result<(String, f64), String> {
    let (name, number) = text
        .split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .ok_or_else(|| format!("`{text}` is not NAME=NUMBER; write for example latency=1000"))?;
    match number.trim().parse::<f64>() {
        Ok(value) if value.is_finite() => Ok((name.to_owned(), value)),
        _ => Err(format!("`{number}` is not a number; write for example {name}=1000")),
    }
}

/// Toxiproxy's seed is a signed number; a negative one is the root with its bits.
fn signed_seed(text: &str) -> Result<Seed, ParseIntError> {
    if text.starts_with('-') {
        text.parse::<i64>().map(|seed| Seed(seed.cast_unsigned()))
    } else {
        text.parse()
    }
}

/// What a word of Toxiproxy's is here.
enum Meant {
    AsWritten,
    Flag(String),
    Nothing,
}

/// Flags of `toxiproxy-server` that take a value.
const SERVER: [&str; 4] = ["host", "port", "config", "seed"];
/// Its switches. Go takes `-proxy-metrics=true` for `-proxy-metrics`, and with `=false` it is as if nothing was written.
const SWITCHES: [&str; 3] = ["proxy-metrics", "runtime-metrics", "version"];
/// Long flags of `toxiproxy-cli`.
const CLIENT: [&str; 11] = [
    "host",
    "listen",
    "upstream",
    "downstream",
    "type",
    "toxicName",
    "toxicity",
    "tox",
    "attribute",
    "help",
    "version",
];

/// The flags of Toxiproxy's programs as theirs: long ones with one dash, `serve -host=0.0.0.0`, `toxiproxy -host http://localhost:8474`.
pub fn with_go_flags(words: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let words: Vec<OsString> = words.collect();
    let Some(place) = command(&words) else { return words };
    let meant: fn(&str) -> Meant = match words[place].to_str() {
        Some("serve") => of_server,
        Some("toxiproxy") => of_client,
        _ => return words,
    };
    let rewritten = |(at, word): (usize, OsString)| match word.to_str() {
        Some(text) if at > place => match meant(text) {
            Meant::AsWritten => Some(word),
            Meant::Flag(flag) => Some(flag.into()),
            Meant::Nothing => None,
        },
        _ => Some(word),
    };
    words.into_iter().enumerate().filter_map(rewritten).collect()
}

fn of_server(word: &str) -> Meant {
    let Some(flag) = long(word) else { return Meant::AsWritten };
    match flag.split_once('=') {
        // Its default is no file.
        Some(("config", "")) => Meant::Nothing,
        Some((name, value)) if SWITCHES.contains(&name) => match value {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Meant::Flag(format!("--{name}")),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Meant::Nothing,
            _ => Meant::AsWritten,
        },
        Some((name, _)) if SERVER.contains(&name) => Meant::Flag(format!("--{flag}")),
        None if SERVER.contains(&flag) || SWITCHES.contains(&flag) => Meant::Flag(format!("--{flag}")),
        _ => Meant::AsWritten,
    }
}

fn of_client(word: &str) -> Meant {
    let Some(flag) = long(word) else { return Meant::AsWritten };
    match flag.split('=').next() {
        Some("v") => Meant::Flag("--version".into()),
        Some(name) if CLIENT.contains(&name) => Meant::Flag(format!("--{flag}")),
        _ => Meant::AsWritten,
    }
}

/// A flag without its dashes, one or two.
fn long(word: &str) -> Option<&str> {
    word.strip_prefix("--").or_else(|| word.strip_prefix('-'))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::args::{Cli, Command};

    use super::*;

    fn dashes(line: &str) -> String {
        let args = with_go_flags(line.split(' ').map(OsString::from));
        args.iter().map(|arg| arg.to_str().unwrap()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn one_dash_will_do_where_toxiproxy_takes_one() {
        assert_eq!(
            dashes("murphy serve -host=0.0.0.0 -port 1 --config x -proxy-metrics -x"),
            "murphy serve --host=0.0.0.0 --port 1 --config x --proxy-metrics -x"
        );
        for (typed, meant) in [
            ("murphy --color never serve -port 1", "murphy --color never serve --port 1"),
            ("murphy --color=never serve -port=1", "murphy --color=never serve --port=1"),
            (
                "murphy serve -proxy-metrics=true --runtime-metrics=1",
                "murphy serve --proxy-metrics --runtime-metrics",
            ),
            ("murphy serve -proxy-metrics=false -config= -port 1", "murphy serve --port 1"),
            ("murphy serve -proxy-metrics=maybe", "murphy serve -proxy-metrics=maybe"),
            ("murphy toxiproxy -host a -h b list", "murphy toxiproxy --host a -h b list"),
            (
                "murphy toxiproxy toxic add -type latency -toxicName=t -attribute a=1 -upstream p",
                "murphy toxiproxy toxic add --type latency --toxicName=t --attribute a=1 --upstream p",
            ),
            ("murphy toxiproxy -v", "murphy toxiproxy --version"),
            // Another command's words are its own, also where it is about one of these.
            ("murphy explain serve -port", "murphy explain serve -port"),
            ("murphy -port serve", "murphy -port serve"),
        ] {
            assert_eq!(dashes(typed), meant);
        }
    }

    #[test]
    fn a_seed_may_be_any_number_of_toxiproxys_and_any_root() {
        let seed = |typed: &str| {
            let words = with_go_flags(format!("murphy serve {typed}").split(' ').map(OsString::from));
            match Cli::try_parse_from(words).map(|cli| cli.command) {
                Ok(Command::Serve(args)) => args.seed,
                _ => None,
            }
        };
        for (typed, root) in [
            ("-seed -5", u64::MAX - 4),
            ("-seed=-9223372036854775808", 1 << 63),
            ("--seed 7", 7),
            ("--seed=18446744073709551615", u64::MAX),
        ] {
            assert_eq!(seed(typed), Some(Seed(root)), "{typed}");
        }
        for typed in ["-seed=-9223372036854775809", "-seed=-x", "-seed=18446744073709551616"] {
            assert_eq!(seed(typed), None, "{typed}");
        }
    }

    #[test]
    fn a_server_without_a_configuration_may_say_so() {
        let config = |line: &str| {
            let words = with_go_flags(line.split(' ').map(OsString::from));
            match Cli::try_parse_from(words).unwrap().command {
                Command::Serve(args) => args.config(),
                other => panic!("{other:?}"),
            }
        };
        for none in ["murphy serve -config=", "murphy serve -config ", "murphy serve --config "] {
            assert_eq!(config(none), None, "{none:?}");
        }
        assert_eq!(config("murphy serve -config a.json"), Some(PathBuf::from("a.json")));
    }

    #[test]
    fn a_server_that_is_asked_for_its_version_says_it_and_serves_nothing() {
        let words = ["murphy", "serve", "-version"].into_iter().map(OsString::from);
        let said = Cli::try_parse_from(with_go_flags(words)).unwrap_err();
        assert_eq!(said.kind(), clap::error::ErrorKind::DisplayVersion);
        assert!(said.to_string().contains(env!("CARGO_PKG_VERSION")), "{said}");
    }

    #[test]
    fn an_attribute_is_a_name_and_a_number() {
        assert_eq!(attribute("latency=1000"), Ok(("latency".to_owned(), 1000.0)));
        for bad in ["latency", "=1", "latency=abc", "latency=inf", "latency="] {
            assert!(attribute(bad).is_err(), "{bad}");
        }
    }
}
