//! Turns fields into which ways of writing days and times fit a column, its earliest and its latest value.
//!
//! Invariant: a day that may be a month is not decided here: see [`TimeChoice::Ambiguous`].

use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Date32Type, Time64MicrosecondType, TimestampMicrosecondType};
use arrow_array::{ArrayRef, Date32Array, Time64MicrosecondArray, TimestampMicrosecondArray};
use arrow_schema::DataType;
use ferry::schema::ColumnType;
use ferry::values::{ColumnBuilder, FieldFormat, FormatWords, text_of};

use super::fit::Fit;

/// PostgreSQL's own ways, the narrower ones first.
const PLAIN: [ColumnType; 4] =
    [ColumnType::Date, ColumnType::Time, ColumnType::Timestamp, ColumnType::Timestamptz];
const DATES: [&str; 11] = [
    "%d.%m.%Y",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%Y/%m/%d",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%Y.%m.%d",
    "%d %b %Y",
    "%b %d, %Y",
    "%d-%b-%Y",
    "%d-%b-%y",
];
/// Behind a day and a space.
const CLOCKS: [&str; 5] = ["%H:%M", "%H:%M:%S", "%H:%M:%S%.f", "%I:%M %p", "%I:%M:%S %p"];
/// Taken for days and times only in a column that is named like one.
const COMPACT: [(ColumnType, &str); 2] =
    [(ColumnType::Date, "%Y%m%d"), (ColumnType::Timestamp, "%Y%m%d%H%M%S")];
/// Among so many values at first one must fit, or the way of writing is not looked at again.
const FIRST_VALUES: u64 = 3;
/// Values that are held before the earliest and the latest are taken from them.
const HELD_VALUES: usize = 1024;
const FIELD_BYTES: std::ops::RangeInclusive<usize> = 4..=40;

/// One way of writing days or times.
pub(super) struct TimeForm {
    column_type: ColumnType,
    pattern: Option<String>,
    is_compact: bool,
    format: FieldFormat,
    probe: ColumnBuilder,
}

/// All ways of writing that are looked for, for all columns.
pub(super) fn time_forms() -> Vec<TimeForm> {
    let mut wanted: Vec<(ColumnType, Option<String>, bool)> =
        PLAIN.iter().map(|column_type| (*column_type, None, false)).collect();
    for date in DATES {
        wanted.push((ColumnType::Date, Some(date.to_owned()), false));
    }
    for date in DATES {
        for clock in CLOCKS {
            wanted.push((ColumnType::Timestamp, Some(format!("{date} {clock}")), false));
        }
    }
    wanted.push((ColumnType::Time, Some("%I:%M %p".to_owned()), false));
    wanted.push((ColumnType::Timestamptz, Some("%d/%b/%Y:%H:%M:%S %z".to_owned()), false));
    for (column_type, pattern) in COMPACT {
        wanted.push((column_type, Some(pattern.to_owned()), true));
    }
    let form = |(column_type, pattern, is_compact): (ColumnType, Option<String>, bool)| {
        let words = FormatWords { format: pattern.clone(), ..FormatWords::default() };
        let format = FieldFormat::new(words, column_type).ok()?;
        let probe = ColumnBuilder::with_format(column_type, &format);
        Some(TimeForm { column_type, pattern, is_compact, format, probe })
    };
    wanted.into_iter().filter_map(form).collect()
}

/// Days and times of one column.
pub(super) struct Times {
    /// Whether the column's name speaks of days.
    is_named_so: bool,
    seen: u64,
    alive: Vec<Alive>,
}

/// A way of writing that still fits.
struct Alive {
    form: usize,
    fit: Fit,
    held: ColumnBuilder,
    held_values: usize,
    bounds: Option<(i64, i64)>,
}

/// How the days and times of a column are to be declared.
pub(super) enum TimeChoice {
    Typed {
        column_type: ColumnType,
        format: Option<String>,
        earliest: String,
        latest: String,
    },
    /// The first number may be the day or the month: two formats that fit alike.
    Ambiguous(String, String),
}

impl Times {
    pub(super) fn new(is_named_so: bool) -> Self {
        Self { is_named_so, seen: 0, alive: Vec::new() }
    }

    #[inline]
    pub(super) fn take(&mut self, field: &[u8], forms: &mut [TimeForm]) {
        if self.alive.is_empty() && self.seen >= FIRST_VALUES {
            return;
        }
        self.seen += 1;
        let may_fit = FIELD_BYTES.contains(&field.len()) && field[0].is_ascii_alphanumeric();
        for alive in &mut self.alive {
            let is_fitting = may_fit && forms[alive.form].is_meant(field) && alive.hold(field);
            alive.fit.note(is_fitting);
        }
        if may_fit && self.seen <= FIRST_VALUES {
            self.admit(field, forms);
        }
        self.alive.retain(|alive| !alive.fit.is_out());
    }

    /// The first way of writing that all values have.
    pub(super) fn choose(&mut self, forms: &[TimeForm]) -> Option<TimeChoice> {
        let index = self.alive.iter().position(|alive| alive.fit.is_whole())?;
        let form = &forms[self.alive[index].form];
        if let Some(pattern) = &form.pattern {
            let twin = with_day_and_month_swapped(pattern);
            let is_twin = |alive: &&Alive| {
                alive.fit.is_whole() && forms[alive.form].pattern.as_ref() == Some(&twin)
            };
            if twin != *pattern && self.alive.iter().any(|alive| is_twin(&alive)) {
                return Some(TimeChoice::Ambiguous(pattern.clone(), twin));
            }
        }
        let column_type = form.column_type;
        let alive = &mut self.alive[index];
        alive.fold();
        let (earliest, latest) = alive.bounds?;
        Some(TimeChoice::Typed {
            column_type,
            format: form.pattern.clone(),
            earliest: text(earliest, column_type)?,
            latest: text(latest, column_type)?,
        })
    }

    /// Whether the values are days without marks between their parts.
    pub(super) fn is_compact(&self, forms: &[TimeForm]) -> bool {
        let first = self.alive.iter().find(|alive| alive.fit.is_whole());
        first.is_some_and(|alive| forms[alive.form].is_compact)
    }

    /// The way of writing that all values but a few have, and how many those are.
    pub(super) fn nearly(&self, forms: &[TimeForm]) -> Option<(ColumnType, Option<String>, Fit)> {
        let alive = self.alive.iter().find(|alive| alive.fit.is_nearly_whole())?;
        let form = &forms[alive.form];
        Some((form.column_type, form.pattern.clone(), alive.fit))
    }

    /// Begins to look at the ways of writing that fit one of the first values.
    fn admit(&mut self, field: &[u8], forms: &mut [TimeForm]) {
        for (index, form) in forms.iter_mut().enumerate() {
            let is_known = self.alive.iter().any(|alive| alive.form == index);
            if is_known || (form.is_compact && !self.is_named_so) || !form.is_meant(field) {
                continue;
            }
            let is_fitting = form.probe.append(Some(field)).is_ok();
            form.probe.truncate(0);
            if !is_fitting {
                continue;
            }
            let mut alive = Alive {
                form: index,
                fit: Fit::after_misfits(self.seen - 1),
                held: ColumnBuilder::with_format(form.column_type, &form.format),
                held_values: 0,
                bounds: None,
            };
            let is_held = alive.hold(field);
            alive.fit.note(is_held);
            self.alive.push(alive);
        }
        self.alive.sort_by_key(|alive| alive.form);
    }
}

impl TimeForm {
    /// Whether a field looks as if it was written this way; parsers are less strict about years.
    fn is_meant(&self, field: &[u8]) -> bool {
        let Some(pattern) = &self.pattern else {
            return true;
        };
        if self.is_compact {
            let is_year = matches!(field, [b'1', b'8' | b'9', ..] | [b'2', b'0' | b'1', ..]);
            return is_year && field.iter().all(u8::is_ascii_digit);
        }
        !pattern.contains("%Y") || has_year(field)
    }
}

/// Whether four digits stand together, no more and no less.
fn has_year(field: &[u8]) -> bool {
    field.split(|byte| !byte.is_ascii_digit()).any(|digits| digits.len() == 4)
}

fn with_day_and_month_swapped(pattern: &str) -> String {
    pattern.replace("%d", "%\0").replace("%m", "%d").replace("%\0", "%m")
}

impl Alive {
    fn hold(&mut self, field: &[u8]) -> bool {
        if self.held.append(Some(field)).is_err() {
            self.held.truncate(self.held_values);
            return false;
        }
        self.held_values += 1;
        if self.held_values == HELD_VALUES {
            self.fold();
        }
        true
    }

    /// Takes the earliest and the latest from the values that are held, and lets go of them.
    fn fold(&mut self) {
        self.held_values = 0;
        let Ok(values) = self.held.finish() else {
            return;
        };
        let found = match values.data_type() {
            DataType::Date32 => {
                let days = values.as_primitive::<Date32Type>().values();
                bounds(days.iter().map(|day| i64::from(*day)))
            }
            DataType::Time64(_) => {
                bounds(values.as_primitive::<Time64MicrosecondType>().values().iter().copied())
            }
            DataType::Timestamp(_, _) => {
                bounds(values.as_primitive::<TimestampMicrosecondType>().values().iter().copied())
            }
            _ => None,
        };
        self.bounds = match (self.bounds, found) {
            (Some((low, high)), Some((least, most))) => Some((low.min(least), high.max(most))),
            (known, found) => known.or(found),
        };
    }
}

fn bounds(values: impl Iterator<Item = i64>) -> Option<(i64, i64)> {
    values.fold(None, |bounds, value| match bounds {
        None => Some((value, value)),
        Some((low, high)) => Some((value.min(low), value.max(high))),
    })
}

/// The value as PostgreSQL writes it.
fn text(value: i64, column_type: ColumnType) -> Option<String> {
    let array: ArrayRef = match column_type {
        ColumnType::Date => Arc::new(Date32Array::from(vec![i32::try_from(value).ok()?])),
        ColumnType::Time => Arc::new(Time64MicrosecondArray::from(vec![value])),
        _ => {
            let array = TimestampMicrosecondArray::from(vec![value]);
            Arc::new(array.with_data_type(column_type.arrow_type()))
        }
    };
    text_of(array.as_ref(), 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(fields: &[&str], is_named_so: bool) -> String {
        let mut forms = time_forms();
        let mut times = Times::new(is_named_so);
        for field in fields {
            times.take(field.as_bytes(), &mut forms);
        }
        match times.choose(&forms) {
            None => "none".to_owned(),
            Some(TimeChoice::Ambiguous(one, other)) => format!("{one} or {other}"),
            Some(TimeChoice::Typed { column_type, format, earliest, latest }) => {
                let format = format.unwrap_or_else(|| "plain".to_owned());
                format!("{column_type} {format} {earliest}..{latest}")
            }
        }
    }

    #[test]
    fn plain_days_and_times_need_no_format() {
        let dates = ["2024-02-29", "1999-01-01"];
        assert_eq!(chosen(&dates, false), "date plain 1999-01-01..2024-02-29");
        assert_eq!(chosen(&["10:15", "09:00:30"], false), "time plain 09:00:30..10:15:00");
        assert!(chosen(&["2024-01-01 10:00", "2024-01-02"], false).starts_with("timestamp plain"));
        assert!(chosen(&["2024-01-01T10:00:00+02:00"], false).starts_with("timestamptz plain"));
    }

    #[test]
    fn other_ways_of_writing_get_their_format() {
        let dates = ["31.01.2024", "01.02.2023"];
        assert_eq!(chosen(&dates, false), "date %d.%m.%Y 2023-02-01..2024-01-31");
        assert!(chosen(&["01/31/2024", "02/01/2024"], false).starts_with("date %m/%d/%Y"));
        assert!(chosen(&["31/01/2024", "02/01/2024"], false).starts_with("date %d/%m/%Y"));
        assert!(chosen(&["31.01.2024 10:00"], false).starts_with("timestamp %d.%m.%Y %H:%M "));
        let dates = ["31-DEC-24", "01-Feb-99"];
        assert_eq!(chosen(&dates, false), "date %d-%b-%y 1999-02-01..2024-12-31");
        assert!(chosen(&["01-Feb-2024"], false).starts_with("date %d-%b-%Y "));
    }

    #[test]
    fn a_day_that_may_be_a_month_is_not_decided() {
        assert_eq!(chosen(&["01/02/2024", "03/04/2024"], false), "%d/%m/%Y or %m/%d/%Y");
    }

    #[test]
    fn digits_are_days_only_where_the_name_says_so() {
        assert!(chosen(&["20240131"], true).starts_with("date %Y%m%d"));
        assert_eq!(chosen(&["20240131"], false), "none");
    }

    #[test]
    fn what_is_no_day_is_none() {
        for fields in [&["1.2.3"][..], &["2024-02-30"], &["2024-01-01", "soon"], &["12"], &["May"]]
        {
            assert_eq!(chosen(fields, true), "none", "{fields:?}");
        }
    }
}
