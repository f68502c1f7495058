//! Cuts content into ranges of whole records, in one pass over its text.
//!
//! Most records are found by looking at quotes and line ends alone; where these
//! leave doubt, they are read as [`RecordReader`] reads them.
//!
//! Invariants: the ranges touch each other, begin at the place asked for and
//! end behind the last record taken; every cut is a place that
//! [`RecordReader`] finds too.

use std::io::{Error, Read};
use std::ops::Range;

use ferry::position::Position;

use super::glance::Glance;
use super::ranges::Ranges;
use super::window::WINDOW_BYTES;
use super::{DelimitedError, Dialect, RecordReader, Terminator, TextInput};
use crate::cut::{CutRequest, LastRecord, Piece};

/// Ranges of whole records.
#[derive(Debug)]
pub(crate) struct Cuts {
    /// From the place asked for on.
    pub(crate) ranges: Vec<Range<Position>>,
    /// Bytes of the content behind the last record taken that are left for later.
    pub(crate) unfinished_bytes: u64,
    /// Whether `from` lies between two records, and has the number of those
    /// before it. If not, there are no ranges.
    pub(crate) is_known_boundary: bool,
    /// Why the input ended early: what is whole before that is cut.
    pub(crate) failure: Option<Error>,
}

/// Cuts the content behind `request.start`, at which `input` stands.
///
/// `field_count` is the number of fields of a right record.
pub(crate) fn cut<R: Read>(
    input: TextInput<R>,
    dialect: &Dialect,
    field_count: usize,
    request: &CutRequest,
) -> Cuts {
    cut_with_window(input, dialect, field_count, request, WINDOW_BYTES)
}

/// The same with a window of so many bytes at first.
pub(super) fn cut_with_window<R: Read>(
    input: TextInput<R>,
    dialect: &Dialect,
    field_count: usize,
    request: &CutRequest,
    window_bytes: usize,
) -> Cuts {
    let unit_bytes = input.unit_bytes();
    let input = match request.last {
        LastRecord::Take => input,
        LastRecord::LeaveOpen => input.of_growing(),
    };
    let start = request.start;
    let field_count = Some(field_count);
    let mut cutter = Cutter {
        records: RecordReader::with_window(
            input,
            dialect,
            field_count,
            start,
            u64::MAX,
            window_bytes,
        ),
        glance: Glance::new(dialect),
        ranges: Ranges::new(request, dialect.blank_lines),
        earlier_end: EarlierEnd {
            offset: request.from.byte_offset,
            may_part_line_ends: dialect.terminator == Terminator::Any,
            unit_bytes,
        },
        last: request.last,
        unit_bytes,
    };
    match cutter.run() {
        Ok(end) => {
            let unfinished = match request.last {
                LastRecord::Take => Ok(0),
                LastRecord::LeaveOpen => cutter.records.drain().map(|text_end| text_end - end),
            };
            match unfinished {
                Ok(unfinished_bytes) => cutter.ranges.finish(end, unfinished_bytes, None),
                Err(error) => cutter.ranges.finish(end, 0, Some(error)),
            }
        }
        Err(error) => {
            let end = cutter.records.position().byte_offset;
            cutter.ranges.finish(end, 0, Some(error))
        }
    }
}

struct Cutter<R> {
    records: RecordReader<R>,
    /// `None` for dialects that it does not know.
    glance: Option<Glance>,
    ranges: Ranges,
    earlier_end: EarlierEnd,
    last: LastRecord,
    /// Bytes of the content that half a line end takes.
    unit_bytes: u64,
}

impl<R: Read> Cutter<R> {
    /// Takes all records; returns where the next one would begin.
    fn run(&mut self) -> Result<u64, Error> {
        let Self { records, glance, ranges, earlier_end, last, unit_bytes } = self;
        loop {
            if let Some(glance) = glance {
                let take = |piece| ranges.take(earlier_end.limit(piece));
                records.pass_over(glance, *unit_bytes, take);
            }
            let Some(record) = records.next().map_err(io_error)? else {
                return Ok(records.position().byte_offset);
            };
            let place = record.place();
            if record.is_open() && *last == LastRecord::LeaveOpen {
                return Ok(place.byte_start);
            }
            let content_end = place.byte_end - record.terminator_length() * *unit_bytes;
            let piece = Piece { start: place.byte_start, content_end, end: place.byte_end };
            ranges.take(earlier_end.limit(piece));
        }
    }
}

/// Where an earlier plan ended, when the content may have been shorter.
#[derive(Debug, Clone, Copy)]
struct EarlierEnd {
    offset: u64,
    /// Whether half of a CRLF ends a line by itself.
    may_part_line_ends: bool,
    unit_bytes: u64,
}

impl EarlierEnd {
    /// A record, without the line end that has come since if nothing can be
    /// read from where the plan ended in it.
    #[inline]
    fn limit(&self, piece: Piece) -> Piece {
        let passed = self.offset.saturating_sub(piece.content_end);
        if passed == 0 || self.offset >= piece.end {
            return piece;
        }
        let may_go_on = self.may_part_line_ends && passed.is_multiple_of(self.unit_bytes);
        Piece { content_end: if may_go_on { piece.content_end } else { piece.end }, ..piece }
    }
}

/// Records are found or not: nothing but the input can fail.
fn io_error(error: DelimitedError) -> Error {
    match error {
        DelimitedError::Io(error) => error,
        error => Error::other(error.to_string()),
    }
}
