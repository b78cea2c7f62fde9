//! A command in one text, taken apart into its words as a shell does it, without a shell: spaces part words, quotes and
//! backslashes keep them together. Nothing is expanded.

/// Why a text is not a command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WordsError {
    /// Nothing is in it.
    #[error("no command is given: write for example \"touch /tmp/x\"")]
    Empty,
    /// A quote that does not end.
    #[error("`{text}` has a {quote} without its end: close it, or put a backslash before it")]
    Open {
        /// As written.
        text: String,
        /// Which quote.
        quote: char,
    },
}

/// The words; at least one.
pub fn words(text: &str) -> Result<Vec<String>, WordsError> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None::<char>);
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some('"'), '\\') => {
                let word = word.get_or_insert_default();
                match rest.next() {
                    // Before all others a backslash is one, as in `sed "s/a\.b/c/"`.
                    Some(next) if !r#""\$`"#.contains(next) => word.extend([c, next]),
                    next => word.extend(next),
                }
            }
            (None, '\\') => word.get_or_insert_default().extend(rest.next()),
            (None, '\'' | '"') => {
                word.get_or_insert_default();
                quote = Some(c);
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    if let Some(quote) = quote {
        return Err(WordsError::Open { text: text.to_owned(), quote });
    }
    words.extend(word);
    if words.first().is_none_or(|program| program.trim().is_empty()) {
        return Err(WordsError::Empty);
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_are_parted_as_a_shell_does_it() {
        for (text, wanted) in [
            ("redis-cli  config set maxmemory 0", &["redis-cli", "config", "set", "maxmemory", "0"][..]),
            (r#"sh -c 'echo "it is" > /tmp/x'"#, &["sh", "-c", r#"echo "it is" > /tmp/x"#]),
            (r#"a "b \"c\" d" e\ f ''"#, &["a", r#"b "c" d"#, "e f", ""]),
            ("x$HOME *", &["x$HOME", "*"]),
            (r#"sed "s/a\.b/\$c/" '\n' \n"#, &["sed", r"s/a\.b/$c/", r"\n", "n"]),
        ] {
            assert_eq!(words(text).unwrap(), wanted, "{text}");
        }
        for empty in ["", "  ", "''", "' ' x"] {
            assert_eq!(words(empty), Err(WordsError::Empty), "{empty}");
        }
        assert!(words("sh -c 'x").unwrap_err().to_string().contains("close it"));
    }

    proptest! {
        #[test]
        fn any_text_is_answered_without_a_panic(text in "\\PC{0,30}") {
            let _ = words(&text);
        }
    }
}
