//! Rows in memory: an Arrow record batch and where each of its rows came from.
//!
//! Invariant: `places` has one entry a row, in the order of the rows.

use arrow_array::RecordBatch;

use crate::position::{Place, Position};

/// Rows that follow each other in a file, with gaps where rows were rejected.
#[derive(Clone)]
pub struct Batch {
    /// The rows.
    pub records: RecordBatch,
    /// Where each row lies.
    pub places: Vec<Place>,
    /// Place before the first record of the range, rejects included.
    pub start: Position,
    /// Place after the last record of the range, rejects included.
    pub end: Position,
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batch")
            .field("rows", &self.records.num_rows())
            .field("start", &self.start)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}
