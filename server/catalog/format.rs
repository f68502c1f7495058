//! How the content of a dataset's files is laid out, and what hangs on it: header, ranges, batches, boundaries.
//!
//! Invariant: which format it is, is asked once for a file or a chunk, never for a row.

use crate::cut::CutRequest;
use std::io::{self, ErrorKind, Read};
use std::ops::Range;
use std::sync::Arc;

use encoding_rs::UTF_8;
use ferry::position::{Position, Split};

use crate::catalog::archive::Compression;
use crate::catalog::open_file::{Edge, OpenFile};
use crate::chunk::Chunk;
use crate::delimited::{
    BatchReader, Cuts, Header, Layout, Terminator, TextInput, cut, read_header,
};
use crate::error::RequestError;
use crate::json::{
    Framing, JsonError, JsonHeader, JsonLayout, JsonReader, cut_json, read_json_header,
};
use crate::wanted::WantedColumn;

/// Bytes around a place in a document that are looked at.
const GLANCE_BYTES: u64 = 64;

/// How the content of files is laid out.
#[derive(Debug, Clone)]
pub(crate) enum Format {
    Delimited(Layout),
    Json(JsonLayout),
}

impl Format {
    /// Whether the last lines are no data, and show only once the file is whole.
    pub(crate) fn has_footer(&self) -> bool {
        match self {
            Self::Delimited(layout) => layout.skip_footer > 0,
            Self::Json(_) => false,
        }
    }

    /// Reads the header of a delimited file, or what the first records of JSON
    /// name; `None` if it is not there yet.
    pub(crate) fn read_header<R: Read>(
        &self,
        file: &str,
        content: R,
    ) -> Result<Option<FileHeader<'_>>, RequestError> {
        match self {
            Self::Delimited(layout) => {
                let header = read_header(content, layout)
                    .map_err(|error| RequestError::of_file(file, error))?;
                Ok(header.map(|header| FileHeader::Delimited { layout, header }))
            }
            Self::Json(layout) => {
                let header = read_json_header(content, layout)
                    .map_err(|error| RequestError::of_json(file, error))?;
                Ok(header.map(|header| FileHeader::Json { layout, header: Arc::new(header) }))
            }
        }
    }
}

/// What the beginning of a content says, and how the rest of it is read.
#[derive(Debug, Clone)]
pub(crate) enum FileHeader<'a> {
    Delimited { layout: &'a Layout, header: Header },
    Json { layout: &'a JsonLayout, header: Arc<JsonHeader> },
}

impl FileHeader<'_> {
    /// Place of the first record.
    pub(crate) fn end(&self) -> Position {
        match self {
            Self::Delimited { header, .. } => header.end,
            Self::Json { header, .. } => header.start,
        }
    }

    /// Whether its last name may still be written.
    pub(crate) fn is_open(&self) -> bool {
        match self {
            Self::Delimited { header, .. } => header.is_open,
            Self::Json { .. } => false,
        }
    }

    /// Names that hold for all records; `None` where each record names its own fields.
    pub(crate) fn fixed_names(&self) -> Option<&[String]> {
        match self {
            Self::Delimited { header, .. } => Some(&header.names),
            Self::Json { .. } => None,
        }
    }

    /// Cuts the content behind `request.start`, at which `content` stands.
    pub(crate) fn cut<R: Read>(&self, content: R, request: &CutRequest) -> Cuts {
        match self {
            Self::Delimited { layout, header } => {
                let offset = request.start.byte_offset;
                let input = TextInput::new(content, header.encoding, offset).without_footer(layout);
                cut(input, &layout.dialect, header.names.len(), request)
            }
            Self::Json { layout, .. } => {
                let cuts = cut_json(content, layout, request);
                Cuts {
                    ranges: cuts.ranges,
                    unfinished_bytes: cuts.unfinished_bytes,
                    is_known_boundary: cuts.is_known_boundary,
                    failure: cuts.failure.map(io_error),
                }
            }
        }
    }

    /// A reader of the records from `start`, at which `content` stands, to `end`.
    pub(crate) fn reader<R: Read>(
        &self,
        file: &str,
        content: R,
        columns: Vec<WantedColumn>,
        (start, end): (Position, Position),
        batch_bytes_max: usize,
    ) -> Result<ContentReader<R>, RequestError> {
        match self {
            Self::Delimited { layout, header } => {
                let input = TextInput::new(content, header.encoding, start.byte_offset)
                    .without_footer(layout);
                BatchReader::new(input, layout, header, columns, start, end, batch_bytes_max)
                    .map(|reader| ContentReader::Delimited(Box::new(reader)))
                    .map_err(|error| RequestError::of_file(file, error))
            }
            Self::Json { layout, .. } => {
                JsonReader::new(content, layout, columns, start, end, batch_bytes_max)
                    .map(|reader| ContentReader::Json(Box::new(reader)))
                    .map_err(|error| RequestError::of_json(file, error))
            }
        }
    }

    /// Whether a place lies between two records of a split's file, as far as
    /// the bytes around it tell, which an archive does not show.
    pub(crate) fn is_boundary(
        &self,
        file: &OpenFile,
        split: &Split,
        place: Position,
    ) -> Result<bool, RequestError> {
        // A header without line end is planned to its last byte.
        if place == self.end() {
            return Ok(true);
        }
        if place.byte_offset < self.end().byte_offset {
            return Ok(false);
        }
        // The content of the fingerprint ends there, whatever was added since.
        if place.byte_offset == split.fingerprint.size_bytes {
            return Ok(true);
        }
        match self {
            Self::Delimited { layout, header } => {
                // The LF of a CRLF is the first byte of the next record then.
                let splits_crlf = layout.dialect.terminator == Terminator::Cr;
                let edge = file.edge(place.byte_offset, header.encoding)?;
                Ok(edge.is_none_or(|edge| is_line_edge(edge, split, place, splits_crlf)))
            }
            Self::Json { layout, .. } => match layout.framing {
                Framing::Lines => {
                    let edge = file.edge(place.byte_offset, UTF_8)?;
                    Ok(edge.is_none_or(|edge| is_line_edge(edge, split, place, false)))
                }
                Framing::Document { .. } => is_between_elements(file, place.byte_offset),
            },
        }
    }
}

/// Reads the batches of one range, whatever the format.
pub(crate) enum ContentReader<R> {
    Delimited(Box<BatchReader<R>>),
    Json(Box<JsonReader<R>>),
}

impl<R: Read> ContentReader<R> {
    /// The next chunk; `None` at the end of the range.
    pub(crate) fn next_chunk(&mut self, file: &str) -> Result<Option<Chunk>, RequestError> {
        match self {
            Self::Delimited(reader) => {
                reader.next_chunk().map_err(|error| RequestError::of_file(file, error))
            }
            Self::Json(reader) => {
                reader.next_chunk().map_err(|error| RequestError::of_json(file, error))
            }
        }
    }
}

fn is_line_edge(edge: Edge, split: &Split, place: Position, is_loose: bool) -> bool {
    let is_loose = is_loose || place == split.start || place == split.end;
    edge.is_between_records() || (is_loose && edge.may_end_range())
}

/// Whether an element of an array may begin at a place of a document, or the array end.
fn is_between_elements(file: &OpenFile, offset: u64) -> Result<bool, RequestError> {
    if file.compression() != Compression::None {
        return Ok(true);
    }
    let look = |range: Range<u64>| -> Result<Vec<u8>, RequestError> {
        let mut bytes = Vec::new();
        file.read_range(range, &|| false, |chunk| bytes.extend_from_slice(chunk))?;
        Ok(bytes)
    };
    let size_bytes = file.stamp.size_bytes;
    let before = look(offset.saturating_sub(GLANCE_BYTES)..offset)?;
    let after = look(offset..offset.saturating_add(1).min(size_bytes).max(offset))?;
    let last = before.iter().rev().find(|byte| !byte.is_ascii_whitespace());
    // Of nothing but white space nobody knows what stands before it.
    let may_follow = last.is_none_or(|byte| matches!(byte, b',' | b'['));
    Ok(may_follow || matches!(after[..], [] | [b']']))
}

/// What is wrong with a document travels inside an error of reading, as what is
/// wrong with an archive does.
fn io_error(error: JsonError) -> io::Error {
    match error {
        JsonError::Io(error) => error,
        error => io::Error::new(ErrorKind::InvalidData, error),
    }
}
