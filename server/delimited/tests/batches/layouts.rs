//! Turns files of unusual layouts into chunks: ragged, undecodable, in other formats, without header.

use ferry::values::FormatWords;

use super::*;
use crate::delimited::{BlankLines, Delimiter, Ragged, StrayQuotes};

const TWO: [(&str, &str); 2] = [("a", "integer"), ("b", "text")];

/// The texts of a column in all batches.
fn texts(chunks: &[Chunk], name: &str) -> Vec<Option<String>> {
    let mut texts = Vec::new();
    for batch in chunks.iter().filter_map(|chunk| chunk.batch.as_ref()) {
        let array = batch.records.column_by_name(name).unwrap().as_string::<i32>();
        texts.extend(array.iter().map(|text| text.map(str::to_owned)));
    }
    texts
}

/// Some texts, to compare with.
fn some(texts: &[&str]) -> Vec<Option<String>> {
    texts.iter().map(|text| Some((*text).to_owned())).collect()
}

/// Row and reasons of each reject.
fn refused(chunks: &[Chunk]) -> Vec<(u64, Vec<Reason>)> {
    let flat = |reject: &&Reject| (reject.place.row_number, reject.reasons.clone());
    rejects(chunks).iter().map(flat).collect()
}

fn of_record(row: u64, code: Code) -> (u64, Vec<Reason>) {
    (row, vec![Reason::of_record(code)])
}

fn delimiters(layout: Layout, delimiters: &[&str]) -> Layout {
    let other_delimiters =
        delimiters.iter().map(|text| text.parse::<Delimiter>().unwrap()).collect();
    Layout { other_delimiters, ..layout }
}

fn nulls(words: &[&str]) -> Arc<NullWords> {
    Arc::new(NullWords::new(words.iter().map(|word| (*word).to_owned()).collect()))
}

#[test]
fn ragged_records_are_refused_or_padded() {
    let file = b"a,b,c\n1\n2,x\n3,y,z\n4,y,z,,\"\"\n5,y,z,,w\n";
    let types = [("a", "integer"), ("b", "text"), ("c", "text")];
    let few = |row| of_record(row, Code::TOO_FEW_FIELDS);
    let many = |row| of_record(row, Code::TOO_MANY_FIELDS);

    let chunks = read_as(file, &Layout::default(), columns(&types));
    assert_eq!(row_numbers(&chunks), [3]);
    assert_eq!(refused(&chunks), [few(1), few(2), many(4), many(5)]);

    let layout = Layout { ragged: Ragged::Pad, ..Layout::default() };
    let chunks = read_as(file, &layout, columns(&types));
    assert_eq!(row_numbers(&chunks), [1, 2, 3, 4]);
    assert_eq!(refused(&chunks), [many(5)]);
    let found = texts(&chunks, "b");
    assert_eq!(found[0], None);
    assert_eq!(found[1..], some(&["x", "y", "y"]));
    assert!(texts(&chunks, "c")[..2].iter().all(Option::is_none));
}

#[test]
fn a_padded_record_is_refused_with_the_texts_that_it_has() {
    let layout = Layout { ragged: Ragged::Pad, ..Layout::default() };
    let chunks = read_as(b"a,b\nx\n", &layout, columns(&TWO));
    assert_eq!(refused(&chunks), [(1, vec![Reason::of_column(Code::BAD_INTEGER, "a")])]);
    assert_eq!(rejects(&chunks)[0].fields, [Some("x".to_owned()), None]);
}

#[test]
fn other_delimiters_are_tried_where_the_number_of_fields_is_wrong() {
    let file = b"a,b\n1,x;y\n2;y\n3||z\n4;y;z\n5;\"y;z\"\n6\n7;y,z,\n";
    let layout = delimiters(Layout::default(), &[";", "||"]);
    let chunks = read_as(file, &layout, columns(&TWO));
    assert_eq!(row_numbers(&chunks), [1, 2, 3, 5, 7]);
    assert_eq!(texts(&chunks, "b"), some(&["x;y", "y", "z", "y;z", "y,z,"]));
    let few = |row| of_record(row, Code::TOO_FEW_FIELDS);
    assert_eq!(refused(&chunks), [few(4), few(6)]);
    let place = chunks[0].batch.as_ref().unwrap().places[1];
    assert_eq!((place.byte_start, place.byte_end), (10, 14));

    // Another delimiter comes before padding.
    let layout = Layout { ragged: Ragged::Pad, ..layout };
    let chunks = read_as(b"a,b\n1;x\n2\n", &layout, columns(&TWO));
    assert_eq!(texts(&chunks, "b"), [Some("x".to_owned()), None]);
}

#[test]
fn another_delimiter_does_not_save_what_is_damaged_in_both() {
    let layout = delimiters(Layout::default(), &[";"]);
    let chunks = read_as(b"a,b\n1;x\"y\n2,z\n3,\"y\n", &layout, columns(&TWO));
    assert_eq!(row_numbers(&chunks), [2]);
    let expected = [of_record(1, Code::STRAY_QUOTE), of_record(3, Code::UNCLOSED_QUOTE)];
    assert_eq!(refused(&chunks), expected);
}

#[test]
fn null_words_are_null_quoted_or_not_in_their_columns_alone() {
    let file = b"a,b,c\nNA,NA,NA\n\"NA\",\"NA\",\"NA\"\n1,NAN,-\n-,-,-\n";
    let mut columns = columns(&[("a", "integer"), ("b", "text"), ("c", "text")]);
    columns[0].nulls = nulls(&["NA"]);
    columns[1].nulls = nulls(&["-", "NA"]);
    let chunks = read_as(file, &Layout::default(), columns);
    assert_eq!(row_numbers(&chunks), [1, 2, 3]);
    let records = &chunks[0].batch.as_ref().unwrap().records;
    let a = records.column(0).as_primitive::<Int32Type>();
    assert!(a.is_null(0) && a.is_null(1) && a.value(2) == 1);
    assert_eq!(texts(&chunks, "b"), [None, None, Some("NAN".to_owned())]);
    assert_eq!(texts(&chunks, "c"), some(&["NA", "NA", "-"]));

    assert_eq!(refused(&chunks), [(4, vec![Reason::of_column(Code::BAD_INTEGER, "a")])]);
    let dash = Some("-".to_owned());
    assert_eq!(rejects(&chunks)[0].fields, [dash.clone(), None, dash]);
}

#[test]
fn fields_are_read_in_the_format_of_their_column() {
    let words = FormatWords {
        decimal: Some(",".to_owned()),
        thousands: Some(".".to_owned()),
        ..FormatWords::default()
    };
    let mut columns = columns(&[("n", "numeric(15,2)"), ("plain", "numeric(15,2)")]);
    let format = FieldFormat::new(words, columns[0].column.column_type).unwrap();
    columns[0].format = Arc::new(format);
    let mut layout = Layout::default();
    layout.dialect.delimiter = ";".parse().unwrap();
    let chunks = read_as(b"plain;n\n1.5;1.234,50\n2,5;x\n", &layout, columns);
    let records = &chunks[0].batch.as_ref().unwrap().records;
    assert_eq!(records.column(0).as_primitive::<Decimal128Type>().values(), &[123_450_i128]);
    assert_eq!(records.column(1).as_primitive::<Decimal128Type>().values(), &[150_i128]);
    let bad = |name| Reason::of_column(Code::BAD_NUMBER, name);
    assert_eq!(refused(&chunks), [(2, vec![bad("n"), bad("plain")])]);
}

#[test]
fn files_without_header_begin_with_data() {
    let names = Some(vec!["a".to_owned(), "b".to_owned()]);
    let layout = Layout { header_rows: 0, names, ..Layout::default() };
    let chunks = read_as(b"\xEF\xBB\xBF1,x\n2,y\n", &layout, columns(&TWO));
    assert_eq!(texts(&chunks, "b"), some(&["x", "y"]));
    let place = chunks[0].batch.as_ref().unwrap().places[0];
    assert_eq!((place.row_number, place.byte_start, place.byte_end), (1, 3, 7));

    let layout = Layout { skip_rows: 1, ..layout };
    let chunks = read_as(b"report of \"may\n1,x\n", &layout, columns(&TWO));
    assert_eq!(texts(&chunks, "b"), some(&["x"]));
}

#[test]
fn headers_of_two_rows_and_footers_are_no_data() {
    let layout = Layout { skip_rows: 1, header_rows: 2, skip_footer: 1, ..Layout::default() };
    let file = b"report\nx,\na,b\n1,y\n2,z\ntotal,2\n";
    let chunks = read_as(file, &layout, columns(&[("x_a", "integer"), ("b", "text")]));
    assert_eq!(texts(&chunks, "b"), some(&["y", "z"]));
    assert!(rejects(&chunks).is_empty());
    assert_eq!(chunks.last().unwrap().end, Position { byte_offset: 22, row_number: 2 });
}

#[test]
fn a_blank_line_may_be_a_row() {
    let mut layout = Layout::default();
    layout.dialect.blank_lines = BlankLines::Row;
    let chunks = read_as(b"\nb\nx\n\r\n\ny\n\n", &layout, columns(&[("b", "text")]));
    assert_eq!(row_numbers(&chunks), [1, 2, 3, 4, 5]);
    let found = texts(&chunks, "b");
    assert_eq!((&found[0], &found[3]), (&Some("x".to_owned()), &Some("y".to_owned())));
    assert!([1, 2, 4].iter().all(|row: &usize| found[*row].is_none()));

    let file = b"a,b\n1,x\n\n2,y\n";
    let chunks = read_as(file, &layout, columns(&TWO));
    assert_eq!(row_numbers(&chunks), [1, 3]);
    assert_eq!(refused(&chunks), [of_record(2, Code::TOO_FEW_FIELDS)]);

    layout.ragged = Ragged::Pad;
    let chunks = read_as(file, &layout, columns(&TWO));
    assert_eq!(row_numbers(&chunks), [1, 2, 3]);
    assert_eq!(texts(&chunks, "b")[1], None);
}

#[test]
fn bytes_that_are_no_text_refuse_the_row_in_unwanted_columns_too() {
    let file = b"a,b,c\n1,\xFF,x\n2,\0,\xFF\nz,\xFF,x\n4,y,x\n";
    let chunks = read(file, &[("a", "integer")], BYTES_MAX);
    assert_eq!(row_numbers(&chunks), [4]);
    let bad = |name| Reason::of_column(Code::BAD_UTF8, name);
    let expected = [
        (1, vec![bad("b")]),
        (2, vec![Reason::of_column(Code::NUL_BYTE, "b"), bad("c")]),
        (3, vec![Reason::of_column(Code::BAD_INTEGER, "a"), bad("b")]),
    ];
    assert_eq!(refused(&chunks), expected);
    let fields: Vec<_> = rejects(&chunks).iter().flat_map(|reject| reject.fields.clone()).collect();
    assert_eq!(fields, some(&["1", "2", "z"]));
}

#[test]
fn halves_of_a_character_are_no_text_when_a_quote_parts_them() {
    let mut layout = Layout::default();
    layout.dialect.stray_quotes = StrayQuotes::Keep;
    let chunks = read_as(b"a,b\n1,\"\xC3\"\xA9\n2,\"\xC3\xA9\"x\n", &layout, columns(&TWO));
    assert_eq!(refused(&chunks), [of_record(1, Code::BAD_UTF8)]);
    assert_eq!(texts(&chunks, "b"), some(&["éx"]));
}

#[test]
fn other_encodings_are_decoded_and_places_count_the_bytes_of_the_file() {
    let layout = Layout { encoding: encoding_rs::SHIFT_JIS, ..Layout::default() };
    let chunks = read_as(b"a,b\n1,\xFF\n2,\x83\x41\n3,\0\n", &layout, columns(&TWO));
    assert_eq!(texts(&chunks, "b"), some(&["ア"]));
    let place = chunks[0].batch.as_ref().unwrap().places[0];
    assert_eq!((place.row_number, place.byte_start, place.byte_end), (2, 8, 13));
    let bad = |code| vec![Reason::of_column(code, "b")];
    assert_eq!(refused(&chunks), [(1, bad(Code::BAD_ENCODING)), (3, bad(Code::NUL_BYTE))]);

    let text = "a,b\r\n1,é\r\n2,\u{1F600}\r\n";
    let mut file = b"\xFE\xFF".to_vec();
    file.extend(text.encode_utf16().flat_map(u16::to_be_bytes));
    let layout = Layout { encoding: encoding_rs::UTF_16BE, ..Layout::default() };
    let chunks = read_as(&file, &layout, columns(&TWO));
    assert_eq!(texts(&chunks, "b"), some(&["é", "\u{1F600}"]));
    let end = Position { byte_offset: file.len() as u64, row_number: 2 };
    assert_eq!(chunks.last().unwrap().end, end);
}

#[test]
fn fields_and_records_over_their_limits_cost_one_row() {
    let mut layout = Layout::default();
    layout.dialect.field_bytes_max = 4;
    let file = b"a,b\n1,abcd\n2,abcde\n3,\"abcde\"\n4,x\n";
    let chunks = read_as(file, &layout, columns(&TWO));
    assert_eq!(row_numbers(&chunks), [1, 4]);
    let large = |row| of_record(row, Code::FIELD_TOO_LARGE);
    assert_eq!(refused(&chunks), [large(2), large(3)]);
    assert!(rejects(&chunks).iter().all(|reject| reject.fields.is_empty()));

    let mut layout = Layout::default();
    layout.dialect.record_bytes_max = 8;
    let chunks = read_as(b"a,b\n1,abcd\n2,abcdefghij\n3,x\n", &layout, columns(&TWO));
    assert_eq!(row_numbers(&chunks), [1, 3]);
    assert_eq!(refused(&chunks), [of_record(2, Code::RECORD_TOO_LARGE)]);
}

#[test]
fn a_stray_quote_costs_its_own_row_only() {
    let file = b"a,b\n1,x\n2,\"y\n3,z\n4,v\"w\n5,x\n";
    let chunks = read_as(file, &Layout::default(), columns(&TWO));
    assert_eq!(row_numbers(&chunks), [1, 3, 5]);
    let found = rejects(&chunks);
    assert_eq!((found[0].place.row_number, found[1].place.row_number), (2, 4));
    assert_eq!(found[1].reasons, [Reason::of_record(Code::STRAY_QUOTE)]);
    assert!(found.iter().all(|reject| reject.fields.is_empty()));

    let mut layout = Layout::default();
    layout.dialect.stray_quotes = StrayQuotes::Keep;
    let chunks = read_as(b"a,b\n4,v\"w\n5,\"x\"y\n", &layout, columns(&TWO));
    assert_eq!(texts(&chunks, "b"), some(&["v\"w", "xy"]));
}

#[test]
fn a_delimiter_behind_the_last_field_is_no_field() {
    let mut layout = Layout::default();
    layout.dialect.has_trailing_delimiter = true;
    let chunks = read_as(b"a,b,\n1,x,\n2,,\n", &layout, columns(&TWO));
    assert_eq!(texts(&chunks, "b"), [Some("x".to_owned()), None]);
    assert!(rejects(&chunks).is_empty());
}
