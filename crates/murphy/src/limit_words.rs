//! `murphy limit FILE --vary NAME` is the search for a breaking point: what varies is a setting of a fault, and no limit of a container does.

use std::ffi::OsString;

/// The words with the name of the search in the place of `limit`, where something varies.
pub fn with_breaking_point(mut words: Vec<OsString>) -> Vec<OsString> {
    let varies =
        |word: &OsString| word.to_str().is_some_and(|text| text == "--vary" || text.starts_with("--vary="));
    if let Some(place) = command(&words).filter(|place| words[*place] == "limit")
        && words.iter().any(varies)
    {
        words[place] = "breaking-point".into();
    }
    words
}

/// Where the command stands: behind the options that all commands have.
pub fn command(words: &[OsString]) -> Option<usize> {
    let mut places = words.iter().enumerate().skip(1);
    while let Some((place, word)) = places.next() {
        match word.to_str() {
            // Its value is the next word.
            Some("--color") => {
                places.next();
            }
            Some(option) if option.starts_with('-') => {}
            _ => return Some(place),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Cli, Command};

    fn typed(line: &str) -> Result<Command, clap::Error> {
        let words = with_breaking_point(line.split(' ').map(OsString::from).collect());
        Cli::try_parse_from(words).map(|cli| cli.command)
    }

    #[test]
    fn what_varies_tells_the_limit_of_a_fault_from_those_of_a_container() {
        for search in [
            "murphy limit s.yaml --vary DELAY --from 20ms --to 1s",
            "murphy limit s.yaml --vary=DELAY --from 1% --to 9%",
            "murphy --color never limit s.yaml --vary DELAY --from 20ms --to 1s",
            "murphy --color=never limit s.yaml --vary DELAY --from 20ms --to 1s",
        ] {
            assert!(matches!(typed(search), Ok(Command::BreakingPoint(_))), "{search}");
        }
        assert!(matches!(typed("murphy limit web-1 --memory 64MiB"), Ok(Command::Limit(_))));
        assert!(typed("murphy limit web-1 --memory 64MiB --vary DELAY").is_err());
        // A container of that name, to another command.
        assert!(typed("murphy pause limit --vary DELAY").is_err());
        assert!(typed("murphy --color").is_err());
    }
}
