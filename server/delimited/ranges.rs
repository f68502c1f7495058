//! Turns the places of a file's records, one after the other, into ranges to read.

use std::io::Error;

use super::dialect::BlankLines;
use super::split::Cuts;
use crate::cut::{self, CutRequest, Piece};

/// Ranges in the making.
#[derive(Debug)]
pub(super) struct Ranges {
    ranges: cut::Ranges,
    blank_lines: BlankLines,
}

impl Ranges {
    pub(super) fn new(request: &CutRequest, blank_lines: BlankLines) -> Self {
        Self { ranges: cut::Ranges::new(request), blank_lines }
    }

    /// Takes the next record.
    #[inline]
    pub(super) fn take(&mut self, piece: Piece) {
        let content_end = match self.blank_lines {
            BlankLines::Skip => piece.content_end,
            // A line end that has come since is a record then.
            BlankLines::Row => piece.end,
        };
        self.ranges.take(Piece { content_end, ..piece });
    }

    /// Ends the ranges before `end`, where the next record would begin.
    pub(super) fn finish(self, end: u64, unfinished_bytes: u64, failure: Option<Error>) -> Cuts {
        let ranges = self.ranges.finish(end);
        let is_known_boundary = ranges.is_some();
        Cuts { ranges: ranges.unwrap_or_default(), unfinished_bytes, is_known_boundary, failure }
    }
}
