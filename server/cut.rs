//! Turns the places of records, one after the other, into ranges to read, whatever the format.
//!
//! Invariants: the ranges touch each other and begin at the place asked for;
//! none is without a record.

use std::ops::Range;

use ferry::position::Position;

/// What is to be cut.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CutRequest {
    /// Where the content stands: before a record.
    pub(crate) start: Position,
    /// Records from here on are cut into ranges; not before `start`.
    pub(crate) from: Position,
    /// A range ends at the first boundary at or after so many bytes.
    pub(crate) target_split_bytes: u64,
    pub(crate) last: LastRecord,
}

/// What becomes of the end of a content that may still be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum LastRecord {
    /// It is as it should be: a last line needs no line end, and a document that is open is broken.
    Take,
    /// It is left, and with it everything from the first record on whose end
    /// more text could move; so is what is open of a document.
    LeaveOpen,
}

/// Where one record lies in the content.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Piece {
    pub(crate) start: u64,
    /// Place before its terminator, or before what else between two records is nothing.
    pub(crate) content_end: u64,
    pub(crate) end: u64,
}

/// Ranges in the making.
#[derive(Debug)]
pub(crate) struct Ranges {
    from: Position,
    target_split_bytes: u64,
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
    pub(crate) fn new(request: &CutRequest) -> Self {
        let CutRequest { start, from, target_split_bytes, .. } = *request;
        Self {
            from,
            target_split_bytes,
            ranges: Vec::new(),
            split_start: from,
            boundary: start,
            content_end: start.byte_offset,
            is_known_boundary: from == start,
        }
    }

    /// Place after the last record.
    pub(crate) fn boundary(&self) -> Position {
        self.boundary
    }

    /// Takes the next record.
    #[inline]
    pub(crate) fn take(&mut self, piece: Piece) {
        if !self.is_known_boundary {
            self.look_for_known(piece.start);
        }
        self.cut_if_due();
        let row_number = self.boundary.row_number + 1;
        self.boundary = Position { byte_offset: piece.end, row_number };
        self.content_end = piece.content_end;
    }

    /// Ends the ranges before `end`, where the next record would begin.
    ///
    /// `None` if the place asked for does not lie between two records, or does
    /// not have the number of those before it.
    pub(crate) fn finish(mut self, end: u64) -> Option<Vec<Range<Position>>> {
        self.look_for_known(end);
        if !self.is_known_boundary {
            return None;
        }
        let end = Position { byte_offset: end, ..self.boundary };
        if end.row_number > self.split_start.row_number {
            self.ranges.push(self.split_start..end);
        }
        Some(self.ranges)
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
        if length >= self.target_split_bytes {
            self.ranges.push(self.split_start..self.boundary);
            self.split_start = self.boundary;
        }
    }

    /// Whether the place asked for lies between the last record and the next,
    /// which begins at `next_start`.
    ///
    /// When the last record was planned it may have had no line end, or half of
    /// one: what has come of that since is nothing, a blank line or white space.
    fn look_for_known(&mut self, next_start: u64) {
        if self.from.row_number == self.boundary.row_number {
            let between = self.content_end..=next_start;
            self.is_known_boundary |= between.contains(&self.from.byte_offset);
        }
    }
}
