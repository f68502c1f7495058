//! What is to be cut of a content, whatever its format.

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
