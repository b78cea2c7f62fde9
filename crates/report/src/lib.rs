//! A judged run in the forms that people and programs read. Pure functions of a [`murphy_verdict::Judgement`]: nothing in
//! here judges, and nothing reads a file or a clock.

mod columns;
mod comparison;
mod html;
mod json;
mod junit;
mod markdown;
mod matrix;
mod outcome;
mod style;
mod terminal;
mod timeline;
mod told;

pub use comparison::comparison;
pub use html::{html, html_explored};
pub use json::{JsonError, json};
pub use junit::{JunitError, junit};
pub use markdown::markdown;
pub use matrix::{
    Cell, Closing, Cost, Coverage, Extent, FallbackEdge, Intent, LeftOut, Matrix, Pruning, SpotCheck, Users,
};
pub use outcome::{Came, Outcome};
pub use style::{Glyphs, Ink, Style};
pub use terminal::terminal;
pub use timeline::{
    Bin, Drawing, FaultBand, Mark, MarkTone, PhaseBand, ProbeTrack, Series, SeriesKind, Stretch, Timeline,
};
