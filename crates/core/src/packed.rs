//! Texts that the program carries packed (DEFLATE, RFC 1951), because they are long and seldom asked for. Build scripts pack
//! them; nothing from outside is ever unpacked here.

/// The text that a build script has packed. Empty for bytes that none has packed.
pub fn unpacked(packed: &[u8]) -> String {
    let bytes = miniz_oxide::inflate::decompress_to_vec(packed).unwrap_or_default();
    String::from_utf8(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_comes_out_as_it_went_in() {
        let text = "{\"latency\":\"800ms\"}".repeat(50);
        let packed = miniz_oxide::deflate::compress_to_vec(text.as_bytes(), 10);
        assert!(packed.len() * 5 < text.len());
        assert_eq!(unpacked(&packed), text);
        assert_eq!(unpacked(b"no such thing"), "");
    }
}
