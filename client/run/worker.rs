//! One worker: claims splits, loads them, and goes on after errors that pass.
//!
//! Invariant: whatever goes wrong, the connection is dropped and the ledger is
//! asked on a new one; a COMMIT is never repeated.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ferry::host::shutdown::Shutdown;
use sqlx::PgConnection;

use super::crew::{Crew, ended_by_other};
use super::retry::Attempts;
use super::session::Session;
use super::{unless_stopped, whole_seconds, workplace};
use crate::error::{ClientError, Trouble};
use crate::ledger::runs::{self, RunState};
use crate::ledger::splits::{self, ClaimedSplit};
use crate::load::commit::{CommitLimits, Committed};
use crate::load::table::Pace;
use crate::pipeline::{LoadEnd, SplitLoad};
use crate::receive::{self, Source};

/// How often a worker looks for a split that another one gave up.
const CLAIM_INTERVAL: Duration = Duration::from_millis(200);

/// A worker of a run.
pub(super) struct Worker {
    crew: Arc<Crew>,
    source: Source,
    session: Session,
    shutdown: Shutdown,
    attempts: Attempts,
    /// How the last split was loaded.
    pace: Pace,
    /// Whether this session has the run's unique values for itself, if there are any.
    holds_unique: bool,
}

impl Worker {
    pub(super) fn new(
        crew: Arc<Crew>,
        source: Source,
        session: Session,
        shutdown: Shutdown,
    ) -> Self {
        crew.enlist(session.worker);
        let attempts = Attempts::new(crew.job.load.retries);
        Self { crew, source, session, shutdown, attempts, pace: Pace::Swift, holds_unique: false }
    }

    /// Loads splits until none of the run is left.
    pub(super) async fn run(mut self) -> Result<PgConnection, ClientError> {
        loop {
            let worked = self.work().await;
            self.crew.leases.give_up(self.session.worker);
            let Err(error) = worked else {
                return Ok(self.session.connection);
            };
            if let Err(error) = self.recover(error).await {
                self.session.abandon().await;
                return Err(error);
            }
        }
    }

    async fn work(&mut self) -> Result<(), ClientError> {
        self.hold_unique().await?;
        let mut is_waiting = false;
        loop {
            if self.shutdown.is_requested() {
                return Err(ClientError::Interrupted);
            }
            if let Some(claim) = self.claim().await? {
                self.load(claim).await?;
                self.crew.split_done.notify_waiters();
            } else if self.is_done().await? {
                return Ok(());
            } else {
                if !std::mem::replace(&mut is_waiting, true) {
                    tracing::info!("waiting for splits that another worker holds");
                }
                self.wait_for_split().await;
            }
        }
    }

    /// Makes sure that nobody else loads a run whose values must be unique, and
    /// takes up what the run has met so far.
    async fn hold_unique(&mut self) -> Result<(), ClientError> {
        if self.holds_unique || self.crew.stages.checker.unique_columns().is_empty() {
            return Ok(());
        }
        let Crew { run_id, stages, .. } = &*self.crew;
        let connection = &mut self.session.connection;
        let holding = workplace::hold_unique(connection, *run_id);
        unless_stopped(&mut self.shutdown, holding).await?;
        workplace::seed_claims(connection, *run_id, stages).await?;
        self.holds_unique = true;
        Ok(())
    }

    async fn claim(&mut self) -> Result<Option<ClaimedSplit>, ClientError> {
        let Session { connection, worker } = &mut self.session;
        let lease = whole_seconds(self.crew.job.load.lease);
        let order = self.crew.claim_order();
        let claimed = splits::claim(connection, self.crew.run_id, *worker, lease, order).await?;
        if let Some(claim) = &claimed {
            self.crew.leases.take(*worker, claim.split_id, claim.epoch);
            tracing::debug!(split = %claim.split_id, epoch = %claim.epoch, "split claimed");
        }
        Ok(claimed)
    }

    /// Whether nothing is left to do for anybody.
    async fn is_done(&mut self) -> Result<bool, ClientError> {
        let run_id = self.crew.run_id;
        let standing = runs::standing(&mut self.session.connection, run_id).await?;
        match standing.state {
            RunState::Running => Ok(standing.undone == 0),
            RunState::Finished => Ok(true),
            RunState::Failed | RunState::Stopped => Err(ended_by_other(run_id, &standing)),
        }
    }

    async fn wait_for_split(&mut self) {
        tokio::select! {
            () = self.shutdown.requested() => {}
            () = self.crew.split_done.notified() => {}
            () = tokio::time::sleep(CLAIM_INTERVAL) => {}
        }
    }

    /// Loads a split to its end: carefully where PostgreSQL refused a row of it.
    async fn load(&mut self, mut claim: ClaimedSplit) -> Result<(), ClientError> {
        loop {
            let is_careful = self.crew.careful().contains(&claim.split_id);
            self.pace = if is_careful { Pace::Careful } else { Pace::Swift };
            match self.load_once(&claim).await {
                Ok(LoadEnd::Clean(position)) => {
                    self.crew.careful().remove(&claim.split_id);
                    claim.next = position;
                }
                Ok(LoadEnd::Whole | LoadEnd::Stopped) => {
                    self.crew.careful().remove(&claim.split_id);
                    self.crew.leases.give_up(self.session.worker);
                    return Ok(());
                }
                Err(error) => {
                    if error.trouble() == Trouble::RowRefused {
                        self.crew.careful().insert(claim.split_id);
                    }
                    return Err(error);
                }
            }
        }
    }

    async fn load_once(&mut self, claim: &ClaimedSplit) -> Result<LoadEnd, ClientError> {
        let Self { crew, source, session, shutdown, attempts, pace, .. } = self;
        let mut position = claim.next;
        let is_over = |read, quarantined| crew.guard().observe(read, quarantined);
        let on_commit = |committed: &Committed| {
            let rows = committed.end.row_number - position.row_number;
            crew.progress.advance(rows, committed.end.byte_offset - position.byte_offset);
            position = committed.end;
            crew.leases.take(session.worker, claim.split_id, claim.epoch);
            attempts.begin_anew();
            crew.guard().verdict()
        };
        let limits = &crew.job.load;
        let load = SplitLoad {
            source,
            connection: &mut session.connection,
            claim,
            stages: &crew.stages,
            limits: CommitLimits {
                bytes: limits.commit_bytes,
                interval: limits.commit_interval,
                lease_seconds: whole_seconds(limits.lease),
            },
            shutdown,
            pace: *pace,
        };
        load.run(is_over, on_commit).await
    }

    /// Gets ready to go on, if the error is one that passes.
    async fn recover(&mut self, mut error: ClientError) -> Result<(), ClientError> {
        loop {
            let is_of_source = error.is_of_source();
            match error.trouble() {
                // Carefully, such rows are told apart: one that is not is a defect.
                Trouble::RowRefused if self.pace == Pace::Careful => return Err(error),
                Trouble::RowRefused => tracing::debug!(%error, "rows are looked at one by one"),
                Trouble::TakenOver => tracing::warn!(%error, "a split went to another worker"),
                Trouble::Passing | Trouble::Lasting => {
                    self.attempts.wait_after(error, &mut self.shutdown).await?;
                    self.crew.retries.fetch_add(1, Ordering::Relaxed);
                }
            }
            match self.reconnect(is_of_source).await {
                Ok(()) => return Ok(()),
                Err(next) => error = next,
            }
        }
    }

    /// Takes a new session, and a new connection to the source if that one failed.
    async fn reconnect(&mut self, needs_source: bool) -> Result<(), ClientError> {
        let session = Session::join(&self.crew.job, self.crew.run_id).await?;
        self.crew.enlist(session.worker);
        let broken = std::mem::replace(&mut self.session, session);
        // Its locks go with it, so that the worker does not stand in its own way.
        broken.abandon().await;
        self.holds_unique = false;
        if needs_source {
            self.source = receive::connect(&self.crew.job.source).await?;
        }
        Ok(())
    }
}
