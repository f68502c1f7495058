//! What is read of splits: from every position, of changed files, of archives and other encodings.

mod json;

use super::*;
use crate::catalog::dataset::tests::dataset;
use crate::catalog::plan::{PlanRequest, plan};
use crate::catalog::scans::ScanCache;
use encoding_rs::UTF_16LE;
use flate2::write::GzEncoder;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use tempfile::TempDir;

const CONTENT: &str = "uid\n10\n20\n30\n";

/// A file with one split over all of it.
fn planned() -> (TempDir, Arc<Catalog>, Split) {
    planned_as(CONTENT.as_bytes(), |_| {})
}

/// A file of this content, in a dataset that is declared otherwise than most.
fn planned_as(
    content: &[u8],
    declare: impl FnOnce(&mut Dataset),
) -> (TempDir, Arc<Catalog>, Split) {
    planned_in("a.csv", content, |folder| {
        let mut dataset = dataset(folder, &[("uid", "bigint")]);
        declare(&mut dataset);
        dataset
    })
}

/// A file of this name and content, in a dataset of the folder that it lies in.
fn planned_in(
    name: &str,
    content: &[u8],
    dataset_of: impl FnOnce(&Path) -> Dataset,
) -> (TempDir, Arc<Catalog>, Split) {
    let folder = tempfile::tempdir().expect("temporary folder");
    std::fs::write(folder.path().join(name), content).expect("file is written");
    let dataset = dataset_of(folder.path());
    let request = PlanRequest::default();
    let plan = plan(&dataset, request, &ScanCache::default(), &|| false).expect("it is planned");
    let file = &plan.files[0];
    let split = Split {
        dataset: dataset.name.to_string(),
        file: file.name.clone(),
        fingerprint: file.fingerprint.clone().expect("it can be read"),
        start: file.ranges[0].start,
        end: file.ranges[0].end,
    };
    (folder, Arc::new(Catalog::new(vec![dataset])), split)
}

/// Members of a gzip archive, one after the other.
fn gzip(members: &[&str]) -> Vec<u8> {
    let mut archive = Vec::new();
    for member in members {
        let mut encoder = GzEncoder::new(&mut archive, flate2::Compression::default());
        encoder.write_all(member.as_bytes()).expect("it is written");
        encoder.finish().expect("it is written");
    }
    archive
}

fn position(byte_offset: u64, row_number: u64) -> Position {
    Position { byte_offset, row_number }
}

/// Reads from a position on: number of rows, and the end.
fn read(
    catalog: &Arc<Catalog>,
    split: &Split,
    position: Position,
) -> Result<(usize, Position), RequestError> {
    let dataset = catalog.find(&split.dataset).expect("it is declared");
    let request = ReadRequest {
        split: split.clone(),
        position,
        columns: Vec::new(),
        batch_bytes_max: 1 << 20,
    };
    let mut reader = SplitReader::open(catalog.clone(), dataset, request, &|| false)?;
    let mut rows = 0;
    while let Some(chunk) = reader.next_chunk(&|| false)? {
        rows += chunk.batch.map_or(0, |batch| batch.records.num_rows());
    }
    Ok((rows, reader.reached()))
}

#[test]
fn a_split_is_read_from_every_boundary() {
    let (_folder, catalog, split) = planned();
    for (row, rows) in [(0, 3), (1, 2), (2, 1), (3, 0)] {
        let position = position(4 + 3 * row, row);
        let outcome = read(&catalog, &split, position).expect("it is read");
        assert_eq!(outcome, (rows, split.end), "from {position}");
    }
}

#[test]
fn positions_that_are_none_are_refused() {
    let (_folder, catalog, split) = planned();
    for (byte_offset, row_number) in [(16, 4), (0, 0), (13, 4), (16, 3)] {
        let outcome = read(&catalog, &split, position(byte_offset, row_number));
        assert!(matches!(outcome, Err(RequestError::PositionBeyondSplit { .. })), "{outcome:?}");
    }
    for byte_offset in [5, 6, 8, 9] {
        let outcome = read(&catalog, &split, position(byte_offset, 1));
        assert!(matches!(outcome, Err(RequestError::PositionNotOnBoundary { .. })), "{outcome:?}");
    }
    let outcome = read(&catalog, &split, position(10, 1));
    assert!(matches!(outcome, Err(RequestError::RowCountDiffers { .. })), "{outcome:?}");
}

#[test]
fn other_content_is_refused_and_more_content_is_not_read() {
    let (folder, catalog, split) = planned();
    let path = folder.path().join("a.csv");
    std::fs::write(&path, format!("{CONTENT}40\n")).expect("file is written");
    let outcome = read(&catalog, &split, split.start).expect("it is read");
    assert_eq!(outcome, (3, split.end));
    std::fs::write(&path, format!("{}400\n", CONTENT.replace("20", "2x")))
        .expect("file is written");
    let outcome = read(&catalog, &split, split.start);
    assert!(matches!(outcome, Err(RequestError::FileChanged { .. })), "{outcome:?}");
    std::fs::remove_file(&path).expect("file is removed");
    let outcome = read(&catalog, &split, split.start);
    assert!(matches!(outcome, Err(RequestError::FileNotFound { .. })), "{outcome:?}");
}

/// Reads from every boundary between records of these lengths; the first is the header's.
fn read_from_everywhere(catalog: &Arc<Catalog>, split: &Split, record_bytes: &[u64]) {
    let rows = record_bytes.len() - 1;
    let mut byte_offset = 0;
    for (row, bytes) in record_bytes.iter().enumerate() {
        byte_offset += bytes;
        let position = position(byte_offset, row as u64);
        let outcome = read(catalog, split, position).expect("it is read");
        assert_eq!(outcome, (rows - row, split.end), "from {position}");
    }
    assert_eq!(split.end, position(byte_offset, rows as u64));
}

#[test]
fn utf_16_is_read_from_every_boundary() {
    // U+010A and U+0D0A hold the bytes of line ends.
    let records =
        ["\u{feff}uid,name\r\n", "1,\u{10a}\u{d0a}\r\n", "2,\"x\r\ny\"\r\n", "3,\u{1f600}\n"];
    let unit_bytes = |record: &&str| record.encode_utf16().flat_map(u16::to_le_bytes).count();
    let content: Vec<u8> = records.concat().encode_utf16().flat_map(u16::to_le_bytes).collect();
    let (_folder, catalog, split) =
        planned_as(&content, |dataset| dataset.layout_mut().encoding = UTF_16LE);
    let lengths: Vec<u64> = records.iter().map(|record| unit_bytes(record) as u64).collect();
    read_from_everywhere(&catalog, &split, &lengths);
    for byte_offset in [lengths[0] + 1, lengths[0] + 2, split.end.byte_offset - 1] {
        let outcome = read(&catalog, &split, position(byte_offset, 1));
        assert!(matches!(outcome, Err(RequestError::PositionNotOnBoundary { .. })), "{outcome:?}");
    }
}

#[test]
fn archives_are_read_from_every_boundary() {
    let archive = gzip(&[CONTENT, "40\n"]);
    let (_folder, catalog, split) = planned_as(&archive, |_| {});
    read_from_everywhere(&catalog, &split, &[4, 3, 3, 3, 3]);
}

#[test]
fn an_archive_may_hold_more_than_its_size_tells() {
    let content = format!("uid\n{}", "10\n".repeat(100_000));
    let archive = gzip(&[&content]);
    let (_folder, catalog, split) = planned_as(&archive, |_| {});
    assert!(split.end.byte_offset > split.fingerprint.size_bytes);
    let from = position(4 + 3 * 99_000, 99_000);
    assert_eq!(read(&catalog, &split, from).expect("it is read"), (1000, split.end));
}

#[test]
fn a_broken_archive_is_read_up_to_the_damage() {
    let mut content = "uid\n".to_owned();
    for row in 0..50_000_u64 {
        writeln!(content, "{}", row.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20)
            .expect("it is written");
    }
    let archive = gzip(&[&content]);
    let (_folder, catalog, split) = planned_as(&archive[..archive.len() / 2], |_| {});
    let rows = split.row_count();
    assert!((1000..50_000).contains(&rows), "{rows} rows");
    let outcome = read(&catalog, &split, split.start).expect("it is read");
    assert_eq!((outcome.0 as u64, outcome.1), (rows, split.end));
}

#[test]
fn an_archive_is_not_decompressed_for_nobody() {
    let (_folder, catalog, split) = planned_as(&gzip(&[CONTENT]), |_| {});
    let dataset = catalog.find(&split.dataset).expect("it is declared");
    let request =
        ReadRequest { position: split.end, split, columns: Vec::new(), batch_bytes_max: 1 << 20 };
    let outcome = SplitReader::open(catalog.clone(), dataset, request, &|| true);
    assert!(matches!(outcome.err(), Some(RequestError::Stopping)));
}
