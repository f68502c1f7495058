//! What is read of a source at once: a batch of typed rows, and the rejects between them.
//!
//! Invariant: every record between two positions is a row of the batch or a reject.

use ferry::batch::Batch;
use ferry::position::Position;
use ferry::reject::Reject;

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
