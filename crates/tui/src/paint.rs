//! Whether the screen has colours. Nothing is told by colours alone, so they can be left out.

use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier};

/// Whether the screen has colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Paint {
    /// It has.
    #[default]
    Coloured,
    /// It has none: what would stand on a colour is reversed.
    Plain,
}

impl Paint {
    /// Takes the colours out of a frame, if there are to be none. Crossterm, told to leave them out, writes in the place of each an
    /// empty attribute, which ends bold and reversed as well.
    pub(crate) fn apply(self, frame: &mut Buffer) {
        if self == Paint::Coloured {
            return;
        }
        for cell in &mut frame.content {
            if cell.bg != Color::Reset {
                cell.modifier.insert(Modifier::REVERSED);
            }
            (cell.fg, cell.bg) = (Color::Reset, Color::Reset);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::layout::Rect;
    use ratatui::style::Style;

    #[test]
    fn a_plain_frame_has_no_colour_and_what_stood_on_one_is_reversed() {
        let mut frame = Buffer::empty(Rect::new(0, 0, 3, 1));
        frame.set_string(0, 0, "a", Style::new().fg(Color::Black).bg(Color::Yellow).bold());
        frame.set_string(1, 0, "b", Style::new().fg(Color::LightBlue));
        frame.set_string(2, 0, "c", Style::new().reversed());
        let coloured = frame.clone();
        Paint::Coloured.apply(&mut frame);
        assert_eq!(frame, coloured);
        Paint::Plain.apply(&mut frame);
        assert!(frame.content.iter().all(|cell| (cell.fg, cell.bg) == (Color::Reset, Color::Reset)));
        let modifiers: Vec<Modifier> = frame.content.iter().map(|cell| cell.modifier).collect();
        let reversed = Modifier::REVERSED;
        assert_eq!(modifiers, [reversed | Modifier::BOLD, Modifier::empty(), reversed]);
        let words: String = frame.content.iter().map(|cell| cell.symbol()).collect();
        assert_eq!(words, "abc");
    }
}
