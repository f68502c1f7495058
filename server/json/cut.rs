//! Cuts a content into ranges of whole records, in one pass over it.
//!
//! Invariants: the ranges touch each other, begin at the place asked for and
//! end behind the last record taken; every cut is a place that the reader finds
//! too.

use std::io::Read;

use super::envelope::Enclosing;
use super::records::Records;
use super::window::WINDOW_BYTES;
use super::{Framing, JsonCuts, JsonError, JsonLayout};
use crate::cut::{CutRequest, LastRecord, Piece, Ranges};

/// Cuts what lies behind `request.start`, at which `content` stands.
///
/// A document is read to its end, which shows whether it is whole; one that is
/// not gives the records that are followed by something.
pub(crate) fn cut_json<R: Read>(content: R, layout: &JsonLayout, request: &CutRequest) -> JsonCuts {
    cut_with_window(content, layout, request, WINDOW_BYTES)
}

/// The same with a window of so many bytes at first.
pub(super) fn cut_with_window<R: Read>(
    content: R,
    layout: &JsonLayout,
    request: &CutRequest,
    window_bytes: usize,
) -> JsonCuts {
    let mut records = Records::new(content, layout, request.start, u64::MAX, window_bytes);
    let mut ranges = Ranges::new(request);
    let ending = match take_all(&mut records, layout, request.last, &mut ranges) {
        Err(JsonError::EndsEarly { .. }) if request.last == LastRecord::LeaveOpen => {
            Ok(Ending::Open(ranges.boundary().byte_offset))
        }
        outcome => outcome,
    };
    let (end, unfinished_bytes, failure) = match ending {
        Ok(Ending::Whole(end)) => (end, 0, None),
        Ok(Ending::Open(end)) => match records.drain() {
            Ok(content_end) => (end, content_end - end, None),
            Err(error) => (end, 0, Some(error.into())),
        },
        Err(error) => (ranges.boundary().byte_offset, 0, Some(error)),
    };
    let ranges = ranges.finish(end);
    let is_known_boundary = ranges.is_some();
    JsonCuts { ranges: ranges.unwrap_or_default(), unfinished_bytes, is_known_boundary, failure }
}

/// How the records end, and where the next one would begin.
enum Ending {
    /// Nothing of the content is left.
    Whole(u64),
    /// What follows may still be written.
    Open(u64),
}

/// Takes all records, and reads a document to its end.
fn take_all<R: Read>(
    records: &mut Records<R>,
    layout: &JsonLayout,
    last: LastRecord,
    ranges: &mut Ranges,
) -> Result<Ending, JsonError> {
    while let Some(record) = records.next()? {
        let place = record.place;
        if record.is_open && last == LastRecord::LeaveOpen {
            return Ok(Ending::Open(place.byte_start));
        }
        let content_end = record.text_end;
        ranges.take(Piece { start: place.byte_start, content_end, end: place.byte_end });
    }
    let end = records.position().byte_offset;
    if let Framing::Document { records: pointer } = &layout.framing {
        records.finish(&Enclosing::of(pointer))?;
    }
    Ok(Ending::Whole(end))
}
