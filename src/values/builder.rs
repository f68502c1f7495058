//! Collects the values of one column, in the buffers that its Arrow array is then made of.
//!
//! Invariant: after [`truncate`](ColumnBuilder::truncate) the column is as it
//! was when it had so many rows, whatever was appended or refused since.

use std::fmt;
use std::sync::Arc;

use crate::reject::Code;
use crate::schema::{ColumnType, Precision};
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type,
    Int64Type, Time64MicrosecondType, TimestampMicrosecondType,
};
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, FixedSizeBinaryArray, PrimitiveArray, StringArray,
};
use arrow_buffer::{
    BooleanBufferBuilder, Buffer, NullBuffer, NullBufferBuilder, OffsetBuffer, ScalarBuffer,
};
use arrow_schema::{ArrowError, DataType};

use super::numeric::{DecimalFormat, numeric_text};
use super::{fields, numbers, times};

/// Rows that a column has room for at first.
const ROWS_AT_FIRST: usize = 1024;
/// Bytes of a UUID.
const UUID_BYTES: usize = 16;

/// A column under construction.
pub struct ColumnBuilder {
    values: Values,
    validity: NullBufferBuilder,
    data_type: DataType,
}

/// Values by PostgreSQL's type; a null takes the place of one.
enum Values {
    Text(Bytes),
    Varchar(usize, Bytes),
    Boolean(BooleanBufferBuilder),
    Smallint(Vec<i16>),
    Integer(Vec<i32>),
    Bigint(Vec<i64>),
    Real(Vec<f32>),
    DoublePrecision(Vec<f64>),
    Decimal(DecimalFormat, Vec<i128>),
    WideNumeric(Option<Precision>, Bytes),
    Date(Vec<i32>),
    Time(Vec<i64>),
    Timestamp(Vec<i64>),
    Timestamptz(Vec<i64>),
    Uuid(Vec<u8>),
    Jsonb(Bytes),
    Bytea(Bytes),
}

/// Its values are not shown: they may be personal data.
impl fmt::Debug for ColumnBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ColumnBuilder").field("data_type", &self.data_type).finish_non_exhaustive()
    }
}

impl ColumnBuilder {
    /// An empty column.
    #[must_use]
    pub fn new(column_type: ColumnType) -> Self {
        Self {
            values: Values::new(column_type),
            validity: NullBufferBuilder::new(ROWS_AT_FIRST),
            data_type: column_type.arrow_type(),
        }
    }

    /// Parses a field, `None` for null, into one more row; returns the bytes
    /// that it takes. After an error the caller truncates the column.
    #[inline]
    pub fn append(&mut self, field: Option<&[u8]>) -> Result<usize, Code> {
        if let Some(field) = field {
            let bytes = self.values.append(field)?;
            self.validity.append_non_null();
            Ok(bytes)
        } else {
            self.validity.append_null();
            Ok(self.values.append_null())
        }
    }

    /// Forgets every row after the first `rows`.
    pub fn truncate(&mut self, rows: usize) {
        self.values.truncate(rows);
        self.validity.truncate(rows);
    }

    /// Turns the rows into an array and begins anew.
    pub fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let nulls = self.validity.finish();
        let data_type = &self.data_type;
        match &mut self.values {
            Values::Boolean(values) => Ok(Arc::new(BooleanArray::new(values.finish(), nulls))),
            Values::Smallint(values) => primitive::<Int16Type>(values, nulls, data_type),
            Values::Integer(values) => primitive::<Int32Type>(values, nulls, data_type),
            Values::Bigint(values) => primitive::<Int64Type>(values, nulls, data_type),
            Values::Real(values) => primitive::<Float32Type>(values, nulls, data_type),
            Values::DoublePrecision(values) => primitive::<Float64Type>(values, nulls, data_type),
            Values::Decimal(_, values) => primitive::<Decimal128Type>(values, nulls, data_type),
            Values::Date(values) => primitive::<Date32Type>(values, nulls, data_type),
            Values::Time(values) => primitive::<Time64MicrosecondType>(values, nulls, data_type),
            Values::Timestamp(values) | Values::Timestamptz(values) => {
                primitive::<TimestampMicrosecondType>(values, nulls, data_type)
            }
            Values::Uuid(values) => {
                let values = Buffer::from_vec(take(values));
                Ok(Arc::new(FixedSizeBinaryArray::try_new(16, values, nulls)?))
            }
            Values::Bytea(values) => {
                let (offsets, bytes) = values.finish();
                Ok(Arc::new(BinaryArray::try_new(offsets, bytes, nulls)?))
            }
            Values::Text(values)
            | Values::Varchar(_, values)
            | Values::WideNumeric(_, values)
            | Values::Jsonb(values) => {
                let (offsets, bytes) = values.finish();
                Ok(Arc::new(StringArray::try_new(offsets, bytes, nulls)?))
            }
        }
    }
}

impl Values {
    fn new(column_type: ColumnType) -> Self {
        match column_type {
            ColumnType::Text => Self::Text(Bytes::new()),
            ColumnType::Varchar(length) => {
                // A length beyond what memory can hold does not bind.
                Self::Varchar(usize::try_from(length).unwrap_or(usize::MAX), Bytes::new())
            }
            ColumnType::Boolean => Self::Boolean(BooleanBufferBuilder::new(ROWS_AT_FIRST)),
            ColumnType::Smallint => Self::Smallint(with_room()),
            ColumnType::Integer => Self::Integer(with_room()),
            ColumnType::Bigint => Self::Bigint(with_room()),
            ColumnType::Real => Self::Real(with_room()),
            ColumnType::DoublePrecision => Self::DoublePrecision(with_room()),
            ColumnType::Numeric(Some(digits)) if digits.fits_decimal() => {
                Self::Decimal(DecimalFormat::new(digits), with_room())
            }
            ColumnType::Numeric(digits) => Self::WideNumeric(digits, Bytes::new()),
            ColumnType::Date => Self::Date(with_room()),
            ColumnType::Time => Self::Time(with_room()),
            ColumnType::Timestamp => Self::Timestamp(with_room()),
            ColumnType::Timestamptz => Self::Timestamptz(with_room()),
            ColumnType::Uuid => Self::Uuid(Vec::with_capacity(ROWS_AT_FIRST * UUID_BYTES)),
            ColumnType::Jsonb => Self::Jsonb(Bytes::new()),
            ColumnType::Bytea => Self::Bytea(Bytes::new()),
        }
    }

    fn append(&mut self, field: &[u8]) -> Result<usize, Code> {
        match self {
            Self::Text(values) => values.append(fields::text(field)?.as_bytes()),
            Self::Varchar(length_max, values) => {
                values.append(fields::varchar(field, *length_max)?.as_bytes())
            }
            Self::Boolean(values) => {
                values.append(fields::boolean(field)?);
                Ok(1)
            }
            Self::Smallint(values) => Ok(push(values, numbers::integer(field)?)),
            Self::Integer(values) => Ok(push(values, numbers::integer(field)?)),
            Self::Bigint(values) => Ok(push(values, numbers::integer(field)?)),
            Self::Real(values) => Ok(push(values, numbers::float(field)?)),
            Self::DoublePrecision(values) => Ok(push(values, numbers::float(field)?)),
            Self::Decimal(format, values) => Ok(push(values, format.parse(field)?)),
            Self::WideNumeric(digits, values) => values.append(numeric_text(field, *digits)?),
            Self::Date(values) => Ok(push(values, times::date(field)?)),
            Self::Time(values) => Ok(push(values, times::time(field)?)),
            Self::Timestamp(values) => Ok(push(values, times::timestamp(field)?)),
            Self::Timestamptz(values) => Ok(push(values, times::timestamptz(field)?)),
            Self::Uuid(values) => {
                values.extend_from_slice(&fields::uuid(field)?);
                Ok(UUID_BYTES)
            }
            Self::Jsonb(values) => values.append(fields::jsonb(field)?.as_bytes()),
            Self::Bytea(values) => {
                fields::bytea(field, &mut values.bytes)?;
                values.close()
            }
        }
    }

    fn append_null(&mut self) -> usize {
        match self {
            Self::Boolean(values) => {
                values.append(false);
                1
            }
            Self::Smallint(values) => push(values, 0),
            Self::Integer(values) | Self::Date(values) => push(values, 0),
            Self::Bigint(values)
            | Self::Time(values)
            | Self::Timestamp(values)
            | Self::Timestamptz(values) => push(values, 0),
            Self::Real(values) => push(values, 0.0),
            Self::DoublePrecision(values) => push(values, 0.0),
            Self::Decimal(_, values) => push(values, 0),
            Self::Uuid(values) => {
                values.extend_from_slice(&[0; UUID_BYTES]);
                UUID_BYTES
            }
            Self::Text(values)
            | Self::Varchar(_, values)
            | Self::WideNumeric(_, values)
            | Self::Jsonb(values)
            | Self::Bytea(values) => values.append_empty(),
        }
    }

    fn truncate(&mut self, rows: usize) {
        match self {
            Self::Boolean(values) => values.truncate(rows),
            Self::Smallint(values) => values.truncate(rows),
            Self::Integer(values) | Self::Date(values) => values.truncate(rows),
            Self::Bigint(values)
            | Self::Time(values)
            | Self::Timestamp(values)
            | Self::Timestamptz(values) => values.truncate(rows),
            Self::Real(values) => values.truncate(rows),
            Self::DoublePrecision(values) => values.truncate(rows),
            Self::Decimal(_, values) => values.truncate(rows),
            Self::Uuid(values) => values.truncate(rows * UUID_BYTES),
            Self::Text(values)
            | Self::Varchar(_, values)
            | Self::WideNumeric(_, values)
            | Self::Jsonb(values)
            | Self::Bytea(values) => values.truncate(rows),
        }
    }
}

/// Values of different lengths, end to end.
struct Bytes {
    /// Where each value begins; the last entry is where the last one ends.
    offsets: Vec<i32>,
    bytes: Vec<u8>,
}

impl Bytes {
    fn new() -> Self {
        let mut offsets = with_room();
        offsets.push(0);
        Self { offsets, bytes: Vec::new() }
    }

    #[inline]
    fn append(&mut self, value: &[u8]) -> Result<usize, Code> {
        self.bytes.extend_from_slice(value);
        self.close()
    }

    fn append_empty(&mut self) -> usize {
        let end = self.offsets[self.offsets.len() - 1];
        push(&mut self.offsets, end)
    }

    /// Ends a value whose bytes are there; returns the bytes that it takes.
    #[inline]
    fn close(&mut self) -> Result<usize, Code> {
        let start = self.offsets[self.offsets.len() - 1];
        let end = i32::try_from(self.bytes.len()).map_err(|_| Code::TOO_LONG)?;
        let length = usize::try_from(end - start).unwrap_or(0);
        Ok(push(&mut self.offsets, end) + length)
    }

    fn truncate(&mut self, rows: usize) {
        self.offsets.truncate(rows + 1);
        let end = self.offsets[self.offsets.len() - 1];
        self.bytes.truncate(usize::try_from(end).unwrap_or(0));
    }

    fn finish(&mut self) -> (OffsetBuffer<i32>, Buffer) {
        let offsets = OffsetBuffer::new(ScalarBuffer::from(take(&mut self.offsets)));
        self.offsets.push(0);
        (offsets, Buffer::from_vec(take(&mut self.bytes)))
    }
}

fn with_room<T>() -> Vec<T> {
    Vec::with_capacity(ROWS_AT_FIRST)
}

/// Appends a value; returns the bytes that it takes.
#[inline]
fn push<T>(values: &mut Vec<T>, value: T) -> usize {
    values.push(value);
    size_of::<T>()
}

/// Takes the values out; the next batch is probably as large as this one.
fn take<T>(values: &mut Vec<T>) -> Vec<T> {
    let next = Vec::with_capacity(values.len());
    std::mem::replace(values, next)
}

fn primitive<T: ArrowPrimitiveType>(
    values: &mut Vec<T::Native>,
    nulls: Option<NullBuffer>,
    data_type: &DataType,
) -> Result<ArrayRef, ArrowError> {
    let array = PrimitiveArray::<T>::try_new(ScalarBuffer::from(take(values)), nulls)?;
    Ok(Arc::new(array.with_data_type(data_type.clone())))
}
