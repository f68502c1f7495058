//! Turns typed values into the text that PostgreSQL writes, which reads back as the same value.

use arrow_array::Array;
use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
    Time64MicrosecondType, TimestampMicrosecondType,
};
use arrow_schema::{DataType, TimeUnit};

use crate::calendar::{CivilDate, DAY_MICROS};
use crate::hex;

use super::floats::{double_text, real_text};

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
        DataType::Float32 => real_text(column.as_primitive::<Float32Type>().value(row)),
        DataType::Float64 => double_text(column.as_primitive::<Float64Type>().value(row)),
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
            instant_text(micros, if zone.is_some() { "+00" } else { "" })
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

/// Date and time of so many microseconds since 1970, in UTC.
pub(crate) fn timestamp_text(micros: i64) -> String {
    instant_text(micros, "")
}

/// The distance from UTC stands behind the time, and the era behind both.
fn instant_text(micros: i64, offset: &str) -> String {
    if let Some(word) = endless(micros, i64::MIN, i64::MAX) {
        return word.to_owned();
    }
    let date = CivilDate::from_unix_days(micros.div_euclid(DAY_MICROS)).to_string();
    let time = time_text(micros.rem_euclid(DAY_MICROS));
    match date.strip_suffix(" BC") {
        Some(day) => format!("{day} {time}{offset} BC"),
        None => format!("{date} {time}{offset}"),
    }
}

/// The time so many microseconds after midnight.
fn time_text(micros: i64) -> String {
    let seconds = micros / SECOND_MICROS;
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let text = format!("{hour:02}:{minute:02}:{second:02}.{:06}", micros % SECOND_MICROS);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
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
    use crate::calendar::{DATE_DAYS, TIMESTAMP_MICROS};
    use crate::schema::ColumnType;
    use arrow_array::{ArrayRef, Date32Array, Time64MicrosecondArray, TimestampMicrosecondArray};
    use proptest::prelude::*;

    fn parse(type_name: &str, text: &str) -> ArrayRef {
        let column_type: ColumnType = type_name.parse().expect("a type");
        let mut builder = ColumnBuilder::new(column_type);
        let appended = builder.append(Some(text.as_bytes()));
        assert!(appended.is_ok(), "{type_name} {text}");
        builder.finish().expect("an array")
    }

    /// Texts of fields, and what PostgreSQL writes of them.
    const EXAMPLES: [(&str, &str, &str); 35] = [
        ("text", "a b", "a b"),
        ("boolean", "t", "true"),
        ("smallint", "-7", "-7"),
        ("integer", "+012", "12"),
        ("bigint", "9223372036854775807", "9223372036854775807"),
        ("real", "0.10", "0.1"),
        ("real", "16777216", "1.6777216e+07"),
        ("real", "inf", "Infinity"),
        ("double precision", "1e300", "1e+300"),
        ("double precision", "0.0000001", "1e-07"),
        ("double precision", "-inf", "-Infinity"),
        ("double precision", "nan", "NaN"),
        ("numeric(7,2)", "-12.5", "-12.50"),
        ("numeric", "123.4500", "123.4500"),
        ("date", "2024-02-29", "2024-02-29"),
        ("date", "0044-03-15 BC", "0044-03-15 BC"),
        ("date", "5874897-12-31", "5874897-12-31"),
        ("date", "Infinity", "infinity"),
        ("time", "23:59:59.000001", "23:59:59.000001"),
        ("time", "12:00:00.500", "12:00:00.5"),
        ("time", "10:20", "10:20:00"),
        ("time", "24:00", "24:00:00"),
        ("timestamp", "1969-12-31 23:59:59.999999", "1969-12-31 23:59:59.999999"),
        ("timestamp", "2024-02-29T12:00:00.120", "2024-02-29 12:00:00.12"),
        ("timestamp", "0044-03-15 BC", "0044-03-15 00:00:00 BC"),
        ("timestamp", "4714-11-24 BC", "4714-11-24 00:00:00 BC"),
        ("timestamp", "infinity", "infinity"),
        ("timestamptz", "2024-02-29 12:00:00.5Z", "2024-02-29 12:00:00.5+00"),
        ("timestamptz", "0044-03-15 02:00:00+02 BC", "0044-03-15 00:00:00+00 BC"),
        ("timestamptz", "0001-01-01 00:00:00+01", "0001-12-31 23:00:00+00 BC"),
        ("timestamptz", "-infinity", "-infinity"),
        ("uuid", "{A0EEBC999C0B4EF8BB6D6BB9BD380A11}", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        ("jsonb", r#"{"a": [1, null]}"#, r#"{"a": [1, null]}"#),
        ("bytea", "\\x00FF", "\\x00ff"),
        ("varchar(3)", "abc   ", "abc"),
    ];

    #[test]
    fn texts_are_those_of_postgresql_and_read_back() {
        for (type_name, text, expected) in EXAMPLES {
            let written = text_of(&parse(type_name, text), 0).expect("not null");
            assert_eq!(written, expected, "{type_name} {text}");
            let again = text_of(&parse(type_name, &written), 0);
            assert_eq!(again.as_ref(), Some(&written), "{type_name} {text}");
        }
    }

    #[test]
    fn a_timestamp_without_a_type_has_no_offset() {
        assert_eq!(timestamp_text(-62_167_219_200_500_000), "0002-12-31 23:59:59.5 BC");
        assert_eq!(timestamp_text(i64::MAX), "infinity");
        assert_eq!(timestamp_text(i64::MIN), "-infinity");
    }

    proptest! {
        #[test]
        fn every_instant_reads_back(micros in TIMESTAMP_MICROS) {
            let local = TimestampMicrosecondArray::from(vec![micros]);
            let written = text_of(&local, 0).expect("not null");
            prop_assert_eq!(parse("timestamp", &written).to_data(), local.to_data());
            let instant = local.with_timezone("UTC");
            let written = text_of(&instant, 0).expect("not null");
            prop_assert_eq!(parse("timestamptz", &written).to_data(), instant.to_data());
        }

        #[test]
        fn every_day_and_time_reads_back(day in DATE_DAYS, micros in 0..=DAY_MICROS) {
            let days = Date32Array::from(vec![i32::try_from(day).expect("a day")]);
            let written = text_of(&days, 0).expect("not null");
            prop_assert_eq!(parse("date", &written).to_data(), days.to_data());
            let times = Time64MicrosecondArray::from(vec![micros]);
            let written = text_of(&times, 0).expect("not null");
            prop_assert_eq!(parse("time", &written).to_data(), times.to_data());
        }
    }
}
