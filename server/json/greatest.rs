//! Finds the greatest value that a column has in a content, as text: how far an incremental fetch has come.

use std::cmp::Ordering;
use std::io::Read;
use std::iter::once;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
    Time64MicrosecondType, TimestampMicrosecondType,
};
use arrow_array::{Array as _, ArrayRef};
use arrow_schema::DataType;
use ferry::schema::{ColumnType, Precision};
use ferry::values::{ColumnBuilder, FieldFormat};

use super::flatten::Flattener;
use super::records::open;
use super::rows::Reading;
use super::{JsonError, JsonLayout};
use crate::wanted::WantedColumn;

/// Any number of a usual size, as exact as an Arrow Decimal128 has it.
const EXACT: ColumnType = ColumnType::Numeric(Some(Precision { precision: 38, scale: 12 }));

/// The greatest value of a column over all records of a content that stands at its beginning.
///
/// Values are compared as the column's type and given as they are written.
/// What is null, not there, or not of that type does not count, nor does what is
/// endless or no number, behind which nothing would ever come, and neither does
/// a record that is refused as a whole. `None` if there is no value.
pub(crate) fn greatest(
    content: impl Read,
    layout: &JsonLayout,
    column: &WantedColumn,
) -> Result<Option<String>, JsonError> {
    let Some((mut records, _)) = open(content, layout)? else {
        return Ok(None);
    };
    let mut flattener = Flattener::new(once(column.column.name.as_str()), layout.depth_max);
    let reading = Reading::new(column, &flattener);
    let mut ranks = Ranks::new(column.column.column_type, &column.format);
    let mut unescaped = Vec::new();
    let mut greatest: Option<(Rank, Vec<u8>)> = None;
    while let Some(record) = records.next()? {
        let Some(record) = record.text.filter(|text| flattener.find(text).is_ok()) else {
            continue;
        };
        let Ok(Some(value)) = reading.value(&flattener, record, &mut unescaped) else {
            continue;
        };
        let Some(rank) = ranks.rank(value).filter(|rank| !is_endless(rank, value)) else {
            continue;
        };
        let is_greater = |(other, text): &(Rank, Vec<u8>)| {
            rank.compare(other).unwrap_or_else(|| value.cmp(text.as_slice())).is_gt()
        };
        if greatest.as_ref().is_none_or(is_greater) {
            greatest = Some((rank, value.to_owned()));
        }
    }
    Ok(greatest.and_then(|(_, text)| String::from_utf8(text).ok()))
}

/// Compares two texts as values of a type, in PostgreSQL's own format; texts
/// that are not both of the type by their bytes.
pub(crate) fn compare_as(column_type: ColumnType, one: &str, other: &str) -> Ordering {
    let mut ranks = Ranks::new(column_type, &FieldFormat::default());
    let both = (ranks.rank(one.as_bytes()), ranks.rank(other.as_bytes()));
    let ordering = match both {
        (Some(first), Some(second)) => first.compare(&second),
        _ => None,
    };
    ordering.unwrap_or_else(|| one.cmp(other))
}

/// Reads values as what they can be compared by.
struct Ranks {
    builder: ColumnBuilder,
    /// How numbers are read that travel as text.
    numbers: Option<(ColumnBuilder, ColumnBuilder)>,
}

/// What a value is compared by.
enum Rank {
    Whole(i128),
    /// The exact number, if it is not too large for that, and one near it.
    Number(Option<i128>, f64),
    Bytes(Vec<u8>),
}

impl Ranks {
    fn new(column_type: ColumnType, format: &FieldFormat) -> Self {
        let is_wide = match column_type {
            ColumnType::Numeric(Some(digits)) => !digits.fits_decimal(),
            ColumnType::Numeric(None) => true,
            _ => false,
        };
        let reader = |column_type| ColumnBuilder::with_format(column_type, format);
        Self {
            builder: reader(column_type),
            numbers: is_wide.then(|| (reader(EXACT), reader(ColumnType::DoublePrecision))),
        }
    }

    /// What a text is compared by; `None` if it is not of the type.
    fn rank(&mut self, text: &[u8]) -> Option<Rank> {
        let value = read(&mut self.builder, text)?;
        let Some((exact, near)) = &mut self.numbers else {
            return rank_of(&value);
        };
        let exact = match read(exact, text).as_ref().and_then(rank_of) {
            Some(Rank::Whole(exact)) => Some(exact),
            _ => None,
        };
        match read(near, text).as_ref().and_then(rank_of) {
            Some(Rank::Number(_, near)) => Some(Rank::Number(exact, near)),
            _ => None,
        }
    }
}

impl Rank {
    /// `None` if one is not like the other.
    fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Whole(one), Self::Whole(other))
            | (Self::Number(Some(one), _), Self::Number(Some(other), _)) => Some(one.cmp(other)),
            (Self::Number(_, one), Self::Number(_, other)) => Some(one.total_cmp(other)),
            (Self::Bytes(one), Self::Bytes(other)) => Some(one.cmp(other)),
            _ => None,
        }
    }
}

/// Whether a time or a number is an infinity, or no number.
fn is_endless(rank: &Rank, text: &[u8]) -> bool {
    if matches!(rank, Rank::Bytes(_)) {
        return false;
    }
    let text = text.trim_ascii();
    let word = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text);
    [&b"infinity"[..], b"inf", b"nan"].iter().any(|endless| word.eq_ignore_ascii_case(endless))
}

/// One value as an array of its own; `None` if it does not parse.
fn read(builder: &mut ColumnBuilder, text: &[u8]) -> Option<ArrayRef> {
    if builder.append(Some(text)).is_err() {
        builder.truncate(0);
        return None;
    }
    builder.finish().ok()
}

/// What the one value of an array is compared by.
fn rank_of(value: &ArrayRef) -> Option<Rank> {
    let whole = |value: i64| Rank::Whole(value.into());
    Some(match value.data_type() {
        DataType::Boolean => whole(value.as_boolean().value(0).into()),
        DataType::Int16 => whole(value.as_primitive::<Int16Type>().value(0).into()),
        DataType::Int32 => whole(value.as_primitive::<Int32Type>().value(0).into()),
        DataType::Int64 => whole(value.as_primitive::<Int64Type>().value(0)),
        DataType::Date32 => whole(value.as_primitive::<Date32Type>().value(0).into()),
        DataType::Time64(_) => whole(value.as_primitive::<Time64MicrosecondType>().value(0)),
        DataType::Timestamp(_, _) => {
            whole(value.as_primitive::<TimestampMicrosecondType>().value(0))
        }
        DataType::Decimal128(_, _) => Rank::Whole(value.as_primitive::<Decimal128Type>().value(0)),
        DataType::Float32 => number(value.as_primitive::<Float32Type>().value(0).into()),
        DataType::Float64 => number(value.as_primitive::<Float64Type>().value(0)),
        DataType::Utf8 => Rank::Bytes(value.as_string::<i32>().value(0).as_bytes().to_owned()),
        DataType::FixedSizeBinary(_) => {
            Rank::Bytes(value.as_fixed_size_binary().value(0).to_owned())
        }
        DataType::Binary => Rank::Bytes(value.as_binary::<i32>().value(0).to_owned()),
        _ => return None,
    })
}

/// Zero has no sign, and what is no number is beyond all numbers, as in PostgreSQL.
fn number(value: f64) -> Rank {
    Rank::Number(None, if value.is_nan() { f64::NAN } else { value + 0.0 })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ferry::schema::Column;

    use super::*;
    use crate::json::Framing;
    use crate::wanted::NullWords;

    fn of(content: &str, framing: Framing, type_name: &str) -> Option<String> {
        let column_type = type_name.parse().expect("a type");
        let column = WantedColumn {
            column: Column { name: "at_time".to_owned(), column_type },
            format: Arc::new(FieldFormat::default()),
            nulls: Arc::new(NullWords::new(vec!["-".to_owned()])),
        };
        let layout = JsonLayout { framing, ..JsonLayout::default() };
        greatest(content.as_bytes(), &layout, &column).expect("it is valid")
    }

    #[test]
    fn the_greatest_value_is_that_of_its_type() {
        let records = r#"{"at":{"time":9}}
            {"at_time":"10"}
            {"at_time":"x"}
            {"at_time":null}
            {"at_time":50,"at":{"time":1}}
            ["at_time"]
            {}"#;
        assert_eq!(of(records, Framing::Lines, "bigint").as_deref(), Some("10"));
        assert_eq!(of(records, Framing::Lines, "numeric").as_deref(), Some("10"));
        assert_eq!(of(records, Framing::Lines, "text").as_deref(), Some("x"));
        assert_eq!(of(records, Framing::Lines, "date"), None);
        let times = r#"{"items":[
            {"at_time":"2024-01-02T00:30:00+02:00"},
            {"at_time":"2024-01-01T23:00:00Z"},
            {"at_time":"-"}]}"#;
        let framing = || Framing::Document { records: "/items".parse().expect("a pointer") };
        assert_eq!(of(times, framing(), "timestamptz").as_deref(), Some("2024-01-01T23:00:00Z"));
        assert_eq!(of(times, framing(), "text").as_deref(), Some("2024-01-02T00:30:00+02:00"));
        assert_eq!(of(r#"{"items":null}"#, framing(), "text"), None);
    }

    #[test]
    fn what_is_endless_does_not_count() {
        for (type_name, endless, greatest) in [
            ("timestamptz", "infinity", "2024-01-01T00:00:00Z"),
            ("timestamp", " Infinity ", "2024-01-01 00:00:00"),
            ("date", "infinity", "2024-01-01"),
            ("double precision", "NaN", "5"),
            ("double precision", "+inf", "5"),
            ("numeric", "NaN", "5"),
            ("numeric", "-Infinity", "5"),
        ] {
            let records = format!("{{\"at_time\":\"{greatest}\"}}\n{{\"at_time\":\"{endless}\"}}");
            assert_eq!(of(&records, Framing::Lines, type_name).as_deref(), Some(greatest));
        }
        let records = "{\"at_time\":\"a\"}\n{\"at_time\":\"inf\"}";
        assert_eq!(of(records, Framing::Lines, "text").as_deref(), Some("inf"));
    }

    #[test]
    fn texts_are_compared_as_their_type() {
        for (type_name, less, more) in [
            ("integer", "9", "10"),
            ("integer", "-10", "-9"),
            ("numeric", "1e2", "100.5"),
            ("numeric", "0.000000000001", "0.000000000002"),
            ("numeric", "1e40", "1e50"),
            ("numeric", "-1e40", "5"),
            ("numeric(10,2)", "9.99", "10"),
            ("double precision", "Infinity", "NaN"),
            ("double precision", "9", "1e1"),
            ("date", "0044-03-15 BC", "0001-01-01"),
            ("timestamptz", "2024-01-01T01:00:00+02:00", "2024-01-01T00:00:00Z"),
            ("boolean", "no", "1"),
            ("text", "10", "9"),
            ("integer", "x", "y"),
            ("integer", "10", "x"),
        ] {
            let column_type = type_name.parse().expect("a type");
            assert_eq!(compare_as(column_type, less, more), Ordering::Less, "{less} {more}");
            assert_eq!(compare_as(column_type, more, less), Ordering::Greater, "{less} {more}");
            assert_eq!(compare_as(column_type, less, less), Ordering::Equal, "{less}");
        }
    }
}
