//! What is planned of compressed files, and of files with a footer.

use super::*;
use crate::catalog::archive::Compression;
use flate2::write::GzEncoder;
use std::fs::{File, FileTimes};
use std::io::Write as _;
use std::time::Duration;

/// One member of a gzip archive.
fn gzip(content: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(content.as_bytes()).expect("it is written");
    encoder.finish().expect("it is written")
}

fn touch(folder: &Path, seconds: u64) {
    let file = File::options().write(true).open(folder.join("a.csv")).expect("file is there");
    let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    file.set_times(FileTimes::new().set_modified(modified)).expect("time is set");
}

/// Everything is younger than this.
const ALL_YOUNG: i64 = 0;

#[test]
fn an_archive_is_one_split_of_its_content() {
    let folder = folder("");
    let archive = gzip("uid\n1\n2\n");
    write(folder.path(), &archive);
    let plan = plan_file(folder.path(), 1, None);
    assert_eq!(plan.state, FileState::New);
    assert_eq!(size_bytes(&plan), archive.len() as u64);
    assert_eq!(plan.ranges, [position(4, 0)..position(8, 2)]);
    let again = plan_file(folder.path(), 1, Some(&known(&plan, end(&plan))));
    assert_eq!((again.state, again.ranges.len()), (FileState::Unchanged, 0));
}

#[test]
fn an_archive_with_another_member_goes_on_once_it_is_settled() {
    let folder = folder("");
    let (first_member, second_member) = (gzip("uid\n1\n2\n"), gzip("3\n"));
    write(folder.path(), &first_member);
    let first = plan_file(folder.path(), 100, None);
    let known = known(&first, end(&first));
    write(folder.path(), [first_member, second_member.clone()].concat());

    let dataset = dataset(folder.path(), &[]);
    let young = plan_file_of(&dataset, 100, ALL_YOUNG, Some(&known));
    assert_eq!((young.state, young.ranges.len()), (FileState::Unchanged, 0));
    assert_eq!(young.fingerprint.as_ref(), Some(&known.fingerprint), "it is seen again");
    assert_eq!(young.unfinished_bytes, second_member.len() as u64);

    let grown = plan_file(folder.path(), 100, Some(&known));
    assert_eq!(grown.state, FileState::Grown);
    assert_eq!(grown.ranges, [position(8, 2)..position(10, 3)]);
}

#[test]
fn a_young_archive_is_left_whole() {
    let folder = folder("");
    let archive = gzip("uid\n1\n2\n");
    let dataset = dataset(folder.path(), &[]);
    for part in [&archive[..], &archive[..archive.len() / 2]] {
        write(folder.path(), part);
        let plan = plan_file_of(&dataset, 100, ALL_YOUNG, None);
        assert_eq!((plan.state, plan.ranges.len()), (FileState::New, 0));
        assert_eq!(
            (plan.unfinished_bytes, size_bytes(&plan)),
            (part.len() as u64, part.len() as u64)
        );
        assert!(plan.problem.is_none(), "the rest may come");
    }
}

#[test]
fn other_content_in_the_place_of_an_archive_is_a_rewritten_file() {
    let folder = folder("");
    write(folder.path(), gzip(&format!("uid\n{}", "1\n".repeat(10_000))));
    let first = plan_file(folder.path(), 100, None);
    assert!(end(&first).byte_offset > size_bytes(&first));
    let known = known(&first, end(&first));
    for content in [gzip("uid\n7\n"), b"uid\n7\n".to_vec(), Vec::new()] {
        write(folder.path(), &content);
        for settled_nanos in [ALL_YOUNG, i64::MAX] {
            let dataset = dataset(folder.path(), &[]);
            let file = dataset.find("a.csv").expect("no error").expect("file is there");
            let file = file.open().expect("it opens");
            let is_plain = matches!(file.compression(), Compression::None);
            let plan = plan_file_of(&dataset, 100, settled_nanos, Some(&known));
            assert_eq!(plan.state, FileState::Rewritten, "plain: {is_plain}");
            assert!(plan.ranges.is_empty());
        }
    }
}

#[test]
fn an_unchanged_archive_is_read_again_if_it_had_a_problem() {
    let folder = folder("");
    write(folder.path(), gzip("uid\n1\n2\n"));
    let plan = plan_file(folder.path(), 100, None);
    let known = known(&plan, position(6, 1));
    let dataset = dataset(folder.path(), &[]);
    for (had_problem, ranges) in [(false, vec![]), (true, vec![position(6, 1)..position(8, 2)])] {
        let known = KnownFile { had_problem, ..known.clone() };
        for settled_nanos in [ALL_YOUNG, i64::MAX] {
            let again = plan_file_of(&dataset, 100, settled_nanos, Some(&known));
            assert_eq!((again.state, &again.ranges), (FileState::Unchanged, &ranges));
            assert_eq!(again.fingerprint, plan.fingerprint);
            assert!(again.problem.is_none(), "it has passed");
        }
    }
}

#[test]
fn a_good_copy_goes_on_behind_a_damaged_one() {
    let folder = folder("");
    let archives = [gzip("uid\n1\n2\n"), gzip("3\n4\n")];
    write(folder.path(), &archives[0]);
    let first = plan_file(folder.path(), 100, None);
    let known = known(&first, end(&first));

    let good = archives.concat();
    let mut damaged = good.clone();
    // The sum of the content stands before its length, at the end.
    let sum_at = damaged.len() - 8;
    damaged[sum_at] ^= 0xFF;
    write(folder.path(), &damaged);
    let broken = plan_file(folder.path(), 100, Some(&known));
    assert_eq!((broken.state, broken.ranges.len()), (FileState::Unchanged, 0));
    let problem = broken.problem.as_deref();
    assert!(matches!(problem, Some(RequestError::ArchiveDamaged { .. })), "{problem:?}");
    assert_eq!(broken.fingerprint.as_ref(), Some(&known.fingerprint), "it is seen again");

    write(folder.path(), &good);
    let known = KnownFile { had_problem: true, ..known };
    let cured = plan_file(folder.path(), 100, Some(&known));
    assert_eq!(cured.state, FileState::Grown);
    assert_eq!(cured.ranges, [position(8, 2)..position(12, 4)]);
    assert!(cured.problem.is_none());
}

#[test]
fn a_young_archive_is_hashed_once() {
    let folder = folder("");
    write(folder.path(), gzip("uid\n1\n2\n"));
    let dataset = dataset(folder.path(), &[]);
    let file = dataset.find("a.csv").expect("no error").expect("file is there");
    let file = file.open().expect("it opens");
    let scans = ScanCache::default();
    let planner = Planner {
        dataset: &dataset,
        scans: &scans,
        target_split_bytes: 100,
        is_unwanted: &|| false,
        settled_nanos: ALL_YOUNG,
        shared: None,
    };
    let first = planner.hash(&file, 0).expect("it is read");
    let again = planner.hash(&file, 0).expect("it is read");
    assert!(Arc::ptr_eq(&first, &again));
    let known = planner.hash(&file, 1).expect("it is read");
    assert_ne!(known.known_hash, first.known_hash);
}

#[test]
fn a_footer_is_left_out_and_nothing_may_follow_it() {
    let content = "uid\n1\n2\ntotal\n";
    let folder = folder(content);
    let mut dataset = dataset(folder.path(), &[]);
    dataset.layout_mut().skip_footer = 1;
    let young = plan_file_of(&dataset, 100, ALL_YOUNG, None);
    assert_eq!((young.ranges.len(), young.unfinished_bytes), (0, content.len() as u64));

    let settled = plan_file_of(&dataset, 100, i64::MAX, None);
    assert_eq!(settled.ranges, [position(4, 0)..position(8, 2)]);
    let known = known(&settled, end(&settled));
    let again = |settled_nanos| {
        let plan = plan_file_of(&dataset, 100, settled_nanos, Some(&known));
        (plan.state, plan.ranges.len())
    };
    assert_eq!(again(i64::MAX), (FileState::Unchanged, 0));
    touch(folder.path(), 7);
    assert_eq!(again(i64::MAX), (FileState::Unchanged, 0), "only its time changed");
    write(folder.path(), format!("{content}3\n"));
    assert_eq!(again(i64::MAX), (FileState::Rewritten, 0));
    assert_eq!(again(ALL_YOUNG), (FileState::Rewritten, 0));
}

#[test]
fn utf_16_is_cut_between_records() {
    let records = ["\u{feff}uid\n", "\u{10a}\n", "2\r\n", "3\n"];
    let units: Vec<u8> = records.concat().encode_utf16().flat_map(u16::to_be_bytes).collect();
    let folder = folder("");
    write(folder.path(), &units);
    let mut dataset = dataset(folder.path(), &[]);
    dataset.layout_mut().encoding = encoding_rs::UTF_16BE;
    let plan = plan_file_of(&dataset, 1, i64::MAX, None);
    let cuts = [position(10, 0), position(14, 1), position(20, 2), position(24, 3)];
    assert_eq!(plan.ranges, [cuts[0]..cuts[1], cuts[1]..cuts[2], cuts[2]..cuts[3]]);
    let rest = plan_file_of(&dataset, 100, i64::MAX, Some(&known(&plan, cuts[1])));
    assert_eq!(rest.ranges, [cuts[1]..cuts[3]]);
}
