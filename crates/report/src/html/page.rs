//! The frame of the HTML report, and the one way by which text gets into it.

use std::fmt::Write;

/// A growing document. Whatever is not a constant of this crate goes through [`Page::text`].
#[derive(Debug, Default)]
pub(super) struct Page {
    html: String,
}

impl Page {
    /// Markup that is written in this crate.
    pub(super) fn raw(&mut self, markup: &str) -> &mut Page {
        self.html.push_str(markup);
        self
    }

    /// Markup that is written in this crate, with numbers.
    pub(super) fn put(&mut self, markup: std::fmt::Arguments<'_>) -> &mut Page {
        self.html.write_fmt(markup).expect("writing to a string cannot fail");
        self
    }

    /// Text of a scenario, a service or a system: it means nothing to a browser.
    pub(super) fn text(&mut self, text: &str) -> &mut Page {
        for c in text.chars() {
            match c {
                '&' => self.html.push_str("&amp;"),
                '<' => self.html.push_str("&lt;"),
                '>' => self.html.push_str("&gt;"),
                '"' => self.html.push_str("&quot;"),
                '\'' => self.html.push_str("&#39;"),
                c if c.is_control() => self.html.push(' '),
                c => self.html.push(c),
            }
        }
        self
    }

    /// An element with a text.
    pub(super) fn element(&mut self, open: &str, text: &str, close: &str) -> &mut Page {
        self.raw(open).text(text).raw(close)
    }

    pub(super) fn finish(self) -> String {
        self.html
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_cannot_become_markup() {
        let mut page = Page::default();
        page.element("<p title=\"x\">", "<script>\"a\" & 'b'\u{1b}[31m", "</p>");
        assert_eq!(page.finish(), "<p title=\"x\">&lt;script&gt;&quot;a&quot; &amp; &#39;b&#39; [31m</p>");
    }
}
