//! What a destination asks of a plan, and what it is told.

use std::collections::HashMap;

use ferry::position::{Fingerprint, Position};
use ferry::schema::Column;

use super::FilePlan;

/// What a destination asks for; without anything, all columns of all files anew.
#[derive(Default)]
pub(crate) struct PlanRequest {
    /// Columns that every delimited file, or any file of JSON, must have; empty
    /// to be told what each file has.
    pub(crate) columns: Vec<Column>,
    /// Bytes of a split; 0 for the default.
    pub(crate) target_split_bytes: u64,
    /// What was planned before, by the name of the file.
    pub(crate) known: HashMap<String, KnownFile>,
    /// Greatest value of an API's incremental column that was loaded before.
    pub(crate) watermark: Option<String>,
}

/// A file up to where the destination has planned it.
#[derive(Debug, Clone)]
pub(crate) struct KnownFile {
    pub(crate) fingerprint: Fingerprint,
    pub(crate) planned_to: Position,
    /// Whether it could not be read to its end when it was planned last.
    pub(crate) had_problem: bool,
}

/// What there is to read.
pub(crate) struct Plan {
    pub(crate) columns: Vec<Column>,
    /// Headers of the files, each once; empty if the request named columns.
    pub(crate) headers: Vec<Vec<Column>>,
    /// Ordered by name.
    pub(crate) files: Vec<FilePlan>,
    /// What the next request may have as its watermark once all of this is loaded.
    pub(crate) watermark: Option<String>,
}
