//! Turns the files of a dataset into splits to read, in one pass over each file that is new or changed.
//!
//! Invariants: the splits of a file begin where the destination has planned it
//! to and follow each other without a gap; what is wrong with one file does not
//! keep the others from being planned. A page of an API is a file here.

mod file_plan;
mod request;

use std::sync::Arc;
use std::time::SystemTime;

use ferry::position::Position;
use ferry::schema::Column;
use ferry::wire::generated::FileState;

use crate::catalog::IsUnwanted;
use crate::catalog::archive::Compression;
use crate::catalog::dataset::{Dataset, check_header, settled_nanos};
use crate::catalog::files::SourceFile;
use crate::catalog::format::{FileHeader, Format};
use crate::catalog::headers::Headers;
use crate::catalog::listing::{Listed, Listing, list};
use crate::catalog::names::columns_of;
use crate::catalog::open_file::OpenFile;
use crate::catalog::origin::{Origin, SourceKind};
use crate::catalog::scan::{Rest, Scan, ScanRequest, cut_rest, hash, scan};
use crate::catalog::scans::{ScanCache, ScanKey};
use crate::error::RequestError;

pub(crate) use self::file_plan::FilePlan;
pub(crate) use self::request::{KnownFile, Plan, PlanRequest};

const SPLIT_BYTES_DEFAULT: u64 = 64 * 1024 * 1024;
const SPLIT_BYTES_MIN: u64 = 64 * 1024;
/// Splits of one plan, apart from one a file: keeps the answer below the largest message.
const SPLITS_MAX: u64 = 10_000;

/// Plans all files of a dataset.
pub(crate) fn plan(
    dataset: &Dataset,
    request: PlanRequest,
    scans: &ScanCache,
    is_unwanted: IsUnwanted<'_>,
) -> Result<Plan, RequestError> {
    let Listing { sources, failure, watermark } = list(dataset, &request, is_unwanted)?;
    let PlanRequest { columns: wanted, target_split_bytes: asked_bytes, known, .. } = request;
    let shared = shared_columns(dataset, &sources, is_unwanted)?;
    if !wanted.is_empty() {
        let available = if let Some(columns) = &shared {
            columns.clone()
        } else {
            let files: Vec<SourceFile> = sources.iter().map(|listed| listed.file.clone()).collect();
            dataset.columns(&files)?
        };
        // Without a single header there is nothing to compare with.
        if !available.is_empty() {
            dataset.check_wanted(&wanted, &available)?;
        }
    }
    let planner = Planner {
        dataset,
        scans,
        target_split_bytes: target_split_bytes(asked_bytes, &sources),
        is_unwanted,
        settled_nanos: match &dataset.origin {
            Origin::Files(_) => settled_nanos(SystemTime::now(), dataset.min_age),
            // A page is whole before it has its name.
            Origin::Api(_) => i64::MAX,
        },
        shared,
    };
    let mut headers = Headers::default();
    let mut files = Vec::with_capacity(sources.len());
    for Listed { file: source, kind } in &sources {
        let outcome = planner.plan_source(source, known.get(&source.name), &wanted, &mut headers);
        match outcome {
            Ok(file) => files.push(file.of_kind(*kind)),
            // It went after the files were listed, and might have gone before.
            Err(error) if error.is_absence() => {}
            Err(error) if error.is_of_one_file() => {
                files.push(FilePlan::unreadable(&source.name, *kind, error));
            }
            Err(error) => return Err(error),
        }
    }
    // Of what is not in the plan, nobody will load the rows before it.
    let is_whole = sources.iter().filter(|listed| listed.kind == SourceKind::Page).count()
        == files.iter().filter(|file| file.is_whole_page()).count();
    let watermark = watermark.filter(|_| is_whole);
    if let Some((name, error)) = failure {
        files.push(FilePlan::unreadable(&name, SourceKind::Page, error));
        files.sort_by(|one, other| one.name.cmp(&other.name));
    }
    let headers = headers.into_columns();
    let columns =
        if wanted.is_empty() { headers.first().cloned().unwrap_or_default() } else { wanted };
    Ok(Plan { columns, headers, files, watermark })
}

/// The columns of all files together, where records name their own fields.
fn shared_columns(
    dataset: &Dataset,
    sources: &[Listed],
    is_unwanted: IsUnwanted<'_>,
) -> Result<Option<Vec<Column>>, RequestError> {
    match &dataset.format {
        Format::Delimited(_) => Ok(None),
        Format::Json(_) => {
            let files = sources.iter().map(|listed| &listed.file);
            columns_of(dataset, files, is_unwanted).map(Some)
        }
    }
}

fn target_split_bytes(asked: u64, sources: &[Listed]) -> u64 {
    let total: u64 = sources.iter().map(|listed| listed.file.stamp.size_bytes).sum();
    let target = if asked == 0 { SPLIT_BYTES_DEFAULT } else { asked };
    target.max(SPLIT_BYTES_MIN).max(total / SPLITS_MAX)
}

fn is_archive(file: &OpenFile) -> bool {
    !matches!(file.compression(), Compression::None)
}

/// Whether the destination has planned records of the file.
fn has_records(known: Option<&KnownFile>) -> bool {
    known.is_some_and(|known| known.planned_to.row_number > 0)
}

/// Whether nothing need be read of what the destination has planned already.
///
/// What was wrong with an archive may have passed, or be allowed now.
fn is_as_known(file: &OpenFile, known: &KnownFile) -> bool {
    let may_have_more = is_archive(file) && known.had_problem;
    file.stamp.is_of(&known.fingerprint) && !may_have_more
}

/// Plans one file after the other.
struct Planner<'a> {
    dataset: &'a Dataset,
    scans: &'a ScanCache,
    target_split_bytes: u64,
    is_unwanted: IsUnwanted<'a>,
    /// A file that changed later, in nanoseconds since 1970, may still be written.
    settled_nanos: i64,
    /// Columns of all files together, if they share them.
    shared: Option<Vec<Column>>,
}

impl<'a> Planner<'a> {
    fn plan_source(
        &self,
        source: &SourceFile,
        known: Option<&KnownFile>,
        wanted: &[Column],
        headers: &mut Headers,
    ) -> Result<FilePlan, RequestError> {
        let file = source.open()?;
        let header = self.read_header(&file, known)?;
        if let Some(names) = header.as_ref().and_then(FileHeader::fixed_names) {
            check_header(&file.name, names, wanted)?;
        }
        let file_plan = self.plan_file(&file, header.as_ref(), known)?;
        let header = match header {
            Some(header) if wanted.is_empty() => {
                self.tell_header(&file, &file_plan, &header, headers)?
            }
            _ => None,
        };
        Ok(FilePlan { header, ..file_plan })
    }

    /// Which of the plan's headers a file has.
    fn tell_header(
        &self,
        file: &OpenFile,
        file_plan: &FilePlan,
        header: &FileHeader<'_>,
        headers: &mut Headers,
    ) -> Result<Option<usize>, RequestError> {
        match (&self.shared, header.fixed_names()) {
            (None, Some(names)) => headers.add(self.dataset, names.to_vec()).map(Some),
            (Some(columns), _) if !columns.is_empty() => Ok(Some(headers.add_shared(columns))),
            _ if file_plan.ranges.is_empty() => Ok(None),
            _ => {
                let problem = "no record is an object that has a member: look at records, or declare the columns".to_owned();
                Err(RequestError::BadJson { file: file.name.clone(), problem })
            }
        }
    }

    fn read_header(
        &self,
        file: &OpenFile,
        known: Option<&KnownFile>,
    ) -> Result<Option<FileHeader<'a>>, RequestError> {
        match self.dataset.header(file, file.stamp.size_bytes, self.is_unwanted) {
            // What is missing may still be written.
            Err(error) if error.is_of_content() && !self.is_settled(file, known) => Ok(None),
            Ok(Some(header)) if header.is_open() && !self.is_settled(file, known) => Ok(None),
            Ok(None) if self.is_settled(file, known) => {
                self.dataset.check_whole(file, self.is_unwanted).map(|()| None)
            }
            outcome => outcome,
        }
    }

    /// `header` is `None` if there is none yet.
    fn plan_file(
        &self,
        file: &OpenFile,
        header: Option<&FileHeader<'_>>,
        known: Option<&KnownFile>,
    ) -> Result<FilePlan, RequestError> {
        if self.is_left_whole(file, known) {
            return self.leave_whole(file, known);
        }
        let Some(header) = header else {
            let state = if has_records(known) { FileState::Rewritten } else { FileState::New };
            let scan = self.hash(file, 0)?;
            return Ok(FilePlan::of(file, &scan, state));
        };
        match known {
            None => {
                let request = self.request(file, None, header.end());
                let scan = self.scan(file, header, request)?;
                Ok(FilePlan::of(file, &scan, FileState::New))
            }
            Some(known) if is_as_known(file, known) => self.plan_unchanged(file, header, known),
            Some(known) => self.plan_changed(file, header, known),
        }
    }

    /// An archive cannot be cut before it is whole, and which records are the
    /// footer shows only then.
    fn is_left_whole(&self, file: &OpenFile, known: Option<&KnownFile>) -> bool {
        let is_footer_open = self.dataset.format.has_footer() && !has_records(known);
        !self.is_settled(file, known) && (is_archive(file) || is_footer_open)
    }

    /// Leaves what is new of a file for later. The destination keeps the
    /// fingerprint that it has, so that the next plan still sees the difference.
    fn leave_whole(
        &self,
        file: &OpenFile,
        known: Option<&KnownFile>,
    ) -> Result<FilePlan, RequestError> {
        let size_bytes = file.stamp.size_bytes;
        let Some(KnownFile { fingerprint, .. }) = known else {
            let scan = self.hash(file, 0)?;
            let plan = FilePlan::of(file, &scan, FileState::New);
            return Ok(FilePlan { unfinished_bytes: size_bytes, ..plan });
        };
        let known_bytes = fingerprint.size_bytes;
        if !file.stamp.is_of(fingerprint) {
            let scan = self.hash(file, known_bytes)?;
            if size_bytes < known_bytes || scan.known_hash != fingerprint.content_hash {
                return Ok(FilePlan::rewritten(file, &scan));
            }
        }
        let planned_bytes = if has_records(known) { known_bytes } else { 0 };
        let rest = Rest {
            ranges: Vec::new(),
            unfinished_bytes: size_bytes - planned_bytes,
            problem: None,
        };
        Ok(FilePlan::of_rest(file, fingerprint, rest))
    }

    fn plan_unchanged(
        &self,
        file: &OpenFile,
        header: &FileHeader<'_>,
        known: &KnownFile,
    ) -> Result<FilePlan, RequestError> {
        let fingerprint = &known.fingerprint;
        // A header without line end was planned to its last byte, before the data.
        let cut_from = known.planned_to.max(header.end());
        let request = self.request(file, Some(known), cut_from);
        if is_archive(file) {
            if has_records(Some(known)) {
                // It is one range, so that nothing of it is left.
                let rest = Rest { ranges: Vec::new(), unfinished_bytes: 0, problem: None };
                return Ok(FilePlan::of_rest(file, fingerprint, rest));
            }
            let scan = self.scan(file, header, request)?;
            return Ok(FilePlan::of(file, &scan, FileState::Unchanged));
        }
        if known.planned_to.byte_offset > fingerprint.size_bytes {
            return Err(RequestError::InvalidRequest(format!(
                "field `known_files.planned_to` of file \"{}\" lies beyond its fingerprint",
                file.name
            )));
        }
        let rest = cut_rest(file, self.dataset, header, &request, self.is_unwanted)?;
        Ok(FilePlan::of_rest(file, fingerprint, rest))
    }

    fn plan_changed(
        &self,
        file: &OpenFile,
        header: &FileHeader<'_>,
        known: &KnownFile,
    ) -> Result<FilePlan, RequestError> {
        let KnownFile { fingerprint, planned_to, .. } = known;
        let cut_from = (*planned_to).max(header.end());
        let known_bytes = fingerprint.size_bytes;
        let scan = self.scan(file, header, self.request(file, Some(known), cut_from))?;
        let size_bytes = file.stamp.size_bytes;
        let begins_the_same =
            size_bytes >= known_bytes && scan.known_hash == fingerprint.content_hash;
        let has_grown = size_bytes > known_bytes;
        // What was the footer would be in the middle.
        let has_lost_footer =
            has_grown && self.dataset.format.has_footer() && has_records(Some(known));
        if !begins_the_same || has_lost_footer {
            return Ok(FilePlan::rewritten(file, &scan));
        }
        if scan.problem.is_some() && scan.ranges.is_empty() {
            // What is new may be wrong: a good copy of it must still be seen as one that grew.
            let problem = scan.problem.clone();
            let rest = Rest { ranges: Vec::new(), unfinished_bytes: 0, problem };
            return Ok(FilePlan::of_rest(file, fingerprint, rest));
        }
        // A last record that was planned without its end may have grown too.
        if !scan.is_known_boundary {
            return Ok(FilePlan::rewritten(file, &scan));
        }
        let state = if has_grown { FileState::Grown } else { FileState::Unchanged };
        Ok(FilePlan::of(file, &scan, state))
    }

    /// Whether the file is as old as it must be; an archive was when its records were planned.
    fn is_settled(&self, file: &OpenFile, known: Option<&KnownFile>) -> bool {
        let was_settled = is_archive(file)
            && has_records(known)
            && known.is_some_and(|known| file.stamp.is_of(&known.fingerprint));
        was_settled || file.stamp.modified_unix_nanos <= self.settled_nanos
    }

    fn request(
        &self,
        file: &OpenFile,
        known: Option<&KnownFile>,
        cut_from: Position,
    ) -> ScanRequest {
        let known_bytes = known.map_or(0, |known| known.fingerprint.size_bytes);
        // Every range of an archive would decompress all that is before it.
        let target_split_bytes = if is_archive(file) { u64::MAX } else { self.target_split_bytes };
        let is_settled = self.is_settled(file, known);
        ScanRequest { cut_from, known_bytes, target_split_bytes, is_settled }
    }

    fn scan(
        &self,
        file: &OpenFile,
        header: &FileHeader<'_>,
        request: ScanRequest,
    ) -> Result<Arc<Scan>, RequestError> {
        let scan = || scan(file, self.dataset, header, &request, self.is_unwanted);
        self.find_or_scan(file, request, scan)
    }

    fn hash(&self, file: &OpenFile, known_bytes: u64) -> Result<Arc<Scan>, RequestError> {
        // No other pass is to cut from before the header.
        let cut_from = Position::default();
        let request =
            ScanRequest { cut_from, known_bytes, target_split_bytes: 0, is_settled: false };
        self.find_or_scan(file, request, || hash(file, known_bytes, self.is_unwanted))
    }

    fn find_or_scan(
        &self,
        file: &OpenFile,
        request: ScanRequest,
        scan: impl FnOnce() -> Result<Scan, RequestError>,
    ) -> Result<Arc<Scan>, RequestError> {
        let key = ScanKey {
            dataset: self.dataset.name.to_string(),
            path: file.path.clone(),
            stamp: file.stamp,
            request,
        };
        self.scans.find_or_scan(&key, file, self.is_unwanted, scan)
    }
}

#[cfg(test)]
mod tests;
