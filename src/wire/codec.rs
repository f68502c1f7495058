//! Batches as Arrow IPC messages: encode on the source host, decode on the destination host.
//!
//! Invariant: what [`Decoder`] accepts is what [`Encoder`] was given, or it is
//! an error: the checksum, the row count and the places must all agree.

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::reader::StreamDecoder;
use arrow_ipc::writer::StreamEncoder;
use arrow_schema::{ArrowError, SchemaRef};

use super::convert::required_position;
use super::generated as proto;
use crate::batch::Batch;
use crate::position::{Place, Position};

/// A batch that could not be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// Arrow refused it.
    #[error("batch is not a valid Arrow message")]
    Arrow(#[from] ArrowError),
    /// The bytes changed on the way.
    #[error("checksum of a batch does not match: it was damaged on the way")]
    Checksum,
    /// The parts of the message contradict each other.
    #[error("batch contradicts itself: {0}")]
    Contradiction(String),
}

fn contradiction(text: impl Into<String>) -> CodecError {
    CodecError::Contradiction(text.into())
}

/// Writes the batches of one stream.
#[allow(missing_debug_implementations)]
pub struct Encoder {
    stream: StreamEncoder,
}

impl Encoder {
    /// Begins a stream of batches with this schema.
    pub fn new(schema: &SchemaRef) -> Result<Self, CodecError> {
        Ok(Self { stream: StreamEncoder::try_new(schema)? })
    }

    /// Writes the next batch; the first one carries the schema too.
    pub fn encode(&mut self, batch: &Batch) -> Result<proto::Batch, CodecError> {
        let parts = self.stream.encode(&batch.records)?;
        // The encoder yields the schema message first, in buffers of its own; the
        // decoder reads one byte stream, so that both may travel in one field.
        let length = parts.iter().map(Buffer::len).sum();
        let mut ipc = Vec::with_capacity(length);
        for part in &parts {
            ipc.extend_from_slice(part);
        }
        let payload = proto::ArrowPayload { crc32c: crc32c::crc32c(&ipc), ipc: ipc.into() };
        Ok(proto::Batch { payload: Some(proto::batch::Payload::Arrow(payload)), ..envelope(batch) })
    }
}

/// Everything of a batch message but its payload.
#[must_use]
pub fn envelope(batch: &Batch) -> proto::Batch {
    let places = &batch.places;
    let mut message = proto::Batch {
        start: Some(batch.start.into()),
        end: Some(batch.end.into()),
        row_count: length_u32(places.len()),
        record_bytes: Vec::with_capacity(places.len()),
        gap_bytes: Vec::new(),
        gap_rows: Vec::new(),
        payload: None,
    };
    let mut byte_offset = batch.start.byte_offset;
    let mut row_number = batch.start.row_number;
    for (row, place) in places.iter().enumerate() {
        message.record_bytes.push(delta_u32(byte_offset.max(place.byte_start), place.byte_end));
        set_gap(
            &mut message.gap_bytes,
            row,
            places.len(),
            delta_u32(byte_offset, place.byte_start),
        );
        set_gap(
            &mut message.gap_rows,
            row,
            places.len(),
            delta_u32(row_number + 1, place.row_number),
        );
        byte_offset = place.byte_end;
        row_number = place.row_number;
    }
    message
}

/// Writes a gap; the list stays empty until the first one that is not zero.
fn set_gap(gaps: &mut Vec<u32>, row: usize, row_count: usize, gap: u32) {
    if gap == 0 {
        return;
    }
    gaps.resize(row_count, 0);
    gaps[row] = gap;
}

fn length_u32(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// Distance between two offsets of one batch; the limits on batches keep it small.
fn delta_u32(from: u64, to: u64) -> u32 {
    u32::try_from(to.saturating_sub(from)).unwrap_or(u32::MAX)
}

/// Reads the batches of one stream.
#[derive(Debug)]
pub struct Decoder {
    stream: StreamDecoder,
    schema: SchemaRef,
}

impl Decoder {
    /// Begins to read a stream whose batches must have this schema.
    #[must_use]
    pub fn new(schema: SchemaRef) -> Self {
        Self { stream: StreamDecoder::new(), schema }
    }

    /// Reads the next batch.
    pub fn decode(&mut self, message: proto::Batch) -> Result<Batch, CodecError> {
        let start = position_of(message.start, "start")?;
        let end = position_of(message.end, "end")?;
        let places = places_of(&message, start, end)?;
        let Some(proto::batch::Payload::Arrow(payload)) = message.payload else {
            return Err(contradiction("it is not in Arrow encoding"));
        };
        if crc32c::crc32c(&payload.ipc) != payload.crc32c {
            return Err(CodecError::Checksum);
        }
        let records = self.decode_records(Buffer::from(payload.ipc))?;
        if records.num_rows() != places.len() {
            return Err(contradiction("its row count differs from its payload's"));
        }
        Ok(Batch { records, places, start, end })
    }

    fn decode_records(&mut self, mut bytes: Buffer) -> Result<RecordBatch, CodecError> {
        let records = self
            .stream
            .decode(&mut bytes)?
            .ok_or_else(|| contradiction("its payload holds no record batch"))?;
        if !bytes.is_empty() {
            return Err(contradiction("its payload holds more than one record batch"));
        }
        let is_same = |(ours, theirs): (&arrow_schema::FieldRef, &arrow_schema::FieldRef)| {
            ours.name() == theirs.name() && ours.data_type() == theirs.data_type()
        };
        let fields = records.schema_ref().fields();
        let all_same = self.schema.fields().iter().zip(fields).all(is_same);
        if fields.len() != self.schema.fields().len() || !all_same {
            return Err(contradiction("its columns are not the ones asked for"));
        }
        Ok(records)
    }
}

fn position_of(position: Option<proto::Position>, field: &str) -> Result<Position, CodecError> {
    required_position(position, field).map_err(|error| contradiction(error.to_string()))
}

/// Rebuilds where each row lies from lengths and gaps.
fn places_of(
    message: &proto::Batch,
    start: Position,
    end: Position,
) -> Result<Vec<Place>, CodecError> {
    let row_count = message.row_count as usize;
    let is_whole = |gaps: &[u32]| gaps.is_empty() || gaps.len() == row_count;
    if message.record_bytes.len() != row_count
        || !is_whole(&message.gap_bytes)
        || !is_whole(&message.gap_rows)
    {
        return Err(contradiction("it does not say where each of its rows lies"));
    }
    let gap = |gaps: &[u32], row: usize| u64::from(gaps.get(row).copied().unwrap_or(0));
    let mut places = Vec::with_capacity(row_count);
    let mut byte_offset = start.byte_offset;
    let mut row_number = start.row_number;
    for (row, record_bytes) in message.record_bytes.iter().enumerate() {
        let byte_start = byte_offset.saturating_add(gap(&message.gap_bytes, row));
        byte_offset = byte_start.saturating_add(u64::from(*record_bytes));
        row_number = row_number.saturating_add(1 + gap(&message.gap_rows, row));
        places.push(Place { row_number, byte_start, byte_end: byte_offset });
    }
    if byte_offset > end.byte_offset || row_number > end.row_number {
        return Err(contradiction("its rows reach beyond its end"));
    }
    Ok(places)
}
