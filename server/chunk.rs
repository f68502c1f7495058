//! What is read of a source at once: a batch of typed rows, and the rejects between them.
//!
//! Invariant: every record between two positions is a row of the batch or a reject.

use ferry::batch::Batch;
use ferry::position::Position;
use ferry::reject::Reject;

/// Most rejects of one chunk.
pub(crate) const REJECT_ROWS_MAX: usize = 1000;

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

/// Bytes of the texts in a reject, which bound what a chunk of them takes.
pub(crate) fn text_bytes(reject: &Reject) -> usize {
    let reason_bytes = reject
        .reasons
        .iter()
        .map(|reason| reason.code.as_str().len() + reason.column.as_ref().map_or(0, String::len));
    let field_bytes = reject.fields.iter().flatten().map(String::len);
    reason_bytes.sum::<usize>() + field_bytes.sum::<usize>()
}
