//! What a process is started with, word by word, for whoever must know which addresses stand there. Secrets are among it: a text
//! that is one must never be shown.

use std::borrow::Cow;

use super::ServicePlan;
use crate::secret;

/// One text that a process is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given<'a> {
    /// The variable that holds it, or the option that it follows, as written.
    pub name: Option<&'a str>,
    /// The text. What can be shown of it is without the passwords of its URLs.
    pub text: Cow<'a, str>,
    /// Whether it may be shown.
    pub sight: Sight,
}

/// Whether a text may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sight {
    /// It may.
    Open,
    /// It is a secret, or stands where one is likely to stand.
    Secret,
}

impl<'a> Given<'a> {
    fn new(name: Option<&'a str>, text: &'a str, sight: Sight) -> Given<'a> {
        let text = match sight {
            Sight::Open => Cow::Owned(secret::mask_url(text)),
            Sight::Secret => Cow::Borrowed(text),
        };
        Given { name, text, sight }
    }

    /// The words of a command: an option and its value are one, `--port=1` and `PORT=1` as well as `--port 1`.
    pub fn of_command(argv: &'a [String]) -> Vec<Given<'a>> {
        let mut option = None;
        let mut all = Vec::new();
        for word in argv {
            let before = option.take().filter(|_| !word.starts_with('-'));
            let (name, text) = match word.split_once('=') {
                Some((name, value)) if is_name(name) => (Some(name), value),
                Some(_) => (before, word.as_str()),
                None => {
                    option = word.starts_with('-').then_some(word.as_str());
                    (before, word.as_str())
                }
            };
            let told =
                word.split_once('=').map(|(name, _)| name).filter(|name| !name.contains(char::is_whitespace));
            let is_secret = [name, before, told].into_iter().flatten().any(secret::is_telling);
            all.push(Given::new(name, text, if is_secret { Sight::Secret } else { Sight::Open }));
        }
        all
    }
}

/// True if this can be the name of an option or a variable, in which no address stands.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

impl ServicePlan {
    /// What it is started with: arguments, and values of variables.
    pub fn given(&self) -> Vec<Given<'_>> {
        let mut all = Given::of_command(&self.run);
        for (name, value) in &self.env {
            // Of a telling variable a URL can be shown once its password is gone.
            let is_open = value.contains("://") || !secret::is_telling(name);
            all.push(Given::new(Some(name), value, if is_open { Sight::Open } else { Sight::Secret }));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_tied_to_their_values_and_secrets_are_marked() {
        let argv =
            ["a", "--auth-addr", "h:1", "--port=1", "--password", "k=2", "-x", "-y", "http://u:p@h/?b=c"];
        let argv = argv.map(str::to_owned);
        let given = Given::of_command(&argv);
        let seen: Vec<_> = given.iter().map(|given| (given.name, &*given.text, given.sight)).collect();
        let expected = [
            (None, "a", Sight::Open),
            (None, "--auth-addr", Sight::Open),
            (Some("--auth-addr"), "h:1", Sight::Secret),
            (Some("--port"), "1", Sight::Open),
            (None, "--password", Sight::Open),
            (Some("k"), "2", Sight::Secret),
            (None, "-x", Sight::Open),
            (None, "-y", Sight::Open),
            (Some("-y"), "http://***@h/?b=c", Sight::Open),
        ];
        assert_eq!(seen, expected);
    }
}
