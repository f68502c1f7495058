//! What is planned of files that are new, grown, rewritten or still being written.

mod archives;
mod json;
mod pages;
mod problems;

use super::*;
use crate::catalog::dataset::tests::dataset;
use proptest::prelude::*;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

fn folder(content: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("temporary folder");
    write(folder.path(), content);
    folder
}

fn write(folder: &Path, content: impl AsRef<[u8]>) {
    std::fs::write(folder.join("a.csv"), content).expect("file is written");
}

/// Plans `a.csv` in splits of about so many bytes.
fn plan_file(folder: &Path, target_split_bytes: u64, known: Option<&KnownFile>) -> FilePlan {
    let dataset = dataset(folder, &[]);
    plan_file_of(&dataset, target_split_bytes, i64::MAX, known)
}

/// Plans `a.csv` of a dataset; what changed after `settled_nanos` may still be written.
fn plan_file_of(
    dataset: &Dataset,
    target_split_bytes: u64,
    settled_nanos: i64,
    known: Option<&KnownFile>,
) -> FilePlan {
    let source = dataset.find("a.csv").expect("no error").expect("file is there");
    let scans = ScanCache::default();
    let is_unwanted = &|| false;
    let planner = Planner {
        dataset,
        scans: &scans,
        target_split_bytes,
        is_unwanted,
        settled_nanos,
        shared: None,
    };
    let mut headers = Headers::default();
    planner.plan_source(&source, known, &[], &mut headers).expect("it is planned")
}

/// Plans all files of a dataset anew.
fn plan_all(dataset: &Dataset, scans: &ScanCache) -> Plan {
    let request = PlanRequest::default();
    plan(dataset, request, scans, &|| false).expect("it is planned")
}

fn size_bytes(plan: &FilePlan) -> u64 {
    plan.fingerprint.as_ref().expect("it can be read").size_bytes
}

fn known(plan: &FilePlan, planned_to: Position) -> KnownFile {
    let fingerprint = plan.fingerprint.clone().expect("it can be read");
    KnownFile { fingerprint, planned_to, had_problem: plan.problem.is_some() }
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
    assert_eq!(size_bytes(&plan), 8);
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
fn the_rest_of_a_line_end_belongs_to_what_follows() {
    let folder = folder("uid\n1\n2\r");
    let first = plan_file(folder.path(), 100, None);
    assert_eq!(end(&first), position(8, 2));
    write(folder.path(), "uid\n1\n2\r\n3\n");
    let grown = plan_file(folder.path(), 100, Some(&known(&first, end(&first))));
    assert_eq!(grown.state, FileState::Grown);
    assert_eq!(grown.ranges, [position(8, 2)..position(11, 3)]);
}

#[test]
fn a_record_that_may_still_be_written_is_left_for_later() {
    let folder = folder("uid\n1\n2");
    let dataset = dataset(folder.path(), &[]);
    let plan = |min_age: u64| {
        let settled = settled_nanos(SystemTime::now(), Duration::from_secs(min_age));
        plan_file_of(&dataset, 100, settled, None)
    };
    let young = plan(3600);
    assert_eq!((end(&young), young.unfinished_bytes), (position(6, 1), 1));
    let settled = plan(0);
    assert_eq!((end(&settled), settled.unfinished_bytes), (position(7, 2), 0));
}

#[test]
fn a_header_that_may_still_be_written_is_none_yet() {
    for header in ["uid,pri", "uid,pri\r"] {
        let folder = folder(header);
        let dataset = Dataset { min_age: Duration::from_hours(1), ..dataset(folder.path(), &[]) };
        let plan = plan_all(&dataset, &ScanCache::default());
        assert!(plan.columns.is_empty() && plan.headers.is_empty(), "{header:?}");
        write(folder.path(), "uid,price\n1,2\n");
        let plan = plan_all(&dataset, &ScanCache::default());
        assert_eq!(plan.headers[0][1].name, "price");
        assert_eq!(plan.files[0].ranges.len(), 1);
    }
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
        assert_eq!(size_bytes(&plan), content.len() as u64);
    }
}

#[test]
fn a_wanted_column_must_be_in_every_file() {
    let folder = folder("uid,email\n1,x\n");
    std::fs::write(folder.path().join("b.csv"), "uid,mail\n2,y\n").expect("file is written");
    let dataset = dataset(folder.path(), &[]);
    let refusal = |name: &str| {
        let columns = dataset.declare(&[name.to_owned()]);
        let request = PlanRequest { columns, ..PlanRequest::default() };
        let outcome = plan(&dataset, request, &ScanCache::default(), &|| false);
        outcome.err().map(|error| error.to_string())
    };
    assert_eq!(refusal("uid"), None);
    assert_eq!(
        refusal("email").as_deref(),
        Some("file \"b.csv\" has no column \"email\": did you mean \"mail\"?")
    );
    assert!(refusal("phone").is_some_and(|text| text.starts_with("dataset \"customers\"")));
}

/// Plans three files, the last of them empty, with these columns wanted.
fn plan_of_three(wanted: &[&str]) -> Plan {
    let folder = folder("uid,email\n1,x\n");
    std::fs::write(folder.path().join("b.csv"), "email,phone\ny,2\n").expect("file is written");
    std::fs::write(folder.path().join("c.csv"), "").expect("file is written");
    let dataset = dataset(folder.path(), &[("phone", "bigint")]);
    let names: Vec<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
    let columns = dataset.declare(&names);
    let request = PlanRequest { columns, ..PlanRequest::default() };
    plan(&dataset, request, &ScanCache::default(), &|| false).expect("it is planned")
}

#[test]
fn without_wanted_columns_every_file_tells_its_own() {
    let plan = plan_of_three(&[]);
    let words = |columns: &[Column]| -> Vec<String> {
        columns.iter().map(|column| format!("{} {}", column.name, column.column_type)).collect()
    };
    assert_eq!(words(&plan.columns), ["uid text", "email text"]);
    let headers: Vec<_> = plan.headers.iter().map(|columns| words(columns)).collect();
    assert_eq!(headers, [vec!["uid text", "email text"], vec!["email text", "phone bigint"]]);
    let of_files: Vec<_> = plan.files.iter().map(|file| file.header).collect();
    assert_eq!(of_files, [Some(0), Some(1), None]);
}

#[test]
fn with_wanted_columns_no_header_is_told() {
    let plan = plan_of_three(&["email"]);
    assert!(plan.headers.is_empty());
    assert!(plan.files.iter().all(|file| file.header.is_none()));
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
