//! Turns a range of a content into chunks: a batch of typed rows, and the rejects between them.
//!
//! Invariants: chunks touch each other and together cover the range; the same
//! range and start give the same rows, wherever an earlier read stopped.

use std::io::Read;
use std::ops::Range;

use ferry::position::Position;
use ferry::wire::BATCH_ROWS_MAX;

use crate::chunk::{Chunk, REJECT_ROWS_MAX, text_bytes};
use crate::wanted::WantedColumn;

use super::records::Records;
use super::rows::Rows;
use super::window::WINDOW_BYTES;
use super::{JsonError, JsonLayout};

/// Reads a range of a content.
pub(crate) struct JsonReader<R> {
    records: Records<R>,
    rows: Rows,
    batch_bytes_max: usize,
    /// Place up to which chunks were handed out.
    reached: Position,
    /// End of the range.
    end: Position,
}

impl<R: Read> JsonReader<R> {
    /// A reader of the records from `start` to `end`.
    ///
    /// `content` stands at `start`, which is a place that
    /// [`cut_json`](super::cut_json) or this reader gave, and goes on to `end`
    /// at least. A record that lacks a column has null there.
    pub(crate) fn new(
        content: R,
        layout: &JsonLayout,
        columns: Vec<WantedColumn>,
        start: Position,
        end: Position,
        batch_bytes_max: usize,
    ) -> Result<Self, JsonError> {
        Self::with_window(content, layout, columns, start..end, batch_bytes_max, WINDOW_BYTES)
    }

    /// The same with a window of so many bytes at first.
    pub(super) fn with_window(
        content: R,
        layout: &JsonLayout,
        columns: Vec<WantedColumn>,
        range: Range<Position>,
        batch_bytes_max: usize,
        window_bytes: usize,
    ) -> Result<Self, JsonError> {
        let Range { start, end } = range;
        if start > end {
            return Err(JsonError::RowCountDiffers { expected: end, found: start });
        }
        Ok(Self {
            records: Records::new(content, layout, start, end.byte_offset, window_bytes),
            rows: Rows::new(columns, layout.depth_max),
            batch_bytes_max,
            reached: start,
            end,
        })
    }

    /// The next chunk; `None` at the end of the range.
    ///
    /// A chunk ends with the record that reaches a limit. One without rows and
    /// rejects only covers white space.
    pub(crate) fn next_chunk(&mut self) -> Result<Option<Chunk>, JsonError> {
        let start = self.reached;
        let mut rejects = Vec::new();
        let mut reject_bytes = 0;
        while self.rows.len() < BATCH_ROWS_MAX
            && self.rows.data_bytes() < self.batch_bytes_max
            && rejects.len() < REJECT_ROWS_MAX
            && reject_bytes < self.batch_bytes_max
        {
            let Some(record) = self.records.next()? else {
                break;
            };
            if let Err(reject) = self.rows.push(&record) {
                reject_bytes += text_bytes(&reject);
                rejects.push(reject);
            }
        }
        let end = self.chunk_end()?;
        if end == start {
            return Ok(None);
        }
        self.reached = end;
        let batch = self.rows.take_batch(start, end)?;
        Ok(Some(Chunk { batch, rejects, end }))
    }

    /// Place after the last record; if it was the last one of the range, the
    /// range must end there, white space aside.
    fn chunk_end(&mut self) -> Result<Position, JsonError> {
        let after_record = self.records.position();
        if self.records.has_next()? {
            return Ok(after_record);
        }
        let found = self.records.position();
        if found != self.end {
            return Err(JsonError::RowCountDiffers { expected: self.end, found });
        }
        Ok(found)
    }
}
