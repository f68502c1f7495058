//! Turns JSON, one document or a record a line, into records, and records into batches of typed columns.
//!
//! Invariants: every record of a range is in a batch or in the rejects, never
//! in both, never in neither; memory is bounded by
//! [`JsonLayout::record_bytes_max`], however long the content; nesting is
//! followed to [`JsonLayout::depth_max`], and no further; no error shows text
//! of the content.

mod count;
mod cut;
mod envelope;
mod error;
mod excerpt;
mod flatten;
mod greatest;
mod names;
mod pointer;
mod reader;
mod records;
mod rows;
mod scalar;
mod scan;
mod space;
#[cfg(test)]
mod tests;
mod text;
mod window;

use std::ops::Range;

use ferry::position::Position;

pub(crate) use count::count_records;
pub(crate) use cut::cut_json;
pub(crate) use error::JsonError;
pub(crate) use excerpt::excerpt;
pub(crate) use greatest::{compare_as, greatest};
pub(crate) use names::read_json_header;
pub(crate) use pointer::Pointer;
pub(crate) use reader::JsonReader;
pub(crate) use scalar::scalar_at;

const RECORD_BYTES_DEFAULT: usize = 1024 * 1024;
const DEPTH_DEFAULT: usize = 128;

/// How records lie in a content, which is UTF-8; a byte order mark is skipped.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct JsonLayout {
    pub(crate) framing: Framing,
    /// A longer record is refused, and skipped without being held.
    pub(crate) record_bytes_max: usize,
    /// A record with more objects and arrays in one another is refused.
    pub(crate) depth_max: usize,
}

/// What keeps records apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Framing {
    /// The content is one document; the records are the elements of one array.
    Document {
        /// Which array that is.
        records: Pointer,
    },
    /// A record a line; blank lines are nothing.
    Lines,
}

impl Default for JsonLayout {
    /// A document that is an array of records.
    fn default() -> Self {
        Self {
            framing: Framing::Document { records: Pointer::default() },
            record_bytes_max: RECORD_BYTES_DEFAULT,
            depth_max: DEPTH_DEFAULT,
        }
    }
}

/// What the first records say of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JsonHeader {
    /// Flattened names of the members, in the order in which they first appear.
    pub(crate) names: Vec<JsonName>,
    /// Place before the first record.
    pub(crate) start: Position,
}

/// A flattened name, and what was seen under it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JsonName {
    pub(crate) name: String,
    pub(crate) kind: JsonKind,
}

/// What values a name has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JsonKind {
    /// Texts, numbers, booleans and nulls.
    Scalar,
    /// An array or an object at least once.
    Nested,
}

/// Ranges of whole records.
#[derive(Debug)]
pub(crate) struct JsonCuts {
    /// From the place asked for on.
    pub(crate) ranges: Vec<Range<Position>>,
    /// Bytes of the content behind the last record taken that are left for later.
    pub(crate) unfinished_bytes: u64,
    /// Whether `from` lies between two records, and has the number of those
    /// before it. If not, there are no ranges.
    pub(crate) is_known_boundary: bool,
    /// Why the content could not be read to its end: what is whole before that is cut.
    pub(crate) failure: Option<JsonError>,
}
