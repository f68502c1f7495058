//! One small file for each thing in which dialects differ.

use encoding_rs::UTF_16LE;
use ferry::position::Position;

use super::{Reading, texts};
use crate::cut::LastRecord;
use crate::delimited::{BlankLines, Dialect, Escape, StrayQuotes, Terminator};

/// Fields of all records; a damaged one is its code alone, NULL is `~`.
#[track_caller]
fn fields(dialect: Dialect, file: &str) -> Vec<Vec<String>> {
    let records = Reading::of(dialect).read_all(file.as_bytes());
    let show = |found: &super::Found| {
        if let Some(code) = &found.2 {
            return vec![format!("!{code}")];
        }
        let null = || "~".to_owned();
        texts(found).into_iter().map(|text| text.unwrap_or_else(null)).collect()
    };
    records.iter().map(show).collect()
}

fn with(change: impl FnOnce(&mut Dialect)) -> Dialect {
    let mut dialect = Dialect::default();
    change(&mut dialect);
    dialect
}

#[test]
fn delimiters_may_be_long() {
    let dialect = with(|dialect| dialect.delimiter = "||".parse().unwrap());
    assert_eq!(fields(dialect, "a||b|c||\"d||e\"\n"), [["a", "b|c", "d||e"]]);
    let dialect = with(|dialect| dialect.delimiter = ", ".parse().unwrap());
    assert_eq!(fields(dialect, "a, \"b, c\", d,e\n"), [["a", "b, c", "d,e"]]);
}

#[test]
fn quotes_may_be_other_bytes_or_off() {
    let dialect = with(|dialect| dialect.quote = Some(b'\''));
    assert_eq!(fields(dialect, "'a,''b',\"c\"\n"), [["a,'b", "\"c\""]]);
    let dialect = with(|dialect| dialect.quote = None);
    assert_eq!(fields(dialect, "\"a,b\"\n"), [["\"a", "b\""]]);
}

#[test]
fn escapes_stand_before_quotes_and_themselves() {
    let dialect = with(|dialect| dialect.escape = Escape::Byte(b'\\'));
    let expected = [["a\"b", "c\\", "d\\n"], ["e\\", "f", "~"]];
    assert_eq!(fields(dialect, "\"a\\\"b\",\"c\\\\\",\"d\\n\"\ne\\,f,\n"), expected);
    let dialect = with(|dialect| dialect.escape = Escape::None);
    assert_eq!(
        fields(dialect, "\"a\\\",b\n\"a\"\"b\",c\n"),
        [vec!["a\\", "b"], vec!["!stray_quote"]]
    );
}

#[test]
fn escapes_stand_before_delimiters_where_quoting_is_off() {
    let dialect = with(|dialect| {
        dialect.quote = None;
        dialect.escape = Escape::Byte(b'\\');
    });
    let expected = [["a,b", "c\nd", "e\\", "f\\g"]];
    assert_eq!(fields(dialect, "a\\,b,c\\\nd,e\\\\,f\\g\n"), expected);
}

#[test]
fn comments_are_no_records_whatever_they_hold() {
    let dialect = with(|dialect| dialect.comment = "#".to_owned());
    assert_eq!(fields(dialect.clone(), "#x\"\na\n#\n# \"y\r\nb#\n#"), [["a"], ["b#"]]);
    let dialect = Dialect { comment: "--".to_owned(), ..dialect };
    assert_eq!(fields(dialect, "-- x\n-a\n"), [["-a"]]);
}

#[test]
fn records_end_as_the_terminator_says() {
    let file = "a\nb\rc\r\nd";
    let of = |terminator| fields(with(|dialect| dialect.terminator = terminator), file);
    assert_eq!(of(Terminator::Any), [["a"], ["b"], ["c"], ["d"]]);
    assert_eq!(of(Terminator::Lf), [["a"], ["b\rc\r"], ["d"]]);
    assert_eq!(of(Terminator::Crlf), [["a\nb\rc"], ["d"]]);
    assert_eq!(of(Terminator::Cr), [["a\nb"], ["c"], ["\nd"]]);
}

#[test]
fn blank_lines_are_nothing_or_records() {
    let file = "a\n\n\r\nb\n";
    assert_eq!(fields(Dialect::default(), file), [["a"], ["b"]]);
    let dialect = with(|dialect| dialect.blank_lines = BlankLines::Row);
    assert_eq!(fields(dialect, file), [["a"], ["~"], ["~"], ["b"]]);
}

#[test]
fn spaces_in_front_of_fields_can_be_skipped() {
    let file = "a,  b , \"c, d\" ,\te\n";
    let dialect = with(|dialect| dialect.skips_spaces = true);
    assert_eq!(fields(dialect, file), [["a", "b ", "c, d", "e"]]);
    assert_eq!(fields(Dialect::default(), file), [["!stray_quote"]]);
}

#[test]
fn a_trailing_delimiter_ends_no_field() {
    let dialect = with(|dialect| dialect.has_trailing_delimiter = true);
    let expected = [vec!["a", "b"], vec!["c", "~"], vec!["d", "e"], vec!["f", ""]];
    assert_eq!(fields(dialect, "a,b,\nc,,\nd,e\nf,\"\"\n"), expected);
}

#[test]
fn stray_quotes_are_refused_or_text() {
    let file = "5\" pipe,x\n\"a\"b,\"c\"\"d\"\n";
    assert_eq!(fields(Dialect::default(), file), [["!stray_quote"], ["!stray_quote"]]);
    let dialect = with(|dialect| dialect.stray_quotes = StrayQuotes::Keep);
    assert_eq!(fields(dialect, file), [["5\" pipe", "x"], ["ab", "c\"d"]]);
}

#[test]
fn quoted_and_bare_empty_fields_differ() {
    assert_eq!(fields(Dialect::default(), ",\"\"\n\"\"\n"), [vec!["~", ""], vec![""]]);
}

#[test]
fn a_bom_in_the_middle_of_a_file_is_kept() {
    assert_eq!(fields(Dialect::default(), "\u{FEFF}a,b\n"), [["\u{FEFF}a", "b"]]);
}

/// Where a plan of the first bytes of a file ends, if another one of the whole
/// file can go on there.
fn planned_end(reading: &Reading, file: &[u8], written: usize, last: LastRecord) -> Option<u64> {
    let start = Position::default();
    let planned = reading.cut(&file[..written], start, u64::MAX, last);
    let end = planned.ranges.last().map_or(start, |range| range.end);
    if last == LastRecord::LeaveOpen {
        assert_eq!(end.byte_offset + planned.unfinished_bytes, written as u64, "{written}");
    }
    let again = reading.cut(file, end, u64::MAX, LastRecord::Take);
    again.is_known_boundary.then_some(end.byte_offset)
}

#[test]
fn half_a_line_end_may_still_be_written() {
    for blank_lines in [BlankLines::Skip, BlankLines::Row] {
        let plain = Reading::of(with(|dialect| {
            dialect.blank_lines = blank_lines;
            dialect.comment = "#".to_owned();
        }));
        let utf16 = Reading { encoding: UTF_16LE, ..plain.clone() };
        let file: Vec<u8> = "a\r\nb\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for (written, end) in [(4, 0), (5, 0), (6, 6), (7, 6), (10, 6), (11, 6), (12, 12)] {
            let found = planned_end(&utf16, &file, written, LastRecord::LeaveOpen);
            assert_eq!(found, Some(end), "{blank_lines:?}, {written}");
        }
        for written in [3, 4, 5] {
            let found = planned_end(&plain, b"a\n#\r\nb\n", written, LastRecord::LeaveOpen);
            assert_eq!(found, Some(if written == 5 { 5 } else { 2 }), "{blank_lines:?}");
        }
    }
}

#[test]
fn nothing_goes_on_inside_a_line_end_that_has_no_halves() {
    let crlf = Reading::of(with(|dialect| dialect.terminator = Terminator::Crlf));
    let found = [1, 2, 3].map(|end| planned_end(&crlf, b"a\r\nb\r\n", end, LastRecord::Take));
    assert_eq!(found, [Some(1), None, Some(3)]);
    let utf16 = Reading { encoding: UTF_16LE, ..Reading::plain() };
    let file: Vec<u8> = "a\r\nb".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let found = [2, 3, 4, 6].map(|end| planned_end(&utf16, &file, end, LastRecord::Take));
    assert_eq!(found, [Some(2), None, Some(4), Some(6)]);
}
