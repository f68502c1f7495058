//! Turns texts into values of a column's type, and values into the text by which they are the same.

use arrow_array::{Array, ArrayRef};
use arrow_schema::ArrowError;
use ferry::reject::Code;
use ferry::schema::ColumnType;
use ferry::values::{ColumnBuilder, text_of};

/// Whether a column of this type holds text, to which the rules for text apply.
///
/// JSON documents and numerics without bound travel as text too, but are none.
pub(super) fn is_text(column_type: ColumnType) -> bool {
    matches!(column_type, ColumnType::Text | ColumnType::Varchar(_))
}

/// Parses texts as the source does; what does not parse becomes null.
pub(super) fn parse_or_null<'a>(
    column_type: ColumnType,
    texts: impl Iterator<Item = Option<&'a str>>,
) -> Result<ArrayRef, ArrowError> {
    let mut builder = ColumnBuilder::new(column_type);
    for (row, text) in texts.enumerate() {
        if builder.append(text.map(str::as_bytes)).is_err() {
            builder.truncate(row);
            let refused = |code: Code| ArrowError::ComputeError(code.to_string());
            builder.append(None).map_err(refused)?;
        }
    }
    builder.finish()
}

/// Parses a value that stands in the job, into an array of one row.
///
/// `None` unless the type holds it as it is written: `0.005` rounded to
/// `0.01` would be another bound than the job says.
pub(super) fn constant(column_type: ColumnType, text: &str) -> Option<ArrayRef> {
    let mut builder = ColumnBuilder::new(column_type);
    builder.append(Some(text.as_bytes())).ok()?;
    let value = builder.finish().ok()?;
    let is_exact = match column_type {
        ColumnType::Numeric(_) => {
            normal_numeric(text) == normal_numeric(&text_of(value.as_ref(), 0)?)
        }
        _ => true,
    };
    is_exact.then_some(value)
}

/// The text of a value such that values that PostgreSQL holds for equal have
/// the same; documents are compared as they are written. `None` if it is null.
pub(super) fn identity(column_type: ColumnType, column: &dyn Array, row: usize) -> Option<String> {
    let text = text_of(column, row)?;
    Some(match column_type {
        // These have all digits of their scale.
        ColumnType::Numeric(Some(digits)) if digits.fits_decimal() => text,
        ColumnType::Numeric(_) => normal_numeric(&text),
        ColumnType::Real | ColumnType::DoublePrecision if text == "-0" => "0".to_owned(),
        _ => text,
    })
}

/// One text for all ways to write a numeric, which must be one that PostgreSQL
/// reads: its digits from the first to the last that is not 0, and the
/// exponent of the latter.
fn normal_numeric(text: &str) -> String {
    let text = text.trim().to_ascii_lowercase();
    let (sign, magnitude) = match text.strip_prefix('-') {
        Some(magnitude) => ("-", magnitude),
        None => ("", text.strip_prefix('+').unwrap_or(&text)),
    };
    if magnitude.starts_with("inf") {
        return format!("{sign}infinity");
    }
    let (mantissa, exponent) = magnitude.split_once('e').unwrap_or((magnitude, "0"));
    let (integer, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{integer}{fraction}");
    let significant = digits.trim_start_matches('0');
    let kept = significant.trim_end_matches('0');
    if kept.is_empty() {
        return "0".to_owned();
    }
    let exponent: i64 = exponent.parse().unwrap_or(i64::MAX);
    let exponent = exponent.saturating_add(count(significant) - count(kept) - count(fraction));
    format!("{sign}{kept}e{exponent}")
}

/// A number of digits; no field comes near the limit.
fn count(digits: &str) -> i64 {
    i64::try_from(digits.len()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_numerics_have_one_text() {
        for text in ["1230", "1.23e3", "+1230.00", "0001230", "12.3E+2", "123000e-2"] {
            assert_eq!(normal_numeric(text), "123e1", "{text}");
        }
        for text in ["0", "-0.00", "0e99999999999999999999", ".0"] {
            assert_eq!(normal_numeric(text), "0", "{text}");
        }
        assert_eq!(normal_numeric(" -Inf "), normal_numeric("-infinity"));
        assert_eq!(normal_numeric("NaN"), normal_numeric("nan"));
        assert_ne!(normal_numeric("1.23"), normal_numeric("-1.23"));
        assert_ne!(normal_numeric("1.23"), normal_numeric("12.3"));
    }

    #[test]
    fn values_are_the_same_as_postgresql_says() {
        let text = |type_name: &str, text: &str| {
            let column_type = type_name.parse().expect("a type");
            let value = constant(column_type, text).expect("a value");
            identity(column_type, &value, 0).expect("not null")
        };
        for (type_name, one, other) in [
            ("numeric", "1.50", "15e-1"),
            ("numeric(5,2)", "1.5", "1.50"),
            ("double precision", "-0", "0"),
            ("boolean", "yes", "true"),
            ("timestamptz", "2000-01-01 14:00+02", "2000-01-01T12:00Z"),
        ] {
            assert_eq!(text(type_name, one), text(type_name, other), "{type_name}");
        }
        assert_ne!(text("text", "a"), text("text", "A"));
        assert_ne!(text("numeric", "1.5"), text("numeric", "1.51"));
    }

    #[test]
    fn a_constant_is_exact_or_none() {
        let fits = |type_name: &str, text: &str| {
            constant(type_name.parse().expect("a type"), text).is_some()
        };
        assert!(fits("numeric(5,2)", "1.500") && fits("numeric(5,2)", "-1e2"));
        assert!(!fits("numeric(5,2)", "0.005") && !fits("numeric(5,2)", "1000"));
        assert!(!fits("integer", "0.5") && !fits("integer", "") && !fits("date", "01/02/2024"));
    }

    #[test]
    fn what_does_not_parse_is_null() {
        let texts = [Some("1"), None, Some("x"), Some("3")];
        let values = parse_or_null(ColumnType::Integer, texts.into_iter()).expect("an array");
        let texts: Vec<_> = (0..4).map(|row| text_of(&values, row)).collect();
        assert_eq!(texts, [Some("1".to_owned()), None, None, Some("3".to_owned())]);
    }
}
