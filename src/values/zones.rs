//! Turns the clock of a place into its distance from UTC, as PostgreSQL does.
//!
//! A local time that the clock skips in spring is taken by the distance before
//! the change, one that it shows twice in autumn by the distance after it.
//! The table of changes ends with the year 2099. PostgreSQL goes on by the last
//! rules; here a later year is taken for the one from 2072 to 2099 that has the
//! same calendar, which comes to the same.

use std::ops::RangeInclusive;

use chrono::{DateTime, MappedLocalTime, NaiveDateTime, Offset as _, TimeDelta, TimeZone as _};
use chrono_tz::Tz;

use crate::calendar::CivilDate;

use super::times::SECOND_MICROS;

const DAY_SECONDS: i64 = 86_400;
/// 2100-01-01 in days since 1970.
const TABLE_END_DAYS: i64 = 47_482;
/// Years with known changes, as many as it takes to meet every calendar.
const KNOWN_YEARS: RangeInclusive<i64> = 2072..=2099;

/// Seconds by which a place is ahead of UTC when its clock shows so many days
/// since 1970, and microseconds since midnight.
pub(super) fn seconds_ahead(place: Tz, days: i64, micros: i64) -> i64 {
    let local = local_time(days, micros);
    let offset = match place.offset_from_local_datetime(&local) {
        MappedLocalTime::Single(offset) | MappedLocalTime::Ambiguous(_, offset) => offset,
        // Nothing skips more than a day.
        MappedLocalTime::None => {
            let before = local.checked_sub_signed(TimeDelta::days(1)).unwrap_or(local);
            place.offset_from_utc_datetime(&before)
        }
    };
    offset.fix().local_minus_utc().into()
}

fn local_time(days: i64, micros: i64) -> NaiveDateTime {
    let seconds = micros.div_euclid(SECOND_MICROS);
    // 24:00 is a time of the next day.
    let days = known_day(days + seconds.div_euclid(DAY_SECONDS));
    let seconds = days * DAY_SECONDS + seconds.rem_euclid(DAY_SECONDS);
    DateTime::from_timestamp(seconds, 0).unwrap_or_default().naive_utc()
}

/// The same month and day of a year that the table has.
fn known_day(days: i64) -> i64 {
    if days < TABLE_END_DAYS {
        return days;
    }
    let date = CivilDate::from_unix_days(days);
    let calendar = calendar_of(date.year);
    let known = KNOWN_YEARS.into_iter().find(|year| calendar_of(*year) == calendar);
    let known = known.and_then(|year| CivilDate::new(year, date.month, date.day));
    known.map_or(TABLE_END_DAYS - 1, CivilDate::unix_days)
}

/// The weekdays on which a year begins and the next one does, which say all of its calendar.
fn calendar_of(year: i64) -> (i64, i64) {
    let first_weekday = |year| {
        let first = CivilDate { year, month: 1, day: 1 };
        first.unix_days().rem_euclid(7)
    };
    (first_weekday(year), first_weekday(year + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono_tz::America::New_York;
    use chrono_tz::Europe::Berlin;
    use chrono_tz::Pacific::Apia;

    const HOUR: i64 = 3_600_000_000;

    fn ahead(place: Tz, year: i64, month: u32, day: u32, micros: i64) -> i64 {
        let date = CivilDate::new(year, month, day).expect("a date");
        seconds_ahead(place, date.unix_days(), micros)
    }

    #[test]
    fn a_place_has_its_winter_and_its_summer() {
        assert_eq!(ahead(Tz::UTC, 2024, 7, 1, 0), 0);
        assert_eq!(ahead(Berlin, 2024, 1, 15, 12 * HOUR), 3_600);
        assert_eq!(ahead(Berlin, 2024, 7, 15, 12 * HOUR), 7_200);
        assert_eq!(ahead(New_York, 2024, 1, 15, 12 * HOUR), -18_000);
        assert_eq!(ahead(New_York, 2024, 7, 15, 12 * HOUR), -14_400);
    }

    #[test]
    fn a_skipped_time_is_taken_as_before_the_change() {
        let half = HOUR / 2;
        assert_eq!(ahead(Berlin, 2024, 3, 31, 2 * HOUR - 1), 3_600);
        assert_eq!(ahead(Berlin, 2024, 3, 31, 2 * HOUR), 3_600);
        assert_eq!(ahead(Berlin, 2024, 3, 31, 2 * HOUR + half), 3_600);
        assert_eq!(ahead(Berlin, 2024, 3, 31, 3 * HOUR), 7_200);
        assert_eq!(ahead(New_York, 2024, 3, 10, 2 * HOUR + half), -18_000);
        assert_eq!(ahead(New_York, 2024, 3, 10, 3 * HOUR), -14_400);
        // A day that Samoa never had.
        assert_eq!(ahead(Apia, 2011, 12, 30, 12 * HOUR), -36_000);
    }

    #[test]
    fn a_repeated_time_is_taken_as_after_the_change() {
        let half = HOUR / 2;
        assert_eq!(ahead(Berlin, 2024, 10, 27, 2 * HOUR - 1), 7_200);
        assert_eq!(ahead(Berlin, 2024, 10, 27, 2 * HOUR + half), 3_600);
        assert_eq!(ahead(New_York, 2024, 11, 3, HOUR - 1), -14_400);
        assert_eq!(ahead(New_York, 2024, 11, 3, HOUR + half), -18_000);
    }

    #[test]
    fn the_end_of_a_day_is_the_beginning_of_the_next() {
        // The clock of Samoa went from the end of the 29th to the 31st.
        assert_eq!(ahead(Apia, 2011, 12, 29, 24 * HOUR - 1), -36_000);
        assert_eq!(ahead(Apia, 2011, 12, 30, 24 * HOUR), 50_400);
    }

    #[test]
    fn years_before_and_behind_the_table_have_a_distance() {
        let local_mean_time = 3_208;
        assert_eq!(ahead(Berlin, -4713, 11, 24, 0), local_mean_time);
        assert_eq!(ahead(Berlin, 1850, 7, 1, 0), local_mean_time);
        for year in [2099, 2100, 2101, 2400, 9999, 294_246, 5_874_897] {
            assert_eq!(ahead(Berlin, year, 1, 15, 0), 3_600, "{year}");
            assert_eq!(ahead(Berlin, year, 7, 15, 0), 7_200, "{year}");
        }
        // The last Sundays of March 2100 and 2101.
        assert_eq!(ahead(Berlin, 2100, 3, 28, 4 * HOUR), 7_200);
        assert_eq!(ahead(Berlin, 2100, 3, 27, 4 * HOUR), 3_600);
        assert_eq!(ahead(Berlin, 2101, 3, 27, 4 * HOUR), 7_200);
        assert_eq!(ahead(Berlin, 2101, 3, 26, 4 * HOUR), 3_600);
    }

    #[test]
    fn every_calendar_is_known() {
        for year in 2100..2500 {
            let first = CivilDate { year, month: 1, day: 1 }.unix_days();
            let last = CivilDate { year, month: 12, day: 31 }.unix_days();
            for days in first..=last {
                let known = CivilDate::from_unix_days(known_day(days));
                let date = CivilDate::from_unix_days(days);
                assert_eq!((known.month, known.day), (date.month, date.day), "{date}");
                assert_eq!(known_day(days).rem_euclid(7), days.rem_euclid(7), "{date}");
            }
        }
    }
}
