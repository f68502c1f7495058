//! Drives one split through the stages; the only room that knows their order.
//!
//! Three things happen at once: the next batch arrives, the one before it goes
//! through the stages, and the ones before that are sent to PostgreSQL. Bounded
//! channels between them keep memory flat.

use std::sync::Arc;

use arrow_schema::ArrowError;
use ferry::host::shutdown::Shutdown;
use ferry::position::Position;
use ferry::schema::Column;
use sqlx::PgConnection;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinHandle, JoinSet};

use crate::cache::Filler;
use crate::check::{CheckFailure, Checker};
use crate::clean::Cleaner;
use crate::ledger::splits::ClaimedSplit;
use crate::load::commit::{Chunk, CommitLimits, Committed, Committer, CopyError, LoadError};
use crate::load::copy::EncodeError;
use crate::load::table::TableLoad;
use crate::pseudonym::Pseudonymiser;
use crate::receive::{Misfit, Raw, Receiver, Source, SourceError};
use crate::stage::{Batch, Origin, Pace};
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

impl PipelineError {
    /// Whether a swift load met a row that PostgreSQL refuses: a careful one can tell which.
    pub(crate) fn refuses_row(&self) -> bool {
        matches!(self, Self::Load(error) if error.refuses_row())
    }
}

/// What a batch goes through between the source and the targets.
pub(crate) struct Stages {
    /// Columns asked of the source.
    pub(crate) source_columns: Vec<Column>,
    /// What becomes of rows of a file whose columns are others.
    pub(crate) misfit: Misfit,
    /// How texts are cleaned.
    pub(crate) cleaner: Cleaner,
    /// What rows are checked against.
    pub(crate) checker: Checker,
    /// What becomes of personal data.
    pub(crate) pseudonymiser: Pseudonymiser,
    /// What becomes of rows and columns before they are loaded.
    pub(crate) transformer: Transformer,
    /// How rows are loaded into each table of the job.
    pub(crate) tables: Vec<TableLoad>,
}

impl Stages {
    /// Takes a batch through every stage but the last.
    pub(crate) fn prepare(
        &self,
        batch: Batch<Raw>,
        origin: &Origin,
    ) -> Result<Batch<Loadable>, PipelineError> {
        self.make_loadable(batch, origin, Pace::Swift)
    }

    fn make_loadable(
        &self,
        batch: Batch<Raw>,
        origin: &Origin,
        pace: Pace,
    ) -> Result<Batch<Loadable>, PipelineError> {
        let batch = self.cleaner.clean(batch)?;
        let batch = self.checker.check(batch, origin)?;
        let batch = self.pseudonymiser.pseudonymise(batch)?;
        Ok(self.transformer.transform(batch, pace)?)
    }

    /// Takes a batch through every stage, into tuples for careful loading.
    ///
    /// `rows_before` is added to the number of each row in its file, see
    /// [`TableLoad::encode`].
    pub(crate) fn process(
        &self,
        batch: Batch<Raw>,
        origin: &Origin,
        rows_before: u64,
    ) -> Result<Chunk, PipelineError> {
        let batch = self.make_loadable(batch, origin, Pace::Careful)?;
        self.encode(batch, Pace::Careful, rows_before, vec![Vec::new(); self.tables.len()])
    }

    fn encode(
        &self,
        batch: Batch<Loadable>,
        pace: Pace,
        rows_before: u64,
        mut tuples: Vec<Vec<u8>>,
    ) -> Result<Chunk, PipelineError> {
        for (table, tuples) in self.tables.iter().zip(&mut tuples) {
            table.encode(&batch, pace, rows_before, tuples)?;
        }
        let cached_keys = self.tables.iter().filter_map(|table| table.cached_keys(&batch));
        Ok(Chunk {
            cached_keys: cached_keys.collect(),
            tuples,
            rows: batch.rows.places.len() as u64,
            filtered: batch.filtered,
            end: batch.end(),
            quarantined: batch.quarantined,
            claims: batch.claims,
            places: batch.rows.places,
            evidence: batch.evidence,
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
    pub(crate) pace: Pace,
    /// Hears of the keys of committed rows that are cached.
    pub(crate) filler: Option<&'a Filler>,
}

/// How a load of a split ended without an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LoadEnd {
    /// With the end of the split.
    Whole,
    /// Because a stop was requested.
    Stopped,
    /// Careful as it was, it has met no refused row for a while: go on swiftly from here.
    Clean(Position),
}

impl SplitLoad<'_> {
    /// Loads the split from the ledger's position on, to its end or until a stop is requested.
    ///
    /// `is_over` hears of the rows read and refused for each chunk, and may end
    /// the transaction; `on_commit` hears of every transaction, and may end the
    /// load with an error.
    pub(crate) async fn run<E: From<PipelineError>>(
        self,
        mut is_over: impl FnMut(u64, u64) -> bool + Send,
        mut on_commit: impl FnMut(&Committed) -> Result<(), E> + Send,
    ) -> Result<LoadEnd, E> {
        let position = self.claim.next;
        let Stages { source_columns, misfit, tables, .. } = &**self.stages;
        let header = self.claim.header.as_deref();
        let split = &self.claim.split;
        let opened = self.source.read(split, position, source_columns, header, misfit).await;
        let Steps { mut chunks, receiving, processing } =
            Steps::begin(opened.map_err(PipelineError::from)?, self.stages, self.claim, self.pace);
        let mut committer = Committer {
            connection: self.connection,
            claim: self.claim,
            tables,
            limits: self.limits,
            position,
            pace: self.pace,
            sent_keys: Vec::new(),
        };
        let mut clean_from = position;
        while let Some(first) = first_chunk(&mut chunks, self.shutdown).await {
            let outcome = committer.commit(first, &mut chunks, self.shutdown, &mut is_over).await;
            let keys = std::mem::take(&mut committer.sent_keys);
            if let Some(filler) = self.filler.filter(|_| !keys.is_empty()) {
                filler.hand_over(keys).await;
            }
            let Committed { end, refused } = outcome.map_err(PipelineError::from)?;
            on_commit(&Committed { end, refused })?;
            if refused > 0 {
                clean_from = end;
            }
            let clean_bytes = end.byte_offset - clean_from.byte_offset;
            // A swift transaction that fails is in vain. This pays for it in advance.
            let is_clean = self.pace == Pace::Careful && clean_bytes >= self.limits.bytes;
            if is_clean && end != split.end {
                return Ok(LoadEnd::Clean(end));
            }
        }
        if self.shutdown.is_requested() {
            return Ok(LoadEnd::Stopped);
        }
        finish(receiving, processing).await?;
        Ok(LoadEnd::Whole)
    }
}

/// The steps before the load, at work.
struct Steps {
    chunks: mpsc::Receiver<Chunk>,
    /// Ends with whoever holds it: a source that hangs must not keep a stream.
    receiving: JoinSet<Result<(), SourceError>>,
    processing: JoinHandle<Result<(), PipelineError>>,
}

impl Steps {
    fn begin(receiver: Receiver, stages: &Arc<Stages>, claim: &ClaimedSplit, pace: Pace) -> Self {
        let (batch_sender, batches) = mpsc::channel(CHANNEL_BATCHES);
        let (chunk_sender, chunks) = mpsc::channel(CHANNEL_BATCHES);
        let mut receiving = JoinSet::new();
        receiving.spawn(receive_all(receiver, batch_sender));
        let stages = Arc::clone(stages);
        let origin = Origin { file: claim.split.file.clone(), split: claim.split_id };
        let processing = tokio::task::spawn_blocking(move || {
            process_all(&stages, &origin, pace, batches, &chunk_sender)
        });
        Self { chunks, receiving, processing }
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
    mut receiving: JoinSet<Result<(), SourceError>>,
    processing: JoinHandle<Result<(), PipelineError>>,
) -> Result<(), PipelineError> {
    processing.await??;
    if let Some(received) = receiving.join_next().await {
        received??;
    }
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
    pace: Pace,
    mut batches: mpsc::Receiver<Batch<Raw>>,
    chunks: &mpsc::Sender<Chunk>,
) -> Result<(), PipelineError> {
    let mut tuple_bytes = vec![0; stages.tables.len()];
    while let Some(batch) = batches.blocking_recv() {
        // The next batch is probably as large as the one before it.
        let tuples = tuple_bytes.iter().map(|bytes| Vec::with_capacity(*bytes)).collect();
        let batch = stages.make_loadable(batch, origin, pace)?;
        let chunk = stages.encode(batch, pace, 0, tuples)?;
        tuple_bytes = chunk.tuples.iter().map(Vec::len).collect();
        if chunks.blocking_send(chunk).is_err() {
            break;
        }
    }
    Ok(())
}
