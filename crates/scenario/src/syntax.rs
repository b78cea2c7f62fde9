//! Faults of YAML's syntax in plain words. The parser's own words name its rules, not the mistake of a person.

/// The parser's word for a fault of syntax, as a message and as what to do about it.
pub(crate) fn explain(info: &str, found: &str) -> (String, String) {
    let (message, help) = match info {
        i if i.contains("mapping values are not allowed") => (
            "a `:` that cannot stand here".to_owned(),
            "put a text that has `: ` in it in quotes, or look at the indentation of this line and the one above",
        ),
        i if i.contains("trailing content") => (
            "text behind a closing quote".to_owned(),
            "inside of single quotes, two quotes ('') stand for one",
        ),
        i if i.contains("escape") => (
            "this escape is not known in double quotes".to_owned(),
            "use single quotes, or write two backslashes for one",
        ),
        i if i.contains("quoted scalar") => {
            ("a quote is not closed".to_owned(), "close it on the same line, with the same kind of quote")
        }
        i if i.contains("flow mapping") => {
            ("a `{` is not closed before this".to_owned(), "write the missing `}` or `,`")
        }
        i if i.contains("flow sequence")
            || i.contains("illegal placement of ':'")
            || i.contains("in flow") =>
        {
            ("a `[` or `{` is not closed before this".to_owned(), "write the missing bracket or `,`")
        }
        i if i.contains("misplaced bracket") => {
            (format!("`{found}` closes nothing"), "remove it, or put the text in quotes")
        }
        i if i.contains("unexpected character") || i.contains("cannot start with") => {
            (format!("a value cannot begin with `{found}`"), "put the text in quotes")
        }
        i if i.contains("expected key") || i.contains("'-' indicator") || i.contains("indentation") => (
            "this line does not fit the lines above".to_owned(),
            "keys of one block begin in one column, as `key: value`; items of a list begin with `- `",
        ),
        i if i.contains("unknown anchor") => (
            "this alias stands for nothing".to_owned(),
            "define it before, as `&name`, or put the text in quotes",
        ),
        i if i.contains("unprintable") => {
            ("a control character".to_owned(), "remove it, or write it as an escape in double quotes")
        }
        i if i.contains("recursion limit") => (
            "nested too deeply".to_owned(),
            "no scenario needs this depth; is a bracket or an indentation wrong?",
        ),
        i if i.contains("simple key") => (
            "a key without `:`".to_owned(),
            "write `key: value` on one line; a key has at most 1,024 characters",
        ),
        i => (format!("not valid YAML: {i}"), "put special characters in quotes"),
    };
    (message, help.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_words_here_keeps_the_parsers() {
        assert_eq!(explain("recursion limit exceeded", "").0, "nested too deeply");
        assert_eq!(explain("something new", "x").0, "not valid YAML: something new");
        assert_eq!(explain("unexpected character: `@'", "@").0, "a value cannot begin with `@`");
    }
}
