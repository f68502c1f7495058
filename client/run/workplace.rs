//! A job made ready for verbs that move single rows: both ends connected, stages made.

use std::sync::Arc;
use std::time::Duration;

use sqlx::{Connection as _, PgConnection};

use super::options::{Missing, Reload, RunOptions};
use super::prepare::{self, APPLICATION_NAME, Prepared};
use crate::check::CheckFailure;
use crate::columns::{SourceColumn, columns_json};
use crate::database;
use crate::error::ClientError;
use crate::job::Job;
use crate::key::PseudonymKey;
use crate::ledger::runs::{OldRules, RunChoice};
use crate::ledger::{LedgerError, RunId, claims, runs, workers};
use crate::pipeline::Stages;
use crate::receive::{self, Source};

/// How often a session asks whether another one has let go of a run.
const HOLD_INTERVAL: Duration = Duration::from_millis(200);

/// A job made ready.
pub(crate) struct Workplace {
    /// The source host.
    pub(crate) source: Source,
    /// The destination, ledger and tables in place.
    pub(crate) connection: PgConnection,
    /// What each batch goes through.
    pub(crate) stages: Arc<Stages>,
    /// What becomes of each column, as the ledger notes it.
    pub(crate) columns: String,
    /// Key of the pseudonyms.
    pub(crate) key_id: Option<String>,
    /// Whether personal values must be unique.
    has_keyed_claims: bool,
}

/// Connects both ends, makes ledger and tables ready, and compiles every rule.
pub(crate) async fn open_workplace(job: &Job) -> Result<Workplace, ClientError> {
    let key = job.pii_key_file.as_deref().map(PseudonymKey::read).transpose()?;
    let mut connection = database::connect(&job.database_url, APPLICATION_NAME).await?;
    let mut source = receive::connect(&job.source).await?;
    // Nothing new is looked for: the columns are those that the last run knew.
    let options = RunOptions {
        old_rules: OldRules::Keep,
        choice: RunChoice::Current,
        reload: Reload::Changed,
        since_unix_nanos: None,
        missing: Missing::Await,
    };
    let Prepared { survey, stages } =
        prepare::prepare(job, &options, &mut source, &mut connection, key.as_ref()).await?;
    let (stages, plan) = (Arc::new(stages), survey.columns);
    // As for a run: what was pseudonymised stays so, under the same key.
    let key_id = key.as_ref().map(PseudonymKey::id);
    let columns = columns_json(&plan);
    runs::refuse_unsafe_change(&mut connection, &job.name, &columns, key_id.as_deref()).await?;
    let has_keyed_claims = plan.sources.iter().any(SourceColumn::has_keyed_claims);
    Ok(Workplace { source, connection, stages, columns, key_id, has_keyed_claims })
}

impl Workplace {
    /// Connects to the destination anew: after an error nothing is known of a connection.
    pub(crate) async fn reconnect(&mut self, job: &Job) -> Result<(), ClientError> {
        let connection = database::connect(&job.database_url, APPLICATION_NAME).await?;
        let broken = std::mem::replace(&mut self.connection, connection);
        // Its locks go with it, so that it does not stand in its own way.
        let _ = broken.close_hard().await;
        Ok(())
    }

    /// Makes sure that nobody else loads rows of a run whose values must be
    /// unique, and takes up what the run has met.
    pub(crate) async fn seed_claims(&mut self, run_id: RunId) -> Result<(), ClientError> {
        if self.stages.checker.unique_columns().is_empty() {
            return Ok(());
        }
        if self.has_keyed_claims && runs::key_of(&mut self.connection, run_id).await? != self.key_id
        {
            return Err(LedgerError::ClaimsOfOtherKey { run: run_id }.into());
        }
        hold_unique(&mut self.connection, run_id).await?;
        seed_claims(&mut self.connection, run_id, &self.stages).await
    }
}

/// Waits until no other session loads rows of a run whose values must be unique.
pub(super) async fn hold_unique(
    connection: &mut PgConnection,
    run_id: RunId,
) -> Result<(), ClientError> {
    let mut is_waiting = false;
    while !claims::try_hold(connection, run_id).await? {
        if !std::mem::replace(&mut is_waiting, true) {
            tracing::info!("a check for unique values needs one worker: waiting for the other one");
        }
        // One that stands still would hold it for ever.
        workers::end_lapsed(connection, run_id).await?;
        tokio::time::sleep(HOLD_INTERVAL).await;
    }
    Ok(())
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
