//! Holds the part of a content that is worked at, and reads more of it behind.
//!
//! Invariant: memory grows only as far as its user asks for more without
//! letting go of what is there.

use std::io::{ErrorKind, Read, Result};

use memchr::memrchr;

use super::space::is_space;

/// Bytes that are held at first.
pub(super) const WINDOW_BYTES: usize = 256 * 1024;

/// With less, half of it would be no room to read.
const WINDOW_BYTES_MIN: usize = 16;
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// A window on a content.
pub(super) struct Window<R> {
    content: R,
    buffer: Vec<u8>,
    /// Bytes from here on are in use.
    start: usize,
    /// Bytes up to here are read.
    filled: usize,
    /// Offset in the content of the buffer's first byte.
    offset: u64,
    /// Whether all of the content is read.
    is_end: bool,
}

impl<R: Read> Window<R> {
    /// A window that holds so many bytes at first; `content` stands at `offset`.
    pub(super) fn new(content: R, offset: u64, bytes: usize) -> Self {
        let buffer = vec![0; bytes.max(WINDOW_BYTES_MIN)];
        Self { content, buffer, start: 0, filled: 0, offset, is_end: false }
    }

    /// What is held and not done with.
    #[inline]
    pub(super) fn rest(&self) -> &[u8] {
        &self.buffer[self.start..self.filled]
    }

    /// Lets go of so many bytes.
    #[inline]
    pub(super) fn advance(&mut self, bytes: usize) {
        self.start += bytes;
    }

    /// The first `length` of the last `bytes` bytes that were let go of, if
    /// nothing was read since.
    #[inline]
    pub(super) fn passed(&self, bytes: usize, length: usize) -> &[u8] {
        let start = self.start - bytes;
        &self.buffer[start..start + length]
    }

    /// Offset in the content of the first byte that is not done with.
    #[inline]
    pub(super) fn offset(&self) -> u64 {
        self.offset + self.start as u64
    }

    /// Offset in the content of the first byte that is not read.
    pub(super) fn read_to(&self) -> u64 {
        self.offset + self.filled as u64
    }

    /// The next byte; `None` at the end of the content.
    #[inline]
    pub(super) fn peek(&mut self) -> Result<Option<u8>> {
        loop {
            if let Some(byte) = self.rest().first() {
                return Ok(Some(*byte));
            }
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    /// Reads more. False at the end of the content.
    pub(super) fn fill(&mut self) -> Result<bool> {
        if self.is_end {
            return Ok(false);
        }
        self.make_room();
        loop {
            match self.content.read(&mut self.buffer[self.filled..]) {
                Ok(0) => {
                    self.is_end = true;
                    return Ok(false);
                }
                Ok(read) => {
                    self.filled += read;
                    return Ok(true);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Lets go of white space, line ends too, as far as the offset `end`.
    ///
    /// Returns the offset behind the last line end of it.
    #[inline]
    pub(super) fn skip_space(&mut self, end: u64) -> Result<Option<u64>> {
        let mut line_start = None;
        loop {
            let rest = self.rest();
            let room = usize::try_from(end.saturating_sub(self.offset())).unwrap_or(usize::MAX);
            let spaces = rest.iter().take(room).take_while(|byte| is_space(**byte)).count();
            if let Some(last) = memrchr(b'\n', &rest[..spaces]) {
                line_start = Some(self.offset() + last as u64 + 1);
            }
            self.advance(spaces);
            if !self.rest().is_empty() || self.offset() >= end || !self.fill()? {
                return Ok(line_start);
            }
        }
    }

    /// Lets go of a byte order mark, or of as much of one as there is.
    pub(super) fn skip_mark(&mut self) -> Result<()> {
        while self.rest().len() < BYTE_ORDER_MARK.len() && self.fill()? {}
        let length = self.rest().len().min(BYTE_ORDER_MARK.len());
        if self.rest()[..length] == BYTE_ORDER_MARK[..length] {
            self.advance(length);
        }
        Ok(())
    }

    /// Reads what is left; returns the offset of the end.
    pub(super) fn drain(&mut self) -> Result<u64> {
        loop {
            self.advance(self.rest().len());
            if !self.fill()? {
                return Ok(self.offset());
            }
        }
    }

    fn make_room(&mut self) {
        let half = self.buffer.len() / 2;
        if self.buffer.len() - self.filled >= half {
            return;
        }
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.filled, 0);
            self.offset += self.start as u64;
            self.filled -= self.start;
            self.start = 0;
        }
        // Reads should be long: less than half of the buffer is little room.
        if self.filled > half {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
    }
}
