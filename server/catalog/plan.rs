//! Turns the files of a dataset into splits to read, in one pass over each file that is new or changed.
//!
//! Invariant: the splits of a file begin where the destination has planned it
//! to and end where its fingerprint ends, without a gap.

use std::collections::HashMap;
use std::ops::Range;
use std::time::{Duration, SystemTime};

use ferry::position::{Fingerprint, Position};
use ferry::schema::Column;
use ferry::wire::generated::FileState;

use crate::catalog::IsUnwanted;
use crate::catalog::dataset::{Dataset, check_header};
use crate::catalog::files::SourceFile;
use crate::catalog::headers::Headers;
use crate::catalog::open_file::OpenFile;
use crate::catalog::scan::{Scan, ScanRequest, finish, scan};
use crate::delimited::{Cutter, Dialect};
use crate::error::RequestError;

const SPLIT_BYTES_DEFAULT: u64 = 64 * 1024 * 1024;
const SPLIT_BYTES_MIN: u64 = 64 * 1024;
/// Splits of one plan, apart from one a file: keeps the answer below the largest message.
const SPLITS_MAX: u64 = 10_000;

/// What a destination asks for.
pub(crate) struct PlanRequest {
    /// Columns that every file must have; empty to be told what each file has.
    pub(crate) columns: Vec<Column>,
    /// Bytes of a split; 0 for the default.
    pub(crate) target_split_bytes: u64,
    /// What was planned before, by the name of the file.
    pub(crate) known: HashMap<String, KnownFile>,
}

/// A file up to where the destination has planned it.
#[derive(Debug, Clone)]
pub(crate) struct KnownFile {
    pub(crate) fingerprint: Fingerprint,
    pub(crate) planned_to: Position,
}

/// What there is to read.
pub(crate) struct Plan {
    pub(crate) columns: Vec<Column>,
    /// Headers of the files, each once; empty if the request named columns.
    pub(crate) headers: Vec<Vec<Column>>,
    /// Ordered by name.
    pub(crate) files: Vec<FilePlan>,
}

/// What there is to read of one file.
#[derive(Debug)]
pub(crate) struct FilePlan {
    pub(crate) name: String,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) state: FileState,
    /// Ranges of the splits, in order.
    pub(crate) ranges: Vec<Range<Position>>,
    /// Bytes behind the last range that are left for later.
    pub(crate) unfinished_bytes: u64,
    /// Which of the plan's headers it has.
    pub(crate) header: Option<usize>,
}

/// Plans all files of a dataset.
pub(crate) fn plan(
    dataset: &Dataset,
    request: PlanRequest,
    is_unwanted: IsUnwanted<'_>,
) -> Result<Plan, RequestError> {
    let sources = dataset.files.list()?;
    let available = dataset.columns(&sources)?;
    let PlanRequest { columns: wanted, target_split_bytes: asked_bytes, known } = request;
    // Without a single header there is nothing to compare with.
    if !wanted.is_empty() && !available.is_empty() {
        dataset.check_wanted(&wanted, &available)?;
    }
    let planner = Planner {
        dialect: dataset.dialect,
        target_split_bytes: target_split_bytes(asked_bytes, &sources),
        is_unwanted,
        settled_nanos: settled_nanos(SystemTime::now(), dataset.min_age),
    };
    let mut headers = Headers::default();
    let mut files = Vec::with_capacity(sources.len());
    for source in &sources {
        let file = source.open()?;
        let header = file.read_header(dataset.dialect)?;
        if let Some(header) = &header {
            check_header(&file.name, header, &wanted)?;
        }
        let data_start = header.as_ref().map(|header| header.end);
        let header = match header {
            Some(header) if wanted.is_empty() => {
                Some(headers.add(dataset, &file.name, header.names)?)
            }
            _ => None,
        };
        let file_plan = planner.plan_file(&file, data_start, known.get(&source.name))?;
        files.push(FilePlan { header, ..file_plan });
    }
    let columns = if wanted.is_empty() { available } else { wanted };
    Ok(Plan { columns, headers: headers.into_columns(), files })
}

/// When a file must have changed last, in nanoseconds since 1970, to be as old as `min_age`.
fn settled_nanos(now: SystemTime, min_age: Duration) -> i64 {
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.saturating_sub(min_age).as_nanos()).unwrap_or(i64::MAX)
}

fn target_split_bytes(asked: u64, sources: &[SourceFile]) -> u64 {
    let total: u64 = sources.iter().map(|source| source.stamp.size_bytes).sum();
    let target = if asked == 0 { SPLIT_BYTES_DEFAULT } else { asked };
    target.max(SPLIT_BYTES_MIN).max(total / SPLITS_MAX)
}

/// Plans one file after the other.
struct Planner<'a> {
    dialect: Dialect,
    target_split_bytes: u64,
    is_unwanted: IsUnwanted<'a>,
    /// A file that changed later, in nanoseconds since 1970, may still be written.
    settled_nanos: i64,
}

impl Planner<'_> {
    /// `data_start` is the place after the header, if there is one.
    fn plan_file(
        &self,
        file: &OpenFile,
        data_start: Option<Position>,
        known: Option<&KnownFile>,
    ) -> Result<FilePlan, RequestError> {
        let Some(data_start) = data_start else {
            return self.plan_without_header(file, known);
        };
        match known {
            None => {
                let request = self.request(data_start, data_start, 0);
                let scan = self.scan(file, request)?;
                Ok(scan.into_plan(file, FileState::New))
            }
            Some(known) => self.plan_known(file, data_start, known),
        }
    }

    /// A file without a record has nothing to read, not even a header.
    fn plan_without_header(
        &self,
        file: &OpenFile,
        known: Option<&KnownFile>,
    ) -> Result<FilePlan, RequestError> {
        let start = Position::default();
        let scan = self.scan(file, self.request(start, start, 0))?;
        let nothing = Scan { ranges: Vec::new(), unfinished_bytes: 0, ..scan };
        let had_records = known.is_some_and(|known| known.planned_to > start);
        let state = if had_records { FileState::Rewritten } else { FileState::New };
        Ok(nothing.into_plan(file, state))
    }

    fn plan_known(
        &self,
        file: &OpenFile,
        data_start: Position,
        known: &KnownFile,
    ) -> Result<FilePlan, RequestError> {
        // A header without line end was planned to its last byte, before the data.
        let cut_from = known.planned_to.max(data_start);
        let known_bytes = known.fingerprint.size_bytes;
        if known.planned_to.byte_offset > known_bytes {
            return Err(RequestError::InvalidRequest(format!(
                "field `known_files.planned_to` of file \"{}\" lies beyond its fingerprint",
                file.name
            )));
        }
        if file.stamp.is_of(&known.fingerprint) {
            let (ranges, unfinished_bytes) = self.cut(file, cut_from)?;
            return Ok(FilePlan {
                name: file.name.clone(),
                fingerprint: known.fingerprint.clone(),
                state: FileState::Unchanged,
                ranges,
                unfinished_bytes,
                header: None,
            });
        }
        let scan = self.scan(file, self.request(data_start, cut_from, known_bytes))?;
        let size_bytes = file.stamp.size_bytes;
        let begins_the_same =
            size_bytes >= known_bytes && scan.known_hash == known.fingerprint.content_hash;
        // A last record without line end may have grown with the file, and so
        // may one whose last field was still open.
        let goes_on = begins_the_same
            && !scan.is_known_part_open
            && file.edge(known.planned_to.byte_offset)?.may_end_range();
        if !goes_on {
            let rewritten = Scan { ranges: Vec::new(), unfinished_bytes: 0, ..scan };
            return Ok(rewritten.into_plan(file, FileState::Rewritten));
        }
        let has_grown = size_bytes > known_bytes;
        Ok(scan.into_plan(file, if has_grown { FileState::Grown } else { FileState::Unchanged }))
    }

    fn request(&self, data_start: Position, cut_from: Position, known_bytes: u64) -> ScanRequest {
        ScanRequest { data_start, cut_from, known_bytes, settled_nanos: self.settled_nanos }
    }

    fn scan(&self, file: &OpenFile, request: ScanRequest) -> Result<Scan, RequestError> {
        scan(file, self.dialect, self.target_split_bytes, request, self.is_unwanted)
    }

    /// Cuts a file whose fingerprint is known.
    fn cut(
        &self,
        file: &OpenFile,
        start: Position,
    ) -> Result<(Vec<Range<Position>>, u64), RequestError> {
        let mut cutter = Cutter::new(self.dialect, start, self.target_split_bytes);
        let range = start.byte_offset..file.stamp.size_bytes;
        file.read_range(range, self.is_unwanted, |bytes| cutter.feed(bytes))?;
        Ok(finish(cutter, file, self.settled_nanos))
    }
}

impl Scan {
    fn into_plan(self, file: &OpenFile, state: FileState) -> FilePlan {
        let Self { fingerprint, ranges, unfinished_bytes, .. } = self;
        let name = file.name.clone();
        FilePlan { name, fingerprint, state, ranges, unfinished_bytes, header: None }
    }
}

#[cfg(test)]
mod tests;
