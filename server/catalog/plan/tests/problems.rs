//! What is planned where a file cannot be read, and what is remembered of those that can.

use super::*;
use flate2::write::GzEncoder;
use std::cell::Cell;
use std::fmt::Write as _;
use std::fs::{File, FileTimes};
use std::io::Write as _;
use std::time::Duration;

fn reason(plan: &FilePlan) -> String {
    plan.problem.as_ref().map(ToString::to_string).unwrap_or_default()
}

#[test]
fn a_header_without_use_is_a_problem_of_its_file_alone() {
    let folder = folder("uid,uid\n1,2\n");
    std::fs::write(folder.path().join("b.csv"), "uid\n1\n").expect("file is written");
    let plan = plan_all(&dataset(folder.path(), &[]), &ScanCache::default());
    let [bad, good] = &plan.files[..] else { panic!("{} files", plan.files.len()) };
    assert_eq!((bad.state, bad.ranges.len(), bad.header), (FileState::Unreadable, 0, None));
    assert!(bad.fingerprint.is_none());
    assert!(matches!(bad.problem.as_deref(), Some(RequestError::BadHeader { .. })));
    assert_eq!((good.state, good.ranges.len(), good.header), (FileState::New, 1, Some(0)));
    assert!(good.problem.is_none());
    assert_eq!(plan.columns.len(), 1, "those of the file that can be read");
}

#[test]
fn a_file_that_went_after_it_was_listed_is_left_out() {
    let folder = folder("uid\n1\n");
    let second = folder.path().join("b.csv");
    std::fs::write(&second, "uid\n2\n").expect("file is written");
    let plan = plan_while(folder.path(), || {
        std::fs::remove_file(&second).expect("file is removed");
    });
    let names: Vec<&str> = plan.files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["a.csv"]);
    assert_eq!((plan.files[0].state, plan.files[0].ranges.len()), (FileState::New, 1));
}

#[test]
fn a_file_that_shrinks_while_it_is_read_is_a_problem_of_its_own() {
    let folder = folder("uid\n1\n");
    std::fs::write(folder.path().join("b.csv"), "uid\n2\n").expect("file is written");
    let plan = plan_while(folder.path(), || write(folder.path(), "uid\n"));
    let [shrunk, whole] = &plan.files[..] else { panic!("{} files", plan.files.len()) };
    assert_eq!((shrunk.state, shrunk.ranges.len()), (FileState::Unreadable, 0));
    let problem = shrunk.problem.as_deref();
    assert!(matches!(problem, Some(RequestError::FileChanged { .. })), "{problem:?}");
    assert_eq!((whole.state, whole.ranges.len()), (FileState::New, 1));
    assert!(whole.problem.is_none());
}

/// Plans all files; something happens once they are listed and the first of them is open.
fn plan_while(folder: &Path, happening: impl Fn()) -> Plan {
    let dataset = dataset(folder, &[]);
    let request = PlanRequest::default();
    let has_happened = Cell::new(false);
    let is_unwanted = || {
        if !has_happened.replace(true) {
            happening();
        }
        false
    };
    plan(&dataset, request, &ScanCache::default(), &is_unwanted).expect("it is planned")
}

/// A gzip archive of many records that ends in the middle.
fn broken_archive() -> Vec<u8> {
    let mut content = "uid\n".to_owned();
    for row in 0..50_000_u64 {
        writeln!(content, "{}", row.wrapping_mul(0x9e37_79b9_7f4a_7c15)).expect("it is written");
    }
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(content.as_bytes()).expect("it is written");
    let archive = encoder.finish().expect("it is written");
    archive[..archive.len() / 2].to_vec()
}

#[test]
fn a_broken_archive_is_planned_up_to_the_damage() {
    let folder = folder("");
    let archive = broken_archive();
    write(folder.path(), &archive);
    let plan = plan_file(folder.path(), 1, None);
    assert_eq!((plan.state, size_bytes(&plan)), (FileState::New, archive.len() as u64));
    let [range] = &plan.ranges[..] else { panic!("{} ranges", plan.ranges.len()) };
    let rows = range.end.row_number;
    assert!((1000..50_000).contains(&rows), "{rows} rows");
    assert!(matches!(plan.problem.as_deref(), Some(RequestError::ArchiveDamaged { .. })));
    assert_eq!(
        reason(&plan),
        format!(
            "file \"a.csv\" cannot be read to its end: the gzip archive ends early: copy the file again; it is read up to {}",
            range.end
        )
    );
}

#[test]
fn a_problem_that_stays_is_told_again() {
    let folder = folder("");
    write(folder.path(), broken_archive());
    let first = plan_file(folder.path(), 1, None);
    let again = plan_file(folder.path(), 1, Some(&known(&first, end(&first))));
    assert_eq!((again.state, again.ranges.len()), (FileState::Unchanged, 0));
    assert_eq!(again.fingerprint, first.fingerprint);
    assert!(reason(&again).ends_with("; nothing new of it is read"), "{}", reason(&again));
}

#[test]
fn an_archive_without_a_whole_header_cannot_be_read() {
    let folder = folder("");
    write(folder.path(), &broken_archive()[..12]);
    let plan = plan_all(&dataset(folder.path(), &[]), &ScanCache::default());
    assert_eq!(plan.files[0].state, FileState::Unreadable);
    let problem = plan.files[0].problem.as_deref();
    assert!(matches!(problem, Some(RequestError::ArchiveDamaged { .. })), "{problem:?}");
}

/// Puts content into `a.csv` without a trace in its time.
fn smuggle(folder: &Path, content: &str) {
    write(folder, content);
    let file = File::options().write(true).open(folder.join("a.csv")).expect("file is there");
    let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(100);
    file.set_times(FileTimes::new().set_modified(modified)).expect("time is set");
}

#[test]
fn a_file_that_was_read_for_a_plan_is_not_read_again() {
    let folder = folder("");
    let dataset = dataset(folder.path(), &[]);
    let scans = ScanCache::default();
    smuggle(folder.path(), "uid\n1\n2\n");
    let first = plan_all(&dataset, &scans);
    smuggle(folder.path(), "uid\n333\n");
    let again = plan_all(&dataset, &scans);
    assert_eq!(again.files[0].fingerprint, first.files[0].fingerprint);
    assert_eq!(again.files[0].ranges, first.files[0].ranges);
    let anew = plan_all(&dataset, &ScanCache::default());
    assert_ne!(anew.files[0].fingerprint, first.files[0].fingerprint);
}

#[test]
fn a_plan_that_nobody_waits_for_ends() {
    let folder = folder("uid\n1\n");
    let dataset = dataset(folder.path(), &[]);
    let request = PlanRequest::default();
    let outcome = plan(&dataset, request, &ScanCache::default(), &|| true);
    assert!(matches!(outcome.err(), Some(RequestError::Stopping)));
}
