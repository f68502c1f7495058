//! ISO 8601 dates and times become the numbers that Arrow counts, or are refused.

use super::*;
use proptest::prelude::*;

const HOUR: i64 = 3_600_000_000;
/// 2000-01-01 in days since 1970.
const Y2K: i64 = 10_957;

#[test]
fn dates_are_days_since_1970() {
    assert_eq!(date(b"1970-01-01"), Ok(0));
    assert_eq!(date(b" 2000-01-01 "), Ok(10_957));
    assert_eq!(date(b"0001-01-01 BC"), Ok(-719_528));
    assert_eq!(date(b"4714-11-24 BC"), Ok(-2_440_588));
    assert_eq!(date(b"5874897-12-31"), Ok(2_145_042_905));
    assert_eq!(date(b"Infinity"), Ok(i32::MAX));
    assert_eq!(date(b"-infinity"), Ok(i32::MIN));
}

#[test]
fn dates_outside_postgresqls_calendar_are_out_of_range() {
    assert_eq!(date(b"4714-11-23 BC"), Err(Code::OUT_OF_RANGE));
    assert_eq!(date(b"5874898-01-01"), Err(Code::OUT_OF_RANGE));
    assert_eq!(date(b"9999999-12-31"), Err(Code::OUT_OF_RANGE));
}

#[test]
fn what_is_no_date_is_refused() {
    for field in [
        "",
        "2024-02-30",
        "1900-02-29",
        "2024-13-01",
        "0000-01-01",
        "24-01-01",
        "2024-1-5",
        "20240105",
        "2024/01/05",
        "2024-01-05x",
        "2024-01-05T00:00",
        "-2024-01-05",
        "05.01.2024",
        "now",
        "é-01-01",
    ] {
        assert_eq!(date(field.as_bytes()), Err(Code::BAD_DATE), "{field}");
    }
}

#[test]
fn times_are_microseconds_since_midnight() {
    assert_eq!(time(b"00:00"), Ok(0));
    assert_eq!(time(b"01:00:00.5"), Ok(HOUR + 500_000));
    assert_eq!(time(b"23:59:59.999999"), Ok(DAY_MICROS - 1));
    assert_eq!(time(b"24:00:00"), Ok(DAY_MICROS));
    assert_eq!(time(b"23:59:60"), Ok(DAY_MICROS));
    assert_eq!(time(b"00:59:60.5"), Ok(HOUR + 500_000));
}

#[test]
fn fractions_beyond_microseconds_are_rounded_half_to_even() {
    assert_eq!(time(b"00:00:00.0000014"), Ok(1));
    assert_eq!(time(b"00:00:00.0000015"), Ok(2));
    assert_eq!(time(b"00:00:00.0000025"), Ok(2));
    assert_eq!(time(b"00:00:00.00000250001"), Ok(3));
    assert_eq!(time(b"00:59:59.9999999"), Ok(HOUR));
    assert_eq!(time(b"23:59:59.9999999"), Ok(DAY_MICROS));
}

#[test]
fn what_is_no_time_is_refused() {
    for field in [
        "",
        "12",
        "1:00",
        "12:60",
        "25:00",
        "24:00:01",
        "23:59:61",
        "12:00:00.",
        "12:00:00Z",
        "12:00 PM",
        "1200",
        "12:00:",
        "23:59:60.1",
    ] {
        assert_eq!(time(field.as_bytes()), Err(Code::BAD_TIME), "{field}");
    }
}

#[test]
fn timestamps_are_microseconds_since_1970() {
    assert_eq!(timestamp(b"2000-01-01"), Ok(Y2K * DAY_MICROS));
    assert_eq!(timestamp(b"2000-01-01 01:00"), Ok(Y2K * DAY_MICROS + HOUR));
    assert_eq!(timestamp(b"2000-01-01T01:00:00.000001"), Ok(Y2K * DAY_MICROS + HOUR + 1));
    assert_eq!(timestamp(b"1999-12-31 24:00:00"), Ok(Y2K * DAY_MICROS));
    assert_eq!(timestamp(b"1969-12-31 23:59:59.999999"), Ok(-1));
    assert_eq!(timestamp(b"4714-11-24 00:00:00 BC"), Ok(-2_440_588 * DAY_MICROS));
    assert_eq!(timestamp(b"294247-01-10 04:00:54.775806"), Ok(i64::MAX - 1));
    assert_eq!(timestamp(b"infinity"), Ok(i64::MAX));
    assert_eq!(timestamp(b"-infinity"), Ok(i64::MIN));
    assert_eq!(timestamp(b"294247-01-10 04:00:54.775807"), Err(Code::OUT_OF_RANGE));
    assert_eq!(timestamp(b"4714-11-23 23:59:59 BC"), Err(Code::OUT_OF_RANGE));
    assert_eq!(timestamp(b"9999999-01-01"), Err(Code::OUT_OF_RANGE));
}

#[test]
fn zones_are_subtracted() {
    let noon = Ok(Y2K * DAY_MICROS + 12 * HOUR);
    for field in [
        "2000-01-01 12:00",
        "2000-01-01T12:00:00Z",
        "2000-01-01 12:00:00 UTC",
        "2000-01-01 14:00:00+02",
        "2000-01-01 14:00:00 +0200",
        "2000-01-01 17:30:00.000+05:30",
        "2000-01-01 12:34:56+00:34:56",
        "2000-01-01 00:00-12",
        "2000-01-02 03:00+15:00",
    ] {
        assert_eq!(timestamptz(field.as_bytes()), noon, "{field}");
    }
    assert_eq!(timestamptz(b"2000-01-01"), Ok(Y2K * DAY_MICROS));
    let ides = Ok(-735_160 * DAY_MICROS);
    assert_eq!(timestamptz(b"0044-03-15 00:00:00+00 BC"), ides);
    assert_eq!(timestamptz(b"0044-03-15 02:00:00+02 BC"), ides);
}

#[test]
fn what_is_no_timestamp_is_refused() {
    for field in [
        "",
        "2000-01-01T",
        "2000-01-01 1:00",
        "2000-02-30 00:00",
        "2000-01-01  00:00",
        "2000-01-01 00:00 CET",
        "2000-01-01 00:00+16",
        "2000-01-01 00:00+2",
        "2000-01-01 00:00+02:",
        "2000-01-01 00:00+02:60",
    ] {
        assert_eq!(timestamp(field.as_bytes()), Err(Code::BAD_TIMESTAMP), "{field}");
        assert_eq!(timestamptz(field.as_bytes()), Err(Code::BAD_TIMESTAMP), "{field}");
    }
    assert_eq!(timestamp(b"2000-01-01 00:00:00Z"), Err(Code::BAD_TIMESTAMP));
}

proptest! {
    #[test]
    fn every_date_reads_back(days in DATE_DAYS) {
        let text = CivilDate::from_unix_days(days).to_string();
        prop_assert_eq!(date(text.as_bytes()).map(i64::from), Ok(days));
    }
}
