//! One worker's session with the database: the connection, and the lock that says it lives.

use sqlx::{Connection as _, PgConnection};

use super::prepare::APPLICATION_NAME;
use crate::database;
use crate::error::ClientError;
use crate::job::Job;
use crate::ledger::RunId;
use crate::ledger::workers::{self, WorkerId};

/// A session of a worker.
pub(super) struct Session {
    pub(super) connection: PgConnection,
    /// A new number for each session: the old one's lock may live on for a while.
    pub(super) worker: WorkerId,
}

impl Session {
    /// Connects, and takes a number.
    pub(super) async fn open(job: &Job) -> Result<Self, ClientError> {
        let mut connection = database::connect(&job.database_url, APPLICATION_NAME).await?;
        let worker = WorkerId::random()?;
        workers::hold(&mut connection, worker).await?;
        Ok(Self { connection, worker })
    }

    /// Connects, takes a number, and takes part in a run.
    pub(super) async fn join(job: &Job, run_id: RunId) -> Result<Self, ClientError> {
        let mut session = Self::open(job).await?;
        session.enter(run_id).await?;
        Ok(session)
    }

    /// Writes to the ledger who works at the run, and tells PostgreSQL's own views.
    pub(super) async fn enter(&mut self, run_id: RunId) -> Result<(), ClientError> {
        workers::join(&mut self.connection, self.worker, run_id).await?;
        let name = format!("{APPLICATION_NAME} run {run_id}");
        database::set_application_name(&mut self.connection, &name).await?;
        Ok(())
    }

    /// Leaves a connection of which nothing is known any more; its locks go with it.
    pub(super) async fn abandon(self) {
        let _ = self.connection.close_hard().await;
    }
}
