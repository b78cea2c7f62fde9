//! A body in chunks that passes as it came: where it ends, and what of it stays behind. Extensions of chunks and trailers do, for
//! nobody on this way has asked for them (RFC 9112, sections 7.1.1 and 7.1.2).
//!
//! It must never let pass what another reader could end elsewhere: a line ends with CR and LF, and with nothing else.

use std::ops::Range;

use super::request::LONGEST;

/// The most bytes of extensions and of trailers that one body has. What has more is no body. Space behind a size does not count: some
/// servers write each of their sizes to one width.
const LEFT_BEHIND: usize = 16 * 1024;

/// Where in the body the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// At a size.
    Begin,
    /// In a size, of which so much has been read.
    Size(u64),
    /// Behind a size, in the space that may stand there.
    Space(u64),
    /// Behind a size, in its extensions.
    Extension(u64),
    /// At the LF behind a size.
    SizeLf(u64),
    /// In a chunk of which so much is still to come.
    Data(u64),
    /// At the CR behind a chunk.
    DataCr,
    /// At the LF behind a chunk.
    DataLf,
    /// Behind the last chunk, at the beginning of a line.
    Line,
    /// In a line behind the last chunk.
    Trailer,
    /// At the LF behind such a line.
    TrailerLf,
    /// At the LF of the last, empty line.
    LastLf,
    /// Behind all of it.
    End,
}

/// Whether a byte goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Passes,
    Stays,
}

/// These bytes are no chunks.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoChunks;

/// One body in chunks.
#[derive(Debug)]
pub(super) struct Chunks {
    at: At,
    left_behind: usize,
}

impl Chunks {
    /// At its beginning.
    pub(super) fn new() -> Chunks {
        Chunks { at: At::Begin, left_behind: 0 }
    }

    /// True if all of it has been read.
    pub(super) fn is_over(&self) -> bool {
        self.at == At::End
    }

    /// Reads on, to the end of the body or of the bytes, and answers how many of them that were. `pass` is told which of these go
    /// on, in order; what is wrong comes behind all that passes.
    pub(super) fn read(
        &mut self,
        bytes: &[u8],
        mut pass: impl FnMut(Range<usize>),
    ) -> Result<usize, NoChunks> {
        let mut index = 0;
        // What passes and has not been told of begins here.
        let mut begun = 0;
        let mut wrong = None;
        while self.at != At::End && index < bytes.len() {
            if let At::Data(left) = self.at {
                let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len() - index);
                index += here;
                let left = left - here as u64;
                self.at = if left == 0 { At::DataCr } else { At::Data(left) };
                continue;
            }
            match self.turn(bytes[index]) {
                Ok(Way::Passes) => {}
                Ok(Way::Stays) => {
                    if begun < index {
                        pass(begun..index);
                    }
                    begun = index + 1;
                    if !matches!(self.at, At::Space(_)) {
                        self.left_behind += 1;
                    }
                    if self.left_behind > LEFT_BEHIND {
                        return Err(NoChunks);
                    }
                }
                Err(no_chunks) => {
                    wrong = Some(no_chunks);
                    break;
                }
            }
            index += 1;
        }
        if begun < index {
            pass(begun..index);
        }
        wrong.map_or(Ok(index), Err)
    }

    fn turn(&mut self, byte: u8) -> Result<Way, NoChunks> {
        let (at, way) = match (self.at, byte) {
            (At::Begin, digit) => (At::Size(hex(digit).ok_or(NoChunks)?), Way::Passes),
            (At::Size(size) | At::Space(size) | At::Extension(size), b'\r') => {
                (At::SizeLf(size), Way::Passes)
            }
            (At::Size(size) | At::Space(size), b' ' | b'\t') => (At::Space(size), Way::Stays),
            (At::Size(size) | At::Space(size), b';') => (At::Extension(size), Way::Stays),
            (At::Size(size), digit) => {
                let digit = hex(digit).ok_or(NoChunks)?;
                let size = size.checked_mul(16).and_then(|size| size.checked_add(digit));
                (At::Size(size.filter(|size| *size <= LONGEST).ok_or(NoChunks)?), Way::Passes)
            }
            (At::Extension(_), b'\n') => return Err(NoChunks),
            (At::Extension(size), _) => (At::Extension(size), Way::Stays),
            (At::SizeLf(0), b'\n') => (At::Line, Way::Passes),
            (At::SizeLf(size), b'\n') => (At::Data(size), Way::Passes),
            (At::DataCr, b'\r') => (At::DataLf, Way::Passes),
            (At::DataLf, b'\n') => (At::Begin, Way::Passes),
            (At::Line, b'\r') => (At::LastLf, Way::Passes),
            (At::Line | At::Trailer, b'\n') => return Err(NoChunks),
            (At::TrailerLf, b'\n') => (At::Line, Way::Stays),
            (At::Trailer, b'\r') => (At::TrailerLf, Way::Stays),
            (At::Line | At::Trailer, _) => (At::Trailer, Way::Stays),
            (At::LastLf, b'\n') => (At::End, Way::Passes),
            (
                At::Space(_)
                | At::SizeLf(_)
                | At::Data(_)
                | At::DataCr
                | At::DataLf
                | At::TrailerLf
                | At::LastLf
                | At::End,
                _,
            ) => return Err(NoChunks),
        };
        self.at = at;
        Ok(way)
    }
}

fn hex(digit: u8) -> Option<u64> {
    char::from(digit).to_digit(16).map(u64::from)
}

#[cfg(test)]
mod tests {
    use murphy_core::{Dice, Seed};

    use super::*;

    /// What passes of these pieces, and how many bytes were read at its end.
    fn passed<'b>(pieces: impl IntoIterator<Item = &'b [u8]>) -> Result<(Vec<u8>, Option<usize>), NoChunks> {
        let (mut chunks, mut on, mut read) = (Chunks::new(), Vec::new(), 0);
        for piece in pieces {
            read += chunks.read(piece, |range| on.extend_from_slice(&piece[range]))?;
            if chunks.is_over() {
                return Ok((on, Some(read)));
            }
        }
        Ok((on, None))
    }

    #[test]
    fn a_body_ends_at_its_empty_line_and_what_follows_is_not_its_own() {
        let body = b"5\r\nhello\r\n1A\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\n\r\n";
        let longer = [&body[..], b"HTTP/1.1 200"].concat();
        assert_eq!(passed([&longer[..]]), Ok((body.to_vec(), Some(body.len()))));
        assert_eq!(passed([&body[..body.len() - 1]]).unwrap().1, None);
    }

    #[test]
    fn extensions_and_trailers_stay_behind() {
        let body = b"5;a=\"b\";c\r\nhello\r\n2 \r\nhi\r\n0;last\r\nx-sum: 7\r\nx-other: a\r\n\r\n";
        let (on, read) = passed([&body[..]]).unwrap();
        assert_eq!((on.as_slice(), read), (&b"5\r\nhello\r\n2\r\nhi\r\n0\r\n\r\n"[..], Some(body.len())));
    }

    #[test]
    fn what_two_readers_would_cut_differently_is_no_body() {
        for bad in [
            &b"\r\n"[..],
            b"xyz\r\n",
            b"-1\r\n",
            b" 5\r\nhello\r\n",
            b"5\nhello\n0\n\n",
            b"5;a\nhello\r\n",
            b"5 5\r\nhello",
            b"5;a\rhello",
            b"2\r\nhello\r\n0\r\n\r\n",
            b"5\r\nhello0\r\n\r\n",
            b"0\r\nx: y\n\r\n",
            b"0\r\n\n",
            b"10000000000000000\r\n",
            b"ffffffffffffffff\r\n",
        ] {
            assert_eq!(passed([bad]), Err(NoChunks), "{}", bad.escape_ascii());
        }
    }

    #[test]
    fn what_stays_behind_is_bounded() {
        let endless = [&b"0\r\n"[..], "x: y\r\n".repeat(LEFT_BEHIND).as_bytes()].concat();
        assert_eq!(passed([&endless[..]]), Err(NoChunks));
        let endless = [&b"5;"[..], "a".repeat(LEFT_BEHIND + 1).as_bytes()].concat();
        assert_eq!(passed([&endless[..]]), Err(NoChunks));
    }

    #[test]
    fn sizes_in_a_column_of_their_own_are_chunks_for_as_long_as_they_come() {
        let body = ["5     \r\nhello\r\n".repeat(LEFT_BEHIND).as_str(), "0     \r\n\r\n"].concat();
        let (on, read) = passed([body.as_bytes()]).unwrap();
        assert_eq!(read, Some(body.len()));
        assert!(on == ["5\r\nhello\r\n".repeat(LEFT_BEHIND).as_str(), "0\r\n\r\n"].concat().as_bytes());
    }

    #[test]
    fn good_bytes_before_bad_ones_pass() {
        let mut on = Vec::new();
        let bytes = b"5\r\nhello\r\nxyz\r\n";
        let read = Chunks::new().read(bytes, |range| on.extend_from_slice(&bytes[range]));
        assert_eq!((read, on.as_slice()), (Err(NoChunks), &b"5\r\nhello\r\n"[..]));
    }

    #[test]
    fn a_body_is_the_same_in_whatever_pieces_it_comes() {
        for number in 0..2_000 {
            let mut dice = Dice::new(Seed(1).derive("chunks", number));
            let mut body = Vec::new();
            for _ in 0..dice.below(4) {
                let size = 1 + dice.below(40) as usize;
                let extension = ["", ";a=b", " ", "; a"][dice.below(4) as usize];
                body.extend_from_slice(format!("{size:x}{extension}\r\n").as_bytes());
                body.resize(body.len() + size, b'0');
                body.extend_from_slice(b"\r\n");
            }
            body.extend_from_slice([&b"0\r\n\r\n"[..], b"00\r\na: b\r\n\r\n"][dice.below(2) as usize]);
            let at_once = passed([&body[..]]).unwrap();
            assert_eq!(at_once.1, Some(body.len()));
            let mut pieces = Vec::new();
            let mut rest = &body[..];
            while !rest.is_empty() {
                let (piece, other) = rest.split_at(1 + dice.below(rest.len() as u64) as usize);
                pieces.push(piece);
                rest = other;
            }
            assert_eq!(passed(pieces).unwrap(), at_once, "{}", body.escape_ascii());
        }
    }
}
