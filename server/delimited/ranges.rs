//! Turns the places of records, one after the other, into ranges to read.

use std::io::Error;
use std::ops::Range;

use ferry::position::Position;

use super::dialect::BlankLines;
use super::split::Cuts;
use crate::cut::CutRequest;

/// Where one record lies in the content.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece {
    pub(super) start: u64,
    /// Place before its terminator.
    pub(super) content_end: u64,
    pub(super) end: u64,
}

/// Ranges in the making.
#[derive(Debug)]
pub(super) struct Ranges {
    request: CutRequest,
    blank_lines: BlankLines,
    ranges: Vec<Range<Position>>,
    /// Start of the range that is not cut yet.
    split_start: Position,
    /// Place after the last record.
    boundary: Position,
    /// Place before its terminator.
    content_end: u64,
    is_known_boundary: bool,
}

impl Ranges {
    pub(super) fn new(request: &CutRequest, blank_lines: BlankLines) -> Self {
        Self {
            request: *request,
            blank_lines,
            ranges: Vec::new(),
            split_start: request.from,
            boundary: request.start,
            content_end: request.start.byte_offset,
            is_known_boundary: request.from == request.start,
        }
    }

    /// Takes the next record.
    #[inline]
    pub(super) fn take(&mut self, piece: Piece) {
        if !self.is_known_boundary {
            self.look_for_known(piece.start);
        }
        self.cut_if_due();
        let row_number = self.boundary.row_number + 1;
        self.boundary = Position { byte_offset: piece.end, row_number };
        self.content_end = piece.content_end;
    }

    /// Ends the ranges before `end`, where the next record would begin.
    pub(super) fn finish(
        mut self,
        end: u64,
        unfinished_bytes: u64,
        failure: Option<Error>,
    ) -> Cuts {
        self.look_for_known(end);
        let end = Position { byte_offset: end, ..self.boundary };
        let holds_news = self.is_known_boundary && end.row_number > self.split_start.row_number;
        if holds_news {
            self.ranges.push(self.split_start..end);
        }
        let ranges = if self.is_known_boundary { self.ranges } else { Vec::new() };
        Cuts { ranges, unfinished_bytes, is_known_boundary: self.is_known_boundary, failure }
    }

    /// Cuts at the last boundary. Called when the next record is there, so that
    /// no range is left without a record.
    #[inline]
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
    /// When the last record was planned it may have had no line end, or half of
    /// one: what has come of that since reads as a blank line, unless such
    /// lines are records.
    fn look_for_known(&mut self, next_start: u64) {
        let from = self.request.from;
        if from.row_number == self.boundary.row_number {
            let first = match self.blank_lines {
                BlankLines::Skip => self.content_end,
                BlankLines::Row => self.boundary.byte_offset,
            };
            self.is_known_boundary |= (first..=next_start).contains(&from.byte_offset);
        }
    }
}
