//! Cuts a content into ranges of whole records, in one pass over it.
//!
//! Invariants: the ranges touch each other, begin at the place asked for and
//! end behind the last record taken; every cut is a place that the reader finds
//! too.

use crate::cut::{CutRequest, LastRecord};
use std::io::Read;
use std::ops::Range;

use ferry::position::Position;

use super::envelope::Enclosing;
use super::records::{Record, Records};
use super::window::WINDOW_BYTES;
use super::{Framing, JsonCuts, JsonError, JsonLayout};

/// Cuts what lies behind `request.start`, at which `content` stands.
///
/// A document is read to its end, which shows whether it is whole; one that is
/// not gives the records that are followed by something.
pub(crate) fn cut_json<R: Read>(content: R, layout: &JsonLayout, request: &CutRequest) -> JsonCuts {
    cut_with_window(content, layout, request, WINDOW_BYTES)
}

/// The same with a window of so many bytes at first.
pub(super) fn cut_with_window<R: Read>(
    content: R,
    layout: &JsonLayout,
    request: &CutRequest,
    window_bytes: usize,
) -> JsonCuts {
    let mut records = Records::new(content, layout, request.start, u64::MAX, window_bytes);
    let mut ranges = Ranges::new(request);
    let ending = match take_all(&mut records, layout, request.last, &mut ranges) {
        Err(JsonError::EndsEarly { .. }) if request.last == LastRecord::LeaveOpen => {
            Ok(Ending::Open(ranges.boundary.byte_offset))
        }
        outcome => outcome,
    };
    match ending {
        Ok(Ending::Whole(end)) => ranges.finish(end, 0, None),
        Ok(Ending::Open(end)) => match records.drain() {
            Ok(content_end) => ranges.finish(end, content_end - end, None),
            Err(error) => ranges.finish(end, 0, Some(error.into())),
        },
        Err(error) => {
            let end = ranges.boundary.byte_offset;
            ranges.finish(end, 0, Some(error))
        }
    }
}

/// How the records end, and where the next one would begin.
enum Ending {
    /// Nothing of the content is left.
    Whole(u64),
    /// What follows may still be written.
    Open(u64),
}

fn take_all<R: Read>(
    records: &mut Records<R>,
    layout: &JsonLayout,
    last: LastRecord,
    ranges: &mut Ranges,
) -> Result<Ending, JsonError> {
    while let Some(record) = records.next()? {
        if record.is_open && last == LastRecord::LeaveOpen {
            return Ok(Ending::Open(record.place.byte_start));
        }
        ranges.take(&record);
    }
    let end = records.position().byte_offset;
    if let Framing::Document { records: pointer } = &layout.framing {
        records.finish(&Enclosing::of(pointer))?;
    }
    Ok(Ending::Whole(end))
}

/// Ranges in the making.
#[derive(Debug)]
struct Ranges {
    request: CutRequest,
    ranges: Vec<Range<Position>>,
    /// Start of the range that is not cut yet.
    split_start: Position,
    /// Place after the last record.
    boundary: Position,
    /// Offset before its line end.
    text_end: u64,
    is_known_boundary: bool,
}

impl Ranges {
    fn new(request: &CutRequest) -> Self {
        Self {
            request: *request,
            ranges: Vec::new(),
            split_start: request.from,
            boundary: request.start,
            text_end: request.start.byte_offset,
            is_known_boundary: request.from == request.start,
        }
    }

    /// Takes the next record.
    fn take(&mut self, record: &Record<'_>) {
        if !self.is_known_boundary {
            self.look_for_known(record.place.byte_start);
        }
        self.cut_if_due();
        let row_number = self.boundary.row_number + 1;
        self.boundary = Position { byte_offset: record.place.byte_end, row_number };
        self.text_end = record.text_end;
    }

    /// Ends the ranges before `end`, where the next record would begin.
    fn finish(mut self, end: u64, unfinished_bytes: u64, failure: Option<JsonError>) -> JsonCuts {
        self.look_for_known(end);
        let end = Position { byte_offset: end, ..self.boundary };
        let holds_news = self.is_known_boundary && end.row_number > self.split_start.row_number;
        if holds_news {
            self.ranges.push(self.split_start..end);
        }
        let ranges = if self.is_known_boundary { self.ranges } else { Vec::new() };
        JsonCuts { ranges, unfinished_bytes, is_known_boundary: self.is_known_boundary, failure }
    }

    /// Cuts at the last boundary. Called when the next record is there, so that
    /// no range is left without a record.
    fn cut_if_due(&mut self) {
        let holds_records = self.boundary.row_number > self.split_start.row_number;
        if !holds_records {
            return;
        }
        let length = self.boundary.byte_offset.saturating_sub(self.split_start.byte_offset);
        if length >= self.request.target_split_bytes {
            self.ranges.push(self.split_start..self.boundary);
            self.split_start = self.boundary;
        }
    }

    /// Whether the place asked for lies between the last record and the next,
    /// which begins at `next_start`.
    ///
    /// When the last line was planned it may have had no line end, or half of
    /// one: what has come of that since is white space.
    fn look_for_known(&mut self, next_start: u64) {
        let from = self.request.from;
        if from.row_number == self.boundary.row_number {
            self.is_known_boundary |= (self.text_end..=next_start).contains(&from.byte_offset);
        }
    }
}
