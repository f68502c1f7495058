//! Commits chunks: rows of every target, rejects and the ledger's position in one transaction.
//!
//! Invariant: the position in the ledger moves if and only if the rows before
//! it are in all targets or in quarantine. After an error nothing is known of
//! the connection: it must be dropped, and the ledger read on a new one.

use std::time::Duration;

use ferry::host::shutdown::Shutdown;
use ferry::position::{Place, Position};
use sqlx::{Connection as _, PgConnection};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::intake::Intake;
use super::keys::TableKeys;
use super::table::{Pace, TableLoad};
use super::taken::Taken;
use super::{careful, shape, swift};
use crate::database::StatementError;
use crate::ledger::quarantine::{self, QuarantinedRow};
use crate::ledger::splits::{self, Advance, ClaimedSplit};
use crate::ledger::{LedgerError, claims};
use crate::stage::{Claim, Evidence};

pub(crate) use super::send::CopyError;
pub(crate) use super::staged::load_at_once;

/// A careful transaction keeps all its rows in memory, and takes its time for each.
const CAREFUL_BYTES_MAX: u64 = 8 << 20;

/// Rows that follow each other in a split, ready to be sent.
pub(crate) struct Chunk {
    /// Tuples of a binary COPY for each table of the job, without header and
    /// trailer, as they are encoded for the pace at which they are loaded.
    pub(crate) tuples: Vec<Vec<u8>>,
    /// Number of tuples, the same for each table.
    pub(crate) rows: u64,
    /// Rows that a filter took out.
    pub(crate) filtered: u64,
    /// Rows that were refused.
    pub(crate) quarantined: Vec<QuarantinedRow>,
    /// Values that the rows claim for themselves.
    pub(crate) claims: Vec<Claim>,
    /// Where the rows lie.
    pub(crate) places: Vec<Place>,
    /// What may be stored of them, in their order; only at careful pace.
    pub(crate) evidence: Option<Evidence>,
    /// Keys of the rows, for tables whose rows are cached.
    pub(crate) cached_keys: Vec<TableKeys>,
    /// Place after the last record of the chunk.
    pub(crate) end: Position,
}

impl Chunk {
    /// About how many bytes the chunk takes until its transaction is committed.
    pub(super) fn bytes(&self) -> u64 {
        let tuples: usize = self.tuples.iter().map(Vec::len).sum();
        let claims: usize = self.claims.iter().map(|claim| claim.entries.len()).sum();
        let evidence = self.evidence.as_ref().map_or(0, Evidence::bytes);
        let keys: u64 = self.cached_keys.iter().map(TableKeys::bytes).sum();
        (tuples + claims) as u64 + evidence + keys + quarantine::bytes(&self.quarantined)
    }
}

/// How far a transaction came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Committed {
    /// Position in the ledger now.
    pub(crate) end: Position,
    /// Rows that PostgreSQL refused; they are in quarantine.
    pub(crate) refused: u64,
}

/// When a transaction ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CommitLimits {
    /// With the chunk that reaches so many bytes.
    pub(crate) bytes: u64,
    /// After this time.
    pub(crate) interval: Duration,
    /// How long the split stays ours without another commit.
    pub(crate) lease_seconds: i32,
}

/// A load that failed; nothing of its last transaction is in the database,
/// unless COMMIT itself failed: then the ledger knows.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum LoadError {
    /// PostgreSQL refused, or the connection broke.
    #[error("{error}, while rows after {from} were loaded")]
    Database {
        /// What it said.
        error: StatementError,
        /// Last committed position.
        from: Position,
        /// Pace of the transaction.
        pace: Pace,
    },
    /// A table did not take its rows.
    #[error("rows after {from}: {error}")]
    Copy {
        /// Which table, and what happened.
        error: CopyError,
        /// Last committed position.
        from: Position,
        /// Pace of the transaction.
        pace: Pace,
    },
    /// The ledger refused.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Somebody has changed a table in the middle of the run.
    #[error(
        "the columns of {table} have changed while the run loads it: nothing of this step is loaded, run again"
    )]
    TableChanged {
        /// Name of the table.
        table: String,
    },
    /// There is nowhere to load to.
    #[error("the job names no table: add a [[target]]")]
    NoTable,
}

impl LoadError {
    fn of_database(error: sqlx::Error, from: Position, pace: Pace) -> Self {
        Self::Database { error: error.into(), from, pace }
    }

    /// Whether PostgreSQL refused a row that a careful transaction would have told apart.
    pub(crate) fn refuses_row(&self) -> bool {
        match self {
            // A constraint may be deferred until COMMIT.
            Self::Database { error, pace: Pace::Swift, .. } => error.row_refusal().is_some(),
            Self::Copy { error, pace: Pace::Swift, .. } => error.row_refusal().is_some(),
            _ => false,
        }
    }
}

/// Loads the chunks of one claimed split.
pub(crate) struct Committer<'a> {
    pub(crate) connection: &'a mut PgConnection,
    pub(crate) claim: &'a ClaimedSplit,
    /// Tables of the job in its order; each takes every row.
    pub(crate) tables: &'a [TableLoad],
    pub(crate) limits: CommitLimits,
    /// Last committed position.
    pub(crate) position: Position,
    /// Pace for which the chunks are encoded.
    pub(crate) pace: Pace,
    /// Keys of the last transaction, once COMMIT was sent: whatever came back,
    /// its rows may be in the tables.
    pub(crate) sent_keys: Vec<TableKeys>,
}

impl Committer<'_> {
    /// Commits `first` and what follows it, as much as the limits allow.
    ///
    /// `is_over` hears of every chunk, by the records read for it and how many
    /// of them were refused. If it says so, the transaction ends with that
    /// chunk: the evidence is committed, and the rest of the split never read.
    /// Of rows that PostgreSQL refuses it hears as 0 records read.
    pub(crate) async fn commit(
        &mut self,
        first: Chunk,
        chunks: &mut mpsc::Receiver<Chunk>,
        shutdown: &mut Shutdown,
        is_over: &mut (dyn FnMut(u64, u64) -> bool + Send),
    ) -> Result<Committed, LoadError> {
        if self.tables.is_empty() {
            return Err(LoadError::NoTable);
        }
        let (from, pace) = (self.position, self.pace);
        let deadline = Instant::now() + self.limits.interval;
        let bytes_max = match pace {
            Pace::Swift => self.limits.bytes,
            Pace::Careful => self.limits.bytes.min(CAREFUL_BYTES_MAX),
        };
        let intake = Intake { chunks, shutdown, is_over, deadline, bytes_max };
        let mut taken = Taken::new(from, self.tables.len());
        let refused = self.transact(first, intake, &mut taken).await?;
        self.position = taken.end;
        Ok(Committed { end: taken.end, refused })
    }

    /// One transaction; returns how many rows PostgreSQL refused in it.
    ///
    /// Swiftly, rows are streamed as they come and none may be refused;
    /// carefully, all of them are taken up before it begins.
    async fn transact(
        &mut self,
        first: Chunk,
        mut intake: Intake<'_>,
        taken: &mut Taken,
    ) -> Result<u64, LoadError> {
        let (from, pace) = (self.position, self.pace);
        let failed = |error: sqlx::Error| LoadError::of_database(error, from, pace);
        let streamed = match pace {
            Pace::Swift => Some(first),
            Pace::Careful => {
                intake.take_all(first, taken).await;
                None
            }
        };
        let is_careful = streamed.is_none();
        let refused_before = taken.counts.quarantined;
        let (tables, file) = (self.tables, &self.claim.split.file);
        let mut transaction = self.connection.begin().await.map_err(failed)?;
        let loaded = match streamed {
            Some(first) => swift::load(&mut transaction, tables, first, &mut intake, taken).await,
            None => careful::load(&mut transaction, tables, file, taken).await,
        };
        let written = loaded.map_err(|error| LoadError::Copy { error, from, pace })?;
        refuse_other_shape(&mut transaction, tables, failed).await?;
        record(&mut transaction, self.claim, from, taken, &written, self.limits).await?;
        self.sent_keys = std::mem::take(&mut taken.keys);
        transaction.commit().await.map_err(failed)?;
        let refused = if is_careful { taken.counts.quarantined - refused_before } else { 0 };
        if refused > 0 {
            // The transaction is over; whether the load is, is judged after each of them.
            (intake.is_over)(0, refused);
        }
        Ok(refused)
    }
}

/// Rows that were encoded for other types may be stored as something else.
///
/// Asked when they are stored: from then on the tables are locked against a change.
async fn refuse_other_shape(
    connection: &mut PgConnection,
    tables: &[TableLoad],
    failed: impl Fn(sqlx::Error) -> LoadError,
) -> Result<(), LoadError> {
    match shape::changed(connection, tables).await.map_err(failed)? {
        None => Ok(()),
        Some(table) => Err(LoadError::TableChanged { table }),
    }
}

/// Writes what goes into the ledger with the rows.
async fn record(
    connection: &mut PgConnection,
    claim: &ClaimedSplit,
    from: Position,
    taken: &Taken,
    written: &[u64],
    limits: CommitLimits,
) -> Result<(), LedgerError> {
    quarantine::insert(connection, claim.split_id, &taken.quarantined).await?;
    if !taken.claims.is_empty() {
        claims::insert(connection, claim.split_id, &taken.claims).await?;
    }
    // The fence comes last: a worker that hangs in the middle of COPY does not
    // hold the lock by which its split is taken over once its lease ends.
    splits::fence(connection, claim.split_id, claim.epoch, from).await?;
    let advance = Advance {
        from,
        next: taken.end,
        loaded: taken.counts.loaded,
        quarantined: taken.counts.quarantined,
        filtered: taken.counts.filtered,
        written,
        worker: claim.worker,
        lease_seconds: limits.lease_seconds,
    };
    splits::advance(connection, claim.split_id, claim.epoch, &advance).await
}
