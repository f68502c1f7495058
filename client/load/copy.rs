//! Turns columns of loadable batches into tuples of `COPY … FROM STDIN (FORMAT binary)`. Pure: no I/O.
//!
//! Format: <https://www.postgresql.org/docs/current/sql-copy.html>, "Binary
//! Format"; the fields are what each type's receive function reads.
//! Invariant: one tuple a row, one field a column of the table, in their order;
//! for a staging table the number of the row comes before them.

use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
    Time64MicrosecondType, TimestampMicrosecondType,
};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, FixedSizeBinaryArray, PrimitiveArray, RecordBatch,
    StringArray,
};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, TimeUnit};
use ferry::schema::ColumnType;

use super::numeric;

/// What stands before the first tuple: signature, flags, length of the extension.
pub(super) const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What stands after the last tuple.
pub(super) const TRAILER: &[u8] = &(-1_i16).to_be_bytes();
/// Days and microseconds from 1970-01-01 to 2000-01-01, where PostgreSQL begins to count.
const EPOCH_DAYS: i32 = 10_957;
const EPOCH_MICROS: i64 = 946_684_800_000_000;
const NULL: [u8; 4] = (-1_i32).to_be_bytes();
/// First byte of a binary jsonb.
const JSONB_VERSION: u8 = 1;

/// A batch that does not fit the columns of a table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the batch for column \"{column}\" of {table} does not hold {expected}: the source did not send what was asked for"
)]
pub(crate) struct EncodeError {
    /// Name of the table.
    pub(super) table: String,
    /// Name of the column in the table.
    pub(super) column: String,
    /// Its type in the table.
    pub(super) expected: String,
}

/// The columns of one table in a batch.
pub(super) struct Tuples<'a> {
    columns: Vec<(Fields<'a>, Option<&'a NullBuffer>)>,
    row_count: usize,
}

/// The column of the table, by its index, that does not hold what its type asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unfit(pub(super) usize);

impl<'a> Tuples<'a> {
    /// Takes each column of the table from the array of that index, as its type.
    pub(super) fn new(
        records: &'a RecordBatch,
        columns: impl Iterator<Item = (ColumnType, usize)>,
    ) -> Result<Self, Unfit> {
        let mut fields = Vec::new();
        for (at, (column_type, index)) in columns.enumerate() {
            let array = records.columns().get(index).ok_or(Unfit(at))?;
            let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
            fields.push((Fields::new(column_type, array).ok_or(Unfit(at))?, nulls));
        }
        Ok(Self { columns: fields, row_count: records.num_rows() })
    }

    /// Appends one tuple a row.
    pub(super) fn write(&self, out: &mut Vec<u8>) -> Result<(), Unfit> {
        let field_count = field_count(self.columns.len());
        for row in 0..self.row_count {
            out.extend_from_slice(&field_count);
            self.write_fields(row, out)?;
        }
        Ok(())
    }

    /// Appends one tuple a row, with the row's number as its first field.
    pub(super) fn write_numbered(
        &self,
        numbers: impl Iterator<Item = u64>,
        out: &mut Vec<u8>,
    ) -> Result<(), Unfit> {
        let field_count = field_count(self.columns.len() + 1);
        for (row, number) in (0..self.row_count).zip(numbers) {
            out.extend_from_slice(&field_count);
            write_fixed::<8, 12>(number.to_be_bytes(), out);
            self.write_fields(row, out)?;
        }
        Ok(())
    }

    #[inline]
    fn write_fields(&self, row: usize, out: &mut Vec<u8>) -> Result<(), Unfit> {
        for (at, (fields, nulls)) in self.columns.iter().enumerate() {
            if nulls.is_some_and(|nulls| nulls.is_null(row)) {
                out.extend_from_slice(&NULL);
            } else {
                fields.write(row, out).ok_or(Unfit(at))?;
            }
        }
        Ok(())
    }
}

/// A table has at most 1600 columns.
fn field_count(columns: usize) -> [u8; 2] {
    i16::try_from(columns).unwrap_or(i16::MAX).to_be_bytes()
}

/// Where each tuple ends, in bytes from the first; as far as they are tuples.
pub(super) fn tuple_ends(tuples: &[u8]) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut at = 0;
    while let Some(end) = tuple_end(tuples, at) {
        ends.push(end);
        at = end;
    }
    ends
}

fn tuple_end(tuples: &[u8], start: usize) -> Option<usize> {
    let (field_count, _) = tuples.get(start..)?.split_first_chunk()?;
    let mut at = start + size_of::<i16>();
    for _ in 0..i16::from_be_bytes(*field_count) {
        let (length, _) = tuples.get(at..)?.split_first_chunk()?;
        // A negative length stands for NULL, which has no bytes.
        let length = usize::try_from(i32::from_be_bytes(*length)).unwrap_or(0);
        at += size_of::<i32>() + length;
    }
    (at <= tuples.len()).then_some(at)
}

/// One column, with its type looked up once a batch.
enum Fields<'a> {
    Boolean(&'a BooleanArray),
    Int16(&'a PrimitiveArray<Int16Type>),
    Int32(&'a PrimitiveArray<Int32Type>),
    Int64(&'a PrimitiveArray<Int64Type>),
    Float32(&'a PrimitiveArray<Float32Type>),
    Float64(&'a PrimitiveArray<Float64Type>),
    Decimal(&'a PrimitiveArray<Decimal128Type>, u8),
    NumericText(&'a StringArray),
    Date(&'a PrimitiveArray<Date32Type>),
    Time(&'a PrimitiveArray<Time64MicrosecondType>),
    Timestamp(&'a PrimitiveArray<TimestampMicrosecondType>),
    Text(&'a StringArray),
    Jsonb(&'a StringArray),
    Uuid(&'a FixedSizeBinaryArray),
    Bytea(&'a BinaryArray),
}

impl<'a> Fields<'a> {
    /// `None` if the array is not what the type asks for.
    fn new(column_type: ColumnType, array: &'a ArrayRef) -> Option<Self> {
        Some(match (column_type, array.data_type()) {
            (ColumnType::Boolean, _) => Self::Boolean(array.as_boolean_opt()?),
            (ColumnType::Smallint, _) => Self::Int16(array.as_primitive_opt()?),
            (ColumnType::Integer, _) => Self::Int32(array.as_primitive_opt()?),
            (ColumnType::Bigint, _) => Self::Int64(array.as_primitive_opt()?),
            (ColumnType::Real, _) => Self::Float32(array.as_primitive_opt()?),
            (ColumnType::DoublePrecision, _) => Self::Float64(array.as_primitive_opt()?),
            (ColumnType::Numeric(_), DataType::Decimal128(_, scale)) => {
                Self::Decimal(array.as_primitive_opt()?, u8::try_from(*scale).ok()?)
            }
            (ColumnType::Numeric(_), _) => Self::NumericText(array.as_string_opt()?),
            (ColumnType::Date, _) => Self::Date(array.as_primitive_opt()?),
            (ColumnType::Time, _) => Self::Time(array.as_primitive_opt()?),
            (
                ColumnType::Timestamp | ColumnType::Timestamptz,
                DataType::Timestamp(TimeUnit::Microsecond, _),
            ) => Self::Timestamp(array.as_primitive_opt()?),
            (ColumnType::Text | ColumnType::Varchar(_), _) => Self::Text(array.as_string_opt()?),
            (ColumnType::Jsonb, _) => Self::Jsonb(array.as_string_opt()?),
            (ColumnType::Uuid, DataType::FixedSizeBinary(16)) => {
                Self::Uuid(array.as_fixed_size_binary_opt()?)
            }
            (ColumnType::Bytea, _) => Self::Bytea(array.as_binary_opt()?),
            _ => return None,
        })
    }

    /// Appends the length and the bytes of one field that is not null.
    #[inline]
    fn write(&self, row: usize, out: &mut Vec<u8>) -> Option<()> {
        match self {
            Self::Boolean(array) => write_fixed::<1, 5>([u8::from(array.value(row))], out),
            Self::Int16(array) => write_fixed::<2, 6>(array.value(row).to_be_bytes(), out),
            Self::Int32(array) => write_fixed::<4, 8>(array.value(row).to_be_bytes(), out),
            Self::Int64(array) => write_fixed::<8, 12>(array.value(row).to_be_bytes(), out),
            Self::Float32(array) => write_fixed::<4, 8>(array.value(row).to_be_bytes(), out),
            Self::Float64(array) => write_fixed::<8, 12>(array.value(row).to_be_bytes(), out),
            Self::Decimal(array, scale) => numeric::write_decimal(array.value(row), *scale, out),
            Self::NumericText(array) => numeric::write_text(array.value(row), out)?,
            Self::Date(array) => write_fixed::<4, 8>(date(array.value(row))?.to_be_bytes(), out),
            Self::Time(array) => write_fixed::<8, 12>(array.value(row).to_be_bytes(), out),
            Self::Timestamp(array) => {
                write_fixed::<8, 12>(timestamp(array.value(row))?.to_be_bytes(), out);
            }
            Self::Text(array) => write_bytes(array.value(row).as_bytes(), out)?,
            Self::Jsonb(array) => write_jsonb(array.value(row).as_bytes(), out)?,
            Self::Uuid(array) => write_bytes(array.value(row), out)?,
            Self::Bytea(array) => write_bytes(array.value(row), out)?,
        }
        Some(())
    }
}

/// One write for length and value: `TOTAL` is `4 + LENGTH`.
#[inline]
fn write_fixed<const LENGTH: usize, const TOTAL: usize>(value: [u8; LENGTH], out: &mut Vec<u8>) {
    let mut field = [0; TOTAL];
    // A length below 256 fills the last byte of its big-endian word.
    field[3] = LENGTH.to_le_bytes()[0];
    field[4..].copy_from_slice(&value);
    out.extend_from_slice(&field);
}

#[inline]
fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let length = i32::try_from(bytes.len()).ok()?;
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(bytes);
    Some(())
}

fn write_jsonb(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let length = i32::try_from(text.len() + 1).ok()?;
    out.extend_from_slice(&length.to_be_bytes());
    out.push(JSONB_VERSION);
    out.extend_from_slice(text);
    Some(())
}

/// Days since 2000; the ends of the range stand for infinity on both sides.
fn date(unix_days: i32) -> Option<i32> {
    match unix_days {
        i32::MAX | i32::MIN => Some(unix_days),
        days => days.checked_sub(EPOCH_DAYS),
    }
}

/// Microseconds since 2000; the ends of the range stand for infinity on both sides.
fn timestamp(unix_micros: i64) -> Option<i64> {
    match unix_micros {
        i64::MAX | i64::MIN => Some(unix_micros),
        micros => micros.checked_sub(EPOCH_MICROS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use ferry::schema::{Column, arrow_schema};

    /// Two rows: `7, ab` and `null, c`.
    fn records() -> RecordBatch {
        let column = |name: &str, column_type| Column { name: name.to_owned(), column_type };
        let columns = [column("id", ColumnType::Integer), column("name", ColumnType::Text)];
        let ids = PrimitiveArray::<Int32Type>::from(vec![Some(7), None]);
        let names = StringArray::from(vec!["ab", "c"]);
        RecordBatch::try_new(arrow_schema(&columns), vec![Arc::new(ids), Arc::new(names)])
            .expect("arrays of the schema")
    }

    const BOTH: [(ColumnType, usize); 2] = [(ColumnType::Text, 1), (ColumnType::Integer, 0)];

    fn tuples(columns: &[(ColumnType, usize)]) -> Result<Vec<u8>, Unfit> {
        let mut out = Vec::new();
        Tuples::new(&records(), columns.iter().copied())?.write(&mut out)?;
        Ok(out)
    }

    fn numbered(numbers: [u64; 2]) -> Vec<u8> {
        let mut out = Vec::new();
        let records = records();
        let tuples = Tuples::new(&records, BOTH.into_iter()).expect("columns that fit");
        tuples.write_numbered(numbers.into_iter(), &mut out).expect("values that fit");
        out
    }

    #[test]
    fn a_table_takes_its_columns_by_index_and_in_its_own_order() {
        let mut expected = Vec::new();
        expected.extend_from_slice(&[0, 2, 0, 0, 0, 2, b'a', b'b', 0, 0, 0, 4, 0, 0, 0, 7]);
        expected.extend_from_slice(&[0, 2, 0, 0, 0, 1, b'c', 255, 255, 255, 255]);
        assert_eq!(tuples(&BOTH), Ok(expected));
        let expected = vec![0, 1, 0, 0, 0, 4, 0, 0, 0, 7, 0, 1, 255, 255, 255, 255];
        assert_eq!(tuples(&[(ColumnType::Integer, 0)]), Ok(expected));
    }

    #[test]
    fn the_number_of_a_row_comes_first() {
        let mut expected = vec![0, 3, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 1, 2];
        expected.extend_from_slice(&[0, 0, 0, 2, b'a', b'b', 0, 0, 0, 4, 0, 0, 0, 7]);
        expected.extend_from_slice(&[0, 3, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 1, 4]);
        expected.extend_from_slice(&[0, 0, 0, 1, b'c', 255, 255, 255, 255]);
        assert_eq!(numbered([258, 260]), expected);
    }

    #[test]
    fn tuples_are_told_apart_again() {
        let plain = tuples(&BOTH).expect("tuples");
        assert_eq!(tuple_ends(&plain), [16, 27]);
        assert_eq!(tuple_ends(&numbered([1, 2])), [28, 51]);
        assert!(tuple_ends(&[]).is_empty());
        assert_eq!(tuple_ends(&plain[..26]), [16], "half a tuple is none");
    }

    #[test]
    fn a_column_that_does_not_fit_is_told() {
        assert_eq!(tuples(&[(ColumnType::Integer, 0), (ColumnType::Bigint, 0)]), Err(Unfit(1)));
        assert_eq!(tuples(&[(ColumnType::Integer, 2)]), Err(Unfit(0)));
    }
}
