//! Reads a file once, and turns it into its fingerprint and the ranges that it can be cut into.
//!
//! Invariant: what is wrong with an archive or a document is told beside the
//! ranges before the damage; a disk that cannot be read leaves nothing.

use crate::cut::{CutRequest, LastRecord};
use std::ops::Range;
use std::sync::Arc;

use ferry::position::{Fingerprint, Position};

use crate::catalog::IsUnwanted;
use crate::catalog::archive::{ArchiveError, archive_error};
use crate::catalog::dataset::Dataset;
use crate::catalog::fingerprint::{ContentHasher, fingerprint};
use crate::catalog::format::FileHeader;
use crate::catalog::open_file::{Hashes, OpenFile};
use crate::catalog::unwanted::{WhileWanted, skip};
use crate::delimited::Cuts;
use crate::error::RequestError;

/// What one pass over a file is to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct ScanRequest {
    /// Place of the first record that is not planned.
    pub(super) cut_from: Position,
    /// Bytes of the disk that the destination's fingerprint covers.
    pub(super) known_bytes: u64,
    pub(super) target_split_bytes: u64,
    /// Whether the file is old enough for its last record to be whole.
    pub(super) is_settled: bool,
}

impl ScanRequest {
    /// What is to be cut of an input that stands at `start`.
    fn of_input(&self, start: Position) -> CutRequest {
        CutRequest {
            start,
            from: self.cut_from,
            target_split_bytes: self.target_split_bytes,
            last: if self.is_settled { LastRecord::Take } else { LastRecord::LeaveOpen },
        }
    }
}

/// What one pass over a file found.
#[derive(Debug)]
pub(super) struct Scan {
    /// The file as it is now.
    pub(super) fingerprint: Fingerprint,
    /// Hash of the bytes that the destination knew.
    pub(super) known_hash: [u8; 16],
    /// Whether the records that are not planned begin where a record begins.
    pub(super) is_known_boundary: bool,
    /// Ranges of the records that are not planned.
    pub(super) ranges: Vec<Range<Position>>,
    /// Bytes behind them that are left for later.
    pub(super) unfinished_bytes: u64,
    /// Why not all of the content could be read.
    pub(super) problem: Option<Arc<RequestError>>,
}

/// What can be cut of a file whose fingerprint is known.
pub(super) struct Rest {
    pub(super) ranges: Vec<Range<Position>>,
    /// Bytes behind them that are left for later.
    pub(super) unfinished_bytes: u64,
    /// Why not all of it could be read.
    pub(super) problem: Option<Arc<RequestError>>,
}

/// Reads a file once: hashes its bytes, and cuts its content.
pub(super) fn scan(
    file: &OpenFile,
    dataset: &Dataset,
    header: &FileHeader<'_>,
    request: &ScanRequest,
    is_unwanted: IsUnwanted<'_>,
) -> Result<Scan, RequestError> {
    let outcome = pass(file, dataset, header, request, is_unwanted);
    if matches!(outcome, Err(RequestError::Stopping)) {
        return outcome;
    }
    // Explains all else that can go wrong.
    if file.stamp_now()?.size_bytes < file.stamp.size_bytes {
        return Err(RequestError::FileChanged { file: file.name.clone() });
    }
    outcome
}

fn pass(
    file: &OpenFile,
    dataset: &Dataset,
    header: &FileHeader<'_>,
    request: &ScanRequest,
    is_unwanted: IsUnwanted<'_>,
) -> Result<Scan, RequestError> {
    let of_reading = |source| RequestError::of_reading(&file.name, source);
    let size_bytes = file.stamp.size_bytes;
    let known_bytes = request.known_bytes.min(size_bytes);
    let hashed = file.hashed_content(size_bytes, known_bytes, dataset.expansion_max)?;
    let mut content = WhileWanted::new(hashed, is_unwanted);
    skip(&mut content, header.end().byte_offset).map_err(of_reading)?;

    let Cuts { mut ranges, unfinished_bytes, is_known_boundary, failure } =
        header.cut(&mut content, &request.of_input(header.end()));
    if failure.as_ref().and_then(archive_error).is_some_and(ArchiveError::is_of_content) {
        // Nothing says which of its records are as they were.
        ranges.clear();
    }
    let problem = match failure.map(of_reading) {
        Some(_) if is_unwanted() => return Err(RequestError::Stopping),
        // Without all bytes of the disk there is no fingerprint.
        Some(error) if !error.is_of_content() => return Err(error),
        problem => {
            problem.map(|error| Arc::new(error.with_end(ranges.last().map(|range| range.end))))
        }
    };
    if problem.is_some() {
        // What lies behind a damage may be long.
        let bytes = hash(file, known_bytes, is_unwanted)?;
        return Ok(Scan { is_known_boundary, ranges, unfinished_bytes, problem, ..bytes });
    }
    let Hashes { whole, known: known_hash } = content.into_inner().finish().map_err(of_reading)?;
    let fingerprint = fingerprint(file.stamp, whole);
    Ok(Scan { fingerprint, known_hash, is_known_boundary, ranges, unfinished_bytes, problem })
}

/// Hashes a file without looking for its records.
pub(super) fn hash(
    file: &OpenFile,
    known_bytes: u64,
    is_unwanted: IsUnwanted<'_>,
) -> Result<Scan, RequestError> {
    let size_bytes = file.stamp.size_bytes;
    let known_end = known_bytes.min(size_bytes);
    let mut hasher = ContentHasher::new();
    file.read_range(0..known_end, is_unwanted, |bytes| hasher.update(bytes))?;
    let known_hash = hasher.hash();
    file.read_range(known_end..size_bytes, is_unwanted, |bytes| hasher.update(bytes))?;
    Ok(Scan {
        fingerprint: fingerprint(file.stamp, hasher.hash()),
        known_hash,
        is_known_boundary: false,
        ranges: Vec::new(),
        unfinished_bytes: 0,
        problem: None,
    })
}

/// Cuts what is not planned of a plain file that is as its fingerprint says.
pub(super) fn cut_rest(
    file: &OpenFile,
    dataset: &Dataset,
    header: &FileHeader<'_>,
    request: &ScanRequest,
    is_unwanted: IsUnwanted<'_>,
) -> Result<Rest, RequestError> {
    let start = request.cut_from;
    let content = file.content(start.byte_offset, file.stamp.size_bytes, dataset.expansion_max)?;
    let content = WhileWanted::new(content, is_unwanted);
    let Cuts { ranges, unfinished_bytes, failure, .. } =
        header.cut(content, &request.of_input(start));
    let problem = match failure.map(|source| RequestError::of_reading(&file.name, source)) {
        Some(_) if is_unwanted() => return Err(RequestError::Stopping),
        problem => {
            problem.map(|error| Arc::new(error.with_end(ranges.last().map(|range| range.end))))
        }
    };
    Ok(Rest { ranges, unfinished_bytes, problem })
}
