//! Turns whole files into chunks and looks at the rows, the rejects and where chunks end.

mod layouts;

use crate::cut::{CutRequest, LastRecord};
use std::sync::Arc;

use arrow_array::Array as _;
use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
    Time64MicrosecondType, TimestampMicrosecondType,
};
use ferry::position::Position;
use ferry::reject::{Code, Reason, Reject};
use ferry::schema::Column;
use ferry::values::FieldFormat;
use ferry::wire::BATCH_ROWS_MAX;

use crate::chunk::Chunk;
use crate::delimited::{BatchReader, DelimitedError, Layout, TextInput, cut, read_header};
use crate::wanted::{NullWords, WantedColumn};

const BYTES_MAX: usize = 1024 * 1024;

/// Columns in PostgreSQL's own format, without null words.
fn columns(types: &[(&str, &str)]) -> Vec<WantedColumn> {
    let column = |(name, type_name): &(&str, &str)| WantedColumn {
        column: Column { name: (*name).to_owned(), column_type: type_name.parse().unwrap() },
        format: Arc::new(FieldFormat::default()),
        nulls: Arc::new(NullWords::default()),
    };
    types.iter().map(column).collect()
}

/// The data of a file, from after its header to its end.
fn range(file: &[u8], layout: &Layout) -> (Position, Position) {
    let header = read_header(file, layout).unwrap().unwrap();
    let start = header.end;
    let input = TextInput::new(&file[offset(start)..], header.encoding, start.byte_offset)
        .without_footer(layout);
    let request =
        CutRequest { start, from: start, target_split_bytes: u64::MAX, last: LastRecord::Take };
    let cuts = cut(input, &layout.dialect, header.names.len(), &request);
    assert!(cuts.failure.is_none());
    (start, cuts.ranges.last().map_or(start, |range| range.end))
}

fn offset(position: Position) -> usize {
    usize::try_from(position.byte_offset).unwrap()
}

/// The chunks of a range; the input goes on behind its end.
fn read_range(
    file: &[u8],
    layout: &Layout,
    columns: Vec<WantedColumn>,
    (start, end): (Position, Position),
    bytes_max: usize,
) -> Result<Vec<Chunk>, DelimitedError> {
    let header = read_header(file, layout)?.unwrap();
    let input = TextInput::new(&file[offset(start)..], header.encoding, start.byte_offset)
        .without_footer(layout);
    let mut reader = BatchReader::new(input, layout, &header, columns, start, end, bytes_max)?;
    let mut chunks = Vec::new();
    while let Some(chunk) = reader.next_chunk()? {
        chunks.push(chunk);
    }
    Ok(chunks)
}

fn read_from(
    file: &[u8],
    types: &[(&str, &str)],
    start: Position,
    end: Position,
    bytes_max: usize,
) -> Result<Vec<Chunk>, DelimitedError> {
    read_range(file, &Layout::default(), columns(types), (start, end), bytes_max)
}

/// The chunks of a whole file of some layout.
fn read_as(file: &[u8], layout: &Layout, columns: Vec<WantedColumn>) -> Vec<Chunk> {
    let (start, end) = range(file, layout);
    let chunks = read_range(file, layout, columns, (start, end), BYTES_MAX).unwrap();
    assert_eq!(chunks.last().map_or(start, |chunk| chunk.end), end);
    chunks
}

/// The chunks of a whole file in the usual layout.
fn read(file: &[u8], types: &[(&str, &str)], bytes_max: usize) -> Vec<Chunk> {
    let (start, end) = range(file, &Layout::default());
    let chunks = read_from(file, types, start, end, bytes_max).unwrap();
    assert_eq!(chunks.last().map_or(start, |chunk| chunk.end), end);
    chunks
}

fn row_numbers(chunks: &[Chunk]) -> Vec<u64> {
    let places = chunks.iter().filter_map(|chunk| chunk.batch.as_ref()).flat_map(|b| &b.places);
    places.map(|place| place.row_number).collect()
}

fn rejects(chunks: &[Chunk]) -> Vec<&Reject> {
    chunks.iter().flat_map(|chunk| &chunk.rejects).collect()
}

#[test]
fn every_type_gets_its_values_and_nulls() {
    let types = [
        ("t", "text"),
        ("v", "varchar(3)"),
        ("b", "boolean"),
        ("i2", "smallint"),
        ("i4", "integer"),
        ("i8", "bigint"),
        ("f4", "real"),
        ("f8", "double precision"),
        ("n", "numeric(15,2)"),
        ("w", "numeric"),
        ("d", "date"),
        ("h", "time"),
        ("ts", "timestamp"),
        ("tz", "timestamptz"),
        ("u", "uuid"),
        ("j", "jsonb"),
        ("x", "bytea"),
    ];
    let names: Vec<&str> = types.iter().map(|(name, _)| *name).collect();
    let file = format!(
        "{}\n{}\n{}\n",
        names.join(","),
        "é,abc  ,t,-2,3,4,1.5,2.5,12.345,1e400,1970-01-02,00:00:01,1970-01-01 00:00:02,\
         1970-01-01T01:00:00+01,00000000-0000-0000-0000-0000000000ff,\"{\"\"a\"\": 1}\",\\x00ff",
        ",".repeat(types.len() - 1)
    );
    let chunks = read(file.as_bytes(), &types, BYTES_MAX);
    assert!(rejects(&chunks).is_empty(), "{:?}", rejects(&chunks));
    let records = &chunks[0].batch.as_ref().unwrap().records;

    let column = |name: &str| records.column_by_name(name).unwrap();
    assert_eq!(column("t").as_string::<i32>().value(0), "é");
    assert_eq!(column("v").as_string::<i32>().value(0), "abc");
    assert!(column("b").as_boolean().value(0));
    assert_eq!(column("i2").as_primitive::<Int16Type>().value(0), -2);
    assert_eq!(column("i4").as_primitive::<Int32Type>().value(0), 3);
    assert_eq!(column("i8").as_primitive::<Int64Type>().value(0), 4);
    assert_eq!(column("f4").as_primitive::<Float32Type>().value(0).to_string(), "1.5");
    assert_eq!(column("f8").as_primitive::<Float64Type>().value(0).to_string(), "2.5");
    assert_eq!(column("n").as_primitive::<Decimal128Type>().value(0), 1235);
    assert_eq!(column("w").as_string::<i32>().value(0), "1e400");
    assert_eq!(column("d").as_primitive::<Date32Type>().value(0), 1);
    assert_eq!(column("h").as_primitive::<Time64MicrosecondType>().value(0), 1_000_000);
    assert_eq!(column("ts").as_primitive::<TimestampMicrosecondType>().value(0), 2_000_000);
    assert_eq!(column("tz").as_primitive::<TimestampMicrosecondType>().value(0), 0);
    assert_eq!(column("u").as_fixed_size_binary().value(0)[15], 255);
    assert_eq!(column("j").as_string::<i32>().value(0), "{\"a\": 1}");
    assert_eq!(column("x").as_binary::<i32>().value(0), [0, 255]);
    for array in records.columns() {
        assert!(array.is_valid(0) && array.is_null(1), "{}", array.data_type());
    }
}

#[test]
fn an_empty_field_is_null_and_a_quoted_one_is_not() {
    let chunks = read(b"a,b\n,\"\"\n\"\",\n", &[("a", "text"), ("b", "text")], BYTES_MAX);
    let records = &chunks[0].batch.as_ref().unwrap().records;
    assert!(records.column(0).is_null(0) && records.column(1).is_valid(0));
    assert!(records.column(0).is_valid(1) && records.column(1).is_null(1));
}

#[test]
fn bad_rows_are_rejected_with_every_reason_and_leave_no_trace() {
    let mut file = b"id,n,d,note\r\n1,1.5,2024-01-01,x\r\n".to_vec();
    file.extend_from_slice(b"2,1.5\r\n3,1.5,2024-01-01,x,y\r\n4,a,2024-02-30,x\r\n");
    file.extend_from_slice(b"5,,,\xFF\r\n6,,,\0\r\n99999999999,,,x\r\n8,8,,y\r\n");
    let types = [("note", "text"), ("d", "date"), ("n", "numeric(5,2)"), ("id", "integer")];
    let chunks = read(&file, &types, BYTES_MAX);

    assert_eq!(row_numbers(&chunks), [1, 8]);
    let records = &chunks[0].batch.as_ref().unwrap().records;
    assert_eq!(records.column(0).as_string::<i32>().value(1), "y");
    assert!(records.column(1).is_null(1));
    assert_eq!(records.column(2).as_primitive::<Decimal128Type>().values(), &[150_i128, 800]);
    assert_eq!(records.column(3).as_primitive::<Int32Type>().values(), &[1_i32, 8]);

    let rejects = rejects(&chunks);
    let rows: Vec<u64> = rejects.iter().map(|reject| reject.place.row_number).collect();
    assert_eq!(rows, [2, 3, 4, 5, 6, 7]);
    let reasons: Vec<&[Reason]> = rejects.iter().map(|reject| &reject.reasons[..]).collect();
    assert_eq!(reasons[0], [Reason::of_record(Code::TOO_FEW_FIELDS)]);
    assert_eq!(reasons[1], [Reason::of_record(Code::TOO_MANY_FIELDS)]);
    let bad_date = Reason::of_column(Code::BAD_DATE, "d");
    assert_eq!(reasons[2], [bad_date, Reason::of_column(Code::BAD_NUMBER, "n")]);
    assert_eq!(reasons[3], [Reason::of_column(Code::BAD_UTF8, "note")]);
    assert_eq!(reasons[4], [Reason::of_column(Code::NUL_BYTE, "note")]);
    assert_eq!(reasons[5], [Reason::of_column(Code::OUT_OF_RANGE, "id")]);

    assert!(rejects[0].fields.is_empty() && rejects[1].fields.is_empty());
    let texts = |index: usize| -> Vec<Option<&str>> {
        rejects[index].fields.iter().map(Option::as_deref).collect()
    };
    assert_eq!(texts(2), [Some("x"), Some("2024-02-30"), Some("a"), Some("4")]);
    assert_eq!(texts(3), [None, None, None, Some("5")]);
    assert_eq!(texts(4), [None, None, None, Some("6")]);
    let place = rejects[0].place;
    assert_eq!(&file[33..40], b"2,1.5\r\n");
    assert_eq!((place.byte_start, place.byte_end), (33, 40));
}

#[test]
fn chunks_end_at_their_limits_and_cover_blank_lines() {
    let file = format!("a\n{}\n\n", "1\n".repeat(20_000));
    let chunks = read(file.as_bytes(), &[("a", "integer")], BYTES_MAX);
    let rows = |chunk: &Chunk| chunk.batch.as_ref().map_or(0, |batch| batch.places.len());
    let counts: Vec<usize> = chunks.iter().map(rows).collect();
    assert_eq!(counts, [BATCH_ROWS_MAX, BATCH_ROWS_MAX, 20_000 - 2 * BATCH_ROWS_MAX]);

    let chunks = read(b"a\n1\n2\n3\n4\n\n\n", &[("a", "integer")], 8);
    let ends: Vec<u64> = chunks.iter().map(|chunk| chunk.end.byte_offset).collect();
    assert_eq!(ends, [6, 12]);
    assert_eq!(chunks.iter().map(rows).collect::<Vec<_>>(), [2, 2]);

    let file = format!("a\n{}", "x\n".repeat(2500));
    let chunks = read(file.as_bytes(), &[("a", "integer")], BYTES_MAX);
    let counts: Vec<usize> = chunks.iter().map(|chunk| chunk.rejects.len()).collect();
    assert_eq!(counts, [1000, 1000, 500]);
    assert!(chunks.iter().all(|chunk| chunk.batch.is_none()));
}

#[test]
fn a_read_resumes_after_every_row() {
    let file = b"a,b\n1,\"x\n\"\n2,\r\n\n3,y,\nz,w\r4,\"\"\n5,v";
    let types = [("b", "text"), ("a", "integer")];
    let (start, end) = range(file, &Layout::default());
    let whole = read(file, &types, BYTES_MAX);
    assert_eq!(row_numbers(&whole), [1, 2, 5, 6]);
    for stop in read(file, &types, 1).iter().map(|chunk| chunk.end) {
        let rest = read_from(file, &types, stop, end, BYTES_MAX).unwrap();
        let mut rows = row_numbers(&rest);
        rows.extend(rejects(&rest).iter().map(|reject| reject.place.row_number));
        rows.sort_unstable();
        let expected: Vec<u64> = (stop.row_number + 1..=end.row_number).collect();
        assert_eq!(rows, expected);
        assert_eq!(rest.last().map_or(stop, |chunk| chunk.end), end);
        assert_eq!(
            rest.first().and_then(|chunk| chunk.batch.as_ref()).map_or(stop, |b| b.start),
            stop
        );
    }
    assert!(start < end);
}

#[test]
fn a_range_that_holds_other_records_is_an_error() {
    let file = b"a\n1\n2\n3\n";
    let types = [("a", "integer")];
    let (start, end) = range(file, &Layout::default());
    for wrong in [
        Position { row_number: end.row_number + 1, ..end },
        Position { byte_offset: end.byte_offset - 1, ..end },
    ] {
        let error = read_from(file, &types, start, wrong, BYTES_MAX).unwrap_err();
        assert!(matches!(error, DelimitedError::RowCountDiffers(differs) if differs.found == end));
    }
}

#[test]
fn a_missing_column_is_an_error_that_names_the_nearest() {
    let (start, end) = range(b"email,phone\n", &Layout::default());
    let error = read_from(b"email,phone\n", &[("emial", "text")], start, end, BYTES_MAX);
    let text = error.unwrap_err().to_string();
    assert_eq!(text, "the file has no column \"emial\": did you mean \"email\"?");
}

#[test]
fn no_column_at_all_still_counts_rows() {
    let chunks = read(b"a\n1\n2\n", &[], BYTES_MAX);
    assert_eq!(chunks[0].batch.as_ref().unwrap().records.num_rows(), 2);
}

#[test]
fn a_real_table_is_read_whole() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/telecom.csv");
    let Ok(file) = std::fs::read(path) else {
        eprintln!("skipped: {path} is not there");
        return;
    };
    let types = [
        ("churn", "boolean"),
        ("total day minutes", "numeric(8,2)"),
        ("account length", "smallint"),
        ("phone number", "text"),
    ];
    let chunks = read(&file, &types, 64 * 1024);
    assert!(rejects(&chunks).is_empty());
    assert_eq!(row_numbers(&chunks), (1..=3333).collect::<Vec<u64>>());

    let mut reader = csv::Reader::from_reader(file.as_slice());
    let names = reader.headers().unwrap().clone();
    let place = |name: &str| names.iter().position(|known| known == name).unwrap();
    let mut expected = reader.records().map(Result::unwrap);
    for batch in chunks.iter().filter_map(|chunk| chunk.batch.as_ref()) {
        let columns = batch.records.columns();
        for row in 0..batch.records.num_rows() {
            let record = expected.next().unwrap();
            let field = |name: &str| &record[place(name)];
            let churn = field("churn").eq_ignore_ascii_case("true");
            assert_eq!(columns[0].as_boolean().value(row), churn);
            let minutes = columns[1].as_primitive::<Decimal128Type>().value_as_string(row);
            let minutes: f64 = minutes.parse().unwrap();
            let same =
                minutes.to_bits() == field("total day minutes").parse::<f64>().unwrap().to_bits();
            assert!(same);
            let length = columns[2].as_primitive::<Int16Type>().value(row);
            assert_eq!(length.to_string(), field("account length"));
            assert_eq!(columns[3].as_string::<i32>().value(row), field("phone number"));
        }
    }
}
