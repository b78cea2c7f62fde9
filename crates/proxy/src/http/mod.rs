//! HTTP on an edge: requests are understood, so that faults can be put on exactly those that are chosen, and each is told
//! of with its answer.
//!
//! HTTP itself is hyper's matter, but for plain requests that no fault is for, which go on as they came (`straight`). Each caller's connection has one connection to the dependency, which lives and ends
//! with it, so that what is true of connections stays true. It must never hold a body whole unless an edit needs it.

mod body;
mod books;
mod call;
mod choice;
mod client_io;
mod connection;
mod effect;
mod framing;
mod hand_made;
mod hub;
mod marker;
mod pass_on;
mod service;
mod straight;
mod turns;
mod upstream;
mod wire;

pub(crate) use choice::Choices;
pub use choice::parameter;
pub(crate) use client_io::ClientIo;
pub(crate) use connection::{Ends, carry};
pub use effect::{
    Answer, BodyEdit, Cycle, HeaderEdits, HttpEffect, HttpStep, Limiter, Malformed, Part, RequestKey,
    RequestMatch, Selection, Then, When,
};
pub(crate) use upstream::UpstreamIo;
