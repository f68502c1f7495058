//! The code that `build.rs` generates from `proto/`, and `Debug` for the messages that hold values.

#![allow(clippy::pedantic, unreachable_pub, missing_debug_implementations)]

use std::fmt;

tonic::include_proto!("ferry.v1");

/// The compiled `proto/`, for the reflection service.
pub const FILE_DESCRIPTOR_SET: &[u8] =
    include_bytes!(concat!(env!("OUT_DIR"), "/ferry_descriptor.bin"));

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
