//! How far the incremental column was loaded, and how far a fetch reaches.
//!
//! Invariants: a watermark never goes back within a fetch; of a column of times
//! it never lies further ahead of the clock than `ahead_max`, since nothing
//! would come after a mistaken one.

use std::cmp::Ordering;
use std::fmt;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use ferry::schema::ColumnType;

use super::FetchError;
use crate::json::{JsonError, JsonLayout, compare_as, greatest};
use crate::wanted::WantedColumn;

/// A longer value is no watermark: it would not fit in an address.
const WATERMARK_BYTES_MAX: usize = 1024;

/// What keeps records from being fetched again.
#[derive(Debug)]
pub(crate) struct Incremental {
    /// The parameter that tells the API from which value on.
    pub(crate) parameter: String,
    /// The column whose greatest value is told.
    pub(crate) column: WantedColumn,
    /// Told as long as nothing was loaded; without it the parameter is left out then.
    pub(crate) initial: Option<String>,
    /// A day or an instant that lies further ahead of the clock does not count.
    pub(crate) ahead_max: Duration,
}

/// The greatest value of the incremental column, before and during a fetch.
pub(super) struct Watermark<'a> {
    incremental: Option<&'a Incremental>,
    before: Option<&'a str>,
    /// The furthest value that counts; `None` if all do.
    limit: Option<String>,
    greatest: Option<String>,
    pages: u64,
    /// Pages whose greatest value lies beyond the limit.
    pages_ahead: u64,
}

impl fmt::Debug for Watermark<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watermark").field("incremental", &self.incremental).finish_non_exhaustive()
    }
}

impl<'a> Watermark<'a> {
    /// `before` is the greatest value that was loaded.
    pub(super) fn new(
        incremental: Option<&'a Incremental>,
        before: Option<&'a str>,
        now: SystemTime,
    ) -> Self {
        let before = before.filter(|value| value.len() <= WATERMARK_BYTES_MAX);
        let limit = incremental.and_then(|incremental| incremental.limit(now));
        Self { incremental, before, limit, greatest: None, pages: 0, pages_ahead: 0 }
    }

    /// Refuses to ask for what comes after a value that lies too far ahead: there is nothing.
    pub(super) fn check(&self) -> Result<(), FetchError> {
        match (self.incremental, self.before) {
            (Some(incremental), Some(before)) if self.is_ahead(before) => {
                Err(FetchError::WatermarkAhead { column: incremental.column.column.name.clone() })
            }
            _ => Ok(()),
        }
    }

    /// The parameter that says from which value on, and that value.
    pub(super) fn since(&self) -> Option<(&'a str, &'a str)> {
        let incremental = self.incremental?;
        let value = self.before.or(incremental.initial.as_deref())?;
        Some((incremental.parameter.as_str(), value))
    }

    /// Takes the values of a page into account; none of them if the greatest lies too far ahead.
    pub(super) fn take(&mut self, page: &[u8], layout: &JsonLayout) -> Result<(), JsonError> {
        let Some(incremental) = self.incremental else {
            return Ok(());
        };
        self.pages += 1;
        let Some(value) = greatest(page, layout, &incremental.column)? else {
            return Ok(());
        };
        if self.is_ahead(&value) {
            self.pages_ahead += 1;
            return Ok(());
        }
        let is_greater =
            self.greatest.as_deref().is_none_or(|best| incremental.is_after(&value, best));
        if is_greater && value.len() <= WATERMARK_BYTES_MAX {
            self.greatest = Some(value);
        }
        Ok(())
    }

    /// What the fetch reached; `None` if that is no further than before.
    pub(super) fn reached(self, dataset: &str) -> Option<String> {
        let incremental = self.incremental?;
        let column = incremental.column.column.name.as_str();
        if self.pages_ahead > 0 {
            tracing::warn!(
                dataset,
                column,
                pages = self.pages_ahead,
                "the greatest value of the incremental column lies too far in the future: these pages do not count, and are fetched again next time; mend it at the source, or raise incremental.max_ahead"
            );
        } else if self.greatest.is_none() && self.pages > 0 {
            tracing::warn!(
                dataset,
                column,
                "no record has a value in the incremental column: all are fetched again next time"
            );
        }
        let is_further =
            |value: &String| self.before.is_none_or(|before| incremental.is_after(value, before));
        self.greatest.filter(is_further)
    }

    fn is_ahead(&self, value: &str) -> bool {
        let (Some(incremental), Some(limit)) = (self.incremental, &self.limit) else {
            return false;
        };
        incremental.is_after(value, limit)
    }
}

impl Incremental {
    /// The furthest value that counts, as the column's type; `None` if it is no day and no instant.
    fn limit(&self, now: SystemTime) -> Option<String> {
        let since_1970 = now.checked_add(self.ahead_max)?.duration_since(SystemTime::UNIX_EPOCH);
        let seconds = i64::try_from(since_1970.ok()?.as_secs()).ok()?;
        let limit: DateTime<Utc> = DateTime::from_timestamp(seconds, 0)?;
        match self.column.column.column_type {
            ColumnType::Date => Some(limit.date_naive().to_string()),
            ColumnType::Timestamp => Some(limit.naive_utc().to_string()),
            ColumnType::Timestamptz => Some(format!("{}+00", limit.naive_utc())),
            _ => None,
        }
    }

    fn is_after(&self, one: &str, other: &str) -> bool {
        compare_as(self.column.column.column_type, one, other) == Ordering::Greater
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wanted::NullWords;
    use ferry::schema::Column;
    use ferry::values::FieldFormat;
    use std::sync::Arc;

    fn incremental(column_type: &str, initial: Option<&str>) -> Incremental {
        let column_type = column_type.parse().expect("a type");
        Incremental {
            parameter: "since".to_owned(),
            column: WantedColumn {
                column: Column { name: "at".to_owned(), column_type },
                format: Arc::new(FieldFormat::default()),
                nulls: Arc::new(NullWords::default()),
            },
            initial: initial.map(str::to_owned),
            ahead_max: Duration::from_hours(24),
        }
    }

    /// Noon of 2024-03-01.
    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_hours(474_804)
    }

    /// What is reached by these pages, each of which holds values of one record each.
    fn reached(column_type: &str, before: Option<&str>, pages: &[&[&str]]) -> Option<String> {
        let incremental = incremental(column_type, None);
        let mut watermark = Watermark::new(Some(&incremental), before, now());
        for values in pages {
            let records: Vec<String> =
                values.iter().map(|value| format!("{{\"at\":{value}}}")).collect();
            let page = format!("[{}]", records.join(","));
            watermark.take(page.as_bytes(), &JsonLayout::default()).expect("it is JSON");
        }
        watermark.reached("users")
    }

    #[test]
    fn it_begins_where_the_last_one_ended_or_at_the_initial_value() {
        fn since<'a>(
            incremental: &'a Incremental,
            before: Option<&'a str>,
        ) -> Option<(&'a str, &'a str)> {
            Watermark::new(Some(incremental), before, now()).since()
        }
        let initial = incremental("text", Some("1970"));
        assert_eq!(since(&initial, Some("2024")), Some(("since", "2024")));
        assert_eq!(since(&initial, None), Some(("since", "1970")));
        assert_eq!(since(&incremental("text", None), None), None);
        assert_eq!(Watermark::new(None, Some("2024"), now()).since(), None);
    }

    #[test]
    fn the_greatest_value_of_all_pages_counts_as_its_type() {
        assert_eq!(reached("bigint", None, &[&["9", "10"], &["7"]]).as_deref(), Some("10"));
        assert_eq!(reached("text", None, &[&["\"9\"", "\"10\""]]).as_deref(), Some("9"));
        let dates = &["\"2024-02-01\"", "null", "\"2024-01-31\""];
        assert_eq!(reached("date", None, &[dates]).as_deref(), Some("2024-02-01"));
    }

    #[test]
    fn it_never_goes_back() {
        assert_eq!(reached("bigint", Some("10"), &[&["9"]]), None);
        assert_eq!(reached("bigint", Some("10"), &[&["10"]]), None);
        assert_eq!(reached("bigint", Some("10"), &[&["11"]]).as_deref(), Some("11"));
        assert_eq!(reached("bigint", None, &[&["null"]]), None);
        assert_eq!(reached("bigint", None, &[]), None);
    }

    #[test]
    fn a_page_with_a_time_that_lies_too_far_ahead_does_not_count() {
        for (column_type, last, ahead) in [
            ("date", "2024-03-02", "2024-03-03"),
            ("timestamp", "2024-03-02 12:00:00", "2024-03-02T12:00:01"),
            ("timestamptz", "2024-03-02T14:00:00+02:00", "2024-03-02T14:00:01+02:00"),
            ("timestamptz", "2024-02-29T00:00:00Z", "9999-12-31T23:59:59Z"),
        ] {
            let quoted = |value: &str| format!("\"{value}\"");
            let (one, other) = (quoted(last), quoted(ahead));
            let early = "\"2024-01-01T00:00:00Z\"";
            let pages: [&[&str]; 2] = [&[one.as_str()], &[early, other.as_str()]];
            assert_eq!(reached(column_type, None, &pages).as_deref(), Some(last), "{column_type}");
            assert_eq!(reached(column_type, None, &pages[1..]), None, "{column_type}");
        }
        // Of a number nobody knows whether it is a time.
        let far = &["99999999999"];
        assert_eq!(reached("bigint", None, &[far]).as_deref(), Some("99999999999"));
        assert_eq!(reached("text", None, &[&["\"9999\""]]).as_deref(), Some("9999"));
    }

    #[test]
    fn what_comes_after_a_time_that_lies_too_far_ahead_is_not_asked_for() {
        let incremental = incremental("timestamptz", None);
        let check = |before| Watermark::new(Some(&incremental), before, now()).check();
        assert!(check(None).is_ok());
        assert!(check(Some("2024-03-02T12:00:00Z")).is_ok());
        let error = check(Some("9999-12-31T00:00:00Z")).expect_err("it lies too far ahead");
        let text = error.to_string();
        assert!(text.contains("\"at\"") && text.contains("ferry.watermark"), "{text}");
        assert!(!text.contains("9999") && !error.is_retryable() && !error.is_of_host(), "{text}");
    }

    #[test]
    fn a_value_that_fits_in_no_address_is_passed_over() {
        let long = format!("\"{}\"", "z".repeat(WATERMARK_BYTES_MAX + 1));
        assert_eq!(reached("text", None, &[&[long.as_str(), "\"a\""]]), None);
    }

    #[test]
    fn values_are_not_shown() {
        let incremental = incremental("text", None);
        let mut watermark = Watermark::new(Some(&incremental), Some("hunter1"), now());
        watermark.take(b"[{\"at\":\"hunter2\"}]", &JsonLayout::default()).expect("it is JSON");
        assert!(!format!("{watermark:?}").contains("hunter"));
    }
}
