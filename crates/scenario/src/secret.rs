//! Keeps secrets out of the run directory, the journal and reports. The values themselves stay in memory, for the run.

use std::collections::BTreeMap;

use murphy_faults::Fault;
use serde::{Serialize, Serializer};

const MASK: &str = "***";
const TELLING: [&str; 9] =
    ["secret", "token", "password", "passwd", "auth", "cookie", "credential", "api-key", "api_key"];

/// True if a header or variable of this name is likely to hold a secret.
pub fn is_telling(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    TELLING.iter().any(|word| name.contains(word)) || name.ends_with("_key") || name.ends_with("-key")
}

/// Writes a table of headers or variables, with the values of telling names masked.
pub(crate) fn masked<S: Serializer>(
    table: &BTreeMap<String, String>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mask = |(name, value): (&String, &String)| {
        let value = if is_telling(name) { MASK.to_owned() } else { mask_url(value) };
        (name.clone(), value)
    };
    serializer.collect_map(table.iter().map(mask))
}

/// Writes a URL without its password.
pub(crate) fn masked_url<S: Serializer>(url: &str, serializer: S) -> Result<S::Ok, S::Error> {
    mask_url(url).serialize(serializer)
}

/// Writes how long a body is: what is in it may be anybody's data.
#[expect(clippy::ref_option, reason = "the form that serde calls")]
pub(crate) fn body_length<S: Serializer>(body: &Option<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
    body.as_ref().map(|body| format!("{} bytes", body.len())).serialize(serializer)
}

/// Writes that there is a value, and not which.
#[expect(clippy::ref_option, reason = "the form that serde calls")]
pub(crate) fn hidden<S: Serializer>(value: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    value.as_ref().map(|_| MASK).serialize(serializer)
}

/// Writes a command with its secrets masked.
pub(crate) fn masked_argv<S: Serializer>(argv: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    mask_argv(argv).serialize(serializer)
}

/// Writes a fault; a command in it with its secrets masked.
pub(crate) fn masked_fault<S: Serializer>(fault: &Fault, serializer: S) -> Result<S::Ok, S::Error> {
    masked_copy(fault).serialize(serializer)
}

/// A fault's settings as text, without secrets.
pub(crate) fn masked_settings(fault: &Fault) -> BTreeMap<String, String> {
    masked_copy(fault).settings()
}

fn masked_copy(fault: &Fault) -> Fault {
    match fault {
        Fault::Exec(exec) => Fault::Exec(murphy_faults::Exec {
            command: mask_argv(&exec.command),
            revert: exec.revert.as_deref().map(mask_argv),
            within: exec.within,
        }),
        other => other.clone(),
    }
}

/// A command in which the values of telling options are masked: `--token=…`, `--password …`, `TOKEN=…`.
pub(crate) fn mask_argv(argv: &[String]) -> Vec<String> {
    let mut value_follows = false;
    let mask = |word: &String| {
        if std::mem::take(&mut value_follows) && !word.starts_with('-') {
            return MASK.to_owned();
        }
        match word.split_once('=') {
            Some((name, _)) if is_telling(name) && !name.contains(char::is_whitespace) => {
                format!("{name}={MASK}")
            }
            Some(_) => mask_url(word),
            None => {
                value_follows = word.starts_with('-') && is_telling(word);
                mask_url(word)
            }
        }
    };
    argv.iter().map(mask).collect()
}

/// A text with the user and password of a URL in it masked, and the values of telling query parameters.
pub(crate) fn mask_url(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = match authority.rsplit_once('@') {
        Some((_, host)) => format!("{MASK}@{host}"),
        None => authority.to_owned(),
    };
    let Some((path, query)) = path.split_once('?') else { return format!("{scheme}://{host}{path}") };
    let parameter = |pair: &str| match pair.split_once('=') {
        Some((name, _)) if is_telling(name) => format!("{name}={MASK}"),
        _ => pair.to_owned(),
    };
    let query = query.split('&').map(parameter).collect::<Vec<_>>().join("&");
    format!("{scheme}://{host}{path}?{query}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_in_urls_are_masked_and_plain_urls_kept() {
        assert_eq!(mask_url("postgres://u:p@db:5432/x@y"), "postgres://***@db:5432/x@y");
        assert_eq!(mask_url("http://a/b@c"), "http://a/b@c");
        assert_eq!(mask_url("plain"), "plain");
        assert_eq!(mask_url("http://a/x?q=1&token=t&b"), "http://a/x?q=1&token=***&b");
    }

    #[test]
    fn options_that_tell_are_masked_in_commands() {
        let argv = [
            "run",
            "--token=t",
            "--password",
            "p",
            "--port",
            "1",
            "API_KEY=k",
            "redis://u:p@h/",
            "sh -c 'a=b'",
        ];
        let masked = mask_argv(&argv.map(str::to_owned));
        let expected = [
            "run",
            "--token=***",
            "--password",
            "***",
            "--port",
            "1",
            "API_KEY=***",
            "redis://***@h/",
            "sh -c 'a=b'",
        ];
        assert_eq!(masked, expected);
    }

    #[test]
    fn telling_names_are_known() {
        for name in ["Authorization", "X-Api-Key", "DB_PASSWORD", "Set-Cookie", "SIGNING_KEY"] {
            assert!(is_telling(name), "{name}");
        }
        for name in ["accept", "PORT", "keyboard"] {
            assert!(!is_telling(name), "{name}");
        }
    }
}
