//! Turns the text of a delimited file into records, and records into batches of typed columns.
//!
//! Invariants: every record of a range is in a batch or in the rejects, never
//! in both, never in neither; memory is bounded by
//! [`RECORD_BYTES_MAX`](ferry::wire::RECORD_BYTES_MAX), however long the file.

mod damage;
mod decode;
mod dialect;
mod fields;
mod footer;
mod frame;
mod glance;
mod header;
mod layout;
mod lines;
mod ranges;
mod reader;
mod records;
mod rows;
mod scan;
mod skim;
mod specials;
mod split;
#[cfg(test)]
mod tests;
mod window;

use arrow_schema::ArrowError;

pub(crate) use decode::{TextInput, beginning};
pub(crate) use dialect::{BlankLines, Delimiter, Dialect, Escape, StrayQuotes, Terminator};
pub(crate) use header::{Header, read_header};
pub(crate) use layout::{Layout, Ragged};
pub(crate) use reader::BatchReader;
pub(crate) use records::{Record, RecordReader};
pub(crate) use split::{Cuts, cut};

use crate::chunk::RowCountDiffers;

/// A file, or a range of one, that cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DelimitedError {
    /// The bytes cannot be had.
    #[error("cannot read the file: {0}")]
    Io(#[from] std::io::Error),
    /// The beginning of the file does not tell its columns.
    #[error("the file has no usable header: {0}")]
    BadHeader(String),
    /// A wanted column is not in the header.
    #[error("the file has no column \"{column}\"{}", suggestion(.nearest.as_deref()))]
    MissingColumn {
        /// The wanted column.
        column: String,
        /// The column of the header most like it.
        nearest: Option<String>,
    },
    /// The range holds other records than when it was cut.
    #[error(transparent)]
    RowCountDiffers(#[from] RowCountDiffers),
    /// Columns do not form a batch.
    #[error("cannot form a batch: {0}")]
    Arrow(#[from] ArrowError),
}

fn suggestion(nearest: Option<&str>) -> String {
    nearest.map(|name| format!(": did you mean \"{name}\"?")).unwrap_or_default()
}
