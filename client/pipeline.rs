//! Drives one split through the stages; the only room that knows their order.
//!
//! Three things happen at once: the next batch arrives, the one before it goes
//! through the stages, and the ones before that are sent to PostgreSQL. Bounded
//! channels between them keep memory flat.

use std::sync::Arc;

use arrow_schema::ArrowError;
use ferry::host::shutdown::Shutdown;
use ferry::schema::Column;
use sqlx::PgConnection;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinHandle};

use crate::check::{CheckFailure, Checker};
use crate::clean::Cleaner;
use crate::ledger::splits::ClaimedSplit;
use crate::load::commit::{Chunk, CommitLimits, Committed, Committer, CopyError, LoadError};
use crate::load::copy::{EncodeError, TableCopy};
use crate::pseudonym::Pseudonymiser;
use crate::receive::{Raw, Receiver, Source, SourceError};
use crate::stage::{Batch, Origin};
use crate::transform::{Loadable, Transformer};

/// Batches that wait between two steps.
const CHANNEL_BATCHES: usize = 4;

/// A split that could not be loaded to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum PipelineError {
    /// The source failed.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The target failed.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A table did not take its rows.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// A check ends the run.
    #[error(transparent)]
    Check(#[from] CheckFailure),
    /// A batch does not fit the target.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// A batch does not fit its schema.
    #[error("a batch does not fit the columns that were planned: this is a defect of ferry")]
    Arrow(#[from] ArrowError),
    /// A step panicked.
    #[error("a step of the pipeline ended unexpectedly: this is a defect of ferry")]
    Broken(#[from] JoinError),
}

/// What a batch goes through between the source and the targets.
pub(crate) struct Stages {
    /// Columns asked of the source.
    pub(crate) source_columns: Vec<Column>,
    /// How texts are cleaned.
    pub(crate) cleaner: Cleaner,
    /// What rows are checked against.
    pub(crate) checker: Checker,
    /// What becomes of personal data.
    pub(crate) pseudonymiser: Pseudonymiser,
    /// What becomes of rows and columns before they are loaded.
    pub(crate) transformer: Transformer,
    /// How rows are written for each table of the job.
    pub(crate) tables: Vec<TableCopy>,
}

impl Stages {
    /// Takes a batch through every stage but the last.
    pub(crate) fn prepare(
        &self,
        batch: Batch<Raw>,
        origin: &Origin,
    ) -> Result<Batch<Loadable>, PipelineError> {
        let batch = self.cleaner.clean(batch)?;
        let batch = self.checker.check(batch, origin)?;
        let batch = self.pseudonymiser.pseudonymise(batch)?;
        Ok(self.transformer.transform(batch)?)
    }

    /// Takes a batch through every stage, into tuples for each table.
    pub(crate) fn process(
        &self,
        batch: Batch<Raw>,
        origin: &Origin,
    ) -> Result<Chunk, PipelineError> {
        self.process_into(batch, origin, vec![Vec::new(); self.tables.len()])
    }

    fn process_into(
        &self,
        batch: Batch<Raw>,
        origin: &Origin,
        mut tuples: Vec<Vec<u8>>,
    ) -> Result<Chunk, PipelineError> {
        let batch = self.prepare(batch, origin)?;
        for (table, tuples) in self.tables.iter().zip(&mut tuples) {
            table.encode(&batch, tuples)?;
        }
        Ok(Chunk {
            tuples,
            rows: batch.rows.places.len() as u64,
            filtered: batch.filtered,
            end: batch.end(),
            quarantined: batch.quarantined,
            claims: batch.claims,
            places: batch.rows.places,
        })
    }
}

/// What a split is loaded with.
pub(crate) struct SplitLoad<'a> {
    pub(crate) source: &'a mut Source,
    pub(crate) connection: &'a mut PgConnection,
    pub(crate) claim: &'a ClaimedSplit,
    pub(crate) stages: &'a Arc<Stages>,
    pub(crate) limits: CommitLimits,
    pub(crate) shutdown: &'a mut Shutdown,
}

impl SplitLoad<'_> {
    /// Loads the split from the ledger's position on, to its end or until a stop is requested.
    ///
    /// `is_over` hears of the rows read and refused for each chunk, and may end
    /// the transaction; `on_commit` hears of every transaction, and may end the
    /// load with an error.
    pub(crate) async fn run<E: From<PipelineError>>(
        self,
        mut is_over: impl FnMut(u64, u64) -> bool,
        mut on_commit: impl FnMut(&Committed) -> Result<(), E>,
    ) -> Result<(), E> {
        let position = self.claim.next;
        let columns = &self.stages.source_columns;
        let opened = self.source.read(&self.claim.split, position, columns).await;
        let receiver = opened.map_err(PipelineError::from)?;
        let (batch_sender, batches) = mpsc::channel(CHANNEL_BATCHES);
        let (chunk_sender, mut chunks) = mpsc::channel(CHANNEL_BATCHES);
        let receiving = tokio::spawn(receive_all(receiver, batch_sender));
        let stages = Arc::clone(self.stages);
        let origin = Origin { file: self.claim.split.file.clone(), split: self.claim.split_id };
        let processing = tokio::task::spawn_blocking(move || {
            process_all(&stages, &origin, batches, &chunk_sender)
        });
        let mut committer = Committer {
            connection: self.connection,
            claim: self.claim,
            tables: &self.stages.tables,
            limits: self.limits,
            position,
        };
        while let Some(first) = first_chunk(&mut chunks, self.shutdown).await {
            let outcome = committer.commit(first, &mut chunks, self.shutdown, &mut is_over).await;
            on_commit(&outcome.map_err(PipelineError::from)?)?;
        }
        if self.shutdown.is_requested() {
            receiving.abort();
            return Ok(());
        }
        finish(receiving, processing).await.map_err(E::from)
    }
}

/// The chunk that a transaction begins with, unless the split or the time is over.
async fn first_chunk(chunks: &mut mpsc::Receiver<Chunk>, shutdown: &mut Shutdown) -> Option<Chunk> {
    tokio::select! {
        biased;
        () = shutdown.requested() => None,
        chunk = chunks.recv() => chunk,
    }
}

/// What stopped the steps before the load, if anything did.
async fn finish(
    receiving: JoinHandle<Result<(), SourceError>>,
    processing: JoinHandle<Result<(), PipelineError>>,
) -> Result<(), PipelineError> {
    processing.await??;
    receiving.await??;
    Ok(())
}

async fn receive_all(
    mut receiver: Receiver,
    batches: mpsc::Sender<Batch<Raw>>,
) -> Result<(), SourceError> {
    while let Some(batch) = receiver.next().await? {
        if batches.send(batch).await.is_err() {
            // The load ended first and says why.
            break;
        }
    }
    Ok(())
}

fn process_all(
    stages: &Stages,
    origin: &Origin,
    mut batches: mpsc::Receiver<Batch<Raw>>,
    chunks: &mpsc::Sender<Chunk>,
) -> Result<(), PipelineError> {
    let mut tuple_bytes = vec![0; stages.tables.len()];
    while let Some(batch) = batches.blocking_recv() {
        // The next batch is probably as large as the one before it.
        let tuples = tuple_bytes.iter().map(|bytes| Vec::with_capacity(*bytes)).collect();
        let chunk = stages.process_into(batch, origin, tuples)?;
        tuple_bytes = chunk.tuples.iter().map(Vec::len).collect();
        if chunks.blocking_send(chunk).is_err() {
            break;
        }
    }
    Ok(())
}
