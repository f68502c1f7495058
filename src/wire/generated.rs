//! The code that `build.rs` generates from `proto/`, and `Debug` for the messages that hold values.

#![allow(clippy::pedantic, unreachable_pub, missing_debug_implementations)]

use std::fmt;

tonic::include_proto!("ferry.v1");

/// The compiled `proto/` of the source host, for its reflection service.
pub const FILE_DESCRIPTOR_SET: &[u8] =
    include_bytes!(concat!(env!("OUT_DIR"), "/ferry_descriptor.bin"));

/// The compiled `proto/` of the destination host, for its reflection service.
pub const RECORD_DESCRIPTOR_SET: &[u8] =
    include_bytes!(concat!(env!("OUT_DIR"), "/record_descriptor.bin"));

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Value(***)")
    }
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Row({} values)", self.values.len())
    }
}

impl fmt::Debug for RowsPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RowsPayload({} rows)", self.rows.len())
    }
}

impl fmt::Debug for ArrowPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ArrowPayload({} bytes)", self.ipc.len())
    }
}

impl fmt::Debug for RejectField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RejectField(***)")
    }
}

// Its watermark, and that of the response, are values of a record.
impl fmt::Debug for PlanTransferRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (dataset, known) = (&self.dataset, self.known_files.len());
        write!(f, "PlanTransferRequest({dataset:?}, {known} known files)")
    }
}

impl fmt::Debug for PlanTransferResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (files, splits) = (self.files.len(), self.splits.len());
        write!(f, "PlanTransferResponse({files} files, {splits} splits)")
    }
}

// Its key, and the tokens below, which name keys too, are of records.
impl fmt::Debug for GetRecordRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GetRecordRequest({}, ***)", self.table)
    }
}

impl fmt::Debug for ListRecordsRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ListRecordsRequest({}, {})", self.table, self.page_size)
    }
}

impl fmt::Debug for ListRecordsResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ListRecordsResponse({} records)", self.records.len())
    }
}
