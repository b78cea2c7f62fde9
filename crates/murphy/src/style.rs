//! Whether colours and live progress may be used on a stream.

use std::io::IsTerminal;

use murphy_report::{Glyphs, Ink, Style};

use crate::args::ColourChoice;

/// True if colours may go to a stream that is or is not a terminal.
fn wanted(choice: ColourChoice, terminal: bool, no_color: bool) -> bool {
    match choice {
        ColourChoice::Always => true,
        ColourChoice::Never => false,
        ColourChoice::Auto => terminal && !no_color,
    }
}

fn no_color() -> bool {
    // https://no-color.org: any value but the empty one.
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

/// Colours on standard output.
pub fn stdout(choice: ColourChoice) -> bool {
    wanted(choice, std::io::stdout().is_terminal(), no_color())
}

/// How a report looks on standard output: ASCII in a pipe and in CI, all characters on a terminal.
pub fn report(choice: ColourChoice) -> Style {
    Style {
        ink: if stdout(choice) { Ink::Colour } else { Ink::Plain },
        glyphs: if std::io::stdout().is_terminal() { Glyphs::Unicode } else { Glyphs::Ascii },
    }
}

/// Lines for a pipe or the log of a pipeline: ASCII and no colours, as a report is there.
pub fn ascii(lines: &str) -> String {
    let style = Style { ink: Ink::Plain, glyphs: Glyphs::Ascii };
    lines.lines().map(|line| style.clean(line) + "\n").collect()
}

/// Colours on standard error.
pub fn stderr(choice: ColourChoice) -> bool {
    wanted(choice, std::io::stderr().is_terminal(), no_color())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_and_no_color_mean_plain_text_and_a_wish_wins() {
        assert!(wanted(ColourChoice::Auto, true, false));
        assert!(!wanted(ColourChoice::Auto, true, true));
        assert!(!wanted(ColourChoice::Auto, false, false));
        assert!(wanted(ColourChoice::Always, false, true));
        assert!(!wanted(ColourChoice::Never, true, false));
    }

    #[test]
    fn lines_for_a_log_are_ascii_and_keep_their_ends() {
        assert_eq!(
            ascii("latency 1s ± 50ms on web → db\n\n  2 × ü\n"),
            "latency 1s +- 50ms on web -> db\n\n  2 x ?\n"
        );
    }
}
