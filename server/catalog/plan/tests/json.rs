//! What is planned of JSON: documents and lines, whole, growing, broken, compressed.

use super::*;
use crate::catalog::dataset::tests::{json_dataset, json_dataset_of};
use crate::json::Framing;
use flate2::write::GzEncoder;
use std::io::Write as _;

const DOCUMENT: &str = r#"{"data":[{"id":1}, {"id":2},{"id":3}],"more":false}"#;

fn write_json(folder: &Path, name: &str, content: impl AsRef<[u8]>) {
    std::fs::write(folder.join(name), content).expect("file is written");
}

/// Plans one file of a dataset anew, or beside what is known of it.
fn plan_one(dataset: &Dataset, target_split_bytes: u64, known: Option<&KnownFile>) -> FilePlan {
    let known = known.map(|known| ("a.json".to_owned(), known.clone())).into_iter().collect();
    let request = PlanRequest { known, ..PlanRequest::default() };
    let mut plan = plan(dataset, request, &ScanCache::default(), &|| false).expect("it is planned");
    if target_split_bytes == 0 {
        return plan.files.remove(0);
    }
    let source = dataset.find("a.json").expect("no error").expect("file is there");
    let (scans, is_unwanted) = (ScanCache::default(), &|| false);
    let planner = Planner {
        dataset,
        scans: &scans,
        target_split_bytes,
        is_unwanted,
        settled_nanos: i64::MAX,
        shared: Some(plan.columns),
    };
    planner.plan_source(&source, None, &[], &mut Headers::default()).expect("it is planned")
}

#[test]
fn a_document_is_cut_between_its_records() {
    let folder = tempfile::tempdir().expect("temporary folder");
    write_json(folder.path(), "a.json", DOCUMENT);
    let dataset = json_dataset(folder.path(), "/data", &[]);
    let whole = plan_one(&dataset, 0, None);
    assert_eq!((whole.state, whole.kind), (FileState::New, SourceKind::File));
    assert_eq!(whole.ranges, [position(9, 0)..position(36, 3)]);
    let cut = plan_one(&dataset, 1, None);
    assert_eq!(
        cut.ranges,
        [
            position(9, 0)..position(19, 1),
            position(19, 1)..position(28, 2),
            position(28, 2)..position(36, 3)
        ]
    );
    let again = plan_one(&dataset, 0, Some(&known(&whole, end(&whole))));
    assert_eq!((again.state, again.ranges.len()), (FileState::Unchanged, 0));
    let rest = plan_one(&dataset, 0, Some(&known(&whole, position(19, 1))));
    assert_eq!(rest.ranges, [position(19, 1)..position(36, 3)]);
}

#[test]
fn a_document_that_grew_is_another_one_and_lines_go_on() {
    let folder = tempfile::tempdir().expect("temporary folder");
    write_json(folder.path(), "a.json", r#"[{"id":1}]"#);
    let dataset = json_dataset(folder.path(), "", &[]);
    let first = plan_one(&dataset, 0, None);
    write_json(folder.path(), "a.json", r#"[{"id":1},{"id":2}]"#);
    let other = plan_one(&dataset, 0, Some(&known(&first, end(&first))));
    assert_eq!((other.state, other.ranges.len()), (FileState::Rewritten, 0));

    write_json(folder.path(), "a.json", "{\"id\":1}\n");
    let dataset = json_dataset_of(folder.path(), Framing::Lines, &[]);
    let first = plan_one(&dataset, 0, None);
    assert_eq!(first.ranges, [position(0, 0)..position(9, 1)]);
    write_json(folder.path(), "a.json", "{\"id\":1}\n{\"id\":2}\n");
    let grown = plan_one(&dataset, 0, Some(&known(&first, end(&first))));
    assert_eq!(grown.state, FileState::Grown);
    assert_eq!(grown.ranges, [position(9, 1)..position(18, 2)]);
}

#[test]
fn a_document_that_ends_early_is_planned_up_to_there() {
    let folder = tempfile::tempdir().expect("temporary folder");
    write_json(folder.path(), "a.json", r#"[{"id":1},{"id":2},{"id":"#);
    let plan = plan_one(&json_dataset(folder.path(), "", &[]), 0, None);
    assert_eq!(plan.ranges, [position(1, 0)..position(19, 2)]);
    let problem = plan.problem.expect("it ends early");
    assert!(matches!(*problem, RequestError::BadJson { .. }), "{problem}");
    assert!(problem.to_string().ends_with("it is read up to byte 19, row 2"), "{problem}");
}

#[test]
fn a_document_that_is_still_written_has_no_problem() {
    let folder = tempfile::tempdir().expect("temporary folder");
    write_json(folder.path(), "a.json", r#"[{"id":1},{"id":"#);
    let dataset = json_dataset(folder.path(), "", &[]);
    let dataset = Dataset { min_age: Duration::from_hours(1), ..dataset };
    let plan = plan_one(&dataset, 0, None);
    assert_eq!(plan.ranges, [position(1, 0)..position(10, 1)]);
    assert!(plan.problem.is_none() && plan.unfinished_bytes == 6, "{plan:?}");
}

#[test]
fn a_document_that_ends_before_its_records_is_told_once_it_is_settled() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let planned = |content: &str, min_age: Duration| {
        write_json(folder.path(), "a.json", content);
        let dataset = json_dataset(folder.path(), "/data", &[]);
        let plan = plan_one(&Dataset { min_age, ..dataset }, 0, None);
        (plan.state, plan.problem.is_some(), plan.ranges.len())
    };
    let hour = Duration::from_hours(1);
    assert_eq!(planned(r#"{"more":1,"da"#, Duration::ZERO), (FileState::Unreadable, true, 0));
    assert_eq!(planned(r#"{"more":1,"da"#, hour), (FileState::New, false, 0));
    for content in [r#"{"data":null}"#, r#"{"data":[]}"#, ""] {
        assert_eq!(planned(content, Duration::ZERO), (FileState::New, false, 0), "{content}");
    }
}

#[test]
fn a_document_without_the_array_is_a_problem_of_its_own() {
    let folder = tempfile::tempdir().expect("temporary folder");
    write_json(folder.path(), "a.json", r#"{"items":[{"id":1}]}"#);
    write_json(folder.path(), "b.json", DOCUMENT);
    let plan = plan_all(&json_dataset(folder.path(), "/data", &[]), &ScanCache::default());
    let [bad, good] = &plan.files[..] else { panic!("{} files", plan.files.len()) };
    assert_eq!((bad.state, bad.header), (FileState::Unreadable, None));
    let text = bad.problem.as_ref().map(ToString::to_string).unwrap_or_default();
    assert!(text.contains("\"a.json\"") && text.contains("set records"), "{text}");
    assert_eq!((good.state, good.ranges.len()), (FileState::New, 1));
}

#[test]
fn all_files_share_one_header() {
    let folder = tempfile::tempdir().expect("temporary folder");
    write_json(folder.path(), "a.json", r#"[{"id":1,"mail":"x"}]"#);
    write_json(folder.path(), "b.json", r#"[{"id":2,"tags":[1]}]"#);
    let dataset = json_dataset(folder.path(), "", &[("id", "bigint"), ("born", "date")]);
    let all = plan_all(&dataset, &ScanCache::default());
    let [header] = &all.headers[..] else { panic!("{} headers", all.headers.len()) };
    let words: Vec<String> =
        header.iter().map(|column| format!("{} {}", column.name, column.column_type)).collect();
    assert_eq!(words, ["id bigint", "mail text", "tags jsonb", "born date"]);
    assert!(all.files.iter().all(|file| file.header == Some(0)));

    let refusal = |name: &str| {
        let columns = dataset.declare(&[name.to_owned()]);
        let request = PlanRequest { columns, ..PlanRequest::default() };
        let outcome = plan(&dataset, request, &ScanCache::default(), &|| false);
        outcome.err().map(|error| error.to_string())
    };
    for name in ["mail", "tags", "born"] {
        assert_eq!(refusal(name), None, "{name}");
    }
    assert_eq!(
        refusal("mial").as_deref(),
        Some("dataset \"customers\" has no column \"mial\": did you mean \"mail\"?")
    );
}

#[test]
fn records_that_are_no_objects_are_told() {
    let folder = tempfile::tempdir().expect("temporary folder");
    write_json(folder.path(), "a.json", "[1,2,3]");
    let plan = plan_one(&json_dataset(folder.path(), "", &[]), 0, None);
    assert_eq!(plan.state, FileState::Unreadable);
    let text = plan.problem.as_ref().map(ToString::to_string).unwrap_or_default();
    assert!(text.contains("no record is an object"), "{text}");
    let declared = plan_one(&json_dataset(folder.path(), "", &[("id", "bigint")]), 0, None);
    assert_eq!((declared.state, declared.ranges.len()), (FileState::New, 1), "each is refused");
}

#[test]
fn an_archive_of_json_is_one_split() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(DOCUMENT.as_bytes()).expect("it is written");
    write_json(folder.path(), "a.json", encoder.finish().expect("it is written"));
    let plan = plan_one(&json_dataset(folder.path(), "/data", &[]), 0, None);
    assert_eq!((plan.state, plan.ranges), (FileState::New, vec![position(9, 0)..position(36, 3)]));
}
