//! What a plan says of one file.
//!
//! Invariant: what cannot be read, or means nothing now, has no ranges.

use std::ops::Range;
use std::sync::Arc;

use ferry::position::{Fingerprint, Position};
use ferry::wire::generated::FileState;

use crate::catalog::open_file::OpenFile;
use crate::catalog::scan::{Rest, Scan};
use crate::error::RequestError;

/// What there is to read of one file.
#[derive(Debug)]
pub(crate) struct FilePlan {
    pub(crate) name: String,
    /// `None` if the file cannot be read.
    pub(crate) fingerprint: Option<Fingerprint>,
    pub(crate) state: FileState,
    /// Ranges of the splits, in order.
    pub(crate) ranges: Vec<Range<Position>>,
    /// Bytes behind the last range that are left for later.
    pub(crate) unfinished_bytes: u64,
    /// Which of the plan's headers it has.
    pub(crate) header: Option<usize>,
    /// Why the file, or the rest of it, cannot be read.
    pub(crate) problem: Option<Arc<RequestError>>,
}

impl FilePlan {
    pub(super) fn of(file: &OpenFile, scan: &Scan, state: FileState) -> Self {
        Self {
            name: file.name.clone(),
            fingerprint: Some(scan.fingerprint.clone()),
            state,
            ranges: scan.ranges.clone(),
            unfinished_bytes: scan.unfinished_bytes,
            header: None,
            problem: scan.problem.clone(),
        }
    }

    /// What the destination has planned of it means nothing now.
    pub(super) fn rewritten(file: &OpenFile, scan: &Scan) -> Self {
        let plan = Self::of(file, scan, FileState::Rewritten);
        Self { ranges: Vec::new(), unfinished_bytes: 0, ..plan }
    }

    pub(super) fn of_rest(file: &OpenFile, fingerprint: &Fingerprint, rest: Rest) -> Self {
        let Rest { ranges, unfinished_bytes, problem } = rest;
        Self {
            name: file.name.clone(),
            fingerprint: Some(fingerprint.clone()),
            state: FileState::Unchanged,
            ranges,
            unfinished_bytes,
            header: None,
            problem,
        }
    }

    pub(super) fn unreadable(name: &str, error: RequestError) -> Self {
        Self {
            name: name.to_owned(),
            fingerprint: None,
            state: FileState::Unreadable,
            ranges: Vec::new(),
            unfinished_bytes: 0,
            header: None,
            problem: Some(Arc::new(error)),
        }
    }
}
