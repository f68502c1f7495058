//! Days and dates of the proleptic Gregorian calendar, as PostgreSQL counts them.
//!
//! Algorithms: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms",
//! <https://howardhinnant.github.io/date_algorithms.html>.

use std::ops::Range;

/// Microseconds of a day.
pub const DAY_MICROS: i64 = 86_400_000_000;
/// PostgreSQL's dates, from Julian day 0 to the end of the year 5874897, in days since 1970.
pub const DATE_DAYS: Range<i64> = -2_440_588..2_145_042_906;
/// PostgreSQL's timestamps in microseconds since 1970. They end in the year
/// 294276, but an `i64` that counts from 1970 ends on 294247-01-10.
pub const TIMESTAMP_MICROS: Range<i64> = -2_440_588 * DAY_MICROS..i64::MAX;

/// A date in the proleptic Gregorian calendar; year 0 is 1 BC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CivilDate {
    /// Year, 0 for 1 BC.
    pub year: i64,
    /// Month, 1 to 12.
    pub month: u32,
    /// Day, 1 to 31.
    pub day: u32,
}

impl CivilDate {
    /// A date that exists; `None` for the likes of 30 February.
    #[must_use]
    pub fn new(year: i64, month: u32, day: u32) -> Option<Self> {
        let exists = (1..=12).contains(&month) && day >= 1 && day <= days_in_month(year, month);
        exists.then_some(Self { year, month, day })
    }

    /// Days since 1970-01-01.
    #[must_use]
    pub fn unix_days(self) -> i64 {
        let year = if self.month <= 2 { self.year - 1 } else { self.year };
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let month_from_march = (i64::from(self.month) + 9) % 12;
        let day_of_year = (153 * month_from_march + 2) / 5 + i64::from(self.day) - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        era * 146_097 + day_of_era - 719_468
    }

    /// The date so many days after 1970-01-01.
    #[must_use]
    pub fn from_unix_days(days: i64) -> Self {
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        Self {
            year,
            month: u32::try_from(month).unwrap_or(1),
            day: u32::try_from(day).unwrap_or(1),
        }
    }
}

/// ISO 8601 form, with ` BC` after years before 1 as PostgreSQL writes it.
impl std::fmt::Display for CivilDate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { year, month, day } = self;
        if *year > 0 {
            write!(f, "{year:04}-{month:02}-{day:02}")
        } else {
            write!(f, "{:04}-{month:02}-{day:02} BC", 1 - year)
        }
    }
}

fn days_in_month(year: i64, month: u32) -> u32 {
    match month {
        2 if is_leap_year(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn is_leap_year(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_days() {
        let days = |year, month, day| CivilDate::new(year, month, day).map(CivilDate::unix_days);
        assert_eq!(days(1970, 1, 1), Some(0));
        assert_eq!(days(2000, 1, 1), Some(10_957));
        assert_eq!(days(1900, 2, 29), None);
        assert_eq!(days(2000, 2, 29), Some(11_016));
        assert_eq!(CivilDate::from_unix_days(-719_528).to_string(), "0001-01-01 BC");
    }

    proptest! {
        #[test]
        fn days_and_dates_are_inverse(days in -2_500_000_i64..110_000_000) {
            prop_assert_eq!(CivilDate::from_unix_days(days).unix_days(), days);
        }
    }
}
