//! A batch on its way through the stages, with how far it has come in its type.
//!
//! `Raw -> Clean -> Checked -> Pseudonymised -> Loadable`: each stage's module
//! owns the mark of its output, and only that module can make one. So raw
//! personal data cannot reach the database: it does not compile.

use ferry::batch::Batch as Rows;
use ferry::position::Position;
use ferry::reject::Reject;

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
    _mark: S,
}

/// A reject and the stage that refused it.
pub(crate) struct StagedReject {
    /// Name of the stage, as quarantine shows it.
    pub(crate) stage: &'static str,
    /// The refused row.
    pub(crate) reject: Reject,
}

impl<S> Batch<S> {
    /// A batch as it came in.
    pub(crate) fn new(rows: Rows, rejects: Vec<StagedReject>, mark: S) -> Self {
        Self { rows, rejects, quarantined: Vec::new(), filtered: 0, _mark: mark }
    }

    /// The same batch after the next stage, whose mark only that stage can make.
    pub(crate) fn marked<T>(self, mark: T) -> Batch<T> {
        let Self { rows, rejects, quarantined, filtered, _mark: _ } = self;
        Batch { rows, rejects, quarantined, filtered, _mark: mark }
    }

    /// Place after the last record of the batch, rejects included.
    pub(crate) fn end(&self) -> Position {
        self.rows.end
    }
}
