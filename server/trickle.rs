//! Gives a content to tests in small pieces, so that everything in it straddles something.

use std::io::{Read, Result};

/// A content of which a read gives at most `step` bytes.
pub(crate) struct Trickle<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) step: usize,
}

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let step = self.step.min(buffer.len());
        self.bytes.read(&mut buffer[..step])
    }
}
