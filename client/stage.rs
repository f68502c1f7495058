//! A batch on its way through the stages, with how far it has come in its type.
//!
//! `Raw -> Clean -> Checked -> Pseudonymised -> Loadable`: each stage's module
//! owns the mark of its output, and only that module can make one. So raw
//! personal data cannot reach the database: it does not compile.

use arrow_array::BooleanArray;
use arrow_schema::ArrowError;
use arrow_select::filter::filter_record_batch;
use ferry::batch::Batch as Rows;
use ferry::position::Position;
use ferry::reject::Reject;

use crate::ledger::SplitId;
use crate::ledger::quarantine::QuarantinedRow;

/// A batch that has passed the stage that `S` marks.
pub(crate) struct Batch<S> {
    /// Rows still on the way, none if all were rejected.
    pub(crate) rows: Rows,
    /// Rows that left the way before pseudonymisation: raw, never to be stored.
    pub(crate) rejects: Vec<StagedReject>,
    /// Rows that left the way, safe to be stored.
    pub(crate) quarantined: Vec<QuarantinedRow>,
    /// Rows that a filter took out.
    pub(crate) filtered: u64,
    /// Values that its rows claim for themselves in columns that must be unique.
    pub(crate) claims: Vec<Claim>,
    _mark: S,
}

/// A reject and the stage that refused it.
pub(crate) struct StagedReject {
    /// Name of the stage, as quarantine shows it.
    pub(crate) stage: &'static str,
    /// The refused row.
    pub(crate) reject: Reject,
}

/// Values of one column that no later row of the run may have.
pub(crate) struct Claim {
    /// Name of the column.
    pub(crate) column: String,
    /// For each value a keyed digest of 16 bytes and the number of its row,
    /// big-endian, end to end.
    pub(crate) entries: Vec<u8>,
}

/// Where the rows of a stream come from.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    /// Name of the file.
    pub(crate) file: String,
    /// Split that is read.
    pub(crate) split: SplitId,
}

impl<S> Batch<S> {
    /// A batch as it came in.
    pub(crate) fn new(rows: Rows, rejects: Vec<StagedReject>, mark: S) -> Self {
        Self {
            rows,
            rejects,
            quarantined: Vec::new(),
            filtered: 0,
            claims: Vec::new(),
            _mark: mark,
        }
    }

    /// The same batch after the next stage, whose mark only that stage can make.
    pub(crate) fn marked<T>(self, mark: T) -> Batch<T> {
        let Self { rows, rejects, quarantined, filtered, claims, _mark: _ } = self;
        Batch { rows, rejects, quarantined, filtered, claims, _mark: mark }
    }

    /// Place after the last record of the batch, rejects included.
    pub(crate) fn end(&self) -> Position {
        self.rows.end
    }

    /// Keeps the rows for which `is_kept` is true; the others are the caller's to account for.
    pub(crate) fn keep(&mut self, is_kept: &BooleanArray) -> Result<(), ArrowError> {
        keep(&mut self.rows, is_kept)
    }
}

/// Keeps the rows for which `is_kept` is true, null counting as false.
pub(crate) fn keep(rows: &mut Rows, is_kept: &BooleanArray) -> Result<(), ArrowError> {
    if is_kept.true_count() == is_kept.len() {
        return Ok(());
    }
    rows.records = filter_record_batch(&rows.records, is_kept)?;
    let mut kept = is_kept.iter().map(|is_kept| is_kept == Some(true));
    rows.places.retain(|_| kept.next() == Some(true));
    Ok(())
}
