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
use arrow_buffer::{BooleanBufferBuilder, Buffer, NullBuffer, NullBufferBuilder, ScalarBuffer};
use arrow_schema::{ArrowError, DataType};
use chrono_tz::Tz;

use super::bytes::{Bytes, ROWS_AT_FIRST, push, take, with_room};
use super::encoded::ByteEncoding;
use super::format::{FieldFormat, is_number};
use super::number_words::NumberReader;
use super::numeric::{DecimalFormat, numeric_text};
use super::pattern::Pattern;
use super::words::BooleanWords;
use super::{fields, numbers, times};

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
    /// A number that is written in another way, of any of the types above.
    NumberAs(Box<NumberReader>, Box<Values>),
    BooleanAs(Arc<BooleanWords>, BooleanBufferBuilder),
    DateAs(Arc<Pattern>, Vec<i32>),
    TimeAs(Arc<Pattern>, Vec<i64>),
    TimestampAs(Arc<Pattern>, Vec<i64>),
    /// The clock of fields without a zone, UTC if there is none.
    TimestamptzAs(Arc<Pattern>, Option<Tz>, Vec<i64>),
    TimestamptzIn(Tz, Vec<i64>),
    ByteaAs(ByteEncoding, Bytes),
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
        Self::of(column_type, Values::new(column_type))
    }

    /// An empty column, whose fields are written as the format says.
    ///
    /// What it says of other types does nothing: text is taken as it is.
    #[must_use]
    pub fn with_format(column_type: ColumnType, format: &FieldFormat) -> Self {
        Self::of(column_type, Values::with_format(column_type, format))
    }

    fn of(column_type: ColumnType, values: Values) -> Self {
        let validity = NullBufferBuilder::new(ROWS_AT_FIRST);
        Self { values, validity, data_type: column_type.arrow_type() }
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

    /// The same for a field that is known to be UTF-8 without NUL.
    #[inline]
    pub fn append_clean(&mut self, field: Option<&[u8]>) -> Result<usize, Code> {
        let Some(text) = field else {
            return self.append(None);
        };
        let bytes = match &mut self.values {
            Values::Text(values) => values.append(text)?,
            Values::Varchar(length_max, values) if text.len() <= *length_max => {
                values.append(text)?
            }
            values => values.append(text)?,
        };
        self.validity.append_non_null();
        Ok(bytes)
    }

    /// Forgets every row after the first `rows`.
    pub fn truncate(&mut self, rows: usize) {
        self.values.truncate(rows);
        self.validity.truncate(rows);
    }

    /// Turns the rows into an array and begins anew.
    pub fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let nulls = self.validity.finish();
        self.values.finish(nulls, &self.data_type)
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

    fn with_format(column_type: ColumnType, format: &FieldFormat) -> Self {
        let plain = Self::new(column_type);
        match (plain, format) {
            (Self::Boolean(values), FieldFormat { boolean: Some(words), .. }) => {
                Self::BooleanAs(Arc::clone(words), values)
            }
            (Self::Date(values), FieldFormat { pattern: Some(pattern), .. }) => {
                Self::DateAs(Arc::clone(pattern), values)
            }
            (Self::Time(values), FieldFormat { pattern: Some(pattern), .. }) => {
                Self::TimeAs(Arc::clone(pattern), values)
            }
            (Self::Timestamp(values), FieldFormat { pattern: Some(pattern), .. }) => {
                Self::TimestampAs(Arc::clone(pattern), values)
            }
            (Self::Timestamptz(values), FieldFormat { pattern: Some(pattern), .. }) => {
                Self::TimestamptzAs(Arc::clone(pattern), format.time_zone, values)
            }
            (Self::Timestamptz(values), FieldFormat { time_zone: Some(place), .. }) => {
                Self::TimestamptzIn(*place, values)
            }
            (Self::Bytea(values), FieldFormat { bytes: Some(encoding), .. }) => {
                Self::ByteaAs(*encoding, values)
            }
            (plain, FieldFormat { number: Some(words), .. }) if is_number(column_type) => {
                let reader = NumberReader::new(Arc::clone(words), column_type);
                Self::NumberAs(Box::new(reader), Box::new(plain))
            }
            (plain, _) => plain,
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
            Self::NumberAs(reader, values) => values.append(reader.read(field)?),
            Self::BooleanAs(words, values) => {
                values.append(words.read(field)?);
                Ok(1)
            }
            Self::DateAs(pattern, values) => Ok(push(values, pattern.date(field)?)),
            Self::TimeAs(pattern, values) => Ok(push(values, pattern.time(field)?)),
            Self::TimestampAs(pattern, values) => Ok(push(values, pattern.timestamp(field)?)),
            Self::TimestamptzAs(pattern, place, values) => {
                Ok(push(values, pattern.timestamptz(field, *place)?))
            }
            Self::TimestamptzIn(place, values) => {
                Ok(push(values, times::timestamptz_in(field, *place)?))
            }
            Self::ByteaAs(encoding, values) => {
                encoding.read(field, &mut values.bytes)?;
                values.close()
            }
        }
    }

    fn append_null(&mut self) -> usize {
        match self {
            Self::NumberAs(_, values) => values.append_null(),
            Self::Boolean(values) | Self::BooleanAs(_, values) => {
                values.append(false);
                1
            }
            Self::Smallint(values) => push(values, 0),
            Self::Integer(values) | Self::Date(values) | Self::DateAs(_, values) => push(values, 0),
            Self::Bigint(values)
            | Self::Time(values)
            | Self::Timestamp(values)
            | Self::Timestamptz(values)
            | Self::TimeAs(_, values)
            | Self::TimestampAs(_, values)
            | Self::TimestamptzAs(_, _, values)
            | Self::TimestamptzIn(_, values) => push(values, 0),
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
            | Self::Bytea(values)
            | Self::ByteaAs(_, values) => values.append_empty(),
        }
    }

    fn truncate(&mut self, rows: usize) {
        match self {
            Self::NumberAs(_, values) => values.truncate(rows),
            Self::Boolean(values) | Self::BooleanAs(_, values) => values.truncate(rows),
            Self::Smallint(values) => values.truncate(rows),
            Self::Integer(values) | Self::Date(values) | Self::DateAs(_, values) => {
                values.truncate(rows);
            }
            Self::Bigint(values)
            | Self::Time(values)
            | Self::Timestamp(values)
            | Self::Timestamptz(values)
            | Self::TimeAs(_, values)
            | Self::TimestampAs(_, values)
            | Self::TimestamptzAs(_, _, values)
            | Self::TimestamptzIn(_, values) => values.truncate(rows),
            Self::Real(values) => values.truncate(rows),
            Self::DoublePrecision(values) => values.truncate(rows),
            Self::Decimal(_, values) => values.truncate(rows),
            Self::Uuid(values) => values.truncate(rows * UUID_BYTES),
            Self::Text(values)
            | Self::Varchar(_, values)
            | Self::WideNumeric(_, values)
            | Self::Jsonb(values)
            | Self::Bytea(values)
            | Self::ByteaAs(_, values) => values.truncate(rows),
        }
    }

    /// Turns the values into an array and begins anew.
    fn finish(
        &mut self,
        nulls: Option<NullBuffer>,
        data_type: &DataType,
    ) -> Result<ArrayRef, ArrowError> {
        match self {
            Self::NumberAs(_, values) => values.finish(nulls, data_type),
            Self::Boolean(values) | Self::BooleanAs(_, values) => {
                Ok(Arc::new(BooleanArray::new(values.finish(), nulls)))
            }
            Self::Smallint(values) => primitive::<Int16Type>(values, nulls, data_type),
            Self::Integer(values) => primitive::<Int32Type>(values, nulls, data_type),
            Self::Bigint(values) => primitive::<Int64Type>(values, nulls, data_type),
            Self::Real(values) => primitive::<Float32Type>(values, nulls, data_type),
            Self::DoublePrecision(values) => primitive::<Float64Type>(values, nulls, data_type),
            Self::Decimal(_, values) => primitive::<Decimal128Type>(values, nulls, data_type),
            Self::Date(values) | Self::DateAs(_, values) => {
                primitive::<Date32Type>(values, nulls, data_type)
            }
            Self::Time(values) | Self::TimeAs(_, values) => {
                primitive::<Time64MicrosecondType>(values, nulls, data_type)
            }
            Self::Timestamp(values)
            | Self::Timestamptz(values)
            | Self::TimestampAs(_, values)
            | Self::TimestamptzAs(_, _, values)
            | Self::TimestamptzIn(_, values) => {
                primitive::<TimestampMicrosecondType>(values, nulls, data_type)
            }
            Self::Uuid(values) => {
                let values = Buffer::from_vec(take(values));
                Ok(Arc::new(FixedSizeBinaryArray::try_new(16, values, nulls)?))
            }
            Self::Bytea(values) | Self::ByteaAs(_, values) => {
                let (offsets, bytes) = values.finish();
                Ok(Arc::new(BinaryArray::try_new(offsets, bytes, nulls)?))
            }
            Self::Text(values)
            | Self::Varchar(_, values)
            | Self::WideNumeric(_, values)
            | Self::Jsonb(values) => {
                let (offsets, bytes) = values.finish();
                Ok(Arc::new(StringArray::try_new(offsets, bytes, nulls)?))
            }
        }
    }
}

fn primitive<T: ArrowPrimitiveType>(
    values: &mut Vec<T::Native>,
    nulls: Option<NullBuffer>,
    data_type: &DataType,
) -> Result<ArrayRef, ArrowError> {
    let array = PrimitiveArray::<T>::try_new(ScalarBuffer::from(take(values)), nulls)?;
    Ok(Arc::new(array.with_data_type(data_type.clone())))
}
