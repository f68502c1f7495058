//! One worker: claims splits, loads them, and goes on after errors that pass.
//!
//! Invariant: whatever goes wrong, the connection is dropped and the ledger is
//! asked on a new one; a COMMIT is never repeated.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ferry::host::shutdown::Shutdown;
use sqlx::PgConnection;

use super::crew::{Crew, claim_order, ended_by_other};
use super::retry::Attempts;
use super::session::Session;
use super::{unless_stopped, whole_seconds, workplace};
use crate::error::{ClientError, Trouble};
use crate::ledger::runs::{self, RunState};
use crate::ledger::splits::{self, ClaimedSplit};
use crate::ledger::{LedgerError, workers};
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
    shutdown: Shutdown,
    attempts: Attempts,
    /// Whether the session has the run's unique values for itself, if there are any.
    holds_unique: bool,
}

/// Rows read and refused that are not committed yet, chunk by chunk.
type Pending = Mutex<Vec<(u64, u64)>>;

impl Worker {
    pub(super) fn new(crew: Arc<Crew>, source: Source, shutdown: Shutdown) -> Self {
        let attempts = Attempts::new(crew.job.load.retries);
        Self { crew, source, shutdown, attempts, holds_unique: false }
    }

    /// Loads splits until none of the run is left.
    pub(super) async fn run(mut self, mut session: Session) -> Result<PgConnection, ClientError> {
        loop {
            self.crew.enlist(session.worker);
            let worked = self.work(&mut session).await;
            self.crew.leases.give_up(session.worker);
            let Err(error) = worked else {
                return Ok(session.connection);
            };
            // Before any wait: its locks go with it.
            session.abandon().await;
            session = self.recover(error).await?;
            self.holds_unique = false;
        }
    }

    async fn work(&mut self, session: &mut Session) -> Result<(), ClientError> {
        self.hold_unique(session).await?;
        let mut is_waiting = false;
        loop {
            if self.shutdown.is_requested() {
                return Err(ClientError::Interrupted);
            }
            if let Some(claim) = self.claim(session).await? {
                self.load(session, claim).await?;
                self.crew.split_done.notify_waiters();
            } else if self.is_done(session).await? {
                return Ok(());
            } else {
                if std::mem::replace(&mut is_waiting, true) {
                    // One that stands still between its last statement and COMMIT
                    // has its split locked: nobody could claim it.
                    workers::end_lapsed(&mut session.connection, self.crew.run_id).await?;
                } else {
                    tracing::info!("waiting for splits that another worker holds");
                }
                self.wait_for_split().await;
            }
        }
    }

    /// Makes sure that nobody else loads a run whose values must be unique, and
    /// takes up what the run has met so far.
    async fn hold_unique(&mut self, session: &mut Session) -> Result<(), ClientError> {
        if self.holds_unique || self.crew.stages.checker.unique_columns().is_empty() {
            return Ok(());
        }
        let Crew { run_id, stages, .. } = &*self.crew;
        let connection = &mut session.connection;
        let holding = workplace::hold_unique(connection, *run_id);
        unless_stopped(&mut self.shutdown, holding).await?;
        workplace::seed_claims(connection, *run_id, stages).await?;
        self.holds_unique = true;
        Ok(())
    }

    async fn claim(&mut self, session: &mut Session) -> Result<Option<ClaimedSplit>, ClientError> {
        let Session { connection, worker } = session;
        let lease = whole_seconds(self.crew.job.load.lease);
        let order = claim_order(&self.crew.job);
        let (run_id, left_out) = (self.crew.run_id, self.crew.unreadable.file_ids());
        let claiming = splits::claim(connection, run_id, *worker, lease, order, &left_out);
        let claimed = claiming.await?;
        if let Some(claim) = &claimed {
            self.crew.leases.take(*worker, claim.split_id, claim.epoch);
            tracing::debug!(split = %claim.split_id, epoch = %claim.epoch, "split claimed");
        }
        Ok(claimed)
    }

    /// Whether nothing is left to do for anybody, or only what this process leaves out.
    async fn is_done(&mut self, session: &mut Session) -> Result<bool, ClientError> {
        let run_id = self.crew.run_id;
        let standing = runs::standing(&mut session.connection, run_id).await?;
        match standing.state {
            RunState::Running if standing.undone == 0 => Ok(true),
            RunState::Running => {
                let left_out = self.crew.unreadable.file_ids();
                let connection = &mut session.connection;
                Ok(!runs::has_undone_beside(connection, run_id, &left_out).await?)
            }
            RunState::Finished => Ok(true),
            // Whoever joins it anew sets it running again.
            RunState::Failed if !standing.has_failed_for_all() => {
                Err(LedgerError::RunEnded { run: run_id }.into())
            }
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
    async fn load(
        &mut self,
        session: &mut Session,
        mut claim: ClaimedSplit,
    ) -> Result<(), ClientError> {
        loop {
            let is_careful = self.crew.careful().contains(&claim.split_id);
            let pace = if is_careful { Pace::Careful } else { Pace::Swift };
            match self.load_at(pace, session, &claim).await {
                Ok(LoadEnd::Clean(position)) => {
                    self.crew.careful().remove(&claim.split_id);
                    claim.next = position;
                }
                Ok(LoadEnd::Whole | LoadEnd::Stopped) => {
                    self.crew.careful().remove(&claim.split_id);
                    self.crew.leases.give_up(session.worker);
                    return Ok(());
                }
                Err(error) => return Err(self.take_note(error, &claim)),
            }
        }
    }

    /// Takes note of what an error says of a split or of its file; it ends the
    /// work where nothing may come before the file.
    fn take_note(&self, error: ClientError, claim: &ClaimedSplit) -> ClientError {
        let Crew { job, run_id, unreadable, .. } = &*self.crew;
        if error.trouble() == Trouble::RowRefused {
            self.crew.careful().insert(claim.split_id);
        }
        if let Some(problem) = error.problem_of(&claim.split.file) {
            unreadable.leave_out(claim.file_id, problem);
            if claim_order(job).is_strict() {
                return unreadable.error_in_order(job, *run_id);
            }
        }
        error
    }

    async fn load_at(
        &mut self,
        pace: Pace,
        session: &mut Session,
        claim: &ClaimedSplit,
    ) -> Result<LoadEnd, ClientError> {
        let Self { crew, source, shutdown, attempts, .. } = self;
        let mut position = claim.next;
        // What is rolled back is read again, and must not count twice.
        let pending = Pending::default();
        let is_over = |read, quarantined| {
            let mut pending = pending.lock().unwrap_or_else(PoisonError::into_inner);
            pending.push((read, quarantined));
            crew.guard().would_end(&pending)
        };
        let on_commit = |committed: &Committed| {
            let rows = committed.end.row_number - position.row_number;
            crew.progress.advance(rows, committed.end.byte_offset - position.byte_offset);
            position = committed.end;
            crew.leases.take(session.worker, claim.split_id, claim.epoch);
            attempts.begin_anew();
            let mut pending = pending.lock().unwrap_or_else(PoisonError::into_inner);
            crew.guard().take(&std::mem::take(&mut *pending))
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
            pace,
            filler: crew.filler.as_ref(),
        };
        load.run(is_over, on_commit).await
    }

    /// Takes a new session, and a new connection to the source if that one
    /// failed, once the error has passed; gives back one that does not.
    async fn recover(&mut self, mut error: ClientError) -> Result<Session, ClientError> {
        let mut needs_source = false;
        loop {
            needs_source |= error.is_of_source();
            match error.trouble() {
                Trouble::RowRefused => {
                    tracing::debug!(%error, "rows are looked at one by one");
                    // Its stream was dropped, and a connection takes only so many of those.
                    needs_source = true;
                }
                // It was told when the file was left out.
                Trouble::FileLost => {}
                Trouble::Passing | Trouble::Lasting => {
                    self.attempts.wait_after(error, &mut self.shutdown).await?;
                    self.crew.retries.fetch_add(1, Ordering::Relaxed);
                }
            }
            let mut stop = self.shutdown.clone();
            match unless_stopped(&mut stop, self.reconnect(needs_source)).await {
                Ok(session) => return Ok(session),
                Err(next) => error = next,
            }
        }
    }

    async fn reconnect(&mut self, needs_source: bool) -> Result<Session, ClientError> {
        if needs_source {
            self.source = receive::connect(&self.crew.job.source).await?;
        }
        Session::join(&self.crew.job, self.crew.run_id).await
    }
}
