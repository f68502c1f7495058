//! Dates and times in many writings become the numbers that Arrow counts, or are refused.

use chrono::{NaiveDate, TimeDelta};
use chrono_tz::America::New_York;
use chrono_tz::Europe::Berlin;
use proptest::prelude::*;

use super::super::directives::compile;
use super::*;
use crate::schema::ColumnType;

const HOUR: i64 = 3_600_000_000;
/// 2024-02-01 in days since 1970.
const FIRST_OF_FEBRUARY: i32 = 19_754;
const FIRST_OF_FEBRUARY_MICROS: i64 = 19_754 * DAY_MICROS;

fn date(format: &str, field: &str) -> Result<i32, Code> {
    compile(format, ColumnType::Date).expect("a format").date(field.as_bytes())
}

fn time(format: &str, field: &str) -> Result<i64, Code> {
    compile(format, ColumnType::Time).expect("a format").time(field.as_bytes())
}

fn timestamp(format: &str, field: &str) -> Result<i64, Code> {
    compile(format, ColumnType::Timestamp).expect("a format").timestamp(field.as_bytes())
}

fn timestamptz(format: &str, field: &str, place: Option<Tz>) -> Result<i64, Code> {
    let pattern = compile(format, ColumnType::Timestamptz).expect("a format");
    pattern.timestamptz(field.as_bytes(), place)
}

#[test]
fn days_are_read_in_every_order() {
    for (format, field) in [
        ("%d.%m.%Y", "01.02.2024"),
        ("%d.%m.%Y", "1.2.2024"),
        ("%d.%m.%Y", " 01.02.2024\t"),
        ("%-d.%-m.%Y", "1.2.2024"),
        ("%m/%d/%Y", "02/01/2024"),
        ("%D", "02/01/24"),
        ("%F", "2024-02-01"),
        ("%Y%m%d", "20240201"),
        ("%d%m%y", "010224"),
        ("%y-%j", "24-032"),
        ("%Y%j", "2024032"),
        ("%Y-%j", "2024-32"),
        ("%e %b %Y", " 1 Feb 2024"),
        ("%e. %B %Y", "1. FEBRUARY 2024"),
        ("%d-%h-%y", "01-feb-24"),
        ("%A, %d %B %Y", "Thursday, 01 Feb 2024"),
        ("%a %d %b %Y", "thu 1 february 2024"),
        ("%d%n%m%t%Y", "1 \t2\n2024"),
        ("%d %m %Y", "1 2 2024"),
        ("%d %m  %Y", "01\t02 2024"),
        ("%m%e %Y", "2 1 2024"),
        ("%d %b %Y", "1Feb2024"),
        ("%b %d, %Y", "Feb1,2024"),
        ("%d Tage %m é %Y %%", "1 Tage 2 é 2024 %"),
        ("%s", "1706745600"),
    ] {
        assert_eq!(date(format, field), Ok(FIRST_OF_FEBRUARY), "{format}: {field}");
    }
}

#[test]
fn days_that_are_written_otherwise_are_refused() {
    for (format, field) in [
        ("%d.%m.%Y", ""),
        ("%d.%m.%Y", "2024-02-01"),
        ("%d.%m.%Y", "30.02.2024"),
        ("%d.%m.%Y", "01.13.2024"),
        ("%d.%m.%Y", "01.02.24"),
        ("%d.%m.%Y", "01.02.0000"),
        ("%d.%m.%Y", "01.02.12345678"),
        ("%d.%m.%Y", "001.02.2024"),
        ("%d.%m.%Y", "01.02.2024x"),
        ("%d %m %Y", "111 2024"),
        ("%d %m %Y", "01022024"),
        ("%d%n%m %t%Y", "1 112024"),
        ("%m%e %Y", "111 2024"),
        ("%d.%m.%Y", "01.02.2024 00:00"),
        ("%d.%m.%Y", "0\u{661}.02.2024"),
        ("%Y%m%d", "2024021"),
        ("%Y%m%d", "202402011"),
        ("%d%m%Y", "0102202"),
        ("%Y-%j", "2023-366"),
        ("%Y-%j", "2024-000"),
        ("%d %b %Y", "01 Febr 2024"),
        ("%d %b %Y", "01 Mai 2024"),
        ("%a %F", "Do 2024-02-01"),
        ("%s", "1706745601"),
        ("%s", "-"),
    ] {
        assert_eq!(date(format, field), Err(Code::BAD_DATE), "{format}: {field}");
    }
}

#[test]
fn years_reach_as_far_as_postgresqls() {
    assert_eq!(date("%d.%m.%Y", "31.12.5874897"), Ok(2_145_042_905));
    assert_eq!(date("%d.%m.%Y", "01.01.5874898"), Err(Code::OUT_OF_RANGE));
    assert_eq!(date("%d.%m.%Y", "24.11.4714 BC"), Ok(-2_440_588));
    assert_eq!(date("%d.%m.%Y", "23.11.4714 BC"), Err(Code::OUT_OF_RANGE));
    assert_eq!(date("%d.%m.%y", "01.01.24 BC"), Err(Code::BAD_DATE));
    assert_eq!(date("%d.%m.%Y", "infinity"), Ok(i32::MAX));
    assert_eq!(timestamp("%d.%m.%Y", " -Infinity"), Ok(i64::MIN));
    assert_eq!(date("%s", "99999999999999999999999"), Err(Code::OUT_OF_RANGE));
    assert_eq!(timestamp("%s", "9223372036854"), Ok(9_223_372_036_854_000_000));
    assert_eq!(timestamp("%s", "9223372036855"), Err(Code::OUT_OF_RANGE));
    let end = "10.01.294247 04:00:54.775807";
    assert_eq!(timestamp("%d.%m.%Y %H:%M:%S.%f", end), Err(Code::OUT_OF_RANGE));
}

#[test]
fn years_of_two_digits_are_those_of_posix() {
    for (field, year) in [("69", 1969), ("99", 1999), ("00", 2000), ("68", 2068)] {
        let first = CivilDate { year, month: 1, day: 1 }.unix_days();
        assert_eq!(date("%d.%m.%y", &format!("01.01.{field}")).map(i64::from), Ok(first));
    }
}

#[test]
fn times_have_12_or_24_hours() {
    for (format, field, micros) in [
        ("%H:%M", "07:30", 7 * HOUR + HOUR / 2),
        ("%H.%M Uhr", "7.30 Uhr", 7 * HOUR + HOUR / 2),
        ("%-H:%-M:%-S", "1:0:0", HOUR),
        ("%H%M%S", "010000", HOUR),
        ("%T", "24:00:00", DAY_MICROS),
        ("%T", "23:59:60", DAY_MICROS),
        ("%R", "01:00", HOUR),
        ("%I:%M %p", "12:00 AM", 0),
        ("%I:%M %p", "12:00 pm", 12 * HOUR),
        ("%I:%M%p", "1:00am", HOUR),
        ("%I:%M %P", "11:00 PM", 23 * HOUR),
        ("%H:%M:%S,%f", "00:00:01,5", 1_500_000),
        ("%H%M%S%f", "0000010000025", 1_000_002),
        ("%H:%M:%S.%f", "00:00:00.0000035", 4),
        ("%T%.f", "00:00:01", 1_000_000),
        ("%T%.f", "00:00:01.123456789", 1_123_457),
    ] {
        assert_eq!(time(format, field), Ok(micros), "{format}: {field}");
    }
}

#[test]
fn times_that_are_written_otherwise_are_refused() {
    for (format, field) in [
        ("%H:%M", "infinity"),
        ("%H:%M", "25:00"),
        ("%H:%M", "24:01"),
        ("%H:%M", "07:60"),
        ("%T", "07:30"),
        ("%T", "07:30:61"),
        ("%I:%M %p", "00:00 AM"),
        ("%I:%M %p", "13:00 PM"),
        ("%I:%M %p", "11:00"),
        ("%I:%M %p", "11:00 XM"),
        ("%T%.f", "00:00:01."),
        ("%H:%M:%S.%f", "00:00:01."),
    ] {
        assert_eq!(time(format, field), Err(Code::BAD_TIME), "{format}: {field}");
    }
}

#[test]
fn timestamps_have_a_date_and_a_time_or_midnight() {
    for (format, field, micros) in [
        ("%d.%m.%Y", "1.2.2024", 0),
        ("%d.%m.%Y %H:%M", "1.2.2024 07:00", 7 * HOUR),
        ("%m/%d/%Y %I:%M:%S %p", "2/1/2024 7:00:00 PM", 19 * HOUR),
        ("%Y%m%dT%H%M%S", "20240201T070000", 7 * HOUR),
        ("%Y%m%d%H%M%S", "20240201070000", 7 * HOUR),
        ("%F %T UTC", "2024-02-01 07:00:00 UTC", 7 * HOUR),
        ("%s", "1706770800", 7 * HOUR),
        ("%s.%f", "1706770800.25", 7 * HOUR + 250_000),
        ("%s%.f", "1706770800.9999999", 7 * HOUR + 1_000_000),
    ] {
        let expected = Ok(FIRST_OF_FEBRUARY_MICROS + micros);
        assert_eq!(timestamp(format, field), expected, "{format}: {field}");
        assert_eq!(timestamptz(format, field, None), expected, "{format}: {field}");
    }
    assert_eq!(timestamp("%s%.f", "-0.5"), Ok(-500_000));
    assert_eq!(timestamp("%s%.f", "-86400.000001"), Ok(-DAY_MICROS - 1));
    assert_eq!(timestamp("%s", "+1"), Ok(1_000_000));
}

#[test]
fn zones_are_subtracted() {
    let noon = Ok(FIRST_OF_FEBRUARY_MICROS + 12 * HOUR);
    for (format, field) in [
        ("%F %T%z", "2024-02-01 12:00:00Z"),
        ("%F %T%z", "2024-02-01 14:00:00+02"),
        ("%F %T %z", "2024-02-01 07:30:00 -0430"),
        ("%F %T %z", "2024-02-01 17:30:00+05:30"),
        ("%F %T %Z", "2024-02-01 12:00:00 GMT"),
        ("%T %Z %F", "12:00:00 UTC 2024-02-01"),
    ] {
        assert_eq!(timestamptz(format, field, None), noon, "{format}: {field}");
    }
    for field in ["2024-02-01 12:00:00", "2024-02-01 12:00:00+16", "2024-02-01 12:00:00+2"] {
        let read = timestamptz("%F %T%z", field, None);
        assert_eq!(read, Err(Code::BAD_TIMESTAMP), "{field}");
    }
    let read = timestamptz("%F %T %Z", "2024-02-01 12:00:00 CET", None);
    assert_eq!(read, Err(Code::BAD_TIMESTAMP));
}

#[test]
fn fields_without_a_zone_are_of_a_place() {
    let noon = Ok(FIRST_OF_FEBRUARY_MICROS + 12 * HOUR);
    let format = "%d.%m.%Y %H:%M";
    assert_eq!(timestamptz(format, "1.2.2024 13:00", Some(Berlin)), noon);
    assert_eq!(timestamptz(format, "1.2.2024 07:00", Some(New_York)), noon);
    assert_eq!(timestamptz(format, "1.2.2024 12:00", None), noon);
    let midnight = Ok(FIRST_OF_FEBRUARY_MICROS - HOUR);
    assert_eq!(timestamptz("%d.%m.%Y", "1.2.2024", Some(Berlin)), midnight);
    assert_eq!(timestamptz(format, "infinity", Some(Berlin)), Ok(i64::MAX));
}

#[test]
fn a_type_that_lacks_a_part_is_given_no_field_that_has_it() {
    let with_time = compile("%F %T", ColumnType::Timestamp).expect("a format");
    assert_eq!(with_time.date(b"2024-02-01 00:00:00"), Ok(FIRST_OF_FEBRUARY));
    assert_eq!(with_time.date(b"2024-02-01 00:00:01"), Err(Code::BAD_DATE));
    assert_eq!(with_time.time(b"2024-02-01 00:00:01"), Err(Code::BAD_TIME));
    let with_zone = compile("%F %T%z", ColumnType::Timestamptz).expect("a format");
    assert_eq!(with_zone.timestamp(b"2024-02-01 00:00:00Z"), Err(Code::BAD_TIMESTAMP));
    assert_eq!(with_zone.date(b"2024-02-01 00:00:00Z"), Err(Code::BAD_DATE));
    let time = compile("%T", ColumnType::Time).expect("a format");
    assert_eq!(time.date(b"00:00:00"), Err(Code::BAD_DATE));
    assert_eq!(time.timestamp(b"00:00:00"), Err(Code::BAD_TIMESTAMP));
    assert_eq!(time.timestamptz(b"00:00:00", None), Err(Code::BAD_TIMESTAMP));
}

/// The formats of dates that another library writes as well.
const DATE_FORMATS: [&str; 10] = [
    "%d.%m.%Y",
    "%-d/%-m/%Y",
    "%Y%m%d",
    "%e %b %Y",
    "%A, %B %d %Y",
    "%a %d %h %Y",
    "%Y-%j",
    "%Y%j",
    "%F",
    "%d%m%Y",
];
const TIME_FORMATS: [&str; 5] =
    ["%H:%M:%S%.f", "%I:%M:%S%.f %p", "%T.%f", "%H%M%S%.f", "%-H:%-M:%-S%.f"];

proptest! {
    #[test]
    fn every_date_reads_back(days in -719_162_i32..2_932_896) {
        let written = NaiveDate::default() + TimeDelta::days(days.into());
        for format in DATE_FORMATS {
            let text = written.format(format).to_string();
            prop_assert_eq!(date(format, &text), Ok(days), "{}: {}", format, text);
        }
    }

    #[test]
    fn every_timestamp_reads_back(micros in -719_162 * DAY_MICROS..2_932_896 * DAY_MICROS) {
        let midnight = NaiveDate::default().and_time(chrono::NaiveTime::MIN);
        let written = midnight + TimeDelta::microseconds(micros);
        for date_format in DATE_FORMATS {
            for time_format in TIME_FORMATS {
                let format = format!("{date_format} {time_format}");
                // What is a fraction here counts nanoseconds there.
                let text = written.format(&format.replace(".%f", "%.9f")).to_string();
                prop_assert_eq!(timestamp(&format, &text), Ok(micros), "{}: {}", format, text);
            }
        }
    }

    #[test]
    fn every_second_reads_back(seconds in -62_135_596_800_i64..253_402_300_800) {
        prop_assert_eq!(timestamp("%s", &seconds.to_string()), Ok(seconds * SECOND_MICROS));
    }

    #[test]
    fn any_text_is_read_or_refused(field in "\\PC{0,24}") {
        for format in DATE_FORMATS {
            let _ = date(format, &field);
        }
        let _ = timestamptz("%a %e %b %Y %I:%M:%S%.f %p %z", &field, None);
    }
}
