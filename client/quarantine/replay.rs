//! Asks the source for refused rows again, and loads what passes the job as it is now.
//!
//! Invariant: a row is loaded exactly once. It is marked in the transaction
//! that loads it, and a COMMIT whose answer was lost is never repeated. A row
//! that PostgreSQL refuses, or that the source cannot send any more, keeps no
//! other one from the target.

use std::collections::BTreeSet;

use ferry::host::shutdown::Shutdown;
use sqlx::Connection as _;

use super::Selection;
use super::page::{self, Ending, Page};
use super::parts::{Part, Parts};
use super::ranges::first_bytes;
use super::read::{self, LostFiles};
use super::report::{ReplayCounts, ReplayReport};
use crate::cache::Filler;
use crate::error::ClientError;
use crate::job::Job;
use crate::ledger::quarantine::Filter;
use crate::ledger::quarantine::settle::{self, OpenRow};
use crate::ledger::runs::{self, RunState};
use crate::ledger::{RunId, SplitId};
use crate::output::Style;
use crate::run::{Workplace, open_workplace, replaces, unless_stopped};

/// Most rows in one transaction.
const PAGE_ROWS: i64 = 500;
/// A page ends with the row that reaches so many bytes of the source.
const PAGE_BYTES: u64 = 16 << 20;

/// Replays the open rows of a selection and prints what became of them.
pub(crate) async fn replay(
    job: &Job,
    selection: &Selection,
    style: Style,
    shutdown: Shutdown,
) -> Result<(), ClientError> {
    let mut report = ReplayReport::new(&job.name);
    let filter = selection.filter(Some(&job.name));
    let outcome = replay_job(job, filter, shutdown, &mut report).await;
    report.finish(outcome.as_ref().err(), style);
    outcome
}

/// The same without a word: tells how many rows went where.
///
/// Rows of files that cannot be read any more are counted, and are no error here.
pub(crate) async fn replay_quietly(
    job: &Job,
    selection: &Selection,
    shutdown: Shutdown,
) -> Result<ReplayCounts, ClientError> {
    let mut report = ReplayReport::new(&job.name);
    let filter = selection.filter(Some(&job.name));
    let outcome = replay_job(job, filter, shutdown, &mut report).await;
    match outcome {
        Err(error) if !report.has_only_unread() => Err(error),
        _ => Ok(report.counts()),
    }
}

async fn replay_job(
    job: &Job,
    filter: Filter,
    mut shutdown: Shutdown,
    report: &mut ReplayReport,
) -> Result<(), ClientError> {
    let cache_filler = Filler::start(job)?;
    let opened = open_workplace(job);
    let workplace = unless_stopped(&mut shutdown, opened).await?;
    let mut replay = Replay {
        job,
        workplace,
        shutdown,
        report,
        lost: LostFiles::default(),
        told: BTreeSet::new(),
        told_files: BTreeSet::new(),
        cache_filler,
    };
    let outcome = replay.all(filter).await;
    if let Some(cache_filler) = &replay.cache_filler {
        replay.report.take_cache(cache_filler.finish().await);
    }
    replay.report.take_problems(replay.lost.problems());
    let Workplace { connection, .. } = replay.workplace;
    // After an error the connection may be out of step, or in a transaction.
    let _ = match &outcome {
        Ok(()) => connection.close().await,
        Err(_) => connection.close_hard().await,
    };
    outcome
}

/// A replay on its way.
struct Replay<'a> {
    job: &'a Job,
    workplace: Workplace,
    shutdown: Shutdown,
    report: &'a mut ReplayReport,
    /// Files that cannot be read any more.
    lost: LostFiles,
    /// What the log has said already of rows that PostgreSQL refuses.
    told: BTreeSet<String>,
    /// Files of which the log has said already that a row is no record any more.
    told_files: BTreeSet<String>,
    /// Brings rows that are loaded into the cache, if some are to be there.
    cache_filler: Option<Filler>,
}

impl Replay<'_> {
    /// Replays run by run, because a value is unique within its run.
    ///
    /// Rows of files that cannot be read are left out, and are the error at the end.
    async fn all(&mut self, mut filter: Filter) -> Result<(), ClientError> {
        let dataset = &self.job.source.dataset;
        let connection = &mut self.workplace.connection;
        let runs = settle::open_runs(connection, &filter, dataset).await?;
        for run_id in runs {
            filter.run = Some(run_id);
            self.refuse_unfinished(run_id).await?;
            let seeding = self.workplace.seed_claims(run_id);
            unless_stopped(&mut self.shutdown, seeding).await?;
            self.pages(&filter, run_id).await?;
        }
        self.report.take_ids(filter.ids.len() as u64);
        self.lost.error().map_or(Ok(()), Err)
    }

    /// What a run has loaded beside a table takes its place when the run is
    /// finished: rows that were replayed into it before would be gone.
    async fn refuse_unfinished(&mut self, run_id: RunId) -> Result<(), ClientError> {
        if !replaces(self.job) {
            return Ok(());
        }
        match runs::standing(&mut self.workplace.connection, run_id).await?.state {
            RunState::Finished => Ok(()),
            _ => Err(ClientError::ReplayBeforeReplace { run: run_id }),
        }
    }

    /// Replays the rows of one run, each once: those that are refused again stay behind.
    ///
    /// In the order of the file, since of two rows with the same unique value
    /// the later one is refused.
    async fn pages(&mut self, filter: &Filter, run_id: RunId) -> Result<(), ClientError> {
        let mut after = settle::BEFORE_ALL;
        loop {
            let rows = self.next_rows(filter, after).await?;
            let Some(last) = rows.last() else {
                return Ok(());
            };
            after = last.key();
            self.replay_page(rows, run_id).await?;
        }
    }

    async fn next_rows(
        &mut self,
        filter: &Filter,
        after: (SplitId, u64),
    ) -> Result<Vec<OpenRow>, ClientError> {
        let connection = &mut self.workplace.connection;
        let dataset = &self.job.source.dataset;
        let rows = settle::open_rows(connection, filter, dataset, after, PAGE_ROWS).await?;
        Ok(first_bytes(rows, PAGE_BYTES))
    }

    /// Replays a page at once; if PostgreSQL refuses some of its rows, all but those.
    async fn replay_page(&mut self, rows: Vec<OpenRow>, run_id: RunId) -> Result<(), ClientError> {
        let mut parts = Parts::of(rows);
        while let Some(part) = parts.pop() {
            if self.shutdown.is_requested() {
                return Err(ClientError::Interrupted);
            }
            if let Ending::Refused { refusal, error } = self.replay_part(&part).await? {
                self.tell(&part, &error);
                self.begin_anew(run_id).await?;
                parts.take_back(part, refusal);
            }
        }
        Ok(())
    }

    async fn replay_part(&mut self, part: &Part) -> Result<Ending, ClientError> {
        // Read again each time: what a row claims depends on what became of those before it.
        let reading = read::read(&mut self.workplace, part.rows.clone(), &mut self.lost);
        let mut page = unless_stopped(&mut self.shutdown, reading).await?;
        if let Some(refusal) = &part.refusal {
            page.withdraw(refusal.clone());
        }
        let committed = page::commit(&mut self.workplace, self.job, &page).await;
        // Also after an error: of a COMMIT whose answer was lost nobody knows what it did.
        let keys = page.take_cached_keys();
        if let Some(cache_filler) = self.cache_filler.as_ref().filter(|_| !keys.is_empty()) {
            cache_filler.hand_over(keys).await;
        }
        let ending = committed?;
        if matches!(ending, Ending::Committed) {
            tracing::debug!(
                loaded = page.loaded.len(),
                filtered = page.filtered.len(),
                refused = page.refused.len(),
                withdrawn = page.withdrawn.is_some(),
                no_records = page.no_records.len(),
                unread = page.unread,
                "rows of quarantine replayed"
            );
            self.report.take(&page);
            self.tell_no_records(&page);
        }
        Ok(ending)
    }

    /// Says once for each file which row is the first that is no record any more.
    fn tell_no_records(&mut self, page: &Page) {
        for (file, row) in &page.no_records {
            if self.told_files.insert(file.clone()) {
                tracing::warn!(
                    file,
                    row,
                    "a row is not a record of its own any more under the source's settings: it stays open"
                );
            }
        }
    }

    /// Says once for each constraint which row is the first to break it.
    fn tell(&mut self, part: &Part, error: &ClientError) {
        let [row] = part.rows.as_slice() else {
            return;
        };
        if self.told.insert(error.to_string()) {
            let row_number = row.place.row_number;
            tracing::warn!(file = row.file, row = row_number, %error, "PostgreSQL refuses a row");
        }
    }

    /// Leaves the session in which a row was refused, and takes a new one.
    async fn begin_anew(&mut self, run_id: RunId) -> Result<(), ClientError> {
        let reconnecting = self.workplace.reconnect(self.job);
        unless_stopped(&mut self.shutdown, reconnecting).await?;
        // The hold on the run went with the session, and what was not committed claims nothing.
        let seeding = self.workplace.seed_claims(run_id);
        unless_stopped(&mut self.shutdown, seeding).await
    }
}
