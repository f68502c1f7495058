//! How far the incremental column was loaded, and how far a fetch reaches.
//!
//! Invariant: a watermark never goes back within a fetch.

use std::cmp::Ordering;
use std::fmt;

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
}

/// The greatest value of the incremental column, before and during a fetch.
pub(super) struct Watermark<'a> {
    incremental: Option<&'a Incremental>,
    before: Option<&'a str>,
    greatest: Option<String>,
    pages: u64,
}

impl fmt::Debug for Watermark<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watermark").field("incremental", &self.incremental).finish_non_exhaustive()
    }
}

impl<'a> Watermark<'a> {
    /// `before` is the greatest value that was loaded.
    pub(super) fn new(incremental: Option<&'a Incremental>, before: Option<&'a str>) -> Self {
        let before = before.filter(|value| value.len() <= WATERMARK_BYTES_MAX);
        Self { incremental, before, greatest: None, pages: 0 }
    }

    /// The parameter that says from which value on, and that value.
    pub(super) fn since(&self) -> Option<(&'a str, &'a str)> {
        let incremental = self.incremental?;
        let value = self.before.or(incremental.initial.as_deref())?;
        Some((incremental.parameter.as_str(), value))
    }

    /// Takes the values of a page into account.
    pub(super) fn take(&mut self, page: &[u8], layout: &JsonLayout) -> Result<(), JsonError> {
        let Some(incremental) = self.incremental else {
            return Ok(());
        };
        self.pages += 1;
        let Some(value) = greatest(page, layout, &incremental.column)? else {
            return Ok(());
        };
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
        if self.greatest.is_none() && self.pages > 0 {
            tracing::warn!(
                dataset,
                column = incremental.column.column.name.as_str(),
                "no record has a value in the incremental column: all are fetched again next time"
            );
        }
        let is_further =
            |value: &String| self.before.is_none_or(|before| incremental.is_after(value, before));
        self.greatest.filter(is_further)
    }
}

impl Incremental {
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
        }
    }

    /// What is reached by these pages, each of which holds values of one record each.
    fn reached(column_type: &str, before: Option<&str>, pages: &[&[&str]]) -> Option<String> {
        let incremental = incremental(column_type, None);
        let mut watermark = Watermark::new(Some(&incremental), before);
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
            Watermark::new(Some(incremental), before).since()
        }
        let initial = incremental("text", Some("1970"));
        assert_eq!(since(&initial, Some("2024")), Some(("since", "2024")));
        assert_eq!(since(&initial, None), Some(("since", "1970")));
        assert_eq!(since(&incremental("text", None), None), None);
        assert_eq!(Watermark::new(None, Some("2024")).since(), None);
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
    fn a_value_that_fits_in_no_address_is_passed_over() {
        let long = format!("\"{}\"", "z".repeat(WATERMARK_BYTES_MAX + 1));
        assert_eq!(reached("text", None, &[&[long.as_str(), "\"a\""]]), None);
    }

    #[test]
    fn values_are_not_shown() {
        let incremental = incremental("text", None);
        let mut watermark = Watermark::new(Some(&incremental), Some("hunter1"));
        watermark.take(b"[{\"at\":\"hunter2\"}]", &JsonLayout::default()).expect("it is JSON");
        assert!(!format!("{watermark:?}").contains("hunter"));
    }
}
