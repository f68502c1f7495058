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

use crate::check::{Checks, check};
use crate::clean::clean;
use crate::ledger::splits::ClaimedSplit;
use crate::load::commit::{Chunk, CommitLimits, Committed, Committer, LoadError};
use crate::load::copy::{CopyEncoder, EncodeError};
use crate::pseudonym::Pseudonymiser;
use crate::receive::{Raw, Receiver, Source, SourceError};
use crate::stage::Batch;
use crate::transform::transform;

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
    /// A batch does not fit the target.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// A batch does not fit its schema.
    #[error("the source sent a batch that does not fit its schema")]
    Arrow(#[from] ArrowError),
    /// A step panicked.
    #[error("a step of the pipeline ended unexpectedly: this is a defect of ferry")]
    Broken(#[from] JoinError),
}

/// What a batch goes through between the source and the target.
pub(crate) struct Stages {
    /// Columns asked of the source.
    pub(crate) source_columns: Vec<Column>,
    /// What rows are checked against.
    pub(crate) checks: Checks,
    /// What becomes of personal data.
    pub(crate) pseudonymiser: Pseudonymiser,
    /// How rows are written for the target.
    pub(crate) encoder: CopyEncoder,
}

impl Stages {
    /// Takes a batch through every stage, into `tuples`.
    fn process(&self, batch: Batch<Raw>, mut tuples: Vec<u8>) -> Result<Chunk, PipelineError> {
        let batch = clean(batch);
        let batch = check(batch, &self.checks)?;
        let batch = self.pseudonymiser.pseudonymise(batch)?;
        let batch = transform(batch);
        self.encoder.encode(&batch, &mut tuples)?;
        Ok(Chunk {
            tuples,
            rows: batch.rows.places.len() as u64,
            filtered: batch.filtered,
            end: batch.end(),
            quarantined: batch.quarantined,
        })
    }
}

/// What a split is loaded with.
pub(crate) struct SplitLoad<'a> {
    pub(crate) source: &'a mut Source,
    pub(crate) connection: &'a mut PgConnection,
    pub(crate) claim: &'a ClaimedSplit,
    pub(crate) stages: &'a Arc<Stages>,
    pub(crate) copy_statement: &'a str,
    pub(crate) limits: CommitLimits,
    pub(crate) shutdown: &'a mut Shutdown,
}

impl SplitLoad<'_> {
    /// Loads the split from the ledger's position on, to its end or until a stop is requested.
    ///
    /// `on_commit` hears of every transaction and may end the load with an error.
    pub(crate) async fn run<E: From<PipelineError>>(
        self,
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
        let processing =
            tokio::task::spawn_blocking(move || process_all(&stages, batches, &chunk_sender));
        let mut committer = Committer {
            connection: self.connection,
            claim: self.claim,
            copy_statement: self.copy_statement,
            limits: self.limits,
            position,
        };
        while let Some(first) = first_chunk(&mut chunks, self.shutdown).await {
            let outcome = committer.commit(first, &mut chunks, self.shutdown).await;
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
    mut batches: mpsc::Receiver<Batch<Raw>>,
    chunks: &mpsc::Sender<Chunk>,
) -> Result<(), PipelineError> {
    let mut tuple_bytes = 0;
    while let Some(batch) = batches.blocking_recv() {
        // The next batch is probably as large as the one before it.
        let chunk = stages.process(batch, Vec::with_capacity(tuple_bytes))?;
        tuple_bytes = chunk.tuples.len();
        if chunks.blocking_send(chunk).is_err() {
            break;
        }
    }
    Ok(())
}
