//! A tree to bytes, compact, with the escapes and the number forms of Go.

/// Writes one JSON value after the other. The caller keeps brackets and commas in order through the closures.
#[derive(Debug, Default)]
pub struct Writer {
    text: String,
}

impl Writer {
    /// Nothing written yet.
    pub fn new() -> Writer {
        Writer::default()
    }

    /// What was written.
    pub fn finish(self) -> String {
        self.text
    }

    /// A string with `<`, `>` and `&` escaped too, as Go does for the sake of HTML.
    pub fn text(&mut self, text: &str) -> &mut Writer {
        use std::fmt::Write as _;
        self.text.push('"');
        for c in text.chars() {
            match c {
                '"' => self.text.push_str("\\\""),
                '\\' => self.text.push_str("\\\\"),
                '\n' => self.text.push_str("\\n"),
                '\r' => self.text.push_str("\\r"),
                '\t' => self.text.push_str("\\t"),
                '\u{8}' => self.text.push_str("\\b"),
                '\u{c}' => self.text.push_str("\\f"),
                '\u{0}'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                    let _ = write!(self.text, "\\u{:04x}", u32::from(c));
                }
                c => self.text.push(c),
            }
        }
        self.text.push('"');
        self
    }

    /// An integer.
    pub fn integer(&mut self, number: i64) -> &mut Writer {
        self.text.push_str(&number.to_string());
        self
    }

    /// A float of 32 bits in its shortest form: `1`, `0.3`, `1e-7`. Must be finite.
    pub fn single(&mut self, number: f32) -> &mut Writer {
        let size = number.abs();
        let plain = number.to_string();
        self.float(&plain, &format!("{number:e}"), size != 0.0 && !(1e-6..1e21).contains(&size))
    }

    /// A float of 64 bits in its shortest form. Must be finite.
    pub fn double(&mut self, number: f64) -> &mut Writer {
        let size = number.abs();
        let plain = number.to_string();
        self.float(&plain, &format!("{number:e}"), size != 0.0 && !(1e-6..1e21).contains(&size))
    }

    fn float(&mut self, plain: &str, scientific: &str, far: bool) -> &mut Writer {
        if far {
            // Go writes the plus sign of an exponent.
            let signed = scientific.contains("e-");
            self.text.push_str(&if signed { scientific.to_owned() } else { scientific.replace('e', "e+") });
        } else {
            self.text.push_str(plain);
        }
        self
    }

    /// `true` or `false`.
    pub fn boolean(&mut self, value: bool) -> &mut Writer {
        self.text.push_str(if value { "true" } else { "false" });
        self
    }

    /// `null`.
    pub fn null(&mut self) -> &mut Writer {
        self.text.push_str("null");
        self
    }

    /// An array with one value for each item.
    pub fn array<T>(
        &mut self,
        items: impl IntoIterator<Item = T>,
        mut item: impl FnMut(&mut Writer, T),
    ) -> &mut Writer {
        self.text.push('[');
        for (index, value) in items.into_iter().enumerate() {
            if index > 0 {
                self.text.push(',');
            }
            item(self, value);
        }
        self.text.push(']');
        self
    }

    /// An object; the closure writes its fields with [`Writer::field`].
    pub fn object(&mut self, fields: impl FnOnce(&mut Writer)) -> &mut Writer {
        self.text.push('{');
        fields(self);
        self.text.push('}');
        self
    }

    /// The key of the next value of an object.
    pub fn field(&mut self, key: &str) -> &mut Writer {
        if !self.text.ends_with('{') {
            self.text.push(',');
        }
        self.text(key);
        self.text.push(':');
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Json, first_value};
    use proptest::prelude::*;

    fn single(number: f32) -> String {
        let mut writer = Writer::new();
        writer.single(number);
        writer.finish()
    }

    #[test]
    fn floats_are_as_short_as_in_go() {
        for (number, wanted) in [
            (1.0, "1"),
            (0.3, "0.3"),
            (0.2, "0.2"),
            (0.0, "0"),
            (1e-7, "1e-7"),
            (1e21, "1e+21"),
            (5.5, "5.5"),
        ] {
            assert_eq!(single(number), wanted);
        }
    }

    #[test]
    fn html_and_control_characters_are_escaped() {
        let mut writer = Writer::new();
        writer.object(|w| {
            w.field("a<b").text("x&y>\n\u{8}\u{1}\"\\\u{2028}é");
            w.field("n").array([1, 2], |w, n| {
                w.integer(n);
            });
            w.field("e").object(|_| {});
            w.field("z").null();
        });
        assert_eq!(
            writer.finish(),
            r#"{"a\u003cb":"x\u0026y\u003e\n\b\u0001\"\\\u2028é","n":[1,2],"e":{},"z":null}"#
        );
    }

    proptest! {
        #[test]
        fn every_text_is_read_back(text: String) {
            let mut writer = Writer::new();
            writer.text(&text);
            prop_assert_eq!(first_value(writer.finish().as_bytes()), Ok(Json::Text(text)));
        }

        #[test]
        fn every_float_is_read_back(number in proptest::num::f32::NORMAL | proptest::num::f32::ZERO) {
            let text = single(number);
            prop_assert_eq!(text.parse::<f32>().unwrap(), number);
            prop_assert_eq!(first_value(text.as_bytes()), Ok(Json::Number(text.clone())));
        }
    }
}
