//! Holds the part of a text that is worked at, and reads more of it behind.
//!
//! Invariant: memory grows only as far as its user asks for more without
//! letting go of what is there.

use std::io::{Error, ErrorKind, Read};

use super::TextInput;

/// Bytes that are held at first.
pub(super) const WINDOW_BYTES: usize = 256 * 1024;

/// Half of it is room enough for the input.
const WINDOW_BYTES_MIN: usize = 128;

/// A window on a text.
pub(super) struct Window<R> {
    input: TextInput<R>,
    buffer: Vec<u8>,
    /// Text from here on is in use.
    start: usize,
    /// Text up to here is read.
    filled: usize,
    /// Offset in the text of the buffer's first byte.
    offset: u64,
    /// Whether all of the text is read.
    is_end: bool,
    /// Why no more can be read.
    failure: Option<Error>,
}

impl<R: Read> Window<R> {
    /// A window that holds so many bytes at first, at least one.
    pub(super) fn new(input: TextInput<R>, bytes: usize) -> Self {
        // The input needs room for some characters at least.
        let buffer = vec![0; bytes.max(WINDOW_BYTES_MIN)];
        Self { input, buffer, start: 0, filled: 0, offset: 0, is_end: false, failure: None }
    }

    /// All that is held; what lies before [`start`](Self::start) is done with.
    #[inline]
    pub(super) fn text(&self) -> &[u8] {
        &self.buffer[..self.filled]
    }

    /// Where the text begins that is in use.
    #[inline]
    pub(super) fn start(&self) -> usize {
        self.start
    }

    /// Lets go of the text before a place.
    #[inline]
    pub(super) fn advance(&mut self, start: usize) {
        self.start = start;
    }

    /// Whether nothing follows the text that is held.
    pub(super) fn is_end(&self) -> bool {
        self.is_end
    }

    /// Offset in the content of the start, of a line end behind it, or of the end of the text.
    #[inline]
    pub(super) fn content_offset(&mut self, at: usize) -> u64 {
        self.input.content_offset(self.offset + at as u64)
    }

    /// Offset of the end of the content, once all of the text is read.
    pub(super) fn content_end(&mut self) -> u64 {
        self.content_offset(self.filled) + self.input.waiting_bytes()
    }

    /// The text, and the offsets of places in it.
    pub(super) fn split(&mut self) -> (&[u8], Offsets<'_, R>) {
        let Self { input, buffer, filled, offset, .. } = self;
        (&buffer[..*filled], Offsets { input, offset: *offset })
    }

    /// Reads more text and moves what is in use to the front: places before the
    /// call mean nothing after it. False at the end of the text.
    ///
    /// After an error it gives the same kind of error again.
    pub(super) fn fill(&mut self) -> Result<bool, Error> {
        if let Some(failure) = &self.failure {
            return Err(Error::new(failure.kind(), failure.to_string()));
        }
        if self.is_end {
            return Ok(false);
        }
        self.make_room();
        loop {
            match self.input.read(&mut self.buffer[self.filled..]) {
                Ok(0) => {
                    self.is_end = true;
                    return Ok(false);
                }
                Ok(read) => {
                    self.filled += read;
                    return Ok(true);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.failure = Some(Error::new(error.kind(), error.to_string()));
                    return Err(error);
                }
            }
        }
    }

    fn make_room(&mut self) {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.filled, 0);
            self.offset += self.start as u64;
            self.filled -= self.start;
            self.start = 0;
        }
        // Reads should be long: less than half of the buffer is little room.
        if self.filled > self.buffer.len() / 2 {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
    }
}

/// Tells where places of a text lie in the content.
pub(super) struct Offsets<'a, R> {
    input: &'a mut TextInput<R>,
    offset: u64,
}

impl<R: Read> Offsets<'_, R> {
    /// As [`Window::content_offset`].
    #[inline]
    pub(super) fn of(&mut self, at: usize) -> u64 {
        self.input.content_offset(self.offset + at as u64)
    }
}
