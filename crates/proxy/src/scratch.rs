//! One buffer for each thread, into which its connections read what they hand on at once, so that a connection that is idle holds none.
//! It must never be held over a wait, nor asked for by who has it.

use std::cell::RefCell;

use crate::line::READ_SIZE;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_SIZE]);
}

/// Lends it: [`READ_SIZE`] bytes of whatever was in it last.
pub(crate) fn with_scratch<R>(act: impl FnOnce(&mut [u8]) -> R) -> R {
    SCRATCH.with_borrow_mut(|scratch| act(scratch))
}
