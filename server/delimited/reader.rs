//! Turns a range of a file into chunks: its records become rows or rejects, one after the other.

use std::io::Read;

use arrow_schema::ArrowError;
use ferry::batch::Batch;
use ferry::position::Position;
use ferry::reject::Reject;

use super::rows::Rows;
use super::{DelimitedError, Header, Layout, RecordReader, TextInput};
use crate::chunk::{ChunkReader, PendingRows, RowSource};
use crate::wanted::WantedColumn;

/// Reads a range of a file.
pub(crate) type BatchReader<R> = ChunkReader<DelimitedRows<R>>;

/// Records of a file, and the rows that they become.
pub(crate) struct DelimitedRows<R> {
    records: RecordReader<R>,
    rows: Rows,
}

impl<R: Read> BatchReader<R> {
    /// A reader of the records from `start` to `end`.
    ///
    /// `input` stands at `start`, which is a record boundary, and goes on
    /// behind `end`: where a record ends may depend on the next lines. Each
    /// wanted column is found in the header by its name.
    pub(crate) fn new(
        input: TextInput<R>,
        layout: &Layout,
        header: &Header,
        columns: Vec<WantedColumn>,
        start: Position,
        end: Position,
        batch_bytes_max: usize,
    ) -> Result<Self, DelimitedError> {
        let field_count = Some(header.names.len());
        let dialect = &layout.dialect;
        let source = DelimitedRows {
            records: RecordReader::new(input, dialect, field_count, start, end.byte_offset),
            rows: Rows::new(header, layout, columns)?,
        };
        Ok(Self::of(source, start..end, batch_bytes_max))
    }
}

impl<R: Read> RowSource for DelimitedRows<R> {
    type Error = DelimitedError;

    #[inline]
    fn next_row(&mut self) -> Result<Option<Result<(), Reject>>, DelimitedError> {
        let record = self.records.next()?;
        Ok(record.map(|record| self.rows.push(&record)))
    }

    fn has_next(&mut self) -> Result<bool, DelimitedError> {
        self.records.skip_blank_lines()
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
