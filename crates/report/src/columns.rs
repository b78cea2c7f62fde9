//! Lines of a fixed width: cells that are padded, texts that are wrapped. Counts characters, not bytes.

/// Columns of a line, so that it fits a CI log.
pub(crate) const WIDTH: usize = 104;

/// Padded to `width`; a longer text keeps one space after it.
pub(crate) fn cell(text: &str, width: usize) -> String {
    let length = text.chars().count();
    let fill = width.saturating_sub(length).max(1);
    format!("{text}{}", " ".repeat(fill))
}

/// Wraps words: the first line may hold `first` characters, the others `rest`. A longer word is cut.
pub(crate) fn wrap(text: &str, first: usize, rest: usize) -> Vec<String> {
    let (first, rest) = (first.max(1), rest.max(1));
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    let mut length = 0;
    for word in text.split_whitespace() {
        let mut word: Vec<char> = word.chars().collect();
        loop {
            let most = if lines.is_empty() { first } else { rest };
            let space = usize::from(length > 0);
            if length + space + word.len() <= most {
                if space > 0 {
                    line.push(' ');
                }
                line.extend(&word);
                length += space + word.len();
                break;
            }
            if length > 0 {
                lines.push(std::mem::take(&mut line));
                length = 0;
            } else {
                let tail = word.split_off(most);
                lines.push(word.into_iter().collect());
                word = tail;
            }
        }
    }
    if length > 0 || lines.is_empty() {
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_wrapped_and_giants_cut() {
        assert_eq!(wrap("a bb ccc dddd", 4, 5), ["a bb", "ccc", "dddd"]);
        assert_eq!(wrap("abcdefgh", 3, 4), ["abc", "defg", "h"]);
        assert_eq!(wrap("", 3, 4), [""]);
        assert_eq!(wrap("öö öö", 5, 5), ["öö öö"]);
    }

    #[test]
    fn a_cell_always_ends_in_a_space() {
        assert_eq!(cell("ab", 4), "ab  ");
        assert_eq!(cell("abcd", 4), "abcd ");
    }
}
