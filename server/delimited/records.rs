//! Turns text into records: their fields without quotes, and where each record lies.
//!
//! Invariants: a place covers its record from the first byte to the end of the
//! full terminator; no memory is taken per record or field; what is held of the
//! text is bounded by the longest record that is read.

use std::io::Read;

use ferry::position::{Place, Position};
use ferry::reject::Code;
use memchr::memchr2;

use super::damage::Damage;
use super::dialect::{BlankLines, Terminator};
use super::fields::Span;
use super::frame::{Frame, Framed, Framer};
use super::glance::Glance;
use super::lines::{LineEnd, Text, is_line_end_byte};
use super::skim::Skimmer;
use super::window::{WINDOW_BYTES, Window};
use super::{DelimitedError, Dialect, TextInput};
use crate::cut::Piece;

/// Reads records one after the other.
pub(crate) struct RecordReader<R> {
    window: Window<R>,
    framer: Framer,
    /// Fields of the record at hand that had to be rewritten, end to end.
    rewritten: Vec<u8>,
    /// Records that begin at this content offset or behind are not read.
    end: u64,
    /// Whether the text ends with a comment that may still be written.
    is_over: bool,
    reached: Position,
}

impl<R: Read> RecordReader<R> {
    /// A reader of the records between `start`, at which `input` stands, and
    /// the content offset `end`.
    ///
    /// `field_count` is the number of fields of a right record; without it,
    /// less can be done about damaged ones.
    pub(crate) fn new(
        input: TextInput<R>,
        dialect: &Dialect,
        field_count: Option<usize>,
        start: Position,
        end: u64,
    ) -> Self {
        Self::with_window(input, dialect, field_count, start, end, WINDOW_BYTES)
    }

    /// The same with a window of so many bytes at first.
    pub(super) fn with_window(
        input: TextInput<R>,
        dialect: &Dialect,
        field_count: Option<usize>,
        start: Position,
        end: u64,
        window_bytes: usize,
    ) -> Self {
        Self {
            window: Window::new(input, window_bytes),
            framer: Framer::new(dialect, field_count),
            rewritten: Vec::new(),
            end,
            is_over: false,
            reached: start,
        }
    }

    /// Place after the last record, or after the blank lines that were skipped.
    pub(crate) fn position(&self) -> Position {
        self.reached
    }

    /// Skips lines, whatever is in them; whether so many were there.
    pub(crate) fn skip_lines(&mut self, lines: u32) -> Result<bool, DelimitedError> {
        for _ in 0..lines {
            if !self.skip_line()? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The next record; `None` at the end.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Option<Record<'_>>, DelimitedError> {
        if !self.skip_blank_lines()? {
            return Ok(None);
        }
        let frame = loop {
            let text = Text { bytes: self.window.text(), is_whole: self.window.is_end() };
            match self.framer.frame(text, self.window.start()) {
                Framed::Record(frame) => break frame,
                Framed::More => self.fill()?,
                Framed::TooLong => return self.skip_record().map(Some),
            }
        };
        let start = self.window.start();
        let byte_start = self.reached.byte_offset;
        let place = self.move_to(frame.end, byte_start);
        if frame.has_escapes {
            self.rewritten.clear();
            self.framer.rewrite_fields(self.window.text(), &mut self.rewritten);
        }
        let Frame { content_end, end, damage, is_open, .. } = frame;
        Ok(Some(Record {
            text: self.window.text(),
            rewritten: &self.rewritten,
            fields: self.framer.fields(),
            start,
            content_end,
            place,
            damage,
            terminator_length: end - content_end,
            is_open,
        }))
    }

    /// Skips blank lines and comments; whether a record follows them.
    #[inline]
    pub(crate) fn skip_blank_lines(&mut self) -> Result<bool, DelimitedError> {
        while !self.is_over {
            let start = self.window.start();
            self.reached.byte_offset = self.window.content_offset(start);
            if self.reached.byte_offset >= self.end {
                return Ok(false);
            }
            let Some(byte) = self.window.text().get(start).copied() else {
                if self.window.is_end() {
                    return Ok(false);
                }
                self.fill()?;
                continue;
            };
            let is_skipped = if is_line_end_byte(byte) {
                self.skip_blank_line()?
            } else {
                !self.framer.dialect().comment.is_empty() && self.skip_comment()?
            };
            if !is_skipped {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Passes over the records at hand that a glance finds, and tells where each lies.
    pub(super) fn pass_over(
        &mut self,
        glance: &Glance,
        unit_bytes: u64,
        mut take: impl FnMut(Piece),
    ) {
        let Self { window, reached, .. } = self;
        let start = window.start();
        let (text, mut offsets) = window.split();
        let end = glance.pass(text, start, |seen| {
            let (start, end) = (offsets.of(seen.start), offsets.of(seen.end));
            let content_end = end - (seen.end - seen.content_end) as u64 * unit_bytes;
            take(Piece { start, content_end, end });
            *reached = Position { byte_offset: end, row_number: reached.row_number + 1 };
        });
        window.advance(end);
    }

    /// Reads what is left of the text; returns the content offset of its end.
    pub(super) fn drain(&mut self) -> std::io::Result<u64> {
        loop {
            self.window.advance(self.window.text().len());
            if !self.window.fill()? {
                return Ok(self.window.content_end());
            }
        }
    }

    /// Whether something was skipped or read.
    fn skip_blank_line(&mut self) -> Result<bool, DelimitedError> {
        if self.framer.dialect().blank_lines == BlankLines::Row {
            return Ok(false);
        }
        let text = Text { bytes: self.window.text(), is_whole: self.window.is_end() };
        match self.framer.line_end(text, self.window.start()) {
            LineEnd::At(next) => self.window.advance(next),
            LineEnd::None => return Ok(false),
            LineEnd::More => self.fill()?,
        }
        Ok(true)
    }

    /// Whether something was skipped or read.
    ///
    /// A comment without line end at the end of the text may still be written,
    /// and so may the second half of its line end: it is passed over, but no
    /// position lies behind it.
    fn skip_comment(&mut self) -> Result<bool, DelimitedError> {
        let rest = &self.window.text()[self.window.start()..];
        let comment = self.framer.dialect().comment.as_bytes();
        if !rest.starts_with(comment) {
            let may_begin = comment.starts_with(rest) && !self.window.is_end();
            if may_begin {
                self.fill()?;
            }
            return Ok(may_begin);
        }
        let begin = self.reached;
        self.is_over = !self.skip_line()? || self.ends_in_half_line_end();
        if self.is_over {
            self.reached = begin;
        }
        Ok(true)
    }

    /// Whether the text ends where the window starts, with a CR that may be
    /// half of a CRLF.
    fn ends_in_half_line_end(&self) -> bool {
        let (text, start) = (self.window.text(), self.window.start());
        self.framer.dialect().terminator == Terminator::Any
            && self.window.is_end()
            && start == text.len()
            && text.last() == Some(&b'\r')
    }

    /// Skips a line; false if the text ends before the line does.
    fn skip_line(&mut self) -> Result<bool, DelimitedError> {
        loop {
            let start = self.window.start();
            let text = Text { bytes: self.window.text(), is_whole: self.window.is_end() };
            let found = memchr2(b'\n', b'\r', &text.bytes[start..]);
            let (next, is_end) = match found {
                None => (text.bytes.len(), false),
                Some(found) => match self.framer.line_end(text, start + found) {
                    LineEnd::At(next) => (next, true),
                    LineEnd::None => (start + found + 1, false),
                    LineEnd::More => (start + found, false),
                },
            };
            let must_read = next == text.bytes.len() || next == start;
            self.window.advance(next);
            if is_end {
                self.reached.byte_offset = self.window.content_offset(next);
                return Ok(true);
            }
            if self.window.is_end() && next == self.window.text().len() {
                return Ok(false);
            }
            if must_read {
                self.fill()?;
            }
        }
    }

    /// Passes over a record that is too long.
    #[cold]
    fn skip_record(&mut self) -> Result<Record<'_>, DelimitedError> {
        let byte_start = self.reached.byte_offset;
        skip_record(&mut self.window, &mut self.framer)?;
        let start = self.window.start();
        let place = self.move_to(start, byte_start);
        Ok(Record {
            text: self.window.text(),
            rewritten: &self.rewritten,
            fields: &[],
            start,
            content_end: start,
            place,
            damage: Some(Damage::RecordTooLarge),
            terminator_length: 0,
            is_open: self.window.is_end() && start == self.window.text().len(),
        })
    }

    /// Lets go of the record that ends at `end`.
    #[inline]
    fn move_to(&mut self, end: usize, byte_start: u64) -> Place {
        let byte_end = self.window.content_offset(end);
        self.window.advance(end);
        self.reached = Position { byte_offset: byte_end, row_number: self.reached.row_number + 1 };
        Place { row_number: self.reached.row_number, byte_start, byte_end }
    }

    #[cold]
    fn fill(&mut self) -> Result<(), DelimitedError> {
        self.framer.forget();
        self.window.fill()?;
        Ok(())
    }
}

/// Moves a window behind the record at its start, without holding that.
pub(super) fn skip_record<R: Read>(
    window: &mut Window<R>,
    framer: &mut Framer,
) -> std::io::Result<()> {
    framer.forget();
    let mut skimmer = Skimmer::new(framer.dialect());
    loop {
        let start = window.start();
        if let Some(taken) = skimmer.take(&window.text()[start..]) {
            window.advance(start + taken);
            return Ok(());
        }
        window.advance(window.text().len());
        if !window.fill()? {
            return Ok(());
        }
    }
}

/// A record, borrowed until the next one is read.
pub(crate) struct Record<'a> {
    text: &'a [u8],
    rewritten: &'a [u8],
    fields: &'a [Span],
    start: usize,
    content_end: usize,
    place: Place,
    damage: Option<Damage>,
    /// Bytes of its line end in the text.
    terminator_length: usize,
    is_open: bool,
}

impl<'a> Record<'a> {
    /// Number of fields; 0 if they cannot be told apart at all.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.fields.len()
    }

    /// Where the record lies in the content.
    #[inline]
    pub(crate) fn place(&self) -> Place {
        self.place
    }

    /// What is wrong with it; then its fields cannot be trusted.
    #[inline]
    pub(crate) fn damage(&self) -> Option<Code> {
        self.damage.map(Damage::code)
    }

    /// Whether more text could move its end.
    pub(super) fn is_open(&self) -> bool {
        self.is_open
    }

    /// Bytes of its line end in the text.
    pub(super) fn terminator_length(&self) -> u64 {
        self.terminator_length as u64
    }

    /// Text of the record without terminator; empty if it is too long.
    #[inline]
    pub(crate) fn content(&self) -> &'a [u8] {
        &self.text[self.start..self.content_end]
    }

    /// Whether all of it is UTF-8 without NUL.
    #[inline]
    pub(crate) fn is_clean_text(&self) -> bool {
        let content = self.content();
        (content.is_ascii() || std::str::from_utf8(content).is_ok())
            && memchr::memchr(0, content).is_none()
    }

    /// Bytes of a field, without quotes and escapes.
    #[inline]
    pub(crate) fn field(&self, index: usize) -> &'a [u8] {
        let span = self.fields[index];
        span.of(if span.form.is_rewritten() { self.rewritten } else { self.text })
    }

    /// Whether a field begins with a quote.
    pub(crate) fn is_quoted(&self, index: usize) -> bool {
        self.fields[index].form.is_quoted()
    }

    /// Bytes of a field; `None` if it is null, which is empty and not quoted.
    #[inline]
    pub(crate) fn value(&self, index: usize) -> Option<&'a [u8]> {
        let field = self.field(index);
        (!field.is_empty() || self.is_quoted(index)).then_some(field)
    }
}
