//! What a check says of datasets that are right, and of others.

use super::*;
use crate::catalog::dataset::tests::{dataset, json_dataset};
use crate::delimited::Layout;
use std::io::Write as _;

fn report_of(files: &[(&str, &[u8])], declared: &[(&str, &str)], layout: Layout) -> DatasetReport {
    let folder = tempfile::tempdir().expect("temporary folder");
    for (name, content) in files {
        std::fs::write(folder.path().join(name), content).expect("file is written");
    }
    let mut dataset = dataset(folder.path(), declared);
    *dataset.layout_mut() = layout;
    check_dataset(&dataset)
}

fn report(files: &[(&str, &str)], declared: &[(&str, &str)]) -> DatasetReport {
    let files: Vec<(&str, &[u8])> =
        files.iter().map(|(name, content)| (*name, content.as_bytes())).collect();
    report_of(&files, declared, Layout::default())
}

#[test]
fn a_sound_dataset_has_typed_columns() {
    let report = report(&[("a.csv", "uid,email\n1,x\n")], &[("uid", "bigint")]);
    let columns: Vec<_> =
        report.columns.iter().map(|c| format!("{} {}", c.name, c.column_type)).collect();
    assert_eq!(columns, ["uid bigint", "email text"]);
    assert!(report.problems.is_empty() && report.warnings.is_empty());
    assert!(report.layout.is_empty() && report.files[0].notes.is_empty());
}

#[test]
fn a_declared_column_that_no_header_has_is_a_problem() {
    let report = report(&[("a.csv", "uid,email\n")], &[("emial", "text")]);
    assert_eq!(
        report.problems,
        ["no header has the declared column \"emial\": did you mean \"email\"?"]
    );
}

#[test]
fn empty_and_missing_files_are_warnings() {
    assert_eq!(report(&[], &[]).warnings, ["no file matches yet"]);
    assert_eq!(report(&[("a.csv", "")], &[]).warnings, ["file \"a.csv\" is empty"]);
    assert_eq!(report(&[("a.csv", "\n")], &[]).warnings, ["file \"a.csv\" has no header yet"]);
}

#[test]
fn a_header_that_differs_is_a_warning() {
    let files = [("a.csv", "a,b\n"), ("b.csv", "b,a\n"), ("c.csv", "a,c\n"), ("d.csv", "a,b,c\n")];
    assert_eq!(
        report(&files, &[]).warnings,
        [
            "the header of file \"c.csv\" differs from that of \"a.csv\": it lacks \"b\", and adds \"c\"",
            "the header of file \"d.csv\" differs from that of \"a.csv\": it adds \"c\"",
        ]
    );
    let many = report(&[("a.csv", "a,b,c,d,e,f,g\n"), ("b.csv", "g\n")], &[]).warnings;
    assert!(many[0].ends_with("it lacks \"a\", \"b\", \"c\", \"d\", \"e\" and 1 more"), "{many:?}");
}

#[test]
fn a_file_that_cannot_be_used_is_a_problem_of_its_own() {
    let report = report(&[("a.csv", "a,a\n"), ("b.csv", "a,b\n1,2\n")], &[]);
    assert_eq!((report.problems.len(), report.files.len(), report.columns.len()), (1, 2, 2));
    assert!(report.problems[0].contains("\"a.csv\""), "{:?}", report.problems);
}

#[test]
fn fields_of_json_may_be_missing() {
    let folder = tempfile::tempdir().expect("temporary folder");
    for (name, content) in [("a.json", r#"{"d":[{"id":1}]}"#), ("b.json", r#"{"d":[{"x":[]}]}"#)] {
        std::fs::write(folder.path().join(name), content).expect("file is written");
    }
    let declared = [("id", "bigint"), ("born", "date")];
    let report = check_dataset(&json_dataset(folder.path(), "/d", &declared));
    assert_eq!(report.layout, ["kind = \"json\"", "records = \"/d\""]);
    let names: Vec<_> = report.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!((names, report.files.len()), (vec!["id", "x", "born"], 2));
    assert_eq!((report.warnings.len(), report.problems.len()), (1, 0));
    assert!(report.warnings[0].contains("declared column \"born\""), "{:?}", report.warnings);
}

#[test]
fn a_dataset_is_chosen_by_its_name() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let chosen = |name: Option<&str>| {
        let name: Option<DatasetName> = name.map(|name| name.parse().expect("it is a name"));
        let chosen = choose(vec![dataset(folder.path(), &[])], name.as_ref());
        chosen.map(|datasets| datasets.len())
    };
    assert_eq!((chosen(None), chosen(Some("customers"))), (Ok(1), Ok(1)));
    let refusal = |name: &str| chosen(Some(name)).expect_err("it is not there");
    assert!(refusal("custmers").ends_with("did you mean \"customers\"?"));
    assert!(refusal("x").ends_with("without --dataset, all are checked"));
}

#[test]
fn what_is_special_of_a_file_is_noted() {
    let layout = Layout { encoding: encoding_rs::UTF_16LE, ..Layout::default() };
    let utf_16be = b"\xFE\xFF\0a\0\n\x001\0\n";
    let report = report_of(&[("a.csv", &utf_16be[..])], &[], layout);
    assert_eq!(report.layout, ["encoding = \"UTF-16LE\""]);
    assert_eq!(report.files[0].notes, ["UTF-16BE"], "{:?}", report.problems);

    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(b"a,b\n1,2\n").expect("it is written");
    let archive = encoder.finish().expect("it is written");
    let report = report_of(&[("a.csv", archive.as_slice())], &[], Layout::default());
    assert_eq!(report.files[0].notes, ["gzip"], "{:?}", report.problems);
    assert_eq!((report.columns.len(), report.warnings.len()), (2, 0));
}

#[test]
fn an_object_that_is_declared_whole_is_not_missed() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let document = r#"[{"id": 1, "payload": {"a": 1}}]"#;
    std::fs::write(folder.path().join("a.json"), document).expect("file is written");
    let warnings = |declared: &str| {
        check_dataset(&json_dataset(folder.path(), "", &[(declared, "jsonb")])).warnings
    };
    assert!(warnings("payload").is_empty(), "{:?}", warnings("payload"));
    assert_eq!(warnings("pay").len(), 1);
}
