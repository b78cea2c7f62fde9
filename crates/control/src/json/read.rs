//! Bytes to a tree: the first JSON value of a body, with Go's messages for what is not JSON.
//!
//! Numbers stay text, because a message quotes them as they were written and because an integer of 64 bits does not
//! fit a float. What follows the first value is not looked at.

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as it was written.
    Number(String),
    /// A string.
    Text(String),
    /// An array.
    Array(Vec<Json>),
    /// An object, in the order in which it was written; a key may come twice.
    Object(Vec<(String, Json)>),
}

/// Why bytes are not JSON, in Go's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SyntaxError {
    /// Nothing but white space.
    #[error("EOF")]
    Empty,
    /// The value is not finished.
    #[error("unexpected EOF")]
    Cut,
    /// A character that cannot stand there.
    #[error("invalid character {} {context}", quoted(*.found))]
    Unexpected {
        /// The byte.
        found: u8,
        /// What was being read.
        context: &'static str,
    },
    /// Arrays or objects inside each other beyond the limit.
    #[error("exceeded max depth")]
    TooDeep,
    /// More values than the API can need; each takes many times the room of its bytes.
    #[error("more than {MAX_VALUES} values; send it in parts")]
    TooMany,
}

/// A byte as Go quotes it in a message.
fn quoted(byte: u8) -> String {
    match byte {
        b'\'' => r"'\''".to_owned(),
        b'"' => "'\"'".to_owned(),
        b'\n' => r"'\n'".to_owned(),
        b'\r' => r"'\r'".to_owned(),
        b'\t' => r"'\t'".to_owned(),
        b'\\' => r"'\\'".to_owned(),
        0x20..=0x7e => format!("'{}'", char::from(byte)),
        0xa1..=0xff if byte != 0xad => format!("'{}'", char::from(byte)),
        0x80..=0xff => format!("'\\u00{byte:02x}'"),
        _ => format!("'\\x{byte:02x}'"),
    }
}

/// How deep values may nest. Nothing in the API needs more than five levels.
const MAX_DEPTH: usize = 500;

/// How many values a body may have, those inside each other too: 64 for each of as many proxies as there may be. One of `[0,0,0]` takes two
/// bytes of a body, and some fifty here.
const MAX_VALUES: usize = 64 * 4096;

const VALUE: &str = "looking for beginning of value";
const KEY: &str = "looking for beginning of object key string";

/// The first value of a body.
pub fn first_value(bytes: &[u8]) -> Result<Json, SyntaxError> {
    let mut reader = Reader { bytes, at: 0, values: 0 };
    reader.skip_space();
    if reader.at == bytes.len() {
        return Err(SyntaxError::Empty);
    }
    reader.value(0)
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// How many have been begun.
    values: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Result<u8, SyntaxError> {
        self.bytes.get(self.at).copied().ok_or(SyntaxError::Cut)
    }

    fn next(&mut self) -> Result<u8, SyntaxError> {
        let byte = self.peek()?;
        self.at += 1;
        Ok(byte)
    }

    fn skip_space(&mut self) {
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    /// The next byte that is not white space.
    fn token(&mut self) -> Result<u8, SyntaxError> {
        self.skip_space();
        self.next()
    }

    fn value(&mut self, depth: usize) -> Result<Json, SyntaxError> {
        if depth > MAX_DEPTH {
            return Err(SyntaxError::TooDeep);
        }
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err(SyntaxError::TooMany);
        }
        match self.token()? {
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            b'"' => self.text().map(Json::Text),
            b't' => self.word("true", Json::Bool(true)),
            b'f' => self.word("false", Json::Bool(false)),
            b'n' => self.word("null", Json::Null),
            first @ (b'-' | b'0'..=b'9') => self.number(first),
            found => Err(SyntaxError::Unexpected { found, context: VALUE }),
        }
    }

    fn word(&mut self, word: &'static str, value: Json) -> Result<Json, SyntaxError> {
        for (index, wanted) in word.bytes().enumerate().skip(1) {
            let found = self.next()?;
            if found != wanted {
                let context = match (word, index) {
                    ("true", 1) => "in literal true (expecting 'r')",
                    ("true", 2) => "in literal true (expecting 'u')",
                    ("true", _) => "in literal true (expecting 'e')",
                    ("false", 1) => "in literal false (expecting 'a')",
                    ("false", 2) => "in literal false (expecting 'l')",
                    ("false", 3) => "in literal false (expecting 's')",
                    ("false", _) => "in literal false (expecting 'e')",
                    (_, 1) => "in literal null (expecting 'u')",
                    (_, _) => "in literal null (expecting 'l')",
                };
                return Err(SyntaxError::Unexpected { found, context });
            }
        }
        Ok(value)
    }

    fn number(&mut self, first: u8) -> Result<Json, SyntaxError> {
        let begin = self.at - 1;
        let mut digit = first;
        if digit == b'-' {
            digit = self.next()?;
            if !digit.is_ascii_digit() {
                return Err(SyntaxError::Unexpected { found: digit, context: "in numeric literal" });
            }
        }
        if digit != b'0' {
            self.digits();
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.first_digit("after decimal point in numeric literal")?;
        }
        if matches!(self.bytes.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.bytes.get(self.at), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.first_digit("in exponent of numeric literal")?;
        }
        Ok(Json::Number(String::from_utf8_lossy(&self.bytes[begin..self.at]).into_owned()))
    }

    fn digits(&mut self) {
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
    }

    fn first_digit(&mut self, context: &'static str) -> Result<(), SyntaxError> {
        let found = self.next()?;
        if !found.is_ascii_digit() {
            return Err(SyntaxError::Unexpected { found, context });
        }
        self.digits();
        Ok(())
    }

    fn array(&mut self, depth: usize) -> Result<Json, SyntaxError> {
        let mut items = Vec::new();
        self.skip_space();
        if self.peek()? == b']' {
            self.at += 1;
            return Ok(Json::Array(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            match self.token()? {
                b',' => {}
                b']' => return Ok(Json::Array(items)),
                found => return Err(SyntaxError::Unexpected { found, context: "after array element" }),
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, SyntaxError> {
        let mut fields = Vec::new();
        self.skip_space();
        if self.peek()? == b'}' {
            self.at += 1;
            return Ok(Json::Object(fields));
        }
        loop {
            match self.token()? {
                b'"' => {}
                found => return Err(SyntaxError::Unexpected { found, context: KEY }),
            }
            let key = self.text()?;
            match self.token()? {
                b':' => {}
                found => return Err(SyntaxError::Unexpected { found, context: "after object key" }),
            }
            fields.push((key, self.value(depth + 1)?));
            match self.token()? {
                b',' => {}
                b'}' => return Ok(Json::Object(fields)),
                found => {
                    return Err(SyntaxError::Unexpected { found, context: "after object key:value pair" });
                }
            }
        }
    }

    /// The rest of a string, its opening quote read. Bytes that are not UTF-8 become U+FFFD, as in Go.
    fn text(&mut self) -> Result<String, SyntaxError> {
        let mut bytes = Vec::new();
        loop {
            match self.next()? {
                b'"' => return Ok(String::from_utf8_lossy(&bytes).into_owned()),
                b'\\' => {
                    let mut buffer = [0; 4];
                    let character = self.escape()?;
                    bytes.extend_from_slice(character.encode_utf8(&mut buffer).as_bytes());
                }
                found @ 0..=0x1f => {
                    return Err(SyntaxError::Unexpected { found, context: "in string literal" });
                }
                byte => bytes.push(byte),
            }
        }
    }

    fn escape(&mut self) -> Result<char, SyntaxError> {
        Ok(match self.next()? {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let high = self.four_hex()?;
                // Half of a surrogate pair counts only with the other half behind it.
                if (0xd800..0xdc00).contains(&high) && self.bytes[self.at..].starts_with(b"\\u") {
                    let back = self.at;
                    self.at += 2;
                    let low = self.four_hex()?;
                    if (0xdc00..0xe000).contains(&low) {
                        let code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                        return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                    }
                    self.at = back;
                }
                char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            found => return Err(SyntaxError::Unexpected { found, context: "in string escape code" }),
        })
    }

    fn four_hex(&mut self) -> Result<u32, SyntaxError> {
        let mut code = 0;
        for _ in 0..4 {
            let found = self.next()?;
            let digit = char::from(found)
                .to_digit(16)
                .ok_or(SyntaxError::Unexpected { found, context: "in \\u hexadecimal character escape" })?;
            code = code * 16 + digit;
        }
        Ok(code)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn error(text: &str) -> String {
        first_value(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn what_is_not_json_is_told_in_the_words_of_go() {
        for (text, wanted) in [
            ("", "EOF"),
            (" \n", "EOF"),
            ("{", "unexpected EOF"),
            ("{\"a\"", "unexpected EOF"),
            ("tru", "unexpected EOF"),
            ("{}}", ""),
            ("x", "invalid character 'x' looking for beginning of value"),
            ("{,", "invalid character ',' looking for beginning of object key string"),
            ("{\"a\":1,}", "invalid character '}' looking for beginning of object key string"),
            ("{\"a\" 1}", "invalid character '1' after object key"),
            ("{\"a\":1 2}", "invalid character '2' after object key:value pair"),
            ("[1 2]", "invalid character '2' after array element"),
            ("[1,]", "invalid character ']' looking for beginning of value"),
            ("nul}", "invalid character '}' in literal null (expecting 'l')"),
            ("\"\n\"", "invalid character '\\n' in string literal"),
            ("\"\\q\"", "invalid character 'q' in string escape code"),
            ("\"\\u12g4\"", "invalid character 'g' in \\u hexadecimal character escape"),
            ("-x", "invalid character 'x' in numeric literal"),
            ("1.x", "invalid character 'x' after decimal point in numeric literal"),
            ("1ex", "invalid character 'x' in exponent of numeric literal"),
            ("'a'", "invalid character '\\'' looking for beginning of value"),
            ("é", "invalid character 'Ã' looking for beginning of value"),
            ("\u{0}", "invalid character '\\x00' looking for beginning of value"),
        ] {
            if wanted.is_empty() {
                first_value(text.as_bytes()).unwrap();
            } else {
                assert_eq!(error(text), wanted, "{text}");
            }
        }
    }

    #[test]
    fn only_the_first_value_is_read() {
        assert_eq!(first_value(b" 1 garbage"), Ok(Json::Number("1".into())));
        assert_eq!(first_value(b"012"), Ok(Json::Number("0".into())));
        assert_eq!(
            first_value(br#"{"a":[true,null,"\u00e9\ud83d\ude00\ud83d\n"]} {"#),
            Ok(Json::Object(vec![(
                "a".into(),
                Json::Array(vec![Json::Bool(true), Json::Null, Json::Text("é😀\u{fffd}\n".into())])
            )]))
        );
    }

    #[test]
    fn depth_is_bounded() {
        assert_eq!(first_value(&[b'['; 1_000_000]), Err(SyntaxError::TooDeep));
        assert_eq!(error(&"{\"a\":".repeat(100_000)), "exceeded max depth");
    }

    #[test]
    fn the_number_of_values_is_bounded() {
        // The list is one, too.
        let of = |count: usize| format!("[{}]", vec!["0"; count].join(","));
        assert!(
            matches!(first_value(of(MAX_VALUES - 1).as_bytes()), Ok(Json::Array(all)) if all.len() == MAX_VALUES - 1)
        );
        assert_eq!(error(&of(MAX_VALUES)), "more than 262144 values; send it in parts");
        let object = format!("{{{}}}", vec![r#""":{}"#; MAX_VALUES].join(","));
        assert_eq!(first_value(object.as_bytes()), Err(SyntaxError::TooMany));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = first_value(&bytes);
        }

        #[test]
        fn no_text_of_json_characters_panics(text in r#"[\[\]{}:,"\\a-f0-9u.eE+\- ]{0,40}"#) {
            let _ = first_value(text.as_bytes());
        }
    }
}
