//! What a plan says of one file.
//!
//! Invariant: what cannot be read, or means nothing now, has no ranges.

use std::ops::Range;
use std::sync::Arc;

use ferry::position::{Fingerprint, Position};
use ferry::wire::generated::FileState;

use crate::catalog::open_file::OpenFile;
use crate::catalog::origin::SourceKind;
use crate::catalog::scan::{Rest, Scan};
use crate::error::RequestError;

/// What there is to read of one file.
#[derive(Debug)]
pub(crate) struct FilePlan {
    pub(crate) name: String,
    pub(crate) kind: SourceKind,
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
    /// The same of a page. What is known of an earlier one need not be told again.
    pub(super) fn of_kind(self, kind: SourceKind) -> Self {
        let is_dealt_with = kind == SourceKind::EarlierPage && self.ranges.is_empty();
        Self { kind, header: self.header.filter(|_| !is_dealt_with), ..self }
    }

    /// Whether it is a page that was fetched for this plan, all of which can be read.
    pub(super) fn is_whole_page(&self) -> bool {
        self.kind == SourceKind::Page && self.problem.is_none()
    }

    pub(super) fn of(file: &OpenFile, scan: &Scan, state: FileState) -> Self {
        Self {
            name: file.name.clone(),
            kind: SourceKind::File,
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
            kind: SourceKind::File,
            fingerprint: Some(fingerprint.clone()),
            state: FileState::Unchanged,
            ranges,
            unfinished_bytes,
            header: None,
            problem,
        }
    }

    pub(super) fn unreadable(name: &str, kind: SourceKind, error: RequestError) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            fingerprint: None,
            state: FileState::Unreadable,
            ranges: Vec::new(),
            unfinished_bytes: 0,
            header: None,
            problem: Some(Arc::new(error)),
        }
    }
}
