//! Which requests the faults of a proxy by hand are for: the words of `match:` and `which:` as flags.

use std::collections::BTreeMap;

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
    /// The requests that are meant, and which of these, without a chance: that is a flag of faults on connections too.
    /// Refuses what cannot be meant, with what to type.
    pub fn requests(&self) -> Result<(Match, Which), String> {
        let matching = Match {
            method: self.method.clone(),
            path: self.path.clone(),
            header: by_name("header", &self.header, str::eq_ignore_ascii_case)?,
            query: by_name("query", &self.query, |one, other| one == other)?,
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

/// One pattern for each name: of two, one would be forgotten, or no request would match both.
fn by_name(
    flag: &str,
    pairs: &[(String, TextPattern)],
    is_same: fn(&str, &str) -> bool,
) -> Result<BTreeMap<String, TextPattern>, String> {
    let mut all: BTreeMap<String, TextPattern> = BTreeMap::new();
    for (name, pattern) in pairs {
        if all.keys().any(|known| is_same(known, name)) {
            return Err(format!(
                "`{name}` stands in two --{flag}; write both values in one, as {{7,8}} if either will do"
            ));
        }
        all.insert(name.clone(), pattern.clone());
    }
    Ok(all)
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

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Command, FromArgMatches as _};
    use serde_json::{Value, json};

    fn typed(flags: &[&str]) -> Result<(Match, Which), String> {
        let words = ["murphy"].iter().chain(flags);
        let matches = RequestFlags::augment_args(Command::new("murphy")).try_get_matches_from(words);
        let matches = matches.map_err(|error| error.to_string())?;
        RequestFlags::from_arg_matches(&matches).map_err(|error| error.to_string())?.requests()
    }

    /// As a scenario or the API says it.
    fn written(matching: &Value, which: &Value) -> (Match, Which) {
        let matching = serde_json::from_value(matching.clone()).unwrap();
        (matching, serde_json::from_value(which.clone()).unwrap())
    }

    #[test]
    fn each_flag_means_what_its_word_means_in_a_scenario() {
        for (flags, matching, which) in [
            (&[] as &[&str], json!({}), json!({})),
            (&["--method", "{GET,HEAD}"], json!({ "method": "{GET,HEAD}" }), json!({})),
            (&["--path", "/items/*"], json!({ "path": "/items/*" }), json!({})),
            (&["--header", "x-user: 7"], json!({ "header": { "x-user": "7" } }), json!({})),
            (&["--header", "x-when:12:00"], json!({ "header": { "x-when": "12:00" } }), json!({})),
            (
                &["--header", "x-user: 7", "--header", "x-shard: a*"],
                json!({ "header": { "x-user": "7", "x-shard": "a*" } }),
                json!({}),
            ),
            (
                &["--query", "user=7", "--query", "dry=/^$/"],
                json!({ "query": { "user": "7", "dry": "/^$/" } }),
                json!({}),
            ),
            // Parameters are told apart by case.
            (
                &["--query", "user=7", "--query", "User=8"],
                json!({ "query": { "user": "7", "User": "8" } }),
                json!({}),
            ),
            (&["--host", "shop"], json!({ "host": "shop" }), json!({})),
            (&["--source", "10.0.0.0/8"], json!({ "source": "10.0.0.0/8" }), json!({})),
            (&["--first", "3"], json!({}), json!({ "first": 3 })),
            (&["--every", "4"], json!({}), json!({ "every": 4 })),
            (&["--after", "2"], json!({}), json!({ "after": 2 })),
            (&["--fail", "3", "--pass", "5"], json!({}), json!({ "fail": 3, "pass": 5 })),
            (&["--per", "path"], json!({}), json!({ "per": "path" })),
            (&["--per", "source"], json!({}), json!({ "per": "source" })),
            (&["--per", "header X-User"], json!({}), json!({ "per": "header x-user" })),
            (&["--per", "query user"], json!({}), json!({ "per": "query user" })),
            (
                &["--path", "/a", "--method", "POST", "--first", "9", "--after", "1", "--every", "2"],
                json!({ "path": "/a", "method": "POST" }),
                json!({ "first": 9, "after": 1, "every": 2 }),
            ),
        ] {
            assert_eq!(typed(flags), Ok(written(&matching, &which)), "{flags:?}");
        }
    }

    #[test]
    fn what_cannot_be_meant_says_what_to_type() {
        for (flags, wanted) in [
            (&["--fail", "3"][..], "pass: 5"),
            (&["--pass", "3"], "fail: 3"),
            (&["--every", "2", "--fail", "1", "--pass", "1"], "keep one of them"),
            (&["--first", "0"], "first: 1"),
            (&["--first", "some"], "--first"),
            (&["--source", "10.0.0.0/64"], "10.0.0.0/8"),
            (&["--path", "items"], "/items"),
            (&["--header", "x-user"], "x-user: 7"),
            (&["--header", "x user: 7"], "not the name of a header"),
            (&["--query", "user"], "user=7"),
            (&["--per", "cookie user"], "header x-user"),
            (&["--header", "x-user: 7", "--header", "x-user: 8"], "{7,8}"),
            (&["--header", "X-User:7", "--header", "x-user:8"], "`x-user` stands in two --header"),
            (&["--query", "user=7", "--query", "user=8"], "`user` stands in two --query"),
        ] {
            let why = typed(flags).unwrap_err();
            assert!(why.contains(wanted), "{flags:?}: {why}");
        }
    }
}
