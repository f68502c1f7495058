//! Turns dates and times that are written in a declared way into the days and microseconds that Arrow counts.
//!
//! A pattern is compiled once for a column (see `directives`), and then read
//! along each field without allocating. White space around a field, `infinity`,
//! `-infinity` and ` BC` behind a year are taken as in plain fields.

use chrono_tz::Tz;

use crate::calendar::{CivilDate, DAY_MICROS};
use crate::reject::Code;

use super::fields::trim;
use super::times::{
    SECOND_MICROS, ZONE_HOURS_MAX, date_in_range, infinity, instant_in_range, micros_of_day,
    number, split_fraction, split_fraction_digits, split_pair,
};
use super::zones::seconds_ahead;

const DAY_SECONDS: i64 = 86_400;
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
/// Letters of a name that is cut short.
const SHORT_NAME: usize = 3;
/// Two digits below this are a year from 2000 on, the others one before.
const FIRST_YEAR_OF_LAST_CENTURY: u32 = 69;

/// A format that is ready to read fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    pub(super) items: Vec<Item>,
    pub(super) date: DateForm,
    pub(super) clock: ClockForm,
    pub(super) zone: ZoneForm,
}

/// How a pattern says the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DateForm {
    None,
    MonthAndDay,
    DayOfYear,
    /// Seconds since 1970, which say the time as well.
    UnixSeconds,
}

/// How a pattern says the time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClockForm {
    None,
    Hours24,
    Hours12,
}

/// Whether a pattern says the distance from UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ZoneForm {
    None,
    Offset,
}

/// What a pattern expects at one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Item {
    /// This byte.
    Byte(u8),
    /// Any white space, or none.
    Space,
    /// White space between two numbers, which would run into each other without.
    Gap,
    /// Digits that say one part.
    Number(Part, Digits),
    MonthName,
    WeekdayName,
    HalfOfDay,
    /// Digits behind a point that is in the pattern.
    Fraction,
    /// A point and digits, or nothing.
    PointAndFraction,
    Offset,
    ZoneName,
    UnixSeconds,
}

/// What a number says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Year,
    YearOfCentury,
    Month,
    Day,
    DayOfYear,
    Hour,
    HourOfHalf,
    Minute,
    Second,
}

/// How many digits a number has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Digits {
    pub(super) least: usize,
    pub(super) most: usize,
    /// As many as it has where another digit follows at once; 0 if none may.
    pub(super) packed: usize,
}

/// What a field says, part by part; parts that the pattern lacks are as here at first.
#[derive(Default)]
struct Parts {
    year: i64,
    month: u32,
    day: u32,
    hour: u32,
    minute: u32,
    second: u32,
    micros: i64,
    is_afternoon: bool,
    ahead_seconds: Option<i64>,
    unix_seconds: i64,
    is_before_1970: bool,
}

/// A point in time as its field has it.
struct Moment {
    days: i64,
    /// Since midnight.
    micros: i64,
    ahead_seconds: Option<i64>,
}

impl Pattern {
    /// Days since 1970; a time that the pattern has must be midnight.
    pub(super) fn date(&self, field: &[u8]) -> Result<i32, Code> {
        let text = trim(field);
        if let Some(endless) = infinity(text, i32::MIN, i32::MAX) {
            return Ok(endless);
        }
        let says_date = self.date != DateForm::None && self.zone == ZoneForm::None;
        let moment = self.moment(text).filter(|_| says_date).ok_or(Code::BAD_DATE)?;
        let date = date_in_range(moment.days)?;
        if moment.micros == 0 { Ok(date) } else { Err(Code::BAD_DATE) }
    }

    /// Microseconds since midnight.
    pub(super) fn time(&self, field: &[u8]) -> Result<i64, Code> {
        let says_time = self.date == DateForm::None && self.zone == ZoneForm::None;
        let moment = self.moment(trim(field)).filter(|_| says_time);
        moment.map(|moment| moment.micros).ok_or(Code::BAD_TIME)
    }

    /// Microseconds since 1970; to drop a zone would change the instant.
    pub(super) fn timestamp(&self, field: &[u8]) -> Result<i64, Code> {
        let text = trim(field);
        if let Some(endless) = infinity(text, i64::MIN, i64::MAX) {
            return Ok(endless);
        }
        let says_timestamp = self.date != DateForm::None && self.zone == ZoneForm::None;
        match self.moment(text).filter(|_| says_timestamp) {
            Some(moment) => instant_in_range(moment.days, moment.micros),
            None => Err(Code::BAD_TIMESTAMP),
        }
    }

    /// Microseconds since 1970 UTC; what has no zone is the time of a place, or UTC.
    pub(super) fn timestamptz(&self, field: &[u8], place: Option<Tz>) -> Result<i64, Code> {
        let text = trim(field);
        if let Some(endless) = infinity(text, i64::MIN, i64::MAX) {
            return Ok(endless);
        }
        let moment = self.moment(text).filter(|_| self.date != DateForm::None);
        let Moment { days, micros, ahead_seconds } = moment.ok_or(Code::BAD_TIMESTAMP)?;
        let ahead_seconds = match (ahead_seconds, place) {
            (Some(seconds), _) => seconds,
            (None, Some(place)) if self.date != DateForm::UnixSeconds => {
                seconds_ahead(place, days, micros)
            }
            (None, _) => 0,
        };
        instant_in_range(days, micros - ahead_seconds * SECOND_MICROS)
    }

    fn moment(&self, text: &[u8]) -> Option<Moment> {
        let parts = self.parts(text).or_else(|| self.parts_before_christ(text))?;
        let Parts { ahead_seconds, .. } = parts;
        if self.date == DateForm::UnixSeconds {
            let (days, micros) = unix_moment(&parts)?;
            return Some(Moment { days, micros, ahead_seconds });
        }
        let days = self.days(&parts)?;
        let hour = match (self.clock, parts.hour) {
            (ClockForm::Hours12, 1..=12) => {
                parts.hour % 12 + if parts.is_afternoon { 12 } else { 0 }
            }
            (ClockForm::Hours12, _) => return None,
            (_, hour) => hour,
        };
        let micros = micros_of_day(hour, parts.minute, parts.second, parts.micros)?;
        Some(Moment { days, micros, ahead_seconds })
    }

    fn days(&self, parts: &Parts) -> Option<i64> {
        match self.date {
            DateForm::None | DateForm::UnixSeconds => Some(0),
            DateForm::MonthAndDay => {
                CivilDate::new(parts.year, parts.month, parts.day).map(CivilDate::unix_days)
            }
            DateForm::DayOfYear => {
                let last_of_year_before = CivilDate::new(parts.year, 1, 1)?.unix_days() - 1;
                let days = last_of_year_before + i64::from(parts.day);
                (CivilDate::from_unix_days(days).year == parts.year).then_some(days)
            }
        }
    }

    /// The same of a text that ends with ` BC`.
    fn parts_before_christ(&self, text: &[u8]) -> Option<Parts> {
        let mut parts = self.parts(text.strip_suffix(b" BC")?)?;
        let says_whole_year = |item: &Item| matches!(item, Item::Number(Part::Year, _));
        if !self.items.iter().any(says_whole_year) {
            return None;
        }
        parts.year = 1 - parts.year;
        Some(parts)
    }

    /// Reads all of a text.
    fn parts(&self, text: &[u8]) -> Option<Parts> {
        let mut parts = Parts::default();
        let mut rest = text;
        for item in &self.items {
            rest = item.read(rest, &mut parts)?;
        }
        rest.is_empty().then_some(parts)
    }
}

impl Item {
    /// Reads what stands at the front; returns what follows it.
    fn read<'a>(self, text: &'a [u8], parts: &mut Parts) -> Option<&'a [u8]> {
        match self {
            Self::Byte(byte) => text.strip_prefix(&[byte]),
            Self::Space => Some(text.trim_ascii_start()),
            Self::Gap => text.first()?.is_ascii_whitespace().then(|| text.trim_ascii_start()),
            Self::Number(part, digits) => {
                let (value, rest) = split_number(text, digits)?;
                parts.set(part, value)?;
                Some(rest)
            }
            Self::MonthName => {
                let (index, rest) = split_name(text, &MONTHS)?;
                parts.month = u32::try_from(index + 1).ok()?;
                Some(rest)
            }
            Self::WeekdayName => split_name(text, &WEEKDAYS).map(|(_, rest)| rest),
            Self::HalfOfDay => {
                let (half, rest) = text.split_first_chunk::<2>()?;
                parts.is_afternoon = match half {
                    [b'A' | b'a', b'M' | b'm'] => false,
                    [b'P' | b'p', b'M' | b'm'] => true,
                    _ => return None,
                };
                Some(rest)
            }
            Self::Fraction => {
                let (micros, rest) = split_fraction_digits(text)?;
                parts.micros = micros;
                Some(rest)
            }
            Self::PointAndFraction => {
                let (micros, rest) = split_fraction(text)?;
                parts.micros = micros;
                Some(rest)
            }
            Self::Offset => {
                let (seconds, rest) = split_offset(text)?;
                parts.ahead_seconds = Some(seconds);
                Some(rest)
            }
            Self::ZoneName => {
                parts.ahead_seconds = Some(0);
                let names = [&b"UTC"[..], b"GMT", b"Z"];
                names.iter().find_map(|name| text.strip_prefix(*name))
            }
            Self::UnixSeconds => parts.read_unix_seconds(text),
        }
    }
}

impl Parts {
    /// `None` for what no calendar and no clock has.
    fn set(&mut self, part: Part, value: u32) -> Option<()> {
        match part {
            Part::Year | Part::DayOfYear if value == 0 => return None,
            Part::Year => self.year = value.into(),
            Part::YearOfCentury if value < FIRST_YEAR_OF_LAST_CENTURY => {
                self.year = i64::from(value) + 2000;
            }
            Part::YearOfCentury => self.year = i64::from(value) + 1900,
            Part::Month => self.month = value,
            Part::Day | Part::DayOfYear => self.day = value,
            Part::Hour | Part::HourOfHalf => self.hour = value,
            Part::Minute => self.minute = value,
            Part::Second => self.second = value,
        }
        Some(())
    }

    fn read_unix_seconds<'a>(&mut self, text: &'a [u8]) -> Option<&'a [u8]> {
        self.is_before_1970 = text.starts_with(b"-");
        let text = match text {
            [b'-' | b'+', text @ ..] | text => text,
        };
        let (digits, rest) =
            text.split_at(text.iter().take_while(|byte| byte.is_ascii_digit()).count());
        if digits.is_empty() {
            return None;
        }
        // Too many are out of range, whatever they are.
        let append = |value: i64, byte: &u8| {
            value.saturating_mul(10).saturating_add(i64::from(byte - b'0')).min(i64::MAX / 2)
        };
        self.unix_seconds = digits.iter().fold(0, append);
        Some(rest)
    }
}

/// Days since 1970, and microseconds since midnight.
fn unix_moment(parts: &Parts) -> Option<(i64, i64)> {
    let sign = if parts.is_before_1970 { -1 } else { 1 };
    let seconds = parts.unix_seconds * sign;
    let micros = seconds.rem_euclid(DAY_SECONDS) * SECOND_MICROS + parts.micros * sign;
    let days = seconds.div_euclid(DAY_SECONDS).checked_add(micros.div_euclid(DAY_MICROS))?;
    Some((days, micros.rem_euclid(DAY_MICROS)))
}

fn split_number(text: &[u8], digits: Digits) -> Option<(u32, &[u8])> {
    let count = text.iter().take(digits.most).take_while(|byte| byte.is_ascii_digit()).count();
    if count < digits.least {
        return None;
    }
    let (digits, rest) = text.split_at(count);
    Some((number(digits)?, rest))
}

/// Which of the names stands at the front, in full or its first three letters,
/// and what follows it.
fn split_name<'a>(text: &'a [u8], names: &[&str]) -> Option<(usize, &'a [u8])> {
    for (index, name) in names.iter().enumerate() {
        for name in [*name, &name[..SHORT_NAME]] {
            if let Some((start, rest)) = text.split_at_checked(name.len())
                && start.eq_ignore_ascii_case(name.as_bytes())
            {
                return Some((index, rest));
            }
        }
    }
    None
}

/// Seconds of the `Z`, `+hh`, `+hhmm` or `+hh:mm` at the front, and what follows it.
fn split_offset(text: &[u8]) -> Option<(i64, &[u8])> {
    let (sign, offset) = match text {
        [b'Z' | b'z', rest @ ..] => return Some((0, rest)),
        [b'+', offset @ ..] => (1, offset),
        [b'-', offset @ ..] => (-1, offset),
        _ => return None,
    };
    let (hours, rest) = split_pair(offset)?;
    let (minutes, rest) = match rest {
        [b':', rest @ ..] | rest @ [b'0'..=b'9', ..] => split_pair(rest)?,
        rest => (0, rest),
    };
    let is_offset = hours <= ZONE_HOURS_MAX && minutes <= 59;
    is_offset.then_some((sign * i64::from((hours * 60 + minutes) * 60), rest))
}

#[cfg(test)]
mod tests;
