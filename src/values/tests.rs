//! Columns of every type and format, as the stages use them.

mod documented;

use arrow_array::Array as _;
use proptest::prelude::*;

use super::{ColumnBuilder, FieldFormat, FormatWords, Percent, text_of};
use crate::reject::Code;
use crate::schema::ColumnType;
use crate::schema::tests::TYPE_NAMES;

const FIELDS: [&str; 16] = [
    "",
    " ",
    "t",
    "é ",
    "abc   ",
    "12",
    "-1.5",
    "1,234.50",
    "NaN",
    "infinity",
    "2024-02-01",
    "12:30",
    "2024-02-01 12:30:00",
    "2024-02-01T12:30:00+02",
    "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    "\\x00ff",
];

fn column_type(name: &str) -> ColumnType {
    name.parse().expect("a type")
}

/// Appends a field; what cannot be read leaves no row.
fn append(
    column: &mut ColumnBuilder,
    rows: &mut usize,
    field: Option<&[u8]>,
) -> Result<usize, Code> {
    let taken = column.append(field);
    match taken {
        Ok(_) => *rows += 1,
        Err(_) => column.truncate(*rows),
    }
    taken
}

/// What becomes of some fields, one after the other.
fn read_all(mut column: ColumnBuilder, fields: &[&[u8]]) -> Vec<Result<Option<String>, Code>> {
    let mut rows = 0;
    let mut outcomes = Vec::new();
    for field in fields {
        outcomes.push(append(&mut column, &mut rows, Some(field)));
        append(&mut column, &mut rows, None).expect("a null");
    }
    let array = column.finish().expect("an array");
    assert_eq!(array.len(), rows);
    let mut row = 0;
    let mut texts = Vec::new();
    for outcome in outcomes {
        if outcome.is_ok() {
            texts.push(outcome.map(|_| text_of(&array, row)));
            row += 1;
        } else {
            texts.push(outcome.map(|_| None));
        }
        assert_eq!(text_of(&array, row), None);
        row += 1;
    }
    texts
}

/// What becomes of one field.
fn read(type_name: &str, words: FormatWords, field: &str) -> Result<Option<String>, Code> {
    let column_type = column_type(type_name);
    let format = FieldFormat::new(words, column_type).expect("a format");
    let column = ColumnBuilder::with_format(column_type, &format);
    read_all(column, &[field.as_bytes()]).remove(0)
}

#[expect(clippy::unnecessary_wraps, reason = "it stands beside what was read")]
fn text(value: &str) -> Result<Option<String>, Code> {
    Ok(Some(value.to_owned()))
}

#[test]
fn a_plain_format_is_none() {
    let fields = FIELDS.map(str::as_bytes);
    for name in TYPE_NAMES {
        let column_type = column_type(name);
        let plain = ColumnBuilder::with_format(column_type, &FieldFormat::default());
        let without = ColumnBuilder::new(column_type);
        assert_eq!(read_all(plain, &fields), read_all(without, &fields), "{name}");
    }
}

#[test]
fn clean_fields_are_read_as_others() {
    for name in TYPE_NAMES {
        let mut clean = ColumnBuilder::new(column_type(name));
        let mut other = ColumnBuilder::new(column_type(name));
        let mut rows = 0;
        for field in FIELDS.map(|field| Some(field.as_bytes())).into_iter().chain([None]) {
            let outcome = append(&mut other, &mut rows, field);
            assert_eq!(clean.append_clean(field), outcome, "{name}");
            clean.truncate(rows);
        }
        let (clean, other) = (clean.finish().expect("array"), other.finish().expect("array"));
        assert_eq!(&clean, &other, "{name}");
    }
}

#[test]
fn a_format_of_another_type_does_nothing() {
    let words = FormatWords { format: Some("%d.%m.%Y".to_owned()), ..FormatWords::default() };
    let format = FieldFormat::new(words, ColumnType::Date).expect("a format");
    let read = |name: &str, field: &str| {
        let column = ColumnBuilder::with_format(column_type(name), &format);
        read_all(column, &[field.as_bytes()]).remove(0)
    };
    assert_eq!(read("text", "01.02.2024"), text("01.02.2024"));
    assert_eq!(read("integer", "5"), text("5"));
    assert_eq!(
        read("bytea", "\\x00"),
        read_all(ColumnBuilder::new(ColumnType::Bytea), &[b"\\x00".as_slice()],).remove(0)
    );
    assert_eq!(read("date", "01.02.2024"), text("2024-02-01"));
    assert_eq!(read("timestamp", "01.02.2024"), text("2024-02-01 00:00:00"));
    assert_eq!(read("time", "01.02.2024"), Err(Code::BAD_TIME));
    assert_eq!(read("date", "2024-02-01"), Err(Code::BAD_DATE));
}

#[test]
fn numbers_of_every_type_have_words() {
    let words = || FormatWords {
        decimal: Some(",".to_owned()),
        thousands: Some(".".to_owned()),
        currency: Some(vec!["€".to_owned()]),
        ..FormatWords::default()
    };
    for (name, field, expected) in [
        ("smallint", "1.234 €", text("1234")),
        ("integer", "-1.234.567", text("-1234567")),
        ("integer", "1.234,5", Err(Code::BAD_INTEGER)),
        ("smallint", "99.999", Err(Code::OUT_OF_RANGE)),
        ("bigint", "1.23", Err(Code::BAD_INTEGER)),
        ("real", "€1,5", text("1.5")),
        ("double precision", "-€1.234,5", text("-1234.5")),
        ("double precision", "NaN", text("NaN")),
        ("double precision", "-Infinity", text("-Infinity")),
        ("numeric(15,2)", "1.234,505", text("1234.51")),
        ("numeric(15,2)", "1.50", Err(Code::BAD_NUMBER)),
        ("numeric(50,2)", "1.234,50", text("1234.50")),
        (
            "numeric",
            "123.456.789.012.345.678.901.234.567.890.123.456.789,5",
            text("123456789012345678901234567890123456789.5"),
        ),
    ] {
        assert_eq!(read(name, words(), field), expected, "{name}: {field}");
    }
    let percent = |percent| FormatWords { percent: Some(percent), ..FormatWords::default() };
    assert_eq!(read("numeric(6,3)", percent(Percent::Fraction), "12.5%"), text("0.125"));
    assert_eq!(read("double precision", percent(Percent::Fraction), "0.7%"), text("0.007"));
    assert_eq!(read("integer", percent(Percent::Number), "12 %"), text("12"));
}

#[test]
fn plain_timestamps_without_a_zone_are_of_a_place() {
    let in_zone = |name: &str, field: &str| {
        let words = FormatWords { time_zone: Some(name.to_owned()), ..FormatWords::default() };
        read("timestamptz", words, field)
    };
    let utc = |field: &str| read("timestamptz", FormatWords::default(), field);
    for (zone, field, instant) in [
        ("Europe/Berlin", "2024-01-15 12:00", "2024-01-15 11:00"),
        ("Europe/Berlin", "2024-07-15T12:00:00", "2024-07-15 10:00"),
        ("Europe/Berlin", "2024-07-15", "2024-07-14 22:00"),
        ("Europe/Berlin", "2024-07-15 12:00:00+00", "2024-07-15 12:00"),
        ("Europe/Berlin", "2024-07-15 12:00:00Z", "2024-07-15 12:00"),
        ("Europe/Berlin", "2024-03-31 02:30", "2024-03-31 01:30"),
        ("Europe/Berlin", "2024-10-27 02:30", "2024-10-27 01:30"),
        ("America/New_York", "2024-03-10 02:30", "2024-03-10 07:30"),
        ("America/New_York", "2024-11-03 01:30", "2024-11-03 06:30"),
        ("Europe/Berlin", "2500-07-15 12:00", "2500-07-15 10:00"),
        ("Europe/Berlin", "infinity", "infinity"),
    ] {
        assert_eq!(in_zone(zone, field), utc(instant), "{zone}: {field}");
    }
    assert_eq!(in_zone("Europe/Berlin", "2024-07-15 12:00 CET"), Err(Code::BAD_TIMESTAMP));
}

proptest! {
    #[test]
    fn every_money_amount_reads_back(cents in -999_999_999_999_i64..=999_999_999_999) {
        let sign = if cents < 0 { "-" } else { "" };
        let digits = format!("{:03}", cents.unsigned_abs());
        let (whole, fraction) = digits.split_at(digits.len() - 2);
        let words = FormatWords {
            decimal: Some(",".to_owned()),
            currency: Some(vec!["EUR".to_owned()]),
            ..FormatWords::default()
        };
        let field = format!("{sign}{whole},{fraction} EUR");
        let expected = text(&format!("{sign}{whole}.{fraction}"));
        prop_assert_eq!(read("numeric(15,2)", words, &field), expected);
    }
}
