//! JSON as Go's `encoding/json` reads and writes it, because that is what every Toxiproxy client was written against.
//!
//! Reading is lenient where Go is (key case, unknown keys, null, a first value with anything after it) and says the
//! same words where it is not. It must never panic and never recurse deeper than its limit, whatever the bytes.

mod decode;
mod read;
mod write;

pub use decode::{DecodeError, Field, Kind, Object, list_of};
pub use read::{Json, first_value};
pub use write::Writer;
