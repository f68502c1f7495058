//! Commits chunks: rows, rejects and the ledger's position in one transaction.
//!
//! Invariant: the position in the ledger moves if and only if the rows before
//! it are in the target or in quarantine. After an error nothing is known of
//! the connection: it must be dropped, and the ledger read on a new one.

use std::time::Duration;

use ferry::host::shutdown::Shutdown;
use ferry::position::Position;
use sqlx::{Connection as _, PgConnection};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::copy::{HEADER, TRAILER};
use crate::database::StatementError;
use crate::ledger::LedgerError;
use crate::ledger::quarantine::{self, QuarantinedRow};
use crate::ledger::splits::{self, Advance, ClaimedSplit};

/// Rows that follow each other in a split, ready to be sent.
pub(crate) struct Chunk {
    /// Tuples of a binary COPY, without header and trailer.
    pub(crate) tuples: Vec<u8>,
    /// Number of tuples.
    pub(crate) rows: u64,
    /// Rows that a filter took out.
    pub(crate) filtered: u64,
    /// Rows that were refused.
    pub(crate) quarantined: Vec<QuarantinedRow>,
    /// Place after the last record of the chunk.
    pub(crate) end: Position,
}

/// Rows by where they went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Rows in the target.
    pub(crate) loaded: u64,
    /// Rows in quarantine.
    pub(crate) quarantined: u64,
    /// Rows that a filter took out.
    pub(crate) filtered: u64,
}

/// What one transaction wrote.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Committed {
    /// Position in the ledger now.
    pub(crate) end: Position,
    /// Rows by where they went.
    pub(crate) counts: Counts,
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
    },
    /// The ledger refused.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// PostgreSQL stored another number of rows than it was sent.
    #[error(
        "accounts do not close: {sent} rows were sent, PostgreSQL stored {stored}: does a trigger or rule of the table drop rows?"
    )]
    Unaccounted {
        /// Rows sent.
        sent: u64,
        /// Rows that PostgreSQL says it stored.
        stored: u64,
    },
}

/// Loads the chunks of one claimed split.
pub(crate) struct Committer<'a> {
    pub(crate) connection: &'a mut PgConnection,
    pub(crate) claim: &'a ClaimedSplit,
    pub(crate) copy_statement: &'a str,
    pub(crate) limits: CommitLimits,
    /// Last committed position.
    pub(crate) position: Position,
}

impl Committer<'_> {
    /// Commits `first` and what follows it, as much as the limits allow.
    pub(crate) async fn commit(
        &mut self,
        first: Chunk,
        chunks: &mut mpsc::Receiver<Chunk>,
        shutdown: &mut Shutdown,
    ) -> Result<Committed, LoadError> {
        let from = self.position;
        let failed = |error: sqlx::Error| LoadError::Database { error: error.into(), from };
        let mut transaction = self.connection.begin().await.map_err(failed)?;
        let mut copied = Copied { end: first.end, counts: Counts::default(), refused: Vec::new() };
        let mut copy = transaction.copy_in_raw(self.copy_statement).await.map_err(failed)?;
        copy.send(HEADER).await.map_err(failed)?;
        let deadline = Instant::now() + self.limits.interval;
        let mut bytes_sent = 0;
        let mut next = Some(first);
        while let Some(chunk) = next {
            bytes_sent += chunk.tuples.len() as u64 + quarantine::bytes(&chunk.quarantined);
            copy.send(chunk.tuples.as_slice()).await.map_err(failed)?;
            copied.take(chunk);
            next = None;
            if bytes_sent < self.limits.bytes {
                next = next_chunk(chunks, deadline, shutdown).await;
            }
        }
        copy.send(TRAILER).await.map_err(failed)?;
        let stored = copy.finish().await.map_err(failed)?;
        if stored != copied.counts.loaded {
            return Err(LoadError::Unaccounted { sent: copied.counts.loaded, stored });
        }
        let Copied { end, counts, refused } = copied;
        quarantine::insert(&mut transaction, self.claim.split_id, &refused).await?;
        // The fence comes last: a worker that hangs in the middle of COPY holds
        // no lock, so that another can take the split over once its lease ends.
        splits::fence(&mut transaction, self.claim.split_id, self.claim.epoch, from).await?;
        let advance = Advance {
            next: end,
            loaded: counts.loaded,
            quarantined: counts.quarantined,
            filtered: counts.filtered,
            lease_seconds: self.limits.lease_seconds,
        };
        splits::advance(&mut transaction, self.claim.split_id, self.claim.epoch, advance).await?;
        transaction.commit().await.map_err(failed)?;
        self.position = end;
        Ok(Committed { end, counts })
    }
}

/// What a transaction has taken up so far.
struct Copied {
    end: Position,
    counts: Counts,
    refused: Vec<QuarantinedRow>,
}

impl Copied {
    fn take(&mut self, mut chunk: Chunk) {
        self.end = chunk.end;
        self.counts.loaded += chunk.rows;
        self.counts.quarantined += chunk.quarantined.len() as u64;
        self.counts.filtered += chunk.filtered;
        self.refused.append(&mut chunk.quarantined);
    }
}

/// The next chunk, unless it is time to commit.
async fn next_chunk(
    chunks: &mut mpsc::Receiver<Chunk>,
    deadline: Instant,
    shutdown: &mut Shutdown,
) -> Option<Chunk> {
    tokio::select! {
        biased;
        () = shutdown.requested() => None,
        chunk = chunks.recv() => chunk,
        () = tokio::time::sleep_until(deadline) => None,
    }
}
