//! Turns typed values into text that reads back as the same value.

use arrow_array::Array;
use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
    Time64MicrosecondType, TimestampMicrosecondType,
};
use arrow_schema::{DataType, TimeUnit};

use crate::calendar::{CivilDate, DAY_MICROS};
use crate::hex;

const SECOND_MICROS: i64 = 1_000_000;

/// The text of one value; `None` if it is null, or of a type that no column has.
#[must_use]
pub fn text_of(column: &dyn Array, row: usize) -> Option<String> {
    if column.is_null(row) {
        return None;
    }
    Some(match column.data_type() {
        DataType::Utf8 => column.as_string::<i32>().value(row).to_owned(),
        DataType::Boolean => column.as_boolean().value(row).to_string(),
        DataType::Int16 => column.as_primitive::<Int16Type>().value(row).to_string(),
        DataType::Int32 => column.as_primitive::<Int32Type>().value(row).to_string(),
        DataType::Int64 => column.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Float32 => column.as_primitive::<Float32Type>().value(row).to_string(),
        DataType::Float64 => column.as_primitive::<Float64Type>().value(row).to_string(),
        DataType::Decimal128(_, _) => column.as_primitive::<Decimal128Type>().value_as_string(row),
        DataType::Date32 => {
            let days = column.as_primitive::<Date32Type>().value(row);
            let date = || CivilDate::from_unix_days(days.into()).to_string();
            endless(days, i32::MIN, i32::MAX).map_or_else(date, str::to_owned)
        }
        DataType::Time64(TimeUnit::Microsecond) => {
            time_text(column.as_primitive::<Time64MicrosecondType>().value(row))
        }
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            let micros = column.as_primitive::<TimestampMicrosecondType>().value(row);
            let offset = if zone.is_some() { "+00" } else { "" };
            let instant = || format!("{}{offset}", timestamp_text(micros));
            endless(micros, i64::MIN, i64::MAX).map_or_else(instant, str::to_owned)
        }
        DataType::FixedSizeBinary(16) => uuid_text(column.as_fixed_size_binary().value(row)),
        DataType::Binary => bytea_text(column.as_binary::<i32>().value(row)),
        _ => return None,
    })
}

/// The word for the first and the last number, which stand for no day.
fn endless<T: PartialEq + Copy>(value: T, earliest: T, latest: T) -> Option<&'static str> {
    if value == latest { Some("infinity") } else { (value == earliest).then_some("-infinity") }
}

/// Date and time of so many microseconds since 1970.
pub(crate) fn timestamp_text(micros: i64) -> String {
    let date = CivilDate::from_unix_days(micros.div_euclid(DAY_MICROS));
    format!("{date} {}", time_text(micros.rem_euclid(DAY_MICROS)))
}

/// The time so many microseconds after midnight.
fn time_text(micros: i64) -> String {
    let seconds = micros / SECOND_MICROS;
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match micros % SECOND_MICROS {
        0 => format!("{hour:02}:{minute:02}:{second:02}"),
        fraction => format!("{hour:02}:{minute:02}:{second:02}.{fraction:06}"),
    }
}

fn uuid_text(bytes: &[u8]) -> String {
    let digits = hex::encode(bytes);
    let groups = [0..8, 8..12, 12..16, 16..20, 20..32];
    groups.map(|group| digits.get(group).unwrap_or_default()).join("-")
}

fn bytea_text(bytes: &[u8]) -> String {
    format!("\\x{}", hex::encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::super::ColumnBuilder;
    use super::*;
    use crate::schema::ColumnType;

    #[test]
    fn texts_read_back_as_the_same_value() {
        let examples = [
            ("text", "a b"),
            ("boolean", "true"),
            ("smallint", "-7"),
            ("integer", "12"),
            ("bigint", "9223372036854775807"),
            ("real", "0.1"),
            ("double precision", "1e300"),
            ("numeric(7,2)", "-12.50"),
            ("numeric", "123.4500"),
            ("date", "2024-02-29"),
            ("date", "0044-03-15 BC"),
            ("date", "infinity"),
            ("timestamptz", "-infinity"),
            ("time", "23:59:59.000001"),
            ("timestamp", "1969-12-31 23:59:59.999999"),
            ("timestamptz", "2024-02-29 12:00:00+00"),
            ("uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
            ("jsonb", r#"{"a":[1,null]}"#),
            ("bytea", "\\x00ff"),
        ];
        for (type_name, text) in examples {
            let column_type: ColumnType = type_name.parse().expect("a type");
            let mut builder = ColumnBuilder::new(column_type);
            builder.append(Some(text.as_bytes())).expect("it parses");
            let written = text_of(&builder.finish().expect("an array"), 0).expect("not null");
            builder.append(Some(written.as_bytes())).expect("what is written parses");
            let again = text_of(&builder.finish().expect("an array"), 0);
            assert_eq!(Some(&written), again.as_ref(), "{type_name} {text}");
            assert!(written == text || !text.contains("infinity"), "{written}");
        }
    }
}
