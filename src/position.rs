//! Where a record lies in a file, and which content of the file that belongs to.
//!
//! Invariant: a [`Position`] lies between two records, just after a terminator.

use std::fmt;

use crate::hex;

/// A place between two records of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position {
    /// Bytes of the file before this place.
    pub byte_offset: u64,
    /// Data records before this place; the header is not one.
    pub row_number: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {}, row {}", self.byte_offset, self.row_number)
    }
}

/// Where one record lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Number of the record in its file; the first data record is 1.
    pub row_number: u64,
    /// Offset of the record's first byte.
    pub byte_start: u64,
    /// Offset after the record's terminator.
    pub byte_end: u64,
}

/// Which content a position belongs to: the first `size_bytes` bytes of a file.
#[derive(Clone, PartialEq, Eq)]
pub struct Fingerprint {
    /// Number of leading bytes that the hash covers.
    pub size_bytes: u64,
    /// XXH3-128 of those bytes, big-endian.
    pub content_hash: [u8; 16],
    /// Time of the last write when the hash was taken, in nanoseconds since 1970.
    pub modified_unix_nanos: i64,
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes:{}", self.size_bytes, hex::encode(&self.content_hash))
    }
}

/// A range of one file of a dataset, cut between records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// Dataset that the file belongs to.
    pub dataset: String,
    /// Name of the file below the dataset's root.
    pub file: String,
    /// Content that the range belongs to.
    pub fingerprint: Fingerprint,
    /// First record of the range.
    pub start: Position,
    /// End of the range, exclusive.
    pub end: Position,
}

impl Split {
    /// Number of records in the range, good or bad.
    #[must_use]
    pub fn row_count(&self) -> u64 {
        self.end.row_number.saturating_sub(self.start.row_number)
    }
}
