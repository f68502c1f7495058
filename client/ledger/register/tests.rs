//! Shows what a plan adds to what the ledger knows of a file.

use super::*;
use ferry::schema::ColumnType;

fn position(byte_offset: u64) -> Position {
    Position { byte_offset, row_number: byte_offset / 10 }
}

fn fingerprint(size_bytes: u64) -> Fingerprint {
    Fingerprint { size_bytes, content_hash: [7; 16], modified_unix_nanos: 1 }
}

fn split(start: u64, end: u64, size_bytes: u64) -> Split {
    Split {
        dataset: "d".to_owned(),
        file: "a.csv".to_owned(),
        fingerprint: fingerprint(size_bytes),
        start: position(start),
        end: position(end),
    }
}

fn header() -> Vec<Column> {
    vec![Column { name: "uid".to_owned(), column_type: ColumnType::Bigint }]
}

fn known(size_bytes: u64, planned_to: u64) -> KnownFile {
    KnownFile {
        file_id: FileId(3),
        name: "a.csv".to_owned(),
        fingerprint: fingerprint(size_bytes),
        planned_to: position(planned_to),
        columns: Some(header()),
        problem: None,
        is_begun: true,
        is_done: true,
        is_page: false,
    }
}

fn news(size_bytes: u64, planned_to: u64) -> FileNews {
    FileNews {
        name: "a.csv".to_owned(),
        fingerprint: fingerprint(size_bytes),
        planned_to: position(planned_to),
        columns: Some(header()),
        problem: None,
        is_page: false,
    }
}

fn planned(size_bytes: u64) -> PlannedContent {
    PlannedContent {
        name: "a.csv".to_owned(),
        fingerprint: fingerprint(size_bytes),
        columns: header(),
        problem: None,
        is_page: false,
    }
}

fn damaged() -> FileProblem {
    FileProblem {
        file: "a.csv".to_owned(),
        reason: "ARCHIVE_DAMAGED".to_owned(),
        message: "it ends early".to_owned(),
    }
}

/// What the ledger does not know of one file.
fn compared<'a>(before: &[KnownFile], now: &PlannedContent, splits: &'a [Split]) -> News<'a> {
    compare(before, std::iter::once(now), splits)
}

#[test]
fn a_new_file_is_added_whole() {
    let splits = [split(5, 50, 90), split(50, 90, 90)];
    let added = compared(&[], &planned(90), &splits);
    assert_eq!(added.files, [news(90, 90)]);
    assert_eq!(added.splits, [&splits[0], &splits[1]]);
}

#[test]
fn a_plan_that_another_worker_registered_adds_nothing() {
    let splits = [split(5, 50, 90), split(50, 90, 90)];
    let added = compared(&[known(90, 90)], &planned(90), &splits);
    assert_eq!(added, News { files: vec![], splits: vec![] });
}

#[test]
fn a_plan_that_is_cut_otherwise_adds_nothing_twice() {
    let splits = [split(5, 60, 120), split(60, 120, 120)];
    let added = compared(&[known(90, 90)], &planned(120), &splits);
    assert_eq!(added.files, [news(120, 90)]);
    assert!(added.splits.is_empty());
}

#[test]
fn a_grown_file_goes_on_where_it_ended() {
    let splits = [split(90, 120, 120)];
    let added = compared(&[known(90, 90)], &planned(120), &splits);
    assert_eq!(added.files, [news(120, 120)]);
    assert_eq!(added.splits, [&splits[0]]);
}

#[test]
fn an_older_plan_takes_nothing_back() {
    let added = compared(&[known(120, 120)], &planned(90), &[]);
    assert_eq!(added, News { files: vec![], splits: vec![] });
}

#[test]
fn an_older_plan_can_add_a_split_but_keeps_the_wider_content() {
    let splits = [split(90, 100, 100)];
    let added = compared(&[known(120, 90)], &planned(100), &splits);
    assert_eq!(added.files, [news(120, 100)]);
    assert_eq!(added.splits, [&splits[0]]);
}

#[test]
fn a_new_file_without_records_is_left_for_later() {
    let added = compared(&[], &planned(5), &[]);
    assert_eq!(added, News { files: vec![], splits: vec![] });
}

#[test]
fn a_header_that_the_ledger_lacks_is_added() {
    let before = KnownFile { columns: None, ..known(90, 90) };
    assert_eq!(compared(&[before], &planned(90), &[]).files, [news(90, 90)]);
}

#[test]
fn a_type_that_was_declared_anew_is_taken_up() {
    let now = vec![Column { name: "uid".to_owned(), column_type: ColumnType::Numeric(None) }];
    let planned = PlannedContent { columns: now.clone(), ..planned(90) };
    let expected = FileNews { columns: Some(now), ..news(90, 90) };
    assert_eq!(compared(&[known(90, 90)], &planned, &[]).files, [expected]);
}

#[test]
fn a_plan_without_a_header_keeps_the_one_that_is_known() {
    let planned = PlannedContent { columns: Vec::new(), ..planned(90) };
    let added = compared(&[known(90, 90)], &planned, &[]);
    assert_eq!(added, News { files: vec![], splits: vec![] });
}

#[test]
fn what_is_wrong_with_a_file_is_what_the_last_plan_says() {
    let splits = [split(5, 50, 90)];
    let broken = PlannedContent { problem: Some(damaged()), ..planned(90) };
    let added = compared(&[], &broken, &splits);
    assert_eq!(added.files, [FileNews { problem: Some(damaged()), ..news(90, 50) }]);

    let before = KnownFile { problem: Some(damaged()), ..known(90, 50) };
    let nothing = News { files: vec![], splits: vec![] };
    assert_eq!(compared(std::slice::from_ref(&before), &broken, &[]), nothing, "told again");
    let passed = compared(std::slice::from_ref(&before), &planned(90), &[]);
    assert_eq!(passed.files, [news(90, 50)], "it has passed");

    let rest = [split(50, 90, 90)];
    let added = compared(std::slice::from_ref(&before), &planned(90), &rest);
    assert_eq!(added.files, [news(90, 90)], "all of it may be read now");
    assert_eq!(added.splits, [&rest[0]]);

    let rest = [split(50, 120, 120)];
    let added = compared(std::slice::from_ref(&before), &planned(120), &rest);
    assert_eq!(added.files, [news(120, 120)], "it is whole now");
    assert_eq!(compared(&[known(120, 120)], &broken, &[]), nothing, "an older plan");
}

#[test]
fn a_file_that_is_loaded_anew_is_added_whole() {
    // The row that was given up is not among the known ones.
    let splits = [split(5, 90, 90)];
    let added = compared(&[], &planned(90), &splits);
    assert_eq!(added.files, [news(90, 90)]);
    assert_eq!(added.splits, [&splits[0]]);
}
