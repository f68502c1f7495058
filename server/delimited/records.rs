//! Turns bytes into records: their fields without quotes, and where each record lies.
//!
//! Invariants: a place covers its record from the first byte to the end of the
//! full terminator; no memory is taken per record; a record longer than
//! [`RECORD_BYTES_MAX`] is an error, not a larger buffer.

use std::io::{ErrorKind, Read};

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use ferry::position::{Place, Position};
use ferry::wire::RECORD_BYTES_MAX;
use memchr::memchr;

use super::{Cutter, DelimitedError, Dialect};

/// Bytes that are read at once, until a record needs more.
const BUFFER_BYTES: usize = 256 * 1024;

/// Reads records one after the other.
pub(crate) struct RecordReader<R> {
    input: R,
    parser: Reader,
    dialect: Dialect,
    /// Bytes of the input: those before `parsed` are parsed, those before
    /// `filled` are read, and the record at hand begins at `start`.
    buffer: Vec<u8>,
    start: usize,
    parsed: usize,
    filled: usize,
    /// Offset in the file of the buffer's first byte.
    buffer_offset: u64,
    row_number: u64,
    /// Fields of the record at hand, end to end. Always longer than `buffer`,
    /// hence never full.
    text: Vec<u8>,
    /// Where each field ends in `text`.
    ends: Vec<usize>,
    /// Whether each field was quoted; filled only for records where it matters.
    quoted: Vec<bool>,
}

impl<R: Read> RecordReader<R> {
    /// A reader of the records after `start`, at which `input` stands.
    pub(crate) fn new(input: R, dialect: Dialect, start: Position) -> Self {
        Self::with_buffer(input, dialect, start, BUFFER_BYTES)
    }

    /// The same with a buffer of so many bytes at first, at least one.
    pub(super) fn with_buffer(
        input: R,
        dialect: Dialect,
        start: Position,
        buffer_bytes: usize,
    ) -> Self {
        let mut parser =
            ReaderBuilder::new().delimiter(dialect.delimiter).quote(dialect.quote).build();
        // The parser drops a byte order mark from the first bytes it is given.
        // Only those of a file are one, and `header` drops that: let the first
        // bytes be none.
        parser.read_record(&[], &mut [], &mut []);
        Self {
            input,
            parser,
            dialect,
            buffer: vec![0; buffer_bytes],
            start: 0,
            parsed: 0,
            filled: 0,
            buffer_offset: start.byte_offset,
            row_number: start.row_number,
            text: vec![0; buffer_bytes + 1],
            ends: vec![0; 32],
            quoted: Vec::new(),
        }
    }

    /// Place after the last record, or after the blank lines that were skipped.
    pub(crate) fn position(&self) -> Position {
        Position { byte_offset: self.offset(self.parsed), row_number: self.row_number }
    }

    /// The next record; `None` at the end of the input.
    pub(crate) fn next(&mut self) -> Result<Option<Record<'_>>, DelimitedError> {
        if !self.skip_blank_lines()? {
            return Ok(None);
        }
        let (mut text_end, mut field_count) = (0, 0);
        let is_terminated = loop {
            let (result, read, written, ended) = self.parser.read_record(
                &self.buffer[self.parsed..self.filled],
                &mut self.text[text_end..],
                &mut self.ends[field_count..],
            );
            self.parsed += read;
            text_end += written;
            field_count += ended;
            match result {
                // At the end of the input the parser gets nothing to read and
                // ends the record, whatever it lacks.
                ReadRecordResult::InputEmpty => {
                    self.fill()?;
                }
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                ReadRecordResult::OutputFull => self.text.resize(self.text.len() * 2, 0),
                ReadRecordResult::Record | ReadRecordResult::End => break read > 0,
            }
        };
        let content_length = self.parsed - self.start - usize::from(is_terminated);
        if is_terminated && self.buffer[self.parsed - 1] == b'\r' {
            self.skip_line_feed()?;
        }
        if self.parsed - self.start > RECORD_BYTES_MAX {
            return Err(self.too_long());
        }
        self.row_number += 1;

        let is_unclosed = !is_terminated && {
            let content = &self.buffer[self.start..self.parsed];
            let mut cutter = Cutter::new(self.dialect, Position::default(), u64::MAX);
            cutter.feed(content);
            cutter.is_inside_quotes()
        };
        let content = &self.buffer[self.start..self.start + content_length];
        let ends = &self.ends[..field_count];
        self.quoted.clear();
        // Quotes are all that a record has beside its fields and delimiters.
        let has_quotes = content.len() + 1 > text_end + field_count;
        if has_quotes && has_empty_field(ends) {
            mark_quoted(content, self.dialect, &mut self.quoted);
        }
        let place = Place {
            row_number: self.row_number,
            byte_start: self.offset(self.start),
            byte_end: self.offset(self.parsed),
        };
        let text = &self.text[..text_end];
        Ok(Some(Record { text, ends, quoted: &self.quoted, place, is_unclosed }))
    }

    /// Skips blank lines; whether a record follows them.
    pub(crate) fn skip_blank_lines(&mut self) -> Result<bool, DelimitedError> {
        loop {
            let unread = &self.buffer[self.parsed..self.filled];
            let blank = unread.iter().position(|byte| !matches!(byte, b'\r' | b'\n'));
            self.parsed += blank.unwrap_or(unread.len());
            self.start = self.parsed;
            if blank.is_some() {
                return Ok(true);
            }
            if self.fill()? == 0 {
                return Ok(false);
            }
        }
    }

    /// Skips the second half of a CRLF, which may not be in the buffer yet.
    fn skip_line_feed(&mut self) -> Result<(), DelimitedError> {
        let is_missing = self.parsed == self.filled && self.fill()? == 0;
        if !is_missing && self.buffer[self.parsed] == b'\n' {
            self.parsed += 1;
        }
        Ok(())
    }

    /// Reads more input behind what is there; 0 at its end.
    fn fill(&mut self) -> Result<usize, DelimitedError> {
        if self.filled - self.start > RECORD_BYTES_MAX {
            return Err(self.too_long());
        }
        if self.filled == self.buffer.len() {
            self.make_room();
        }
        loop {
            match self.input.read(&mut self.buffer[self.filled..]) {
                Ok(read) => {
                    self.filled += read;
                    return Ok(read);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Moves the record at hand to the front; if it fills the buffer, doubles that.
    fn make_room(&mut self) {
        if self.start > 0 {
            self.buffer_offset = self.offset(self.start);
            self.buffer.copy_within(self.start..self.filled, 0);
            self.parsed -= self.start;
            self.filled -= self.start;
            self.start = 0;
        } else {
            // One byte more than a record may have shows that it is too long.
            let length = (self.buffer.len() * 2).min(RECORD_BYTES_MAX + 1);
            self.buffer.resize(length, 0);
            self.text.resize(length + 1, 0);
        }
    }

    fn offset(&self, index: usize) -> u64 {
        self.buffer_offset + index as u64
    }

    fn too_long(&self) -> DelimitedError {
        let byte_offset = self.offset(self.start);
        let position = Position { byte_offset, row_number: self.row_number };
        DelimitedError::RecordTooLong { position }
    }
}

/// A record, borrowed until the next one is read.
pub(crate) struct Record<'a> {
    text: &'a [u8],
    ends: &'a [usize],
    quoted: &'a [bool],
    place: Place,
    is_unclosed: bool,
}

impl<'a> Record<'a> {
    /// Number of fields, at least one.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether its last field is quoted and the file ends before the quote does.
    pub(crate) fn is_unclosed(&self) -> bool {
        self.is_unclosed
    }

    /// Where the record lies.
    pub(crate) fn place(&self) -> Place {
        self.place
    }

    /// Bytes of a field, without its quotes.
    pub(crate) fn field(&self, index: usize) -> &'a [u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.text[start..self.ends[index]]
    }

    /// Bytes of a field; `None` if it is null, which is empty and not quoted.
    pub(crate) fn value(&self, index: usize) -> Option<&'a [u8]> {
        let field = self.field(index);
        let is_value = !field.is_empty() || self.quoted.get(index).is_some_and(|quoted| *quoted);
        is_value.then_some(field)
    }
}

fn has_empty_field(ends: &[usize]) -> bool {
    ends.first() == Some(&0) || ends.windows(2).any(|pair| pair[0] == pair[1])
}

/// Tells which fields of a record are quoted; `content` is without terminator.
fn mark_quoted(content: &[u8], dialect: Dialect, quoted: &mut Vec<bool>) {
    let mut rest = content;
    loop {
        let is_quoted = rest.first() == Some(&dialect.quote);
        quoted.push(is_quoted);
        let unquoted = if is_quoted { after_quotes(rest, dialect.quote) } else { rest };
        match memchr(dialect.delimiter, unquoted) {
            Some(index) => rest = &unquoted[index + 1..],
            None => return,
        }
    }
}

/// What follows the closing quote of a field that begins with an opening one.
fn after_quotes(field: &[u8], quote: u8) -> &[u8] {
    let mut rest = &field[1..];
    while let Some(index) = memchr(quote, rest) {
        rest = &rest[index + 1..];
        match rest.strip_prefix(&[quote]) {
            Some(behind_literal) => rest = behind_literal,
            None => return rest,
        }
    }
    &[]
}
