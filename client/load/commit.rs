//! Commits chunks: rows of every target, rejects and the ledger's position in one transaction.
//!
//! Invariant: the position in the ledger moves if and only if the rows before
//! it are in all targets or in quarantine. After an error nothing is known of
//! the connection: it must be dropped, and the ledger read on a new one. One
//! connection does one COPY at a time, so that rows go to the first table as
//! they come, and wait here for the others: no more than a transaction's bytes.

use std::time::Duration;

use ferry::host::shutdown::Shutdown;
use ferry::position::{Place, Position};
use sqlx::{Connection as _, PgConnection};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::copy::TableCopy;
use super::send::{OpenCopy, copy_parts};
use crate::database::StatementError;
use crate::ledger::quarantine::{self, QuarantinedRow};
use crate::ledger::splits::{self, Advance, ClaimedSplit};
use crate::ledger::{LedgerError, claims};
use crate::stage::Claim;

pub(crate) use super::send::{CopyError, copy_tuples};

/// Rows that follow each other in a split, ready to be sent.
pub(crate) struct Chunk {
    /// Tuples of a binary COPY for each table of the job, without header and trailer.
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
    /// Place after the last record of the chunk.
    pub(crate) end: Position,
}

impl Chunk {
    /// About how many bytes the chunk takes until its transaction is committed.
    fn bytes(&self) -> u64 {
        let tuples: usize = self.tuples.iter().map(Vec::len).sum();
        let claims: usize = self.claims.iter().map(|claim| claim.entries.len()).sum();
        (tuples + claims) as u64 + quarantine::bytes(&self.quarantined)
    }
}

/// Rows by where they went: tables, quarantine, or out by the filter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counts {
    loaded: u64,
    quarantined: u64,
    filtered: u64,
}

/// How far a transaction came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Committed {
    /// Position in the ledger now.
    pub(crate) end: Position,
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
    /// A table did not take its rows.
    #[error("rows after {from}: {error}")]
    Copy {
        /// Which table, and what happened.
        error: CopyError,
        /// Last committed position.
        from: Position,
    },
    /// The ledger refused.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// There is nowhere to load to.
    #[error("the job names no table: add a [[target]]")]
    NoTable,
}

/// Loads the chunks of one claimed split.
pub(crate) struct Committer<'a> {
    pub(crate) connection: &'a mut PgConnection,
    pub(crate) claim: &'a ClaimedSplit,
    /// Tables of the job in its order; each takes every row.
    pub(crate) tables: &'a [TableCopy],
    pub(crate) limits: CommitLimits,
    /// Last committed position.
    pub(crate) position: Position,
}

impl Committer<'_> {
    /// Commits `first` and what follows it, as much as the limits allow.
    ///
    /// `is_over` hears of every chunk, by the records read for it and how many
    /// of them were refused. If it says so, the transaction ends with that
    /// chunk: the evidence is committed, and the rest of the split never read.
    pub(crate) async fn commit(
        &mut self,
        first: Chunk,
        chunks: &mut mpsc::Receiver<Chunk>,
        shutdown: &mut Shutdown,
        is_over: &mut dyn FnMut(u64, u64) -> bool,
    ) -> Result<Committed, LoadError> {
        let from = self.position;
        let failed = |error: sqlx::Error| LoadError::Database { error: error.into(), from };
        let refused = |error: CopyError| LoadError::Copy { error, from };
        let (first_table, later_tables) = self.tables.split_first().ok_or(LoadError::NoTable)?;
        let deadline = Instant::now() + self.limits.interval;
        let bytes_max = self.limits.bytes;
        let mut intake = Intake { chunks, shutdown, is_over, deadline, bytes_max };
        let mut taken = Taken::new(from, later_tables.len());
        let mut transaction = self.connection.begin().await.map_err(failed)?;
        stream(&mut transaction, first_table, first, &mut intake, &mut taken)
            .await
            .map_err(refused)?;
        // In the order of the job, so that a row may refer to one of an earlier table.
        let rows = taken.counts.loaded;
        for (table, tuples) in later_tables.iter().zip(std::mem::take(&mut taken.kept)) {
            let parts: Vec<&[u8]> = tuples.iter().map(Vec::as_slice).collect();
            copy_parts(&mut transaction, table, &parts, rows).await.map_err(refused)?;
        }
        record(&mut transaction, self.claim, from, &taken, self.limits.lease_seconds).await?;
        transaction.commit().await.map_err(failed)?;
        self.position = taken.end;
        Ok(Committed { end: taken.end })
    }
}

/// Sends chunks to the first table as they come; what is for the others waits in `taken`.
async fn stream(
    connection: &mut PgConnection,
    table: &TableCopy,
    first: Chunk,
    intake: &mut Intake<'_>,
    taken: &mut Taken,
) -> Result<(), CopyError> {
    let mut copy = OpenCopy::begin(connection, table).await?;
    let mut next = Some(first);
    while let Some(chunk) = next {
        let is_last = intake.is_last(&chunk, taken);
        copy.send(&taken.take(chunk)).await?;
        next = if is_last { None } else { intake.next().await };
    }
    copy.finish(taken.counts.loaded).await
}

/// Writes what goes into the ledger with the rows.
async fn record(
    connection: &mut PgConnection,
    claim: &ClaimedSplit,
    from: Position,
    taken: &Taken,
    lease_seconds: i32,
) -> Result<(), LedgerError> {
    quarantine::insert(connection, claim.split_id, &taken.refused).await?;
    if !taken.claims.is_empty() {
        claims::insert(connection, claim.split_id, &taken.claims).await?;
    }
    // The fence comes last: a worker that hangs in the middle of COPY holds
    // no lock, so that another can take the split over once its lease ends.
    splits::fence(connection, claim.split_id, claim.epoch, from).await?;
    let advance = Advance {
        next: taken.end,
        loaded: taken.counts.loaded,
        quarantined: taken.counts.quarantined,
        filtered: taken.counts.filtered,
        lease_seconds,
    };
    splits::advance(connection, claim.split_id, claim.epoch, advance).await
}

/// Where a transaction takes its chunks from, and when it takes no more.
struct Intake<'a> {
    chunks: &'a mut mpsc::Receiver<Chunk>,
    shutdown: &'a mut Shutdown,
    is_over: &'a mut dyn FnMut(u64, u64) -> bool,
    deadline: Instant,
    bytes_max: u64,
}

impl Intake<'_> {
    /// Whether the transaction ends with this chunk, which follows what is taken.
    fn is_last(&mut self, chunk: &Chunk, taken: &Taken) -> bool {
        let read = chunk.end.row_number.saturating_sub(taken.end.row_number);
        let is_over = (self.is_over)(read, chunk.quarantined.len() as u64);
        is_over || taken.bytes + chunk.bytes() >= self.bytes_max
    }

    /// The next chunk, unless it is time to commit.
    async fn next(&mut self) -> Option<Chunk> {
        tokio::select! {
            biased;
            () = self.shutdown.requested() => None,
            chunk = self.chunks.recv() => chunk,
            () = tokio::time::sleep_until(self.deadline) => None,
        }
    }
}

/// What a transaction has taken up so far.
struct Taken {
    end: Position,
    counts: Counts,
    bytes: u64,
    /// Tuples of each table but the first, one part a chunk.
    kept: Vec<Vec<Vec<u8>>>,
    refused: Vec<QuarantinedRow>,
    /// Digests by column.
    claims: Vec<(String, Vec<u8>)>,
}

impl Taken {
    fn new(from: Position, later_tables: usize) -> Self {
        Self {
            end: from,
            counts: Counts::default(),
            bytes: 0,
            kept: vec![Vec::new(); later_tables],
            refused: Vec::new(),
            claims: Vec::new(),
        }
    }

    /// Takes a chunk up, and gives its tuples for the first table.
    fn take(&mut self, mut chunk: Chunk) -> Vec<u8> {
        debug_assert_eq!(chunk.rows, chunk.places.len() as u64, "each tuple has its place");
        self.bytes += chunk.bytes();
        self.end = chunk.end;
        self.counts.loaded += chunk.rows;
        self.counts.quarantined += chunk.quarantined.len() as u64;
        self.counts.filtered += chunk.filtered;
        self.refused.append(&mut chunk.quarantined);
        for claim in chunk.claims {
            self.take_claim(claim);
        }
        let mut tuples = chunk.tuples.into_iter();
        // A table that is sent too little stores too little, and is found out by it.
        let streamed = tuples.next().unwrap_or_default();
        for (kept, part) in self.kept.iter_mut().zip(tuples) {
            kept.push(part);
        }
        streamed
    }

    fn take_claim(&mut self, mut claim: Claim) {
        match self.claims.iter_mut().find(|(column, _)| *column == claim.column) {
            Some((_, entries)) => entries.append(&mut claim.entries),
            None => self.claims.push((claim.column, claim.entries)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferry::reject::{Code, Reason};

    fn position(row_number: u64) -> Position {
        Position { byte_offset: row_number * 10, row_number }
    }

    fn place(row_number: u64) -> Place {
        let byte_end = row_number * 10;
        Place { row_number, byte_start: byte_end - 10, byte_end }
    }

    /// Two rows for each table, and one that was refused before them.
    fn chunk(end_row: u64, tuples: &[&[u8]], claims: &[(&str, &[u8])]) -> Chunk {
        let claim = |(column, digests): &(&str, &[u8])| Claim {
            column: (*column).to_owned(),
            entries: digests.to_vec(),
        };
        Chunk {
            tuples: tuples.iter().map(|part| part.to_vec()).collect(),
            rows: 2,
            filtered: 0,
            quarantined: vec![QuarantinedRow {
                place: place(end_row - 2),
                stage: "read",
                reasons: vec![Reason::of_record(Code::NUL_BYTE)],
                record: None,
            }],
            claims: claims.iter().map(claim).collect(),
            places: vec![place(end_row - 1), place(end_row)],
            end: position(end_row),
        }
    }

    #[test]
    fn the_first_table_is_streamed_and_the_others_wait_in_their_order() {
        let mut taken = Taken::new(position(0), 2);
        assert_eq!(taken.take(chunk(3, &[b"a1", b"b1", b"c1"], &[])), b"a1");
        assert_eq!(taken.take(chunk(6, &[b"a2", b"b2", b"c2"], &[])), b"a2");
        let part = |text: &[u8]| text.to_vec();
        assert_eq!(taken.kept, [vec![part(b"b1"), part(b"b2")], vec![part(b"c1"), part(b"c2")]]);
        assert_eq!(taken.end, position(6));
        assert_eq!(taken.counts, Counts { loaded: 4, quarantined: 2, filtered: 0 });
    }

    #[test]
    fn claims_are_joined_by_column() {
        let mut taken = Taken::new(position(0), 0);
        taken.take(chunk(3, &[b""], &[("email", b"1"), ("phone", b"2")]));
        taken.take(chunk(6, &[b""], &[("email", b"3")]));
        let expected = [("email".to_owned(), b"13".to_vec()), ("phone".to_owned(), b"2".to_vec())];
        assert_eq!(taken.claims, expected);
    }

    #[test]
    fn whatever_is_held_counts_towards_the_limit() {
        let both = chunk(3, &[&[0; 100], &[0; 50]], &[("email", &[0; 32])]);
        let refused = quarantine::bytes(&both.quarantined);
        assert_eq!(both.bytes(), 182 + refused);
        let mut taken = Taken::new(position(0), 1);
        taken.take(both);
        assert_eq!(taken.bytes, 182 + refused);
    }

    #[test]
    fn a_transaction_ends_with_the_chunk_that_fills_it_or_is_over() {
        let (_sender, mut chunks) = mpsc::channel(1);
        let (_trigger, mut shutdown) = ferry::host::shutdown::channel();
        let mut heard = Vec::new();
        let mut is_over = |read: u64, quarantined: u64| {
            heard.push((read, quarantined));
            read > 3
        };
        let chunk_bytes = chunk(3, &[b"a"], &[]).bytes();
        let mut intake = Intake {
            chunks: &mut chunks,
            shutdown: &mut shutdown,
            is_over: &mut is_over,
            deadline: Instant::now(),
            bytes_max: 2 * chunk_bytes,
        };
        let mut taken = Taken::new(position(0), 0);
        assert!(!intake.is_last(&chunk(3, &[b"a"], &[]), &taken), "half full");
        assert!(intake.is_last(&chunk(4, &[b"a"], &[]), &taken), "over");
        taken.take(chunk(3, &[b"a"], &[]));
        assert!(intake.is_last(&chunk(6, &[b"a"], &[]), &taken), "full");
        assert_eq!(heard, [(3, 1), (4, 1), (3, 1)]);
    }
}
