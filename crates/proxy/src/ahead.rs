//! Bytes that were read ahead of who is to read them, to see what they are. They come first, once.

use bytes::{Buf as _, Bytes};
use tokio::io::ReadBuf;

/// What was read ahead; mostly nothing.
#[derive(Debug, Default)]
pub(crate) struct Ahead(Bytes);

impl Ahead {
    /// Keeps what was read. It was read before what is kept already, and comes before it.
    pub(crate) fn put_back(&mut self, bytes: Bytes) {
        self.0 = match self.0.is_empty() {
            true => bytes,
            false => Bytes::from([&bytes[..], &self.0[..]].concat()),
        };
    }

    /// True if nothing is kept.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Hands on as much as fits. False if there is nothing, so that the source is to be asked.
    pub(crate) fn hand_on(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let n = self.0.len().min(buf.remaining());
        buf.put_slice(&self.0[..n]);
        self.0.advance(n);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_was_put_back_comes_once_and_in_order() {
        let mut ahead = Ahead::default();
        ahead.put_back(Bytes::from_static(b"PRI * HTTP"));
        assert_eq!(all_of(&mut ahead), b"PRI * HTTP");
        assert!(ahead.is_empty());
    }

    #[test]
    fn what_is_put_back_comes_before_what_was_left() {
        let mut ahead = Ahead::default();
        ahead.put_back(Bytes::from_static(b"GET / HTTP/1.1"));
        let mut space = [0; 5];
        let mut buf = ReadBuf::new(&mut space);
        assert!(ahead.hand_on(&mut buf));
        ahead.put_back(Bytes::copy_from_slice(buf.filled()));
        assert_eq!(all_of(&mut ahead), b"GET / HTTP/1.1");
    }

    fn all_of(ahead: &mut Ahead) -> Vec<u8> {
        let mut said = Vec::new();
        let mut space = [0; 4];
        loop {
            let mut buf = ReadBuf::new(&mut space);
            if !ahead.hand_on(&mut buf) {
                break;
            }
            said.extend_from_slice(buf.filled());
        }
        said
    }
}
