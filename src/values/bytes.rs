//! Collects values of different lengths end to end, as Arrow's arrays of texts and bytes hold them.

use crate::reject::Code;
use arrow_buffer::{Buffer, OffsetBuffer, ScalarBuffer};

/// Rows that a column has room for at first.
pub(super) const ROWS_AT_FIRST: usize = 1024;

/// Values of different lengths, end to end.
pub(super) struct Bytes {
    /// Where each value begins; the last entry is where the last one ends.
    offsets: Vec<i32>,
    pub(super) bytes: Vec<u8>,
}

impl Bytes {
    pub(super) fn new() -> Self {
        let mut offsets = with_room();
        offsets.push(0);
        Self { offsets, bytes: Vec::new() }
    }

    #[inline]
    pub(super) fn append(&mut self, value: &[u8]) -> Result<usize, Code> {
        self.bytes.extend_from_slice(value);
        self.close()
    }

    pub(super) fn append_empty(&mut self) -> usize {
        let end = self.offsets[self.offsets.len() - 1];
        push(&mut self.offsets, end)
    }

    /// Ends a value whose bytes are there; returns the bytes that it takes.
    #[inline]
    pub(super) fn close(&mut self) -> Result<usize, Code> {
        let start = self.offsets[self.offsets.len() - 1];
        let end = i32::try_from(self.bytes.len()).map_err(|_| Code::TOO_LONG)?;
        let length = usize::try_from(end - start).unwrap_or(0);
        Ok(push(&mut self.offsets, end) + length)
    }

    pub(super) fn truncate(&mut self, rows: usize) {
        self.offsets.truncate(rows + 1);
        let end = self.offsets[self.offsets.len() - 1];
        self.bytes.truncate(usize::try_from(end).unwrap_or(0));
    }

    pub(super) fn finish(&mut self) -> (OffsetBuffer<i32>, Buffer) {
        let offsets = OffsetBuffer::new(ScalarBuffer::from(take(&mut self.offsets)));
        self.offsets.push(0);
        (offsets, Buffer::from_vec(take(&mut self.bytes)))
    }
}

/// No values, and room for some.
pub(super) fn with_room<T>() -> Vec<T> {
    Vec::with_capacity(ROWS_AT_FIRST)
}

/// Appends a value; returns the bytes that it takes.
#[inline]
pub(super) fn push<T>(values: &mut Vec<T>, value: T) -> usize {
    values.push(value);
    size_of::<T>()
}

/// Takes the values out; the next batch is probably as large as this one.
pub(super) fn take<T>(values: &mut Vec<T>) -> Vec<T> {
    let next = Vec::with_capacity(values.len());
    std::mem::replace(values, next)
}
