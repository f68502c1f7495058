//! All that is true of every file, whatever is in it, and however it is declared.

use std::fs;

use ferry::host::settings::ByteSize;
use ferry::position::Position;
use ferry::schema::Column;
use ferry::wire::generated::FileState;

use super::random::Random;
use super::trial::{BATCH_BYTES, FILE, Folder, Part, Row, Trial};
use crate::catalog::archive::Compression;
use crate::catalog::plan::{FilePlan, KnownFile};
use crate::cli::InspectRequest;
use crate::inspect;

/// Limits of a batch, in bytes of column data.
const BATCH_LIMITS: [usize; 5] = [1, 40, 1000, 64 * 1024, BATCH_BYTES];
/// A file that is read from more places than this takes long.
const RESUMES_MAX: usize = 3;

/// Plans and reads a file, before and after it grows by `more`.
///
/// What is young may still be written, so that nothing which more of it could
/// change is planned.
pub(super) fn examine(
    trial: &Trial,
    folder: &Folder,
    is_young: bool,
    more: &[u8],
    random: &mut Random,
) {
    let (columns, first) = trial.plan(None);
    let rows = read_all(trial, &first, &columns, random);
    let known = check_plan_again(trial, &first);

    folder.append(more);
    if let Some(fingerprint) = &first.fingerprint {
        let again = trial.read_ranges(fingerprint, &first.ranges, &columns);
        assert_same(&again, &rows, "what was planned before the file grew");
    }
    let planned_to = known.as_ref().map(|known| known.planned_to);
    let (_, grown) = trial.plan(known);
    let Some(planned_to) = planned_to else {
        return;
    };
    let is_plain = Compression::of(&first_bytes(folder)) == Compression::None;
    match grown.state {
        FileState::Grown => {}
        FileState::Rewritten | FileState::Unreadable => {
            assert!(grown.ranges.is_empty(), "{grown:?}");
            assert!(!(is_young && is_plain), "what cannot change has changed: {grown:?}");
            return;
        }
        // It is left whole until it is old enough.
        FileState::Unchanged => {
            assert!((is_young || grown.problem.is_some()) && grown.ranges.is_empty(), "{grown:?}");
            return;
        }
        FileState::New | FileState::Unspecified => panic!("{grown:?}"),
    }
    if let Some(range) = grown.ranges.first() {
        assert_eq!(range.start, planned_to, "it goes on where it ended");
    }
    if grown.problem.is_none() {
        check_growth(trial, &columns, rows, &grown);
    }
}

/// Reads all ranges of a plan in several ways that must agree.
fn read_all(trial: &Trial, file: &FilePlan, columns: &[Column], random: &mut Random) -> Vec<Row> {
    let Some(fingerprint) = &file.fingerprint else {
        assert!(file.problem.is_some() && file.ranges.is_empty(), "{file:?}");
        assert_eq!(file.state, FileState::Unreadable);
        return Vec::new();
    };
    assert_eq!(file.state, FileState::New);
    let mut rows = Vec::new();
    for range in &file.ranges {
        let split = trial.split(fingerprint, range);
        let parts = trial.read(&split, split.start, columns, random.pick(&BATCH_LIMITS));
        let ends: Vec<Position> = parts.iter().map(|part| part.end).collect();
        let split_rows: Vec<Row> = parts.into_iter().flat_map(Part::rows).collect();
        for _ in 0..RESUMES_MAX.min(ends.len()) {
            let from = random.pick(&ends);
            let rest = trial.read(&split, from, columns, random.pick(&BATCH_LIMITS));
            let rest: Vec<Row> = rest.into_iter().flat_map(Part::rows).collect();
            let is_before = |row: &Row| row.place.row_number <= from.row_number;
            let expected = &split_rows[split_rows.partition_point(is_before)..];
            assert_same(&rest, expected, "what is read from a place between");
        }
        rows.extend(split_rows);
    }
    rows
}

/// Plans a file again that has not changed; returns what is known of it, if anything is.
fn check_plan_again(trial: &Trial, first: &FilePlan) -> Option<KnownFile> {
    let planned_to = first.ranges.last().map(|range| range.end);
    let known = match (&first.fingerprint, planned_to) {
        (Some(fingerprint), Some(planned_to)) => Some(KnownFile {
            fingerprint: fingerprint.clone(),
            planned_to,
            had_problem: first.problem.is_some(),
        }),
        _ => None,
    };
    let (_, again) = trial.plan(known.clone());
    assert_eq!(again.fingerprint, first.fingerprint);
    assert!(again.ranges.is_empty(), "{again:?} after {first:?}");
    let expected = if known.is_some() { FileState::Unchanged } else { first.state };
    assert_eq!(again.state, expected, "{again:?} after {first:?}");
    known
}

/// A file that grew holds what it held before, and then what is new.
fn check_growth(trial: &Trial, columns: &[Column], mut rows: Vec<Row>, grown: &FilePlan) {
    let fingerprint = grown.fingerprint.as_ref().expect("it can be read");
    let last_before = rows.len() - 1;
    rows.extend(trial.read_ranges(fingerprint, &grown.ranges, columns));
    let (_, fresh) = trial.plan(None);
    let fingerprint = fresh.fingerprint.as_ref().expect("it can be read");
    let mut all = trial.read_ranges(fingerprint, &fresh.ranges, columns);
    assert_eq!(all.len(), rows.len(), "records of the file as a whole and in two parts");
    // What was its last record may have had no line end then, or half of one.
    let end_now = set_end(&mut all[last_before], rows[last_before].place.byte_end);
    assert!(end_now >= rows[last_before].place.byte_end);
    assert_same(&all, &rows, "the file as a whole");
}

/// Moves the end of a row; returns where it was.
fn set_end(row: &mut Row, byte_end: u64) -> u64 {
    if let Err(reject) = &mut row.outcome {
        reject.place.byte_end = byte_end;
    }
    std::mem::replace(&mut row.place.byte_end, byte_end)
}

#[track_caller]
fn assert_same(found: &[Row], expected: &[Row], what: &str) {
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found, expected, "{what}");
    }
    assert_eq!(found.len(), expected.len(), "rows of {what}");
}

fn first_bytes(folder: &Folder) -> Vec<u8> {
    let mut content = fs::read(folder.path(FILE)).expect("file is there");
    content.truncate(4);
    content
}

/// Inspects a file: what comes out is a dataset, and refuses no row if it says so.
pub(super) fn inspect_and_read(folder: &Folder, random: &mut Random) {
    let sample = random.is_one_in(4).then(|| ByteSize(random.number() % 5000));
    let is_sample = sample.is_some();
    let request = InspectRequest {
        file: folder.path(FILE),
        sample,
        name: Some("inspected".parse().expect("name is allowed")),
        encoding: None,
        delimiter: None,
        quote: None,
        no_header: random.is_one_in(4),
        values: random.is_one_in(2),
    };
    let text = match inspect::act(&request) {
        Ok(text) => text,
        Err(error) => {
            assert!(error.is_of_usage(), "not inspected: {error}");
            return;
        }
    };
    let trial = Trial::of(folder.dataset(&text));
    let (columns, plan) = trial.plan(None);
    let Some(fingerprint) = &plan.fingerprint else {
        return;
    };
    let says_all_fit = text.lines().any(|line| line == "# Every record fits.") && !is_sample;
    for range in &plan.ranges {
        let split = trial.split(fingerprint, range);
        trial.pass(&split, split.start, &columns, BATCH_BYTES, |part| {
            let misfit = part.rejects.first().filter(|_| says_all_fit);
            assert!(misfit.is_none(), "{misfit:?} does not fit\n{text}");
        });
    }
}
