//! Batches as typed values that a person reads in grpcurl: never base64.

use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
    Time64MicrosecondType, TimestampMicrosecondType,
};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, TimeUnit};

use super::codec::envelope;
use super::generated::{self as proto, value::Kind};
use crate::batch::Batch;
use crate::calendar::{CivilDate, DAY_MICROS};
use crate::hex;
use crate::schema::Column;

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
        DataType::Decimal128(_, _) => {
            Kind::String(column.as_primitive::<Decimal128Type>().value_as_string(row))
        }
        DataType::Date32 => {
            let days = column.as_primitive::<Date32Type>().value(row);
            Kind::String(CivilDate::from_unix_days(days.into()).to_string())
        }
        DataType::Time64(_) => {
            Kind::String(time_text(column.as_primitive::<Time64MicrosecondType>().value(row)))
        }
        DataType::FixedSizeBinary(_) => {
            Kind::String(uuid_text(column.as_fixed_size_binary().value(row)))
        }
        DataType::Binary => Kind::String(bytea_text(column.as_binary::<i32>().value(row))),
        _ => Kind::String(column.as_string::<i32>().value(row).to_owned()),
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
    let date = CivilDate::from_unix_days(micros.div_euclid(DAY_MICROS));
    Kind::String(format!("{date} {}", time_text(micros.rem_euclid(DAY_MICROS))))
}

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
