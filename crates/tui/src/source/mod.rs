//! Where a world comes from, and who carries orders out.

pub(crate) mod daemon;
pub(crate) mod follow;
pub(crate) mod own;
pub(crate) mod stack;
pub(crate) mod steer;
