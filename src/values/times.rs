//! Turns ISO 8601 dates and times into the days and microseconds that Arrow counts.
//!
//! Years have four digits or more, months and days two, so that no field is
//! ambiguous. ` BC` may follow, as PostgreSQL writes it. `infinity` and
//! `-infinity` become the largest and the smallest number.

use crate::calendar::{CivilDate, DATE_DAYS, DAY_MICROS, TIMESTAMP_MICROS};
use crate::reject::Code;

use super::fields::trim;

/// PostgreSQL's largest distance from UTC, in whole hours.
const ZONE_HOURS_MAX: u32 = 15;
/// Digits of a fraction that are kept.
const MICRO_DIGITS: usize = 6;

/// `YYYY-MM-DD`, in days since 1970.
pub(super) fn date(field: &[u8]) -> Result<i32, Code> {
    let text = trim(field);
    if let Some(endless) = infinity(text, i32::MIN, i32::MAX) {
        return Ok(endless);
    }
    let (text, era) = split_era(text);
    let days = days(text, era).ok_or(Code::BAD_DATE)?;
    if !DATE_DAYS.contains(&days) {
        return Err(Code::OUT_OF_RANGE);
    }
    i32::try_from(days).map_err(|_| Code::OUT_OF_RANGE)
}

/// `HH:MM[:SS[.f]]`, in microseconds since midnight; 24:00 is the end of the day.
pub(super) fn time(field: &[u8]) -> Result<i64, Code> {
    match clock(trim(field)) {
        Some((micros, [])) => Ok(micros),
        _ => Err(Code::BAD_TIME),
    }
}

/// A date, and after `T` or a space a time; in microseconds since 1970.
///
/// A zone is refused: to drop it silently would change the instant.
pub(super) fn timestamp(field: &[u8]) -> Result<i64, Code> {
    instant(field, |zone| zone.is_empty().then_some(0))
}

/// A timestamp, then `Z`, `UTC`, `+hh`, `+hhmm`, `+hh:mm[:ss]` or, for UTC,
/// nothing; in microseconds since 1970 UTC.
pub(super) fn timestamptz(field: &[u8]) -> Result<i64, Code> {
    instant(field, zone_seconds)
}

fn instant(field: &[u8], zone_seconds: fn(&[u8]) -> Option<i64>) -> Result<i64, Code> {
    let text = trim(field);
    if let Some(endless) = infinity(text, i64::MIN, i64::MAX) {
        return Ok(endless);
    }
    let (days, micros) = days_and_micros(text, zone_seconds).ok_or(Code::BAD_TIMESTAMP)?;
    days.checked_mul(DAY_MICROS)
        .and_then(|midnight| midnight.checked_add(micros))
        .filter(|instant| TIMESTAMP_MICROS.contains(instant))
        .ok_or(Code::OUT_OF_RANGE)
}

/// Days since 1970, and microseconds since midnight UTC, which a zone can move
/// into a neighbouring day.
fn days_and_micros(text: &[u8], zone_seconds: fn(&[u8]) -> Option<i64>) -> Option<(i64, i64)> {
    let (text, era) = split_era(text);
    let Some(separator) = text.iter().position(|byte| matches!(byte, b' ' | b'T' | b't')) else {
        return Some((days(text, era)?, 0));
    };
    let days = days(&text[..separator], era)?;
    let (micros, zone) = clock(&text[separator + 1..])?;
    Some((days, micros - zone_seconds(zone)? * 1_000_000))
}

/// On which side of the year 1 a year lies.
#[derive(Clone, Copy)]
enum Era {
    Common,
    BeforeChrist,
}

fn split_era(text: &[u8]) -> (&[u8], Era) {
    match text.strip_suffix(b" BC") {
        Some(text) => (text, Era::BeforeChrist),
        None => (text, Era::Common),
    }
}

fn infinity<T>(text: &[u8], earliest: T, latest: T) -> Option<T> {
    if text.eq_ignore_ascii_case(b"infinity") {
        Some(latest)
    } else if text.eq_ignore_ascii_case(b"-infinity") {
        Some(earliest)
    } else {
        None
    }
}

/// Days since 1970 of a `YYYY-MM-DD` that exists.
fn days(text: &[u8], era: Era) -> Option<i64> {
    let (year, month_and_day) = text.split_last_chunk::<6>()?;
    let [b'-', month @ .., b'-', day_tens, day_ones] = month_and_day else {
        return None;
    };
    if !(4..=7).contains(&year.len()) {
        return None;
    }
    let year = match (i64::from(number(year)?), era) {
        (0, _) => return None,
        (year, Era::Common) => year,
        (year, Era::BeforeChrist) => 1 - year,
    };
    CivilDate::new(year, number(month)?, number(&[*day_tens, *day_ones])?).map(CivilDate::unix_days)
}

/// Microseconds since midnight of the time at the front, and what follows it.
fn clock(text: &[u8]) -> Option<(i64, &[u8])> {
    let (hour, rest) = split_pair(text)?;
    let (minute, rest) = split_pair(rest.strip_prefix(b":")?)?;
    let (second, micros, rest) = match rest.strip_prefix(b":") {
        Some(rest) => {
            let (second, rest) = split_pair(rest)?;
            let (micros, rest) = split_fraction(rest)?;
            (second, micros, rest)
        }
        None => (0, 0, rest),
    };
    // A leap second is the first one of the next minute.
    if hour > 24 || minute > 59 || second > 60 {
        return None;
    }
    let seconds = i64::from((hour * 60 + minute) * 60 + second);
    let micros = seconds * 1_000_000 + micros;
    (micros <= DAY_MICROS).then_some((micros, rest))
}

/// Microseconds of the fraction at the front, if there is one, rounded half to
/// even as PostgreSQL does, and what follows it.
fn split_fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let Some(text) = text.strip_prefix(b".") else {
        return Some((0, text));
    };
    let (digits, rest) =
        text.split_at(text.iter().take_while(|byte| byte.is_ascii_digit()).count());
    if digits.is_empty() {
        return None;
    }
    let mut micros: i64 = 0;
    for index in 0..MICRO_DIGITS {
        micros = micros * 10 + i64::from(digits.get(index).map_or(0, |byte| byte - b'0'));
    }
    let rounds_up = match digits.get(MICRO_DIGITS..) {
        None | Some([]) => false,
        Some([b'5', behind @ ..]) => micros % 2 == 1 || behind.iter().any(|byte| *byte != b'0'),
        Some([next, ..]) => *next > b'5',
    };
    Some((micros + i64::from(rounds_up), rest))
}

/// Seconds by which a zone is ahead of UTC.
fn zone_seconds(zone: &[u8]) -> Option<i64> {
    let zone = zone.strip_prefix(b" ").unwrap_or(zone);
    let (sign, offset) = match zone {
        [] | [b'Z' | b'z'] | [b'U', b'T', b'C'] => return Some(0),
        [b'+', offset @ ..] => (1, offset),
        [b'-', offset @ ..] => (-1, offset),
        _ => return None,
    };
    let (hours, rest) = split_pair(offset)?;
    let (minutes, rest) = split_zone_pair(rest)?;
    let (seconds, rest) = split_zone_pair(rest)?;
    let is_zone = rest.is_empty() && hours <= ZONE_HOURS_MAX && minutes <= 59 && seconds <= 59;
    is_zone.then_some(sign * i64::from((hours * 60 + minutes) * 60 + seconds))
}

/// The next two digits of a zone, with or without a colon before them; 0 at its end.
fn split_zone_pair(text: &[u8]) -> Option<(u32, &[u8])> {
    if text.is_empty() {
        return Some((0, text));
    }
    split_pair(text.strip_prefix(b":").unwrap_or(text))
}

/// The two digits at the front, and what follows them.
fn split_pair(text: &[u8]) -> Option<(u32, &[u8])> {
    let (pair, rest) = text.split_first_chunk::<2>()?;
    Some((number(pair)?, rest))
}

/// A few digits and nothing else.
fn number(digits: &[u8]) -> Option<u32> {
    let mut value: u32 = 0;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + u32::from(digit);
    }
    Some(value)
}

#[cfg(test)]
mod tests {
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
}
