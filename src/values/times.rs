//! Turns ISO 8601 dates and times into the days and microseconds that Arrow counts.
//!
//! Years have four digits or more, months and days two, so that no field is
//! ambiguous. ` BC` may follow, as PostgreSQL writes it. `infinity` and
//! `-infinity` become the largest and the smallest number.

use crate::calendar::{CivilDate, DATE_DAYS, DAY_MICROS, TIMESTAMP_MICROS};
use crate::reject::Code;
use chrono_tz::Tz;

use super::fields::trim;
use super::zones::seconds_ahead;

/// PostgreSQL's largest distance from UTC, in whole hours.
pub(super) const ZONE_HOURS_MAX: u32 = 15;
pub(super) const SECOND_MICROS: i64 = 1_000_000;
/// Digits of a fraction that are kept.
const MICRO_DIGITS: usize = 6;

/// `YYYY-MM-DD`, in days since 1970.
pub(super) fn date(field: &[u8]) -> Result<i32, Code> {
    let text = trim(field);
    if let Some(endless) = infinity(text, i32::MIN, i32::MAX) {
        return Ok(endless);
    }
    let (text, era) = split_era(text);
    date_in_range(days(text, era).ok_or(Code::BAD_DATE)?)
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
    instant(field, |zone, _, _| zone.is_empty().then_some(0))
}

/// A timestamp, then `Z`, `UTC`, `+hh`, `+hhmm`, `+hh:mm[:ss]` or, for UTC,
/// nothing; in microseconds since 1970 UTC.
pub(super) fn timestamptz(field: &[u8]) -> Result<i64, Code> {
    instant(field, |zone, _, _| zone_seconds(zone))
}

/// The same, where nothing behind the time means the time of a place.
pub(super) fn timestamptz_in(field: &[u8], place: Tz) -> Result<i64, Code> {
    instant(field, |zone, days, micros| match zone {
        [] | [b' '] => Some(seconds_ahead(place, days, micros)),
        zone => zone_seconds(zone),
    })
}

/// `zone_seconds` takes the text of the zone, the days and the microseconds of
/// the day, and gives the seconds by which the zone is ahead of UTC.
fn instant(
    field: &[u8],
    zone_seconds: impl Fn(&[u8], i64, i64) -> Option<i64>,
) -> Result<i64, Code> {
    let text = trim(field);
    if let Some(endless) = infinity(text, i64::MIN, i64::MAX) {
        return Ok(endless);
    }
    let (days, micros, zone) = days_micros_and_zone(text).ok_or(Code::BAD_TIMESTAMP)?;
    let ahead = zone_seconds(zone, days, micros).ok_or(Code::BAD_TIMESTAMP)?;
    instant_in_range(days, micros - ahead * SECOND_MICROS)
}

/// Days since 1970, microseconds since midnight, and the text of the zone.
fn days_micros_and_zone(text: &[u8]) -> Option<(i64, i64, &[u8])> {
    let (text, era) = split_era(text);
    let Some(separator) = text.iter().position(|byte| matches!(byte, b' ' | b'T' | b't')) else {
        return Some((days(text, era)?, 0, &[]));
    };
    let days = days(&text[..separator], era)?;
    let (micros, zone) = clock(&text[separator + 1..])?;
    Some((days, micros, zone))
}

/// Days that PostgreSQL's calendar has.
pub(super) fn date_in_range(days: i64) -> Result<i32, Code> {
    if !DATE_DAYS.contains(&days) {
        return Err(Code::OUT_OF_RANGE);
    }
    i32::try_from(days).map_err(|_| Code::OUT_OF_RANGE)
}

/// The instant at so many microseconds since the midnight of a day, which a
/// zone can move into a neighbouring day.
pub(super) fn instant_in_range(days: i64, micros: i64) -> Result<i64, Code> {
    days.checked_mul(DAY_MICROS)
        .and_then(|midnight| midnight.checked_add(micros))
        .filter(|instant| TIMESTAMP_MICROS.contains(instant))
        .ok_or(Code::OUT_OF_RANGE)
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

/// The largest or the smallest number, if the text is a word for it.
pub(super) fn infinity<T>(text: &[u8], earliest: T, latest: T) -> Option<T> {
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
    Some((micros_of_day(hour, minute, second, micros)?, rest))
}

/// Microseconds since midnight; a leap second is the first one of the next minute.
pub(super) fn micros_of_day(hour: u32, minute: u32, second: u32, micros: i64) -> Option<i64> {
    if hour > 24 || minute > 59 || second > 60 {
        return None;
    }
    let seconds = i64::from((hour * 60 + minute) * 60 + second);
    let micros = seconds * SECOND_MICROS + micros;
    (micros <= DAY_MICROS).then_some(micros)
}

/// Microseconds of the point and fraction at the front, if they are there, and
/// what follows them.
pub(super) fn split_fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    match text.strip_prefix(b".") {
        Some(digits) => split_fraction_digits(digits),
        None => Some((0, text)),
    }
}

/// Microseconds of the digits behind a point, at least one, rounded half to
/// even as PostgreSQL does, and what follows them.
pub(super) fn split_fraction_digits(text: &[u8]) -> Option<(i64, &[u8])> {
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
pub(super) fn split_pair(text: &[u8]) -> Option<(u32, &[u8])> {
    let (pair, rest) = text.split_first_chunk::<2>()?;
    Some((number(pair)?, rest))
}

/// A few digits and nothing else.
pub(super) fn number(digits: &[u8]) -> Option<u32> {
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
mod tests;
