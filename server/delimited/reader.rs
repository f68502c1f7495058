//! Turns a range of a file into chunks: a batch of typed rows, and the rejects between them.
//!
//! Invariants: chunks touch each other and together cover the range; the same
//! range and start give the same rows, wherever an earlier read stopped.

use std::io::Read;

use ferry::position::Position;
use ferry::wire::BATCH_ROWS_MAX;

use super::rows::Rows;
use super::{DelimitedError, Header, Layout, RecordReader, TextInput};
use crate::chunk::{Chunk, REJECT_ROWS_MAX, text_bytes};
use crate::wanted::WantedColumn;

/// Reads a range of a file.
pub(crate) struct BatchReader<R> {
    records: RecordReader<R>,
    rows: Rows,
    batch_bytes_max: usize,
    /// Place up to which chunks were handed out.
    reached: Position,
    /// End of the range.
    end: Position,
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
        Ok(Self {
            records: RecordReader::new(input, dialect, field_count, start, end.byte_offset),
            rows: Rows::new(header, layout, columns)?,
            batch_bytes_max,
            reached: start,
            end,
        })
    }

    /// The next chunk; `None` at the end of the range.
    ///
    /// A chunk ends with the record that reaches a limit. One without rows and
    /// rejects only covers blank lines.
    pub(crate) fn next_chunk(&mut self) -> Result<Option<Chunk>, DelimitedError> {
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
    /// range must end there, blank lines aside.
    fn chunk_end(&mut self) -> Result<Position, DelimitedError> {
        let after_record = self.records.position();
        if self.records.skip_blank_lines()? {
            return Ok(after_record);
        }
        let found = self.records.position();
        if found != self.end {
            return Err(DelimitedError::RowCountDiffers { expected: self.end, found });
        }
        Ok(found)
    }
}
