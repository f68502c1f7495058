//! A job made ready for verbs that move single rows: both ends connected, stages made.

use std::sync::Arc;

use sqlx::PgConnection;

use super::prepare::{self, APPLICATION_NAME};
use super::stages::stages;
use crate::check::CheckFailure;
use crate::columns::columns_json;
use crate::database;
use crate::error::ClientError;
use crate::job::Job;
use crate::key::PseudonymKey;
use crate::ledger::{RunId, claims, runs};
use crate::pipeline::Stages;
use crate::receive::{self, Source};

/// A job made ready.
pub(crate) struct Workplace {
    /// The source host.
    pub(crate) source: Source,
    /// The destination, ledger and tables in place.
    pub(crate) connection: PgConnection,
    /// What each batch goes through.
    pub(crate) stages: Arc<Stages>,
}

/// Connects both ends, makes ledger and tables ready, and compiles every rule.
pub(crate) async fn open_workplace(job: &Job) -> Result<Workplace, ClientError> {
    let key = job.pii_key_file.as_deref().map(PseudonymKey::read).transpose()?;
    let mut connection = database::connect(&job.database_url, APPLICATION_NAME).await?;
    let mut source = receive::connect(&job.source).await?;
    let plan = prepare::prepare(job, &mut source, &mut connection, key.as_ref()).await?;
    let stages = Arc::new(stages(job, &plan)?);
    // As for a run: what was pseudonymised stays so, under the same key.
    let key_id = key.as_ref().map(PseudonymKey::id);
    let columns = columns_json(&plan);
    runs::refuse_unsafe_change(&mut connection, &job.name, &columns, key_id.as_deref()).await?;
    Ok(Workplace { source, connection, stages })
}

impl Workplace {
    /// Takes up the values that a run has met in columns that must be unique.
    pub(crate) async fn seed_claims(&mut self, run_id: RunId) -> Result<(), ClientError> {
        seed_claims(&mut self.connection, run_id, &self.stages).await
    }
}

/// Takes up the values that a run has met in columns that must be unique.
pub(super) async fn seed_claims(
    connection: &mut PgConnection,
    run_id: RunId,
    stages: &Stages,
) -> Result<(), ClientError> {
    if stages.checker.unique_columns().is_empty() {
        return Ok(());
    }
    stages.checker.forget_claims();
    let remember = |column: &str, split, entries: &[u8]| -> Result<(), CheckFailure> {
        stages.checker.remember(column, split, entries)
    };
    claims::for_each_of_run(connection, run_id, remember).await
}
