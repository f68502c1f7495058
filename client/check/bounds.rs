//! Turns `min` and `max` into rows beyond them; both bounds are inclusive.
//!
//! Invariant: a bound has the type of its column, so that values are compared
//! as numbers and days, never as text.

use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type,
    Int64Type, Time64MicrosecondType, TimestampMicrosecondType,
};
use arrow_array::{Array as _, ArrayRef};
use arrow_schema::{ArrowError, DataType, TimeUnit};
use ferry::reject::Code;
use ferry::schema::{ColumnType, Precision};
use ferry::values::text_of;

use super::values::constant;

/// Types that a bound of a text column may be meant for, in this order.
const SUGGESTED: [ColumnType; 5] = [
    ColumnType::Bigint,
    ColumnType::DoublePrecision,
    ColumnType::Date,
    ColumnType::Timestamp,
    ColumnType::Time,
];

/// Which end of the range a bound is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Min,
    Max,
}

impl Side {
    /// Name of the rule in the job.
    pub(super) fn rule(self) -> &'static str {
        match self {
            Self::Min => "min",
            Self::Max => "max",
        }
    }
}

/// One end of the range of a column.
pub(super) struct Bound {
    side: Side,
    /// One row of the column's type.
    value: ArrayRef,
}

impl Bound {
    /// Parses a bound to the type of its column, for which [`has_bounds`]
    /// holds; `None` if the type does not hold it.
    pub(super) fn parse(column_type: ColumnType, side: Side, text: &str) -> Option<Self> {
        let value = constant(column_type, text)?;
        // No number is on either side of NaN.
        let is_nan = text_of(value.as_ref(), 0).is_some_and(|text| text == "NaN");
        (!is_nan).then_some(Self { side, value })
    }

    /// What is wrong with a value beyond it.
    pub(super) fn code(&self) -> Code {
        match self.side {
            Side::Min => Code::BELOW_MIN,
            Side::Max => Code::ABOVE_MAX,
        }
    }

    /// Tells `fail` of every row beyond the bound, or with NaN.
    pub(super) fn check(
        &self,
        column: &ArrayRef,
        fail: &mut dyn FnMut(usize),
    ) -> Result<(), ArrowError> {
        match column.data_type() {
            DataType::Int16 => self.compare::<Int16Type>(column, fail),
            DataType::Int32 => self.compare::<Int32Type>(column, fail),
            DataType::Int64 => self.compare::<Int64Type>(column, fail),
            DataType::Float32 => self.compare::<Float32Type>(column, fail),
            DataType::Float64 => self.compare::<Float64Type>(column, fail),
            DataType::Decimal128(_, _) => self.compare::<Decimal128Type>(column, fail),
            DataType::Date32 => self.compare::<Date32Type>(column, fail),
            DataType::Time64(TimeUnit::Microsecond) => {
                self.compare::<Time64MicrosecondType>(column, fail)
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                self.compare::<TimestampMicrosecondType>(column, fail)
            }
            other => Err(unexpected(other)),
        }
    }

    fn compare<T: ArrowPrimitiveType>(
        &self,
        column: &ArrayRef,
        fail: &mut dyn FnMut(usize),
    ) -> Result<(), ArrowError> {
        let values = column.as_primitive_opt::<T>();
        let bound = self.value.as_primitive_opt::<T>();
        let (Some(values), Some(bound)) = (values, bound) else {
            return Err(unexpected(column.data_type()));
        };
        let bound = bound.value(0);
        let side = self.side;
        for (row, value) in values.values().iter().enumerate() {
            // Both comparisons are false for NaN.
            let passes = match side {
                Side::Min => *value >= bound,
                Side::Max => *value <= bound,
            };
            if !passes && values.is_valid(row) {
                fail(row);
            }
        }
        Ok(())
    }
}

/// Whether columns of this type are compared with bounds.
pub(super) fn has_bounds(column_type: ColumnType) -> bool {
    match column_type {
        ColumnType::Smallint
        | ColumnType::Integer
        | ColumnType::Bigint
        | ColumnType::Real
        | ColumnType::DoublePrecision
        | ColumnType::Date
        | ColumnType::Time
        | ColumnType::Timestamp
        | ColumnType::Timestamptz => true,
        ColumnType::Numeric(digits) => digits.is_some_and(Precision::fits_decimal),
        ColumnType::Text
        | ColumnType::Varchar(_)
        | ColumnType::Boolean
        | ColumnType::Uuid
        | ColumnType::Jsonb
        | ColumnType::Bytea => false,
    }
}

/// A type that a column without bounds could be declared as.
pub(super) fn suggested_type(column_type: ColumnType, bound: &str) -> String {
    if matches!(column_type, ColumnType::Numeric(_)) {
        return "numeric(38,9)".to_owned();
    }
    let fits = |column_type: &ColumnType| constant(*column_type, bound).is_some();
    let suggested = SUGGESTED.into_iter().find(fits);
    suggested.unwrap_or(ColumnType::Bigint).to_string()
}

fn unexpected(data_type: &DataType) -> ArrowError {
    ArrowError::SchemaError(format!("a column of type {data_type} is not what its bound is for"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::values::parse_or_null;

    /// Rows beyond a bound.
    fn failing(type_name: &str, side: Side, bound: &str, texts: &[&str]) -> Vec<usize> {
        let column_type: ColumnType = type_name.parse().expect("a type");
        assert!(has_bounds(column_type), "{type_name}");
        let bound = Bound::parse(column_type, side, bound).expect("a bound");
        let texts = texts.iter().map(|text| (*text != "NULL").then_some(*text));
        let column = parse_or_null(column_type, texts).expect("an array");
        let mut rows = Vec::new();
        bound.check(&column, &mut |row| rows.push(row)).expect("comparable");
        rows
    }

    #[test]
    fn every_type_with_an_order_is_compared_as_what_it_is() {
        for (type_name, below, bound, above) in [
            ("smallint", "-32768", "9", "10"),
            ("integer", "-1", "9", "10"),
            ("bigint", "-1", "9", "9223372036854775807"),
            ("real", "-0.5", "0.1", "0.2"),
            ("double precision", "-Infinity", "9", "1e300"),
            ("numeric(9,2)", "8.99", "9", "10"),
            ("date", "0044-03-15 BC", "2024-02-29", "infinity"),
            ("time", "08:59:59.999999", "09:00", "24:00"),
            ("timestamp", "-infinity", "2024-02-29", "2024-02-29 00:00:00.000001"),
            ("timestamptz", "2024-02-29 00:30+01", "2024-02-29 00:00Z", "2024-02-29 00:01Z"),
        ] {
            let texts = [below, bound, above, "NULL"];
            assert_eq!(failing(type_name, Side::Min, bound, &texts), [0], "{type_name}");
            assert_eq!(failing(type_name, Side::Max, bound, &texts), [2], "{type_name}");
        }
    }

    #[test]
    fn nan_is_beyond_every_bound() {
        assert_eq!(failing("double precision", Side::Min, "0", &["NaN", "1"]), [0]);
        assert_eq!(failing("real", Side::Max, "2", &["NaN", "1"]), [0]);
        assert!(Bound::parse(ColumnType::Real, Side::Min, "NaN").is_none());
    }

    #[test]
    fn a_type_is_suggested_that_holds_the_bound() {
        for (bound, suggested) in [
            ("18", "bigint"),
            ("0.5", "double precision"),
            ("2024-02-29", "date"),
            ("2024-02-29 12:00", "timestamp"),
            ("12:00", "time"),
            ("soon", "bigint"),
        ] {
            assert_eq!(suggested_type(ColumnType::Text, bound), suggested, "{bound}");
        }
        assert_eq!(suggested_type(ColumnType::Numeric(None), "0"), "numeric(38,9)");
    }
}
