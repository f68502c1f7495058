//! Turns loadable batches into the bytes of `COPY … FROM STDIN (FORMAT binary)`. Pure: no I/O.
//!
//! Format: <https://www.postgresql.org/docs/current/sql-copy.html>, "Binary
//! Format"; the fields are what each type's receive function reads.
//! Invariant: one tuple a row, one field a column of the table, in their order.

use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
    Time64MicrosecondType, TimestampMicrosecondType,
};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, FixedSizeBinaryArray, PrimitiveArray, RecordBatch,
    StringArray,
};
use arrow_schema::{DataType, TimeUnit};
use ferry::schema::{Column, ColumnType};

use super::numeric;
use crate::names::{TableName, quote_ident};
use crate::stage::Batch;
use crate::transform::Loadable;

/// What stands before the first tuple: signature, flags, length of the extension.
pub(crate) const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What stands after the last tuple.
pub(crate) const TRAILER: &[u8] = &(-1_i16).to_be_bytes();
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
    table: String,
    /// Name of the column in the table.
    column: String,
    /// Its type in the table.
    expected: String,
}

/// One table of a job, as COPY writes it.
#[derive(Debug)]
pub(crate) struct TableCopy {
    /// Name as people read it.
    table: String,
    statement: String,
    /// Columns of the table, each with the loadable column that goes into it.
    columns: Vec<(Column, usize)>,
    field_count: i16,
}

impl TableCopy {
    /// Writes these columns of a table, in this order.
    ///
    /// Each is a column of the table and the index of the loadable column that
    /// goes into it. There is at least one: a job has no table without columns.
    pub(crate) fn new(table: &TableName, columns: Vec<(Column, usize)>) -> Self {
        Self {
            table: table.to_string(),
            statement: copy_statement(table, &columns),
            // A table has at most 1600 columns.
            field_count: i16::try_from(columns.len()).unwrap_or(i16::MAX),
            columns,
        }
    }

    /// The statement that begins the COPY.
    pub(crate) fn statement(&self) -> &str {
        &self.statement
    }

    /// The table's name as people read it.
    pub(crate) fn table(&self) -> &str {
        &self.table
    }

    /// Appends one tuple a row to `out`.
    pub(crate) fn encode(
        &self,
        batch: &Batch<Loadable>,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        self.encode_records(&batch.rows.records, out)
    }

    fn encode_records(&self, records: &RecordBatch, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let mut fields_of_columns = Vec::with_capacity(self.columns.len());
        for (column, index) in &self.columns {
            let mismatch = || self.mismatch(column);
            let array = records.columns().get(*index).ok_or_else(mismatch)?;
            let fields = Fields::new(column.column_type, array).ok_or_else(mismatch)?;
            let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
            fields_of_columns.push((column, fields, nulls));
        }
        for row in 0..records.num_rows() {
            out.extend_from_slice(&self.field_count.to_be_bytes());
            for (column, fields, nulls) in &fields_of_columns {
                if nulls.is_some_and(|nulls| nulls.is_null(row)) {
                    out.extend_from_slice(&NULL);
                } else {
                    fields.write(row, out).ok_or_else(|| self.mismatch(column))?;
                }
            }
        }
        Ok(())
    }

    fn mismatch(&self, column: &Column) -> EncodeError {
        EncodeError {
            table: self.table.clone(),
            column: column.name.clone(),
            expected: column.column_type.to_string(),
        }
    }
}

fn copy_statement(table: &TableName, columns: &[(Column, usize)]) -> String {
    let names: Vec<String> = columns.iter().map(|(column, _)| quote_ident(&column.name)).collect();
    format!("COPY {} ({}) FROM STDIN (FORMAT binary)", table.to_sql(), names.join(", "))
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

    use ferry::schema::arrow_schema;

    fn column(name: &str, column_type: ColumnType) -> Column {
        Column { name: name.to_owned(), column_type }
    }

    fn table(name: &str, columns: Vec<(Column, usize)>) -> TableCopy {
        let name: TableName = name.parse().expect("a table name");
        TableCopy::new(&name, columns)
    }

    /// Two rows: `7, ab` and `null, c`.
    fn records() -> RecordBatch {
        let columns = [column("id", ColumnType::Integer), column("name", ColumnType::Text)];
        let ids = PrimitiveArray::<Int32Type>::from(vec![Some(7), None]);
        let names = StringArray::from(vec!["ab", "c"]);
        RecordBatch::try_new(arrow_schema(&columns), vec![Arc::new(ids), Arc::new(names)])
            .expect("arrays of the schema")
    }

    fn tuples(table: &TableCopy) -> Result<Vec<u8>, EncodeError> {
        let mut out = Vec::new();
        table.encode_records(&records(), &mut out)?;
        Ok(out)
    }

    #[test]
    fn a_table_takes_its_columns_by_index_and_in_its_own_order() {
        let users = table(
            "users",
            vec![(column("label", ColumnType::Text), 1), (column("id", ColumnType::Integer), 0)],
        );
        let mut expected = Vec::new();
        expected.extend_from_slice(&[0, 2, 0, 0, 0, 2, b'a', b'b', 0, 0, 0, 4, 0, 0, 0, 7]);
        expected.extend_from_slice(&[0, 2, 0, 0, 0, 1, b'c', 255, 255, 255, 255]);
        assert_eq!(tuples(&users), Ok(expected));
        let ids = table("ids", vec![(column("id", ColumnType::Integer), 0)]);
        let expected = vec![0, 1, 0, 0, 0, 4, 0, 0, 0, 7, 0, 1, 255, 255, 255, 255];
        assert_eq!(tuples(&ids), Ok(expected));
    }

    #[test]
    fn the_statement_quotes_every_name() {
        let columns = vec![
            (column("id", ColumnType::Integer), 0),
            (column("Full \"Name\"", ColumnType::Text), 1),
        ];
        let users = table("public.users", columns);
        let expected =
            r#"COPY "public"."users" ("id", "Full ""Name""") FROM STDIN (FORMAT binary)"#;
        assert_eq!(users.statement(), expected);
        assert_eq!(users.table(), "public.users");
    }

    #[test]
    fn a_batch_that_does_not_fit_names_table_and_column() {
        let wrong_type = table("public.users", vec![(column("id", ColumnType::Bigint), 0)]);
        let no_such_column = table("public.users", vec![(column("id", ColumnType::Bigint), 2)]);
        for users in [wrong_type, no_such_column] {
            let error = tuples(&users).expect_err("a batch that does not fit").to_string();
            assert!(error.contains("column \"id\" of public.users"), "{error}");
            assert!(error.contains("bigint"), "{error}");
        }
    }
}
