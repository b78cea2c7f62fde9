//! How a report may look: with colour or without, in ASCII or not. The words are the same.

/// Whether colours are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ink {
    /// None: files and CI logs.
    #[default]
    Plain,
    /// ANSI colours: a terminal.
    Colour,
}

/// Which characters may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Glyphs {
    /// ASCII only: whatever else a name holds is replaced.
    #[default]
    Ascii,
    /// All.
    Unicode,
}

/// How a report may look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Style {
    /// Colours.
    pub ink: Ink,
    /// Characters.
    pub glyphs: Glyphs,
}

/// What a colour says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Bad,
    Unsure,
    Quiet,
    Strong,
}

impl Style {
    /// The text in a tone.
    pub(crate) fn tone(self, tone: Tone, text: &str) -> String {
        let code = match (self.ink, tone) {
            (Ink::Plain, _) => return text.to_owned(),
            (Ink::Colour, Tone::Good) => "32",
            (Ink::Colour, Tone::Bad) => "1;31",
            (Ink::Colour, Tone::Unsure) => "33",
            (Ink::Colour, Tone::Quiet) => "2",
            (Ink::Colour, Tone::Strong) => "1",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }

    /// The text in the characters that may be used. Control characters never pass: a service's last words must not steer
    /// a terminal.
    pub fn clean(self, text: &str) -> String {
        let mut clean = String::with_capacity(text.len());
        for c in text.chars() {
            match c {
                c if c.is_control() => clean.push(' '),
                c if c.is_ascii() || self.glyphs == Glyphs::Unicode => clean.push(c),
                '→' => clean.push_str("->"),
                '·' => clean.push('|'),
                '±' => clean.push_str("+-"),
                '≤' => clean.push_str("<="),
                '≥' => clean.push_str(">="),
                '×' => clean.push('x'),
                _ => clean.push('?'),
            }
        }
        clean
    }

    /// What stands between the parts of a line.
    pub(crate) fn dot(self) -> &'static str {
        match self.glyphs {
            Glyphs::Ascii => " | ",
            Glyphs::Unicode => " · ",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_services_last_words_cannot_steer_a_terminal() {
        let style = Style { ink: Ink::Colour, glyphs: Glyphs::Unicode };
        assert_eq!(style.clean("a\u{1b}[2Jb\r\nä"), "a [2Jb  ä");
        assert_eq!(Style::default().clean("web → redis ä"), "web -> redis ?");
    }

    #[test]
    fn plain_ink_adds_nothing() {
        assert_eq!(Style::default().tone(Tone::Bad, "FAIL"), "FAIL");
    }
}
