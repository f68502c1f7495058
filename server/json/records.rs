//! Turns a content into records: where each lies, and its text.
//!
//! Invariants: a place covers its record and goes on to where the next one may
//! begin: in a document from its first byte to behind the comma and the white
//! space around that, else from the beginning of its line to behind the line
//! end; what is held of the content is bounded by the longest record that is
//! read.

use std::io::{self, Read};

use ferry::position::{Place, Position};
use memchr::memchr;

use super::envelope::{self, Enclosing, broken, find_value};
use super::scan::Extent;
use super::space::{count_spaces, trim_end};
use super::window::{WINDOW_BYTES, Window};
use super::{Framing, JsonError, JsonLayout};

/// Reads records one after the other.
pub(super) struct Records<R> {
    window: Window<R>,
    is_document: bool,
    record_bytes_max: usize,
    depth_max: usize,
    /// Records that begin at this offset or behind are not read.
    end: u64,
    reached: Position,
    /// Whether the last record had a comma behind it.
    has_comma: bool,
    /// The record at hand, if the window had to let go of it.
    moved: Vec<u8>,
}

/// A record, borrowed until the next one is read.
pub(super) struct Record<'a> {
    /// Its text; `None` if it is too large.
    pub(super) text: Option<&'a [u8]>,
    pub(super) place: Place,
    /// Offset before its line end and the white space there; in a document the end of its place.
    pub(super) text_end: u64,
    /// Whether more content could move its end.
    pub(super) is_open: bool,
}

/// What stands behind an element of an array.
enum Separator {
    /// A comma; so many bytes to the next element, or to the end of the array.
    Comma(usize),
    /// The end of the array, after so many bytes.
    End(usize),
    /// Something else, after so many bytes.
    Stray(usize),
    /// More must be read to tell.
    More,
}

/// What a search for the end of a record came to.
struct Held {
    /// Bytes of it from where the window stands.
    bytes: usize,
    is_too_large: bool,
    /// Whether the content ended first.
    is_open: bool,
}

/// The records of a content, and what their array lies in.
type Opened<R> = (Records<R>, Vec<Enclosing>);

/// Opens a content at its beginning: its records, and what their array lies in.
///
/// `None` for a document that has `null` in place of the array, and is whole.
pub(super) fn open<R: Read>(
    content: R,
    layout: &JsonLayout,
) -> Result<Option<Opened<R>>, JsonError> {
    let mut window = Window::new(content, 0, WINDOW_BYTES);
    window.skip_mark()?;
    let Framing::Document { records: pointer } = &layout.framing else {
        return Ok(Some((Records::of(window, layout, 0, u64::MAX), Vec::new())));
    };
    let no_array = || JsonError::NoArray { pointer: pointer.clone() };
    let enclosing = find_value(&mut window, pointer, layout.depth_max)?.ok_or_else(no_array)?;
    match window.peek()? {
        Some(b'[') => {
            window.advance(1);
            window.skip_space(u64::MAX)?;
            Ok(Some((Records::of(window, layout, 0, u64::MAX), enclosing)))
        }
        Some(b'n') => {
            envelope::skip_value(&mut window, layout.depth_max)?;
            envelope::finish(&mut window, &enclosing, layout.depth_max)?;
            Ok(None)
        }
        _ => Err(no_array()),
    }
}

impl<R: Read> Records<R> {
    /// A reader of the records between `start`, at which `content` stands, and
    /// the offset `end`, through a window of so many bytes at first.
    pub(super) fn new(
        content: R,
        layout: &JsonLayout,
        start: Position,
        end: u64,
        window_bytes: usize,
    ) -> Self {
        let window = Window::new(content, start.byte_offset, window_bytes);
        Self::of(window, layout, start.row_number, end)
    }

    fn of(window: Window<R>, layout: &JsonLayout, row_number: u64, end: u64) -> Self {
        let reached = Position { byte_offset: window.offset(), row_number };
        Self {
            window,
            is_document: matches!(layout.framing, Framing::Document { .. }),
            record_bytes_max: layout.record_bytes_max,
            depth_max: layout.depth_max,
            end,
            reached,
            has_comma: false,
            moved: Vec::new(),
        }
    }

    /// Place after the last record, or after the white space behind it: of
    /// lines, after the blank ones.
    pub(super) fn position(&self) -> Position {
        self.reached
    }

    /// Whether the last record had a comma behind it, which at the end of an
    /// array is one too many.
    pub(super) fn has_comma(&self) -> bool {
        self.has_comma
    }

    /// Skips white space; whether a record follows, or ought to.
    #[inline]
    pub(super) fn has_next(&mut self) -> Result<bool, JsonError> {
        if self.reached.byte_offset >= self.end {
            return Ok(false);
        }
        let line_start = self.window.skip_space(self.end)?;
        let offset = self.window.offset();
        if offset >= self.end {
            self.reached.byte_offset = self.end;
            return Ok(false);
        }
        if self.is_document {
            self.reached.byte_offset = offset;
        } else if let Some(line_start) = line_start {
            self.reached.byte_offset = line_start;
        }
        let byte = self.window.peek()?;
        // A document must not end here.
        Ok(if self.is_document { byte != Some(b']') } else { byte.is_some() })
    }

    /// The next record; `None` at the end of the range, the array or the lines.
    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<Record<'_>>, JsonError> {
        if !self.has_next()? {
            return Ok(None);
        }
        let record = if self.is_document { self.next_element()? } else { self.next_line()? };
        Ok(Some(record))
    }

    /// Reads a document from the end of its array on, at which this stands.
    pub(super) fn finish(&mut self, enclosing: &[Enclosing]) -> Result<(), JsonError> {
        self.window.advance(1);
        envelope::finish(&mut self.window, enclosing, self.depth_max)
    }

    /// Reads what is left of the content; returns the offset of its end.
    pub(super) fn drain(&mut self) -> io::Result<u64> {
        self.window.drain()
    }

    fn next_line(&mut self) -> Result<Record<'_>, JsonError> {
        let byte_start = self.reached.byte_offset;
        // The line may begin with white space.
        let text_start = self.window.offset();
        let held = hold(&mut self.window, self.record_bytes_max, |bytes| memchr(b'\n', bytes))?;
        let line_end = usize::from(!held.is_open);
        let passed = held.bytes + line_end;
        self.window.advance(passed);
        let place = self.move_on(byte_start);
        if held.is_too_large {
            let text_end = place.byte_end - line_end as u64;
            return Ok(Record { text: None, place, text_end, is_open: held.is_open });
        }
        let text = trim_end(self.window.passed(passed, held.bytes));
        let text_end = text_start + text.len() as u64;
        Ok(Record { text: Some(text), place, text_end, is_open: held.is_open })
    }

    fn next_element(&mut self) -> Result<Record<'_>, JsonError> {
        let byte_start = self.reached.byte_offset;
        match self.window.peek()? {
            None => return Err(JsonError::EndsEarly { byte_offset: byte_start }),
            Some(b',' | b':' | b'}') => return Err(broken(&self.window)),
            Some(_) => {}
        }
        let mut extent = Extent::default();
        let held = hold(&mut self.window, self.record_bytes_max, |bytes| extent.end_in(bytes))?;
        if held.is_open && self.window.read_to() != self.end {
            return Err(JsonError::EndsEarly { byte_offset: self.window.read_to() });
        }
        let passed = match separator(&self.window.rest()[held.bytes..]) {
            Separator::Comma(bytes) => {
                self.has_comma = true;
                Some(held.bytes + bytes)
            }
            Separator::End(bytes) => {
                self.has_comma = false;
                Some(held.bytes + bytes)
            }
            Separator::Stray(bytes) => {
                self.window.advance(held.bytes + bytes);
                return Err(broken(&self.window));
            }
            Separator::More => {
                self.pass_separator(held.bytes)?;
                None
            }
        };
        self.window.advance(passed.unwrap_or(0));
        let place = self.move_on(byte_start);
        let text = match passed {
            _ if held.is_too_large => None,
            Some(passed) => Some(self.window.passed(passed, held.bytes)),
            None => Some(self.moved.as_slice()),
        };
        Ok(Record { text, place, text_end: place.byte_end, is_open: false })
    }

    /// Moves behind the comma that follows the record of so many bytes at which
    /// the window stands, and reads for that: the record is kept elsewhere, so
    /// that white space is not.
    #[cold]
    fn pass_separator(&mut self, record_bytes: usize) -> Result<(), JsonError> {
        self.moved.clear();
        self.moved.extend_from_slice(&self.window.rest()[..record_bytes]);
        self.window.advance(record_bytes);
        self.window.skip_space(u64::MAX)?;
        let mut byte = self.window.peek()?;
        self.has_comma = byte == Some(b',');
        if self.has_comma {
            self.window.advance(1);
            self.window.skip_space(u64::MAX)?;
            byte = self.window.peek()?;
        }
        match byte {
            // Where the next element begins is not known yet.
            None if self.window.offset() != self.end => {
                Err(JsonError::EndsEarly { byte_offset: self.window.offset() })
            }
            Some(byte) if byte != b']' && !self.has_comma => Err(broken(&self.window)),
            _ => Ok(()),
        }
    }

    /// Counts the record that ends where the window stands.
    #[inline]
    fn move_on(&mut self, byte_start: u64) -> Place {
        let byte_end = self.window.offset();
        let row_number = self.reached.row_number + 1;
        self.reached = Position { byte_offset: byte_end, row_number };
        Place { row_number, byte_start, byte_end }
    }
}

/// Reads on until a record ends; one that is too large is let go of.
#[inline]
fn hold<R: Read>(
    window: &mut Window<R>,
    bytes_max: usize,
    mut end_in: impl FnMut(&[u8]) -> Option<usize>,
) -> io::Result<Held> {
    let mut bytes = 0;
    loop {
        let fresh = &window.rest()[bytes..];
        let fresh_bytes = fresh.len();
        if let Some(found) = end_in(fresh) {
            bytes += found;
            return Ok(Held { bytes, is_too_large: bytes > bytes_max, is_open: false });
        }
        bytes += fresh_bytes;
        if bytes > bytes_max {
            let is_open = !pass_over(window, end_in)?;
            return Ok(Held { bytes: 0, is_too_large: true, is_open });
        }
        if !window.fill()? {
            return Ok(Held { bytes, is_too_large: false, is_open: true });
        }
    }
}

/// Moves to the end of a record of which all that is held was seen; whether it has one.
#[cold]
fn pass_over<R: Read>(
    window: &mut Window<R>,
    mut end_in: impl FnMut(&[u8]) -> Option<usize>,
) -> io::Result<bool> {
    loop {
        window.advance(window.rest().len());
        if !window.fill()? {
            return Ok(false);
        }
        if let Some(found) = end_in(window.rest()) {
            window.advance(found);
            return Ok(true);
        }
    }
}

/// Looks at what stands behind an element.
#[inline]
fn separator(behind: &[u8]) -> Separator {
    let spaces = count_spaces(behind);
    match behind.get(spaces) {
        None => Separator::More,
        Some(b']') => Separator::End(spaces),
        Some(b',') => {
            let next = spaces + 1 + count_spaces(&behind[spaces + 1..]);
            if next == behind.len() { Separator::More } else { Separator::Comma(next) }
        }
        Some(_) => Separator::Stray(spaces),
    }
}
