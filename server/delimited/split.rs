//! Cuts a file into ranges of whole records while its bytes pass by.
//!
//! Invariants: the ranges touch each other, begin at the given start and end at
//! the end of the input; every cut is a place that
//! [`RecordReader`](super::records::RecordReader) finds too.

use std::ops::Range;

use ferry::position::Position;
use memchr::memchr3_iter;

use super::Dialect;

/// Finds the ends of records in a file that is fed to it piece by piece.
///
/// Only quotes and line ends are looked at. That is enough: a quote opens a
/// field if it is the first byte of a record or follows a delimiter outside
/// quotes, and a quote right behind a closing one was a literal and opens again.
#[derive(Debug)]
pub(crate) struct Cutter {
    dialect: Dialect,
    target_split_bytes: u64,
    ranges: Vec<Range<Position>>,
    /// Start of the range that is not cut yet.
    split_start: Position,
    /// Place after the last whole record; a line feed may still move it by one.
    boundary: Position,
    /// First byte of the record that is not whole yet.
    record_start: u64,
    /// Bytes of the file before the next chunk.
    offset: u64,
    /// Last byte of the last chunk.
    last_byte: u8,
    is_quoted: bool,
    /// Offset after the last closing quote.
    closed_at: u64,
}

impl Cutter {
    /// A cutter for the records after `start`, which must be a record boundary.
    pub(crate) fn new(dialect: Dialect, start: Position, target_split_bytes: u64) -> Self {
        Self {
            dialect,
            target_split_bytes,
            ranges: Vec::new(),
            split_start: start,
            boundary: start,
            record_start: start.byte_offset,
            offset: start.byte_offset,
            last_byte: 0,
            is_quoted: false,
            closed_at: u64::MAX,
        }
    }

    /// Takes the next bytes of the file.
    pub(crate) fn feed(&mut self, chunk: &[u8]) {
        for index in memchr3_iter(self.dialect.quote, b'\n', b'\r', chunk) {
            let offset = self.offset + index as u64;
            let before = if index == 0 { self.last_byte } else { chunk[index - 1] };
            let byte = chunk[index];
            if byte == self.dialect.quote {
                self.see_quote(offset, before);
            } else if !self.is_quoted {
                self.see_line_end(offset, before, byte);
            }
        }
        self.offset += chunk.len() as u64;
        self.last_byte = chunk.last().copied().unwrap_or(self.last_byte);
    }

    /// Whether the input so far ends in the middle of a quoted field.
    pub(crate) fn is_inside_quotes(&self) -> bool {
        self.is_quoted
    }

    /// Bytes of a last record without line end, or with an open quote.
    pub(crate) fn unfinished_bytes(&self) -> u64 {
        self.offset - self.record_start
    }

    /// Ends the input after an unfinished last record; no range if it held no record.
    pub(crate) fn finish(mut self) -> Vec<Range<Position>> {
        if self.unfinished_bytes() > 0 {
            self.cut_if_due();
            self.boundary.row_number += 1;
        }
        let end = Position { byte_offset: self.offset, ..self.boundary };
        self.end_at(end)
    }

    /// Ends the input before an unfinished last record.
    pub(crate) fn finish_before_unfinished(self) -> Vec<Range<Position>> {
        let end = Position { byte_offset: self.record_start, ..self.boundary };
        self.end_at(end)
    }

    fn end_at(mut self, end: Position) -> Vec<Range<Position>> {
        if end.row_number > self.split_start.row_number {
            self.ranges.push(self.split_start..end);
        }
        self.ranges
    }

    fn see_quote(&mut self, offset: u64, before: u8) {
        if self.is_quoted {
            self.is_quoted = false;
            self.closed_at = offset + 1;
        } else {
            let begins_field = offset == self.record_start || before == self.dialect.delimiter;
            self.is_quoted = begins_field || offset == self.closed_at;
        }
    }

    fn see_line_end(&mut self, offset: u64, before: u8, byte: u8) {
        if offset > self.record_start {
            self.cut_if_due();
            self.boundary.row_number += 1;
            self.boundary.byte_offset = offset + 1;
        } else if byte == b'\n' && before == b'\r' && offset == self.boundary.byte_offset {
            self.boundary.byte_offset += 1;
        }
        self.record_start = offset + 1;
    }

    /// Cuts at the last boundary. Called when the next record is there, so that
    /// the boundary is final and no range is left without a record.
    fn cut_if_due(&mut self) {
        let holds_records = self.boundary.row_number > self.split_start.row_number;
        let length = self.boundary.byte_offset - self.split_start.byte_offset;
        if holds_records && length >= self.target_split_bytes {
            self.ranges.push(self.split_start..self.boundary);
            self.split_start = self.boundary;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(file: &[u8], target_split_bytes: u64) -> Vec<(u64, u64, u64)> {
        let mut cutter = Cutter::new(Dialect::default(), Position::default(), target_split_bytes);
        cutter.feed(file);
        let ranges = cutter.finish();
        let flat = |range: &Range<Position>| {
            (range.start.byte_offset, range.end.byte_offset, range.end.row_number)
        };
        ranges.iter().map(flat).collect()
    }

    #[test]
    fn cuts_fall_at_the_first_boundary_at_or_after_the_target() {
        assert_eq!(ranges(b"aa\nbb\ncc\n", 0), [(0, 3, 1), (3, 6, 2), (6, 9, 3)]);
        assert_eq!(ranges(b"aa\nbb\ncc\n", 3), [(0, 3, 1), (3, 6, 2), (6, 9, 3)]);
        assert_eq!(ranges(b"aa\nbb\ncc\n", 4), [(0, 6, 2), (6, 9, 3)]);
        assert_eq!(ranges(b"aa\nbb\ncc\n", 100), [(0, 9, 3)]);
    }

    #[test]
    fn line_ends_in_quotes_do_not_end_a_record() {
        assert_eq!(ranges(b"\"a\n\"\"\n\",1\nb\"\n\"", 0), [(0, 10, 1), (10, 13, 2), (13, 14, 3)]);
    }

    #[test]
    fn blank_lines_hold_no_record() {
        assert!(ranges(b"", 0).is_empty());
        assert!(ranges(b"\n\r\n", 0).is_empty());
        assert_eq!(ranges(b"a\r\n\r\n\nb\n\n", 0), [(0, 3, 1), (3, 9, 2)]);
    }
}
