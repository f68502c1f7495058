//! Turns values of one type into values of the type that a table's column has, or says which do not fit.
//!
//! As PostgreSQL assigns: text is parsed as a field of a file is, numbers are
//! rounded to the scale, and what is out of range is refused, never cut off.
//! Invariant: no value fails more rows than its own.

use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{
    Array, ArrayRef, Float32Array, Float64Array, StringArray, new_empty_array, new_null_array,
};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{ArrowError, DataType};
use arrow_select::concat::concat;
use ferry::reject::Code;
use ferry::schema::ColumnType;
use ferry::values::{ColumnBuilder, text_of};
use memchr::memchr;

use super::instants;

/// Longest text or byte string that a table is sent: COPY takes at most 1 GB a
/// field, and a row must fit into the memory in which a transaction is made.
const TEXT_BYTES_MAX: i32 = 64 * 1024 * 1024;

/// How values become another type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Conversion {
    /// They are of the type.
    Keep,
    /// Arrow casts them; what does not fit is out of range.
    Cast,
    /// They are rounded to whole numbers first.
    Round,
    /// They lose digits, but must neither overflow nor vanish.
    Narrow,
    /// Days and instants become each other.
    Instants,
    /// They are written as text and parsed.
    Parse,
}

/// Values of the new type.
#[derive(Debug)]
pub(super) struct Converted {
    /// Null where a value has none in the new type.
    pub(super) values: ArrayRef,
    /// Rows that do not fit, and why.
    pub(super) failed: Vec<(usize, Code)>,
}

impl Conversion {
    /// From a column to a column; `None` if there is no way.
    pub(super) fn of_column(from: ColumnType, to: ColumnType) -> Option<Self> {
        use ColumnType::{Jsonb, Numeric, Text, Varchar};
        match (from, to) {
            _ if from == to => Some(Self::Keep),
            (Varchar(from), Varchar(to)) if from <= to => Some(Self::Keep),
            (Varchar(_) | Jsonb, Text) => Some(Self::Keep),
            (Numeric(_), Numeric(None)) if from.arrow_type() == to.arrow_type() => Some(Self::Keep),
            _ => Self::of_values(&from.arrow_type(), to),
        }
    }

    /// From values of an Arrow type to a column; `None` if there is no way.
    pub(super) fn of_values(from: &DataType, to: ColumnType) -> Option<Self> {
        use DataType::{Date32, Decimal128, Float32, Float64, Timestamp, Utf8};
        let target = to.arrow_type();
        let is_fraction = matches!(from, Decimal128(..) | Float32 | Float64);
        Some(match (from, &target) {
            (Utf8, Utf8) if to == ColumnType::Text => Self::Keep,
            (Utf8, _) | (_, Utf8) if from == &Utf8 || is_written_as_text(from, to) => Self::Parse,
            (_, Utf8) => return None,
            _ if *from == target => Self::Keep,
            _ if is_fraction && target.is_integer() => Self::Round,
            (Float32 | Float64, Decimal128(..)) => Self::Parse,
            (Float64, Float32) => Self::Narrow,
            _ if from.is_numeric() && target.is_numeric() => Self::Cast,
            (Date32, Timestamp(..)) | (Timestamp(..), Date32 | Timestamp(..)) => Self::Instants,
            _ => return None,
        })
    }

    /// Converts the values of a batch.
    pub(super) fn convert(
        self,
        values: &ArrayRef,
        to: ColumnType,
    ) -> Result<Converted, ArrowError> {
        let target = to.arrow_type();
        let mut converted = match self {
            Self::Keep => Converted { values: Arc::clone(values), failed: unstorable(values) },
            Self::Cast => compared(values, cast(values, &target)?),
            Self::Round => compared(values, cast(&rounded(values)?, &target)?),
            Self::Narrow => compared(values, narrowed(values)?),
            Self::Instants => compared(values, instants::convert(values, &target)?),
            Self::Parse => parse(values, to)?,
        };
        let long = rows_longer_than(&converted.values, TEXT_BYTES_MAX);
        converted.failed.extend(long.into_iter().map(|row| (row, Code::TOO_LONG)));
        Ok(converted)
    }
}

/// Rows whose value PostgreSQL cannot store, which an expression can make.
fn unstorable(values: &ArrayRef) -> Vec<(usize, Code)> {
    let beyond = instants::rows_beyond_calendar(values).into_iter();
    let mut failed: Vec<(usize, Code)> = beyond.map(|row| (row, Code::OUT_OF_RANGE)).collect();
    failed.extend(rows_with_nul(values).into_iter().map(|row| (row, Code::NUL_BYTE)));
    failed
}

/// Rows whose text holds a NUL.
fn rows_with_nul(values: &ArrayRef) -> Vec<usize> {
    let Some(texts) = values.as_string_opt::<i32>() else {
        return Vec::new();
    };
    if memchr(0, texts.value_data()).is_none() {
        return Vec::new();
    }
    let has_nul =
        |row: &usize| texts.is_valid(*row) && memchr(0, texts.value(*row).as_bytes()).is_some();
    (0..texts.len()).filter(has_nul).collect()
}

/// Rows whose text or byte string has more bytes.
fn rows_longer_than(values: &ArrayRef, bytes_max: i32) -> Vec<usize> {
    let offsets = match values.data_type() {
        DataType::Utf8 => values.as_string::<i32>().value_offsets(),
        DataType::Binary => values.as_binary::<i32>().value_offsets(),
        _ => return Vec::new(),
    };
    if offsets[offsets.len() - 1] - offsets[0] <= bytes_max {
        return Vec::new();
    }
    let is_long =
        |row: &usize| values.is_valid(*row) && offsets[*row + 1] - offsets[*row] > bytes_max;
    (0..values.len()).filter(is_long).collect()
}

/// Every value has a text, but only a number can be written as a wide numeric,
/// and nothing but text is a document.
fn is_written_as_text(from: &DataType, to: ColumnType) -> bool {
    match to {
        ColumnType::Numeric(_) => from.is_numeric(),
        ColumnType::Jsonb => false,
        _ => true,
    }
}

/// Half to the even neighbour for floating-point numbers, half away from zero
/// for numerics, as PostgreSQL does.
fn rounded(values: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    if let Some(values) = values.as_primitive_opt::<Float64Type>() {
        let rounded: Float64Array = values.unary(f64::round_ties_even);
        return Ok(Arc::new(rounded));
    }
    if let Some(values) = values.as_primitive_opt::<Float32Type>() {
        let rounded: Float64Array = values.unary(|value| f64::from(value.round_ties_even()));
        return Ok(Arc::new(rounded));
    }
    // 38 digits without a fraction hold every decimal of at most 38 digits.
    cast(values, &DataType::Decimal128(38, 0))
}

/// The nearest `real` to each `double precision`; null where it is infinite or
/// zero and the value is not.
fn narrowed(values: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let casted = cast(values, &DataType::Float32)?;
    let survivor = |(wide, narrow): (Option<f64>, Option<f32>)| {
        let (wide, narrow) = (wide?, narrow?);
        let overflows = narrow.is_infinite() && wide.is_finite();
        let vanishes = narrow == 0.0 && wide != 0.0;
        (!overflows && !vanishes).then_some(narrow)
    };
    let pairs = values.as_primitive::<Float64Type>().iter();
    let pairs = pairs.zip(casted.as_primitive::<Float32Type>().iter());
    Ok(Arc::new(pairs.map(survivor).collect::<Float32Array>()))
}

/// As Arrow casts; null where a value has none in the new type.
fn cast(values: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    let options = CastOptions::default();
    if let Ok(casted) = cast_with_options(values, to, &options) {
        return Ok(casted);
    }
    // Some casts fail for all values because of one: then each is cast alone.
    let mut parts = vec![new_empty_array(to)];
    for row in 0..values.len() {
        let casted = cast_with_options(&values.slice(row, 1), to, &options);
        parts.push(casted.unwrap_or_else(|_| new_null_array(to, 1)));
    }
    let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
    concat(&parts)
}

/// What became null is out of range.
fn compared(values: &ArrayRef, converted: ArrayRef) -> Converted {
    let mut failed = Vec::new();
    if converted.null_count() > values.null_count() {
        for row in (0..values.len()).filter(|row| values.is_valid(*row) && converted.is_null(*row))
        {
            failed.push((row, Code::OUT_OF_RANGE));
        }
    }
    Converted { values: converted, failed }
}

fn parse(values: &ArrayRef, to: ColumnType) -> Result<Converted, ArrowError> {
    let mut builder = ColumnBuilder::new(to);
    let mut failed = Vec::new();
    let strings: Option<&StringArray> = values.as_string_opt();
    for row in 0..values.len() {
        let appended = match strings {
            Some(strings) => {
                builder.append(strings.is_valid(row).then(|| strings.value(row).as_bytes()))
            }
            None => builder.append(text_of(values, row).as_deref().map(str::as_bytes)),
        };
        if let Err(code) = appended {
            failed.push((row, code));
            builder.truncate(row);
            // A null parses as every type.
            let _ = builder.append(None);
        }
    }
    Ok(Converted { values: builder.finish()?, failed })
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{BinaryArray, Date32Array, TimestampMicrosecondArray};

    fn column_type(name: &str) -> ColumnType {
        name.parse().expect("a type")
    }

    /// Converts texts of one type to another: texts of the results, and codes.
    fn convert(from: &str, to: &str, texts: &[&str]) -> (Vec<Option<String>>, Vec<&'static str>) {
        let mut builder = ColumnBuilder::new(column_type(from));
        for text in texts {
            builder.append(Some(text.as_bytes())).expect("a value of the type");
        }
        let values = builder.finish().expect("an array");
        let conversion = Conversion::of_column(column_type(from), column_type(to))
            .unwrap_or_else(|| panic!("{from} to {to}"));
        let converted = conversion.convert(&values, column_type(to)).expect("it converts");
        assert_eq!(converted.values.data_type(), &column_type(to).arrow_type(), "{from} to {to}");
        let found = (0..texts.len()).map(|row| text_of(&converted.values, row)).collect();
        let codes = converted.failed.iter().map(|(_, code)| match code.as_str() {
            "out_of_range" => "out_of_range",
            "bad_json" => "bad_json",
            "bad_integer" => "bad_integer",
            "too_long" => "too_long",
            other => panic!("{other}"),
        });
        (found, codes.collect())
    }

    #[test]
    fn values_convert_as_postgresql_assigns_them() {
        let examples = [
            ("integer", "bigint", "7", "7"),
            ("bigint", "integer", "7", "7"),
            ("bigint", "numeric(12,2)", "7", "7.00"),
            ("bigint", "numeric", "7", "7"),
            ("numeric(12,2)", "integer", "2.50", "3"),
            ("numeric(12,2)", "numeric(12,1)", "-2.25", "-2.3"),
            ("numeric(12,2)", "numeric(50,3)", "2.25", "2.25"),
            ("numeric(12,2)", "numeric", "2.5", "2.50"),
            ("double precision", "integer", "2.5", "2"),
            ("double precision", "numeric(12,2)", "2.345", "2.35"),
            ("real", "double precision", "0.5", "0.5"),
            // Halfway between two of them, and written with fewer digits than it has.
            ("double precision", "real", "1.000000059604644775390625", "1"),
            ("date", "timestamp", "2024-02-29", "2024-02-29 00:00:00"),
            ("timestamp", "date", "1969-12-31 23:00:00", "1969-12-31"),
            ("timestamptz", "timestamp", "2024-02-29 12:00:00+02", "2024-02-29 10:00:00"),
            ("timestamp", "timestamptz", "2024-02-29 12:00", "2024-02-29 12:00:00+00"),
            ("date", "timestamptz", "4714-11-24 BC", "4714-11-24 00:00:00+00 BC"),
            ("timestamp", "date", "infinity", "infinity"),
            ("timestamptz", "date", "-infinity", "-infinity"),
            ("date", "timestamp", "-infinity", "-infinity"),
            ("timestamp", "timestamptz", "infinity", "infinity"),
            ("text", "date", "2024-02-29", "2024-02-29"),
            ("text", "jsonb", r#"{"a": [1]}"#, r#"{"a": [1]}"#),
            (
                "uuid",
                "text",
                "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
                "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            ),
            ("boolean", "varchar(5)", "t", "true"),
            ("double precision", "text", "1e300", "1e+300"),
            ("double precision", "numeric", "1e20", "1e+20"),
            ("real", "numeric(12,2)", "1e6", "1000000.00"),
            ("timestamptz", "text", "0044-03-15 BC", "0044-03-15 00:00:00+00 BC"),
        ];
        for (from, to, text, expected) in examples {
            let (found, codes) = convert(from, to, &[text]);
            assert_eq!(found, [Some(expected.to_owned())], "{from} to {to}");
            assert!(codes.is_empty(), "{from} to {to}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_alone() {
        let (found, codes) = convert("bigint", "smallint", &["1", "40000"]);
        assert_eq!((found, codes), (vec![Some("1".to_owned()), None], vec!["out_of_range"]));
        let (found, codes) = convert("text", "jsonb", &["{", "[]"]);
        assert_eq!((found, codes), (vec![None, Some("[]".to_owned())], vec!["bad_json"]));
        assert_eq!(convert("text", "varchar(2)", &["abc"]).1, ["too_long"]);
        assert_eq!(convert("text", "integer", &["x"]).1, ["bad_integer"]);
        assert_eq!(convert("double precision", "integer", &["1e10"]).1, ["out_of_range"]);
        assert_eq!(convert("numeric(12,2)", "numeric(3,2)", &["10.00"]).1, ["out_of_range"]);
    }

    #[test]
    fn one_instant_fails_no_other() {
        let (found, codes) = convert("date", "timestamp", &["5874897-12-31", "infinity"]);
        assert_eq!((found, codes), (vec![None, Some("infinity".to_owned())], vec!["out_of_range"]));
        let micros = TimestampMicrosecondArray::from(vec![Some(0), Some(i64::MAX), None]);
        let values: ArrayRef = Arc::new(micros);
        // Arrow knows no infinity, and none of its casts of instants is used.
        assert!(cast_with_options(&values, &DataType::Date32, &CastOptions::default()).is_err());
        let casted = compared(&values, cast(&values, &DataType::Date32).expect("it casts"));
        assert_eq!(casted.failed, [(1, Code::OUT_OF_RANGE)]);
        assert_eq!(text_of(&casted.values, 0), Some("1970-01-01".to_owned()));
        assert_eq!(casted.values.null_count(), 2);
    }

    #[test]
    fn a_real_neither_overflows_nor_vanishes() {
        let texts = ["1e39", "-1e-46", "0", "-0", "inf", "NaN", "1e-45", "3.4028235e38"];
        let (found, codes) = convert("double precision", "real", &texts);
        let found: Vec<&str> = found.iter().map(|text| text.as_deref().unwrap_or("none")).collect();
        let expected = ["none", "none", "0", "-0", "Infinity", "NaN", "1e-45", "3.4028235e+38"];
        assert_eq!(found, expected);
        assert_eq!(codes, ["out_of_range", "out_of_range"]);
    }

    #[test]
    fn a_day_that_postgresql_does_not_know_is_refused() {
        let values: ArrayRef = Arc::new(Date32Array::from(vec![Some(0), Some(-2_440_589)]));
        let converted = Conversion::Keep.convert(&values, ColumnType::Date).expect("it converts");
        assert_eq!(converted.failed, [(1, Code::OUT_OF_RANGE)]);
    }

    #[test]
    fn what_is_too_long_is_refused() {
        let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("abc"), None, Some("abcd")]));
        assert_eq!(rows_longer_than(&texts, 3), [2]);
        assert_eq!(rows_longer_than(&texts.slice(0, 2), 2), [0]);
        assert!(rows_longer_than(&texts, 4).is_empty());
        let bytes: ArrayRef = Arc::new(BinaryArray::from_iter_values(["abcd", "abc", "abcd"]));
        assert_eq!(rows_longer_than(&bytes, 3), [0, 2]);
        let long = "b".repeat(usize::try_from(TEXT_BYTES_MAX).expect("a length") + 1);
        let values: ArrayRef = Arc::new(StringArray::from(vec!["a", long.as_str()]));
        for conversion in [Conversion::Keep, Conversion::Parse] {
            let converted = conversion.convert(&values, ColumnType::Text).expect("it converts");
            assert_eq!(converted.failed, [(1, Code::TOO_LONG)]);
        }
    }

    #[test]
    fn a_nul_is_refused() {
        let values: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, Some("b\0")]));
        let converted = Conversion::Keep.convert(&values, ColumnType::Text).expect("it converts");
        assert_eq!(converted.failed, [(2, Code::NUL_BYTE)]);
    }

    #[test]
    fn some_ways_do_not_exist() {
        for (from, to) in
            [("boolean", "integer"), ("date", "integer"), ("bigint", "jsonb"), ("bytea", "uuid")]
        {
            assert_eq!(
                Conversion::of_column(column_type(from), column_type(to)),
                None,
                "{from} to {to}"
            );
        }
    }
}
