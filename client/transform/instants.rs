//! Turns days into instants and instants into days, in UTC, or says which lie beyond PostgreSQL's calendar.
//!
//! The first and the last number stand for infinity, which stays infinite.
//! Arrow's casts do not know that, and may fail for all values because of one.

use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Date32Type, TimestampMicrosecondType};
use arrow_array::{Array as _, ArrayRef, Date32Array, TimestampMicrosecondArray};
use arrow_schema::{ArrowError, DataType, TimeUnit};
use ferry::calendar::{DATE_DAYS, DAY_MICROS, TIMESTAMP_MICROS};

/// The same days or instants as values of another type; null where it has none.
pub(super) fn convert(values: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    use DataType::{Date32, Timestamp};
    use TimeUnit::Microsecond;

    let converted: ArrayRef = match (values.data_type(), to) {
        (Date32, Timestamp(Microsecond, zone)) => {
            let days = values.as_primitive::<Date32Type>();
            let instants: TimestampMicrosecondArray = days.unary_opt(midnight);
            Arc::new(instants.with_timezone_opt(zone.clone()))
        }
        (Timestamp(Microsecond, _), Date32) => {
            let instants = values.as_primitive::<TimestampMicrosecondType>();
            let days: Date32Array = instants.unary_opt(day);
            Arc::new(days)
        }
        (Timestamp(Microsecond, _), Timestamp(Microsecond, zone)) => {
            let instants = values.as_primitive::<TimestampMicrosecondType>();
            let instants: TimestampMicrosecondArray = instants.unary_opt(storable_instant);
            Arc::new(instants.with_timezone_opt(zone.clone()))
        }
        (from, to) => {
            let problem = format!("there is no way from {from} to {to} by the calendar");
            return Err(ArrowError::CastError(problem));
        }
    };
    Ok(converted)
}

/// Rows with a day or an instant that PostgreSQL does not know, and an expression can reach.
pub(super) fn rows_beyond_calendar(values: &ArrayRef) -> Vec<usize> {
    if let Some(days) = values.as_primitive_opt::<Date32Type>() {
        let is_beyond =
            |row: &usize| days.is_valid(*row) && storable_day(days.value(*row)).is_none();
        return (0..days.len()).filter(is_beyond).collect();
    }
    if let Some(instants) = values.as_primitive_opt::<TimestampMicrosecondType>() {
        let is_beyond = |row: &usize| {
            instants.is_valid(*row) && storable_instant(instants.value(*row)).is_none()
        };
        return (0..instants.len()).filter(is_beyond).collect();
    }
    Vec::new()
}

/// The first microsecond of a day.
fn midnight(day: i32) -> Option<i64> {
    match day {
        i32::MIN => Some(i64::MIN),
        i32::MAX => Some(i64::MAX),
        day => storable_instant(i64::from(day).checked_mul(DAY_MICROS)?),
    }
}

/// The day in which an instant lies.
fn day(micros: i64) -> Option<i32> {
    match micros {
        i64::MIN => Some(i32::MIN),
        i64::MAX => Some(i32::MAX),
        micros => storable_day(i32::try_from(micros.div_euclid(DAY_MICROS)).ok()?),
    }
}

fn storable_day(day: i32) -> Option<i32> {
    let is_known = matches!(day, i32::MIN | i32::MAX) || DATE_DAYS.contains(&i64::from(day));
    is_known.then_some(day)
}

fn storable_instant(micros: i64) -> Option<i64> {
    let is_known = matches!(micros, i64::MIN | i64::MAX) || TIMESTAMP_MICROS.contains(&micros);
    is_known.then_some(micros)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn timestamptz() -> DataType {
        DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
    }

    fn days(days: Vec<Option<i32>>) -> ArrayRef {
        Arc::new(Date32Array::from(days))
    }

    fn instants(micros: Vec<Option<i64>>) -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from(micros))
    }

    #[test]
    fn days_begin_at_midnight() {
        let days = days(vec![Some(1), Some(-1), None, Some(i32::MAX), Some(i32::MIN)]);
        let converted = convert(&days, &timestamptz()).expect("it converts");
        assert_eq!(converted.data_type(), &timestamptz());
        let found: Vec<_> = converted.as_primitive::<TimestampMicrosecondType>().iter().collect();
        let expected = [DAY_MICROS, -DAY_MICROS].map(Some);
        assert_eq!(found[..2], expected);
        assert_eq!(found[2..], [None, Some(i64::MAX), Some(i64::MIN)]);
    }

    #[test]
    fn instants_lie_in_the_day_that_began_before_them() {
        let micros = [0, DAY_MICROS - 1, -1, -DAY_MICROS, -DAY_MICROS - 1, i64::MAX, i64::MIN];
        let converted = convert(&instants(micros.map(Some).to_vec()), &DataType::Date32);
        let converted = converted.expect("it converts");
        let found: Vec<_> = converted.as_primitive::<Date32Type>().iter().collect();
        assert_eq!(found, [0, 0, -1, -1, -2, i32::MAX, i32::MIN].map(Some));
    }

    #[test]
    fn instants_gain_and_lose_their_zone() {
        let local = instants(vec![Some(7), None, Some(i64::MAX), Some(i64::MIN)]);
        let there = convert(&local, &timestamptz()).expect("it converts");
        assert_eq!(there.data_type(), &timestamptz());
        let back = convert(&there, local.data_type()).expect("it converts");
        assert_eq!(back.to_data(), local.to_data());
    }

    #[test]
    fn what_the_other_type_does_not_hold_is_null() {
        // 4714-11-24 BC and the day before; 294247-01-10, where an i64 ends, and the day after.
        let first = -2_440_588;
        let days =
            days([first, first - 1, 106_751_991, 106_751_992, 2_145_042_905].map(Some).into());
        let converted = convert(&days, &timestamptz()).expect("it converts");
        let nulls: Vec<bool> = (0..5).map(|row| converted.is_null(row)).collect();
        assert_eq!(nulls, [false, true, false, true, true]);
        let before = i64::from(first) * DAY_MICROS - 1;
        let instants = instants(vec![Some(before), Some(before + 1)]);
        for to in [timestamptz(), DataType::Date32] {
            let converted = convert(&instants, &to).expect("it converts");
            assert!(converted.is_null(0) && converted.is_valid(1), "{to}");
        }
    }

    #[test]
    fn what_postgresql_does_not_know_is_found() {
        let days = days(vec![Some(-2_440_589), None, Some(0), Some(i32::MIN), Some(2_145_042_906)]);
        assert_eq!(rows_beyond_calendar(&days), [0, 4]);
        let instants = instants(vec![Some(i64::MAX), Some(i64::MIN + 1), None, Some(0)]);
        assert_eq!(rows_beyond_calendar(&instants), [1]);
        let numbers: ArrayRef = Arc::new(arrow_array::Int32Array::from(vec![i32::MIN + 1]));
        assert!(rows_beyond_calendar(&numbers).is_empty());
    }

    #[test]
    fn other_types_have_no_way() {
        assert!(convert(&days(vec![Some(0)]), &DataType::Int32).is_err());
    }

    proptest! {
        #[test]
        fn every_midnight_lies_in_its_day(days in -2_440_588_i32..106_751_992) {
            prop_assert_eq!(midnight(days).and_then(day), Some(days));
        }
    }
}
