//! Which requests the faults of a proxy by hand are for: the words of `match:` and `which:` as flags.

use clap::Args;
use murphy_faults::{Match, PathPattern, Per, Problems, TextPattern, Which};

const HEADING: &str = "Requests, for faults that act on requests";

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = HEADING)]
pub struct RequestFlags {
    /// Only requests with this method: POST, or several as {GET,HEAD}
    #[arg(long, value_name = "METHOD")]
    pub method: Option<TextPattern>,
    /// Only requests for this path, without its query: /items/*, /items/** or a /regex/
    #[arg(long, value_name = "PATH")]
    pub path: Option<PathPattern>,
    /// Only requests with this header: "x-user: 7"; may be given again, and then all must hold
    #[arg(long, value_name = "NAME: VALUE", value_parser = header)]
    pub header: Vec<(String, TextPattern)>,
    /// Only requests with this parameter in the query: user=7; may be given again
    #[arg(long, value_name = "NAME=VALUE", value_parser = query)]
    pub query: Vec<(String, TextPattern)>,
    /// Only requests to this host
    #[arg(long, value_name = "HOST")]
    pub host: Option<TextPattern>,
    /// Only requests from this address or network, as 10.0.0.0/8
    #[arg(long, value_name = "ADDRESS")]
    pub source: Option<String>,
    /// So many requests pass untouched first
    #[arg(long, value_name = "N")]
    pub after: Option<u64>,
    /// The Nth request, the 2Nth and so on
    #[arg(long, value_name = "N")]
    pub every: Option<u64>,
    /// So many in a row, and then --pass not, again and again
    #[arg(long, value_name = "N")]
    pub fail: Option<u64>,
    /// So many pass after --fail
    #[arg(long, value_name = "N")]
    pub pass: Option<u64>,
    /// At most so many in all: the first ones
    #[arg(long, value_name = "N")]
    pub first: Option<u64>,
    /// Count for each value of this: path, source, "header x-user" or "query user"
    #[arg(long, value_name = "KEY")]
    pub per: Option<Per>,
}

impl RequestFlags {
    /// The requests that are meant, and which of these. Refuses what cannot be meant, with what to type.
    pub fn requests(&self) -> Result<(Match, Which), String> {
        let matching = Match {
            method: self.method.clone(),
            path: self.path.clone(),
            header: self.header.iter().cloned().collect(),
            query: self.query.iter().cloned().collect(),
            host: self.host.clone(),
            source: self.source.clone(),
        };
        let which = Which {
            after: self.after,
            every: self.every,
            fail: self.fail,
            pass: self.pass,
            chance: None,
            first: self.first,
            per: self.per.clone(),
        };
        let mut problems = Problems::new();
        matching.check(&mut problems);
        which.check(&mut problems);
        match problems.into_iter().next() {
            Some(problem) => Err(format!("{}; {}", problem.message, problem.help)),
            None => Ok((matching, which)),
        }
    }
}

fn header(text: &str) -> Result<(String, TextPattern), String> {
    pair(text, ':', "x-user: 7")
}

fn query(text: &str) -> Result<(String, TextPattern), String> {
    pair(text, '=', "user=7")
}

fn pair(text: &str, between: char, example: &str) -> Result<(String, TextPattern), String> {
    let (name, value) = text.split_once(between).ok_or_else(|| format!("write for example \"{example}\""))?;
    let value = value.trim().parse::<TextPattern>().map_err(|error| error.to_string())?;
    Ok((name.trim().to_owned(), value))
}
