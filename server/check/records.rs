//! Reads every record of a dataset as a destination would, and counts what is refused and why.
//!
//! Invariants: a record that was read is either a row or refused; no value is
//! kept, only codes, names of columns and places.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ferry::host::settings::ByteSize;
use ferry::position::{Position, Split};
use ferry::reject::{Code, Reject};
use ferry::schema::Column;
use ferry::wire::BATCH_BYTES_DEFAULT;

use super::DatasetReport;
use crate::catalog::Catalog;
use crate::catalog::dataset::Dataset;
use crate::catalog::plan::{FilePlan, PlanRequest, plan};
use crate::chunk::Chunk;
use crate::error::RequestError;
use crate::source::{ReadRequest, SplitReader};

/// Places of each kind of refusal that are told.
const PLACES_MAX: usize = 3;

/// What became of the records of a dataset.
#[derive(Debug)]
pub(crate) struct RecordsReport {
    pub(crate) rows: u64,
    pub(crate) refused: u64,
    /// Why records are refused, the most frequent first. A record counts in
    /// each kind that it has a reason of.
    pub(crate) refusals: Vec<Refusal>,
    /// Finding out where the records lie.
    pub(crate) planned: Pass,
    /// Reading them.
    pub(crate) read: Pass,
}

/// Records that are refused for one reason.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) code: Code,
    /// `None` if it concerns the whole record.
    pub(crate) column: Option<String>,
    pub(crate) count: u64,
    /// The first of them.
    pub(crate) places: Vec<RefusedPlace>,
}

/// Where a refused record lies.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RefusedPlace {
    pub(crate) file: String,
    pub(crate) row_number: u64,
    pub(crate) byte_offset: u64,
}

/// One pass over the content of all files.
#[derive(Debug, Default)]
pub(crate) struct Pass {
    /// Bytes of records, as they are once an archive is unpacked.
    pub(crate) bytes: u64,
    pub(crate) time: Duration,
}

impl RecordsReport {
    pub(crate) fn record_count(&self) -> u64 {
        self.rows + self.refused
    }
}

/// Plans and reads all files of a dataset on this thread, and adds what came of
/// it to its report; `watch` is told how many bytes more are read.
pub(super) fn read_dataset(
    catalog: &Arc<Catalog>,
    dataset: &Dataset,
    report: &mut DatasetReport,
    watch: &mut dyn FnMut(u64),
) {
    let began = Instant::now();
    let request = PlanRequest::default();
    let plan = match plan(dataset, request, &catalog.scans, &|| false) {
        Ok(plan) => plan,
        Err(error) => {
            report.add_problem(error.to_string());
            return;
        }
    };
    let planned = Pass { bytes: planned_bytes(&plan.files), time: began.elapsed() };

    let began = Instant::now();
    let mut tally = Tally::default();
    for file in &plan.files {
        note_what_is_left(file, report);
        let header = file.header.and_then(|index| plan.headers.get(index));
        let columns = header.map(Vec::as_slice).unwrap_or_default();
        if let Err(error) = read_file(catalog, dataset, file, columns, &mut tally, watch) {
            report.add_problem(error.to_string());
        }
    }
    report.records = Some(tally.into_report(planned, began.elapsed()));
}

fn planned_bytes(files: &[FilePlan]) -> u64 {
    files.iter().flat_map(|file| &file.ranges).map(byte_count).sum()
}

fn byte_count(range: &Range<Position>) -> u64 {
    range.end.byte_offset.saturating_sub(range.start.byte_offset)
}

/// Says what of a file is not read, and why.
fn note_what_is_left(file: &FilePlan, report: &mut DatasetReport) {
    if let Some(problem) = &file.problem {
        report.add_problem(problem.to_string());
    } else if file.unfinished_bytes > 0 {
        report.warnings.push(format!(
            "file \"{}\": {} of it may still be written, and are not read before it is older than min_age",
            file.name,
            ByteSize(file.unfinished_bytes)
        ));
    }
}

/// Reads the splits of a file, with all its columns.
fn read_file(
    catalog: &Arc<Catalog>,
    dataset: &Dataset,
    file: &FilePlan,
    columns: &[Column],
    tally: &mut Tally,
    watch: &mut dyn FnMut(u64),
) -> Result<(), RequestError> {
    let Some(fingerprint) = &file.fingerprint else {
        return Ok(());
    };
    for range in &file.ranges {
        let split = Split {
            dataset: dataset.name.to_string(),
            file: file.name.clone(),
            fingerprint: fingerprint.clone(),
            start: range.start,
            end: range.end,
        };
        let request = ReadRequest {
            split,
            position: range.start,
            columns: columns.to_vec(),
            batch_bytes_max: usize::try_from(BATCH_BYTES_DEFAULT).unwrap_or(usize::MAX),
        };
        let mut reader = SplitReader::open(catalog.clone(), dataset, request, &|| false)?;
        let mut reached = range.start;
        while let Some(chunk) = reader.next_chunk(&|| false)? {
            let bytes = byte_count(&(reached..chunk.end));
            reached = chunk.end;
            tally.take(&file.name, chunk, bytes);
            watch(bytes);
        }
    }
    Ok(())
}

/// What was read so far.
#[derive(Default)]
struct Tally {
    rows: u64,
    refused: u64,
    bytes: u64,
    /// Counts and first places, by the code and the column.
    found: HashMap<(Code, Option<String>), Found>,
}

#[derive(Default)]
struct Found {
    count: u64,
    places: Vec<RefusedPlace>,
}

impl Tally {
    fn take(&mut self, file: &str, chunk: Chunk, bytes: u64) {
        self.bytes += bytes;
        self.rows += chunk.batch.map_or(0, |batch| batch.records.num_rows() as u64);
        self.refused += chunk.rejects.len() as u64;
        for reject in chunk.rejects {
            self.refuse(file, reject);
        }
    }

    fn refuse(&mut self, file: &str, reject: Reject) {
        let place = reject.place;
        for reason in reject.reasons {
            let found = self.found.entry((reason.code, reason.column)).or_default();
            found.count += 1;
            if found.places.len() < PLACES_MAX {
                found.places.push(RefusedPlace {
                    file: file.to_owned(),
                    row_number: place.row_number,
                    byte_offset: place.byte_start,
                });
            }
        }
    }

    fn into_report(self, planned: Pass, time: Duration) -> RecordsReport {
        let refusal = |((code, column), found): ((Code, Option<String>), Found)| Refusal {
            code,
            column,
            count: found.count,
            places: found.places,
        };
        let mut refusals: Vec<Refusal> = self.found.into_iter().map(refusal).collect();
        refusals.sort_by(|one, other| {
            let by_count = other.count.cmp(&one.count);
            let by_code = || one.code.as_str().cmp(other.code.as_str());
            by_count.then_with(by_code).then_with(|| one.column.cmp(&other.column))
        });
        RecordsReport {
            rows: self.rows,
            refused: self.refused,
            refusals,
            planned,
            read: Pass { bytes: self.bytes, time },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::dataset::tests::dataset;
    use crate::check::{check, check_records};
    use std::fmt::Write as _;
    use std::io::Write as _;

    /// The report of a dataset of these files, and what was told of the progress.
    fn report_of(
        files: &[(&str, &[u8])],
        declared: &[(&str, &str)],
        min_age: Duration,
    ) -> (DatasetReport, u64) {
        let folder = tempfile::tempdir().expect("temporary folder");
        for (name, content) in files {
            std::fs::write(folder.path().join(name), content).expect("file is written");
        }
        let mut dataset = dataset(folder.path(), declared);
        dataset.min_age = min_age;
        let catalog = Arc::new(Catalog::new(vec![dataset]));
        let mut reports = check(&catalog);
        let mut watched_bytes = 0;
        check_records(&catalog, &mut reports, &mut |bytes| watched_bytes += bytes);
        assert_eq!(reports.len(), 1);
        (reports.remove(0), watched_bytes)
    }

    fn report(files: &[(&str, &str)], declared: &[(&str, &str)]) -> DatasetReport {
        let files: Vec<(&str, &[u8])> =
            files.iter().map(|(name, content)| (*name, content.as_bytes())).collect();
        report_of(&files, declared, Duration::ZERO).0
    }

    fn records(report: &DatasetReport) -> &RecordsReport {
        report.records.as_ref().expect("the records were read")
    }

    fn place(file: &str, row_number: u64, byte_offset: u64) -> RefusedPlace {
        RefusedPlace { file: file.to_owned(), row_number, byte_offset }
    }

    /// Code, column and count of each kind.
    fn kinds(records: &RecordsReport) -> Vec<(&str, Option<&str>, u64)> {
        let mut kinds = Vec::new();
        for refusal in &records.refusals {
            kinds.push((refusal.code.as_str(), refusal.column.as_deref(), refusal.count));
        }
        kinds
    }

    #[test]
    fn records_of_all_files_are_counted_with_their_declared_types() {
        let files = [
            ("a.csv", "uid,day\n1,2024-01-31\n2,soon\n3\n"),
            ("b.csv", "uid,day\nx,y\n4,2024-01-01\n"),
        ];
        let report = report(&files, &[("uid", "bigint"), ("day", "date")]);
        let records = records(&report);
        assert_eq!((records.rows, records.refused, records.record_count()), (2, 3, 5));
        assert_eq!(
            kinds(records),
            [
                ("bad_date", Some("day"), 2),
                ("bad_integer", Some("uid"), 1),
                ("too_few_fields", None, 1)
            ]
        );
        assert_eq!(records.refusals[0].places, [place("a.csv", 2, 21), place("b.csv", 1, 8)]);
        let content_bytes = 13 + 7 + 2 + 4 + 13;
        assert_eq!((records.planned.bytes, records.read.bytes), (content_bytes, content_bytes));
        assert!(report.problems.is_empty(), "{:?}", report.problems);
    }

    #[test]
    fn the_first_places_are_told_and_no_value() {
        let content = format!("uid\n{}1\n", "secret\n".repeat(5));
        let report = report(&[("a.csv", content.as_str())], &[("uid", "bigint")]);
        let records = records(&report);
        assert_eq!((records.rows, kinds(records)), (1, vec![("bad_integer", Some("uid"), 5)]));
        let first = [place("a.csv", 1, 4), place("a.csv", 2, 11), place("a.csv", 3, 18)];
        assert_eq!(records.refusals[0].places, first);
        assert!(!format!("{records:?} {:?}", report.warnings).contains("secret"));
    }

    #[test]
    fn each_file_is_read_with_the_columns_of_its_own_header() {
        let files = [("a.csv", "uid\n1\n"), ("b.csv", "day,uid\nx,2\n")];
        let report = report(&files, &[("uid", "bigint"), ("day", "date")]);
        let records = records(&report);
        assert_eq!((records.rows, kinds(records)), (1, vec![("bad_date", Some("day"), 1)]));
    }

    #[test]
    fn a_file_that_cannot_be_used_is_told_once_and_the_others_are_read() {
        let report = report(&[("a.csv", "a,a\n"), ("b.csv", "a,b\n1,2\n")], &[]);
        assert_eq!((report.problems.len(), records(&report).rows), (1, 1));
    }

    #[test]
    fn a_damaged_archive_is_a_problem_and_read_up_to_the_damage() {
        let mut content = "uid\n".to_owned();
        for row in 0..50_000_u64 {
            let number = row.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
            writeln!(content, "{number}").expect("it is written");
        }
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(content.as_bytes()).expect("it is written");
        let archive = encoder.finish().expect("it is written");
        let half = &archive[..archive.len() / 2];
        let (report, watched_bytes) = report_of(&[("a.csv", half)], &[], Duration::ZERO);
        let records = records(&report);
        assert!((1000..50_000).contains(&records.rows), "{} rows", records.rows);
        assert!(records.read.bytes > half.len() as u64, "it counts what is unpacked");
        assert_eq!(watched_bytes, records.read.bytes);
        assert_eq!(report.problems.len(), 1, "{:?}", report.problems);
        assert!(report.problems[0].contains("up to byte"), "{:?}", report.problems);
    }

    #[test]
    fn what_may_still_be_written_is_not_read() {
        let files = [("a.csv", "uid\n1\n23".as_bytes())];
        let (young, _) = report_of(&files, &[("uid", "bigint")], Duration::from_hours(1));
        assert_eq!(records(&young).rows, 1);
        assert!(young.warnings[0].starts_with("file \"a.csv\": 2 B of it may still be written"));
        let (settled, _) = report_of(&files, &[("uid", "bigint")], Duration::ZERO);
        assert_eq!((records(&settled).rows, settled.warnings.len()), (2, 0));
    }

    #[test]
    fn a_dataset_without_files_has_no_records() {
        let report = report(&[], &[]);
        assert_eq!((records(&report).record_count(), records(&report).read.bytes), (0, 0));
        assert_eq!(report.warnings, ["no file matches yet"]);
    }
}
