//! Turns a range of a source into chunks: a batch of typed rows, and the rejects between them.
//!
//! Invariants: every record between two positions is a row of the batch or a
//! reject; chunks touch each other and together cover the range; the same range
//! and start give the same rows, wherever an earlier read stopped.

use std::ops::Range;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{ArrowError, SchemaRef};
use ferry::batch::Batch;
use ferry::position::{Place, Position};
use ferry::reject::{Code, Reason, Reject};
use ferry::schema::{Column, arrow_schema};
use ferry::wire::BATCH_ROWS_MAX;

/// Most rejects of one chunk.
const REJECT_ROWS_MAX: usize = 1000;

/// What became of the records between two positions.
#[derive(Debug)]
pub(crate) struct Chunk {
    /// The good rows, if there are any.
    pub(crate) batch: Option<Batch>,
    /// The other rows.
    pub(crate) rejects: Vec<Reject>,
    /// Place after the last record, or after what lies between it and the end of the range.
    pub(crate) end: Position,
}

/// The range holds other records than when it was cut.
#[derive(Debug, thiserror::Error)]
#[error(
    "the records of the range end at {found} instead of {expected}: the file has changed, plan the transfer again"
)]
pub(crate) struct RowCountDiffers {
    /// End of the range.
    pub(crate) expected: Position,
    /// Place after the last record that was found.
    pub(crate) found: Position,
}

/// Records of some format that become rows, one after the other.
pub(crate) trait RowSource {
    /// Why they cannot be read.
    type Error: From<RowCountDiffers> + From<ArrowError>;

    /// Makes a row of the next record, or refuses it; `None` if there is none.
    fn next_row(&mut self) -> Result<Option<Result<(), Reject>>, Self::Error>;

    /// Passes over what is no record; whether a record follows.
    fn has_next(&mut self) -> Result<bool, Self::Error>;

    /// Place after the last record, or after what was passed over behind it.
    fn position(&self) -> Position;

    /// The rows that are in no batch yet.
    fn pending(&self) -> &PendingRows;

    /// Takes them as a batch of the range, `None` if there are none.
    fn take_batch(&mut self, start: Position, end: Position) -> Result<Option<Batch>, ArrowError>;
}

/// Reads a range, whatever the format.
pub(crate) struct ChunkReader<S> {
    source: S,
    batch_bytes_max: usize,
    /// Place up to which chunks were handed out.
    reached: Position,
    /// End of the range.
    end: Position,
}

impl<S: RowSource> ChunkReader<S> {
    /// A reader of a range, at whose start `source` stands.
    pub(crate) fn of(source: S, range: Range<Position>, batch_bytes_max: usize) -> Self {
        Self { source, batch_bytes_max, reached: range.start, end: range.end }
    }

    /// The next chunk; `None` at the end of the range.
    ///
    /// A chunk ends with the record that reaches a limit. One without rows and
    /// rejects only covers what is no record.
    pub(crate) fn next_chunk(&mut self) -> Result<Option<Chunk>, S::Error> {
        let start = self.reached;
        let mut rejects = Vec::new();
        let mut reject_bytes = 0;
        while self.source.pending().len() < BATCH_ROWS_MAX
            && self.source.pending().data_bytes() < self.batch_bytes_max
            && rejects.len() < REJECT_ROWS_MAX
            && reject_bytes < self.batch_bytes_max
        {
            let Some(row) = self.source.next_row()? else {
                break;
            };
            if let Err(reject) = row {
                reject_bytes += text_bytes(&reject);
                rejects.push(reject);
            }
        }
        let end = self.chunk_end()?;
        if end == start {
            return Ok(None);
        }
        self.reached = end;
        let batch = self.source.take_batch(start, end)?;
        Ok(Some(Chunk { batch, rejects, end }))
    }

    /// Place after the last record; if it was the last one of the range, the
    /// range must end there, or after what is no record behind it.
    fn chunk_end(&mut self) -> Result<Position, S::Error> {
        let after_record = self.source.position();
        if self.source.has_next()? {
            return Ok(after_record);
        }
        let found = self.source.position();
        if found != self.end {
            return Err(RowCountDiffers { expected: self.end, found }.into());
        }
        Ok(found)
    }
}

/// Rows that wait for their batch; their values are with the builders of the columns.
pub(crate) struct PendingRows {
    schema: SchemaRef,
    places: Vec<Place>,
    data_bytes: usize,
}

impl PendingRows {
    /// No rows yet, of these columns.
    pub(crate) fn new(columns: &[Column]) -> Self {
        Self { schema: arrow_schema(columns), places: Vec::new(), data_bytes: 0 }
    }

    /// Number of rows.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// Bytes of column data in these rows.
    #[inline]
    pub(crate) fn data_bytes(&self) -> usize {
        self.data_bytes
    }

    /// Counts a row of so many bytes that every column has.
    #[inline]
    pub(crate) fn push(&mut self, place: Place, row_bytes: usize) {
        self.data_bytes += row_bytes;
        self.places.push(place);
    }

    /// Takes the rows as a batch of the range, `None` if there are none; only
    /// then are the arrays of the columns asked for.
    pub(crate) fn take_batch(
        &mut self,
        start: Position,
        end: Position,
        arrays: impl Iterator<Item = Result<ArrayRef, ArrowError>>,
    ) -> Result<Option<Batch>, ArrowError> {
        if self.places.is_empty() {
            return Ok(None);
        }
        let arrays = arrays.collect::<Result<Vec<_>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(self.len()));
        let records = RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options)?;
        let next_places = Vec::with_capacity(self.len());
        let places = std::mem::replace(&mut self.places, next_places);
        self.data_bytes = 0;
        Ok(Some(Batch { records, places, start, end }))
    }
}

/// Refuses a record whose fields cannot be told apart.
#[cold]
pub(crate) fn reject_whole(place: Place, code: Code) -> Reject {
    Reject { place, reasons: vec![Reason::of_record(code)], fields: Vec::new() }
}

/// Bytes of the texts in a reject, which bound what a chunk of them takes.
fn text_bytes(reject: &Reject) -> usize {
    let reason_bytes = reject
        .reasons
        .iter()
        .map(|reason| reason.code.as_str().len() + reason.column.as_ref().map_or(0, String::len));
    let field_bytes = reject.fields.iter().flatten().map(String::len);
    reason_bytes.sum::<usize>() + field_bytes.sum::<usize>()
}
