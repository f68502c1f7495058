//! What is read of JSON: from every boundary, and from places that are none.

use super::*;
use crate::catalog::dataset::tests::json_dataset_of;
use crate::json::Framing;

const RECORDS: [&str; 3] = [r#"{"id":1,"tags":["a"]}"#, r#"{"id":2}"#, r#"{"id":"x"}"#];

/// A file with one split over all of it.
fn planned_json(content: &str, framing: Framing) -> (TempDir, Arc<Catalog>, Split) {
    planned_in("a.json", content.as_bytes(), |folder| {
        json_dataset_of(folder, framing, &[("id", "bigint")])
    })
}

/// Rows that are read from each boundary: the third record is refused.
fn check_boundaries_of(catalog: &Arc<Catalog>, split: &Split, boundaries: &[u64]) {
    for (row, byte_offset) in boundaries.iter().enumerate() {
        let place = position(*byte_offset, row as u64);
        let (rows, end) = read(catalog, split, place).expect("it is read");
        assert_eq!((rows, end), (2_usize.saturating_sub(row), split.end), "from {place}");
    }
    let last = boundaries.len() - 1;
    assert_eq!(split.end, position(boundaries[last], last as u64));
}

#[test]
fn a_document_is_read_from_every_boundary() {
    let content = format!("{{ \"data\" : [ {} , {},\n{} ] }}", RECORDS[0], RECORDS[1], RECORDS[2]);
    let framing = Framing::Document { records: "/data".parse().expect("a pointer") };
    let (_folder, catalog, split) = planned_json(&content, framing);
    let at = |text: &str| content.find(text).expect("it is there") as u64;
    let boundaries = [at(RECORDS[0]), at(RECORDS[1]), at(RECORDS[2]), at("] }")];
    check_boundaries_of(&catalog, &split, &boundaries);
    for byte_offset in [boundaries[1] + 1, boundaries[2] - 3] {
        let outcome = read(&catalog, &split, position(byte_offset, 1));
        assert!(matches!(outcome, Err(RequestError::PositionNotOnBoundary { .. })), "{outcome:?}");
    }
}

#[test]
fn lines_are_read_from_every_boundary() {
    let content = format!("{}\n{}\r\n{}", RECORDS[0], RECORDS[1], RECORDS[2]);
    let (_folder, catalog, split) = planned_json(&content, Framing::Lines);
    let at = |text: &str| content.find(text).expect("it is there") as u64;
    let boundaries = [0, at(RECORDS[1]), at(RECORDS[2]), content.len() as u64];
    check_boundaries_of(&catalog, &split, &boundaries);
    for byte_offset in [1, boundaries[1] - 1, boundaries[2] - 1] {
        let outcome = read(&catalog, &split, position(byte_offset, 1));
        assert!(matches!(outcome, Err(RequestError::PositionNotOnBoundary { .. })), "{outcome:?}");
    }
}

#[test]
fn a_column_that_a_file_lacks_is_null() {
    let (_folder, catalog, split) =
        planned_json("[{\"id\":1}]", Framing::Document { records: "".parse().expect("a pointer") });
    let dataset = catalog.find(&split.dataset).expect("it is declared");
    let column = |name: &str| ferry::schema::Column {
        name: name.to_owned(),
        column_type: ferry::schema::ColumnType::Text,
    };
    let request = ReadRequest {
        position: split.start,
        split,
        columns: vec![column("id"), column("mail")],
        batch_bytes_max: 1 << 20,
    };
    let mut reader =
        SplitReader::open(catalog.clone(), dataset, request, &|| false).expect("it opens");
    let chunk = reader.next_chunk(&|| false).expect("it is read").expect("a chunk");
    let records = chunk.batch.expect("a row").records;
    assert_eq!((records.num_rows(), records.column(1).null_count()), (1, 1));
}
