//! Batches as typed values that a person reads in grpcurl: never base64.

use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, TimeUnit};

use super::codec::envelope;
use super::generated::{self as proto, value::Kind};
use crate::batch::Batch;
use crate::schema::Column;
use crate::values::{text_of, timestamp_text};

/// Seconds of 0001-01-01 and of the end of 9999: what protobuf's Timestamp holds.
const TIMESTAMP_SECONDS: std::ops::Range<i64> = -62_135_596_800..253_402_300_800;
const SECOND_MICROS: i64 = 1_000_000;

/// Writes a batch as rows; the first one of a stream carries the columns.
#[must_use]
pub fn encode(batch: &Batch, columns: &[Column], is_first: bool) -> proto::Batch {
    let mut rows = vec![proto::Row::default(); batch.records.num_rows()];
    for column in batch.records.columns() {
        for (row, message) in rows.iter_mut().enumerate() {
            let kind = value_of(column, row);
            message.values.push(proto::Value { kind: Some(kind) });
        }
    }
    let columns = if is_first { columns } else { &[] };
    let payload =
        proto::RowsPayload { columns: columns.iter().map(proto::Column::from).collect(), rows };
    proto::Batch { payload: Some(proto::batch::Payload::Rows(payload)), ..envelope(batch) }
}

fn value_of(column: &ArrayRef, row: usize) -> Kind {
    if column.is_null(row) {
        return Kind::Null(0);
    }
    match column.data_type() {
        DataType::Boolean => Kind::Bool(column.as_boolean().value(row)),
        DataType::Int16 => Kind::Int64(column.as_primitive::<Int16Type>().value(row).into()),
        DataType::Int32 => Kind::Int64(column.as_primitive::<Int32Type>().value(row).into()),
        DataType::Int64 => Kind::Int64(column.as_primitive::<Int64Type>().value(row)),
        DataType::Float32 => Kind::Double(column.as_primitive::<Float32Type>().value(row).into()),
        DataType::Float64 => Kind::Double(column.as_primitive::<Float64Type>().value(row)),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            timestamp_kind(column.as_primitive::<TimestampMicrosecondType>().value(row))
        }
        _ => Kind::String(text_of(column, row).unwrap_or_default()),
    }
}

fn timestamp_kind(micros: i64) -> Kind {
    let seconds = micros.div_euclid(SECOND_MICROS);
    if TIMESTAMP_SECONDS.contains(&seconds) {
        let nanos = micros.rem_euclid(SECOND_MICROS) * 1000;
        return Kind::Timestamp(prost_types::Timestamp {
            seconds,
            nanos: i32::try_from(nanos).unwrap_or(0),
        });
    }
    Kind::String(timestamp_text(micros))
}
