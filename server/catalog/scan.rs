//! Reads a file once, and turns it into its fingerprint and the ranges that it can be cut into.

use std::ops::Range;

use ferry::position::{Fingerprint, Position};

use crate::catalog::IsUnwanted;
use crate::catalog::fingerprint::{ContentHasher, fingerprint};
use crate::catalog::open_file::OpenFile;
use crate::delimited::{Cutter, Dialect};
use crate::error::RequestError;

/// What is known of a file before it is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct ScanRequest {
    /// Place after the header.
    pub(super) data_start: Position,
    /// Place of the first record that is not planned.
    pub(super) cut_from: Position,
    /// Bytes that the destination's fingerprint covers.
    pub(super) known_bytes: u64,
    /// A file that changed later, in nanoseconds since 1970, may still be written.
    pub(super) settled_nanos: i64,
}

/// What one pass over a file found.
pub(super) struct Scan {
    /// Content as it is now.
    pub(super) fingerprint: Fingerprint,
    /// Hash of the bytes that the destination knew.
    pub(super) known_hash: [u8; 16],
    /// Whether the records planned already end in the middle of a quoted field.
    pub(super) is_known_part_open: bool,
    /// Ranges of the records that are not planned.
    pub(super) ranges: Vec<Range<Position>>,
    /// Bytes behind them that are left for later.
    pub(super) unfinished_bytes: u64,
}

/// Cuts the end of a file: a last record that may still be written is left out
/// if the file changed after `settled_nanos` (since 1970).
pub(super) fn finish(
    cutter: Cutter,
    file: &OpenFile,
    settled_nanos: i64,
) -> (Vec<Range<Position>>, u64) {
    let unfinished_bytes = cutter.unfinished_bytes();
    if unfinished_bytes == 0 || file.stamp.modified_unix_nanos <= settled_nanos {
        return (cutter.finish(), 0);
    }
    (cutter.finish_before_unfinished(), unfinished_bytes)
}

/// Reads a file once: hashes it, and cuts it from a position on.
pub(super) fn scan(
    file: &OpenFile,
    dialect: Dialect,
    target_split_bytes: u64,
    request: ScanRequest,
    is_unwanted: IsUnwanted<'_>,
) -> Result<Scan, RequestError> {
    let ScanRequest { data_start, cut_from, known_bytes, settled_nanos } = request;
    let size_bytes = file.stamp.size_bytes;
    let known_end = known_bytes.min(size_bytes);
    let mut pass = Pass {
        hasher: ContentHasher::new(),
        known_part: Cutter::new(dialect, data_start, u64::MAX),
        new_part: Cutter::new(dialect, cut_from, target_split_bytes),
        data_start: data_start.byte_offset,
        cut_from: cut_from.byte_offset,
        offset: 0,
    };
    file.read_range(0..known_end, is_unwanted, |bytes| pass.take(bytes))?;
    let known_hash = pass.hasher.hash();
    file.read_range(known_end..size_bytes, is_unwanted, |bytes| pass.take(bytes))?;
    let (ranges, unfinished_bytes) = finish(pass.new_part, file, settled_nanos);
    Ok(Scan {
        fingerprint: fingerprint(file.stamp, &pass.hasher),
        known_hash,
        is_known_part_open: pass.known_part.is_inside_quotes(),
        ranges,
        unfinished_bytes,
    })
}

/// One pass over a file.
struct Pass {
    hasher: ContentHasher,
    /// Sees the records that are planned already.
    known_part: Cutter,
    /// Sees those that are not.
    new_part: Cutter,
    /// Offset of the first record.
    data_start: u64,
    /// Offset of the first record that is not planned.
    cut_from: u64,
    /// Bytes that have passed.
    offset: u64,
}

impl Pass {
    fn take(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        let (known, new) = bytes.split_at(self.index_of(self.cut_from, bytes));
        self.known_part.feed(&known[self.index_of(self.data_start, known)..]);
        self.new_part.feed(new);
        self.offset += bytes.len() as u64;
    }

    /// Where an offset of the file lies in the next bytes, at most at their end.
    fn index_of(&self, offset: u64, bytes: &[u8]) -> usize {
        let index = offset.saturating_sub(self.offset);
        usize::try_from(index).unwrap_or(usize::MAX).min(bytes.len())
    }
}
