//! Turns a range of a content into chunks: its records become rows or rejects, one after the other.

use std::io::Read;
use std::ops::Range;

use arrow_schema::ArrowError;
use ferry::batch::Batch;
use ferry::position::Position;
use ferry::reject::Reject;

use super::records::Records;
use super::rows::Rows;
use super::window::WINDOW_BYTES;
use super::{JsonError, JsonLayout};
use crate::chunk::{ChunkReader, PendingRows, RowCountDiffers, RowSource};
use crate::wanted::WantedColumn;

/// Reads a range of a content.
pub(crate) type JsonReader<R> = ChunkReader<JsonRows<R>>;

/// Records of a content, and the rows that they become.
pub(crate) struct JsonRows<R> {
    records: Records<R>,
    rows: Rows,
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
            return Err(RowCountDiffers { expected: end, found: start }.into());
        }
        let source = JsonRows {
            records: Records::new(content, layout, start, end.byte_offset, window_bytes),
            rows: Rows::new(columns, layout.depth_max),
        };
        Ok(Self::of(source, start..end, batch_bytes_max))
    }
}

impl<R: Read> RowSource for JsonRows<R> {
    type Error = JsonError;

    #[inline]
    fn next_row(&mut self) -> Result<Option<Result<(), Reject>>, JsonError> {
        let record = self.records.next()?;
        Ok(record.map(|record| self.rows.push(&record)))
    }

    fn has_next(&mut self) -> Result<bool, JsonError> {
        self.records.has_next()
    }

    fn position(&self) -> Position {
        self.records.position()
    }

    #[inline]
    fn pending(&self) -> &PendingRows {
        self.rows.pending()
    }

    fn take_batch(&mut self, start: Position, end: Position) -> Result<Option<Batch>, ArrowError> {
        self.rows.take_batch(start, end)
    }
}
