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
    /// Columns wanted; empty for all.
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
}

/// Plans all files of a dataset.
pub(crate) fn plan(
    dataset: &Dataset,
    request: PlanRequest,
    is_unwanted: IsUnwanted<'_>,
) -> Result<Plan, RequestError> {
    let sources = dataset.files.list()?;
    let available = dataset.columns(&sources)?;
    let columns = if request.columns.is_empty() {
        available
    } else {
        // Without a single header there is nothing to compare with.
        if !available.is_empty() {
            dataset.check_wanted(&request.columns, &available)?;
        }
        request.columns
    };
    let planner = Planner {
        dialect: dataset.dialect,
        columns: &columns,
        target_split_bytes: target_split_bytes(request.target_split_bytes, &sources),
        is_unwanted,
        settled_nanos: settled_nanos(SystemTime::now(), dataset.min_age),
    };
    let mut files = Vec::with_capacity(sources.len());
    for source in &sources {
        files.push(planner.plan_file(&source.open()?, request.known.get(&source.name))?);
    }
    Ok(Plan { columns, files })
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
    columns: &'a [Column],
    target_split_bytes: u64,
    is_unwanted: IsUnwanted<'a>,
    /// A file that changed later, in nanoseconds since 1970, may still be written.
    settled_nanos: i64,
}

impl Planner<'_> {
    fn plan_file(
        &self,
        file: &OpenFile,
        known: Option<&KnownFile>,
    ) -> Result<FilePlan, RequestError> {
        let data_start = match file.read_header(self.dialect)? {
            Some(header) => {
                check_header(&file.name, &header, self.columns)?;
                header.end
            }
            None => Position::default(),
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
        FilePlan { name: file.name.clone(), fingerprint, state, ranges, unfinished_bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::dataset::tests::dataset;
    use proptest::prelude::*;
    use std::path::Path;
    use tempfile::TempDir;

    fn folder(content: &str) -> TempDir {
        let folder = tempfile::tempdir().expect("temporary folder");
        write(folder.path(), content);
        folder
    }

    fn write(folder: &Path, content: &str) {
        std::fs::write(folder.join("a.csv"), content).expect("file is written");
    }

    /// Plans `a.csv` in splits of about so many bytes.
    fn plan_file(folder: &Path, target_split_bytes: u64, known: Option<&KnownFile>) -> FilePlan {
        let dataset = dataset(folder, &[]);
        let source = dataset.files.find("a.csv").expect("no error").expect("file is there");
        let planner = Planner {
            dialect: dataset.dialect,
            columns: &[],
            target_split_bytes,
            is_unwanted: &|| false,
            settled_nanos: i64::MAX,
        };
        planner.plan_file(&source.open().expect("it opens"), known).expect("it is planned")
    }

    fn known(plan: &FilePlan, planned_to: Position) -> KnownFile {
        KnownFile { fingerprint: plan.fingerprint.clone(), planned_to }
    }

    fn end(plan: &FilePlan) -> Position {
        plan.ranges.last().expect("it has splits").end
    }

    fn position(byte_offset: u64, row_number: u64) -> Position {
        Position { byte_offset, row_number }
    }

    #[test]
    fn a_new_file_is_cut_after_its_header() {
        let folder = folder("uid\n1\n2\n");
        let plan = plan_file(folder.path(), 1, None);
        assert_eq!(plan.state, FileState::New);
        assert_eq!(plan.fingerprint.size_bytes, 8);
        let splits = [position(4, 0)..position(6, 1), position(6, 1)..position(8, 2)];
        assert_eq!(plan.ranges, splits);
    }

    #[test]
    fn empty_files_have_no_splits() {
        for content in ["", "uid", "uid\n"] {
            let plan = plan_file(folder(content).path(), 1, None);
            assert_eq!((plan.state, plan.ranges.len()), (FileState::New, 0), "{content:?}");
        }
    }

    #[test]
    fn an_unchanged_file_is_cut_where_it_was_not_planned_yet() {
        let folder = folder("uid\n1\n2\n");
        let first = plan_file(folder.path(), 100, None);
        let again = plan_file(folder.path(), 100, Some(&known(&first, end(&first))));
        assert_eq!((again.state, again.ranges.len()), (FileState::Unchanged, 0));
        let rest = plan_file(folder.path(), 100, Some(&known(&first, position(6, 1))));
        assert_eq!(rest.state, FileState::Unchanged);
        assert_eq!(rest.ranges, [position(6, 1)..position(8, 2)]);
    }

    #[test]
    fn a_file_that_grew_goes_on_where_it_ended() {
        let folder = folder("uid\n1\n2\n");
        let first = plan_file(folder.path(), 100, None);
        write(folder.path(), "uid\n1\n2\n3\n");
        let grown = plan_file(folder.path(), 100, Some(&known(&first, end(&first))));
        assert_eq!(grown.state, FileState::Grown);
        assert_eq!(grown.ranges, [position(8, 2)..position(10, 3)]);
    }

    #[test]
    fn a_last_record_that_grew_makes_the_file_a_rewritten_one() {
        let folder = folder("uid\n1\n2");
        let first = plan_file(folder.path(), 100, None);
        let state = |content: &str| {
            write(folder.path(), content);
            plan_file(folder.path(), 100, Some(&known(&first, end(&first)))).state
        };
        assert_eq!(state("uid\n1\n23\n"), FileState::Rewritten);
        assert_eq!(state("uid\n1\n2\n3\n"), FileState::Grown);
        assert_eq!(state("uid\n1\n2\r\n3\n"), FileState::Grown);
    }

    #[test]
    fn a_record_that_may_still_be_written_is_left_for_later() {
        let folder = folder("uid\n1\n2");
        let dataset = dataset(folder.path(), &[]);
        let plan = |min_age: u64| {
            let source = dataset.files.find("a.csv").expect("no error").expect("file is there");
            let min_age = Duration::from_secs(min_age);
            let planner = Planner {
                dialect: dataset.dialect,
                columns: &[],
                target_split_bytes: 100,
                is_unwanted: &|| false,
                settled_nanos: settled_nanos(SystemTime::now(), min_age),
            };
            planner.plan_file(&source.open().expect("it opens"), None).expect("it is planned")
        };
        let young = plan(3600);
        assert_eq!((end(&young), young.unfinished_bytes), (position(6, 1), 1));
        let settled = plan(0);
        assert_eq!((end(&settled), settled.unfinished_bytes), (position(7, 2), 0));
    }

    #[test]
    fn a_quoted_field_that_was_still_open_makes_the_file_a_rewritten_one() {
        let folder = folder("uid,note\n1,a\n2,\"b\n");
        let first = plan_file(folder.path(), 100, None);
        assert_eq!(end(&first), position(18, 2));
        write(folder.path(), "uid,note\n1,a\n2,\"b\nc\"\n3,d\n");
        let then = plan_file(folder.path(), 100, Some(&known(&first, end(&first))));
        assert_eq!(then.state, FileState::Rewritten);
    }

    #[test]
    fn other_content_is_a_rewritten_file_without_splits() {
        let folder = folder("uid\n1\n2\n");
        let first = plan_file(folder.path(), 100, None);
        for content in ["uid\n1\n3\n4\n", "uid\n1\n", ""] {
            write(folder.path(), content);
            let plan = plan_file(folder.path(), 100, Some(&known(&first, end(&first))));
            assert_eq!((plan.state, plan.ranges.len()), (FileState::Rewritten, 0), "{content:?}");
            assert_eq!(plan.fingerprint.size_bytes, content.len() as u64);
        }
    }

    #[test]
    fn a_wanted_column_must_be_in_every_file() {
        let folder = folder("uid,email\n1,x\n");
        std::fs::write(folder.path().join("b.csv"), "uid,mail\n2,y\n").expect("file is written");
        let dataset = dataset(folder.path(), &[]);
        let refusal = |name: &str| {
            let columns = dataset.declare(&[name.to_owned()]);
            let request = PlanRequest { columns, target_split_bytes: 0, known: HashMap::new() };
            plan(&dataset, request, &|| false).err().map(|error| error.to_string())
        };
        assert_eq!(refusal("uid"), None);
        assert_eq!(
            refusal("email").as_deref(),
            Some("file \"b.csv\" has no column \"email\": did you mean \"mail\"?")
        );
        assert!(refusal("phone").is_some_and(|text| text.starts_with("dataset \"customers\"")));
    }

    proptest! {
        #[test]
        fn plans_of_a_growing_file_touch(
            records in prop::collection::vec("[a-z]{1,9}\r?\n", 1..40),
            parts in prop::collection::vec(0_usize..40, 1..4),
            target_split_bytes in 0_u64..50,
        ) {
            let mut sizes: Vec<usize> = parts.iter().map(|part| part % records.len()).collect();
            sizes.push(records.len());
            sizes.sort_unstable();
            let folder = folder("");
            let mut planned_to = position(4, 0);
            let mut last: Option<KnownFile> = None;
            for size in sizes {
                let content = format!("uid\n{}", records[..size].concat());
                write(folder.path(), &content);
                let plan = plan_file(folder.path(), target_split_bytes, last.as_ref());
                prop_assert_ne!(plan.state, FileState::Rewritten);
                for range in &plan.ranges {
                    prop_assert_eq!(range.start, planned_to);
                    planned_to = range.end;
                }
                prop_assert_eq!(planned_to, position(content.len() as u64, size as u64));
                last = Some(known(&plan, planned_to));
            }
        }
    }
}
