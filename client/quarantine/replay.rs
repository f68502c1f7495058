//! Asks the source for refused rows again, and loads what passes the job as it is now.
//!
//! Invariant: a row is loaded exactly once. It is marked in the transaction
//! that loads it, and a COMMIT whose answer was lost is never repeated.

use ferry::host::shutdown::Shutdown;
use sqlx::Connection as _;

use super::Selection;
use super::page::{self, Page};
use super::ranges::first_bytes;
use super::report::ReplayReport;
use crate::error::ClientError;
use crate::job::Job;
use crate::ledger::SplitId;
use crate::ledger::quarantine::Filter;
use crate::ledger::quarantine::settle::{self, OpenRow};
use crate::output::Style;
use crate::run::{Workplace, open_workplace, unless_stopped};

/// Rows in one transaction.
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

async fn replay_job(
    job: &Job,
    filter: Filter,
    mut shutdown: Shutdown,
    report: &mut ReplayReport,
) -> Result<(), ClientError> {
    let opened = open_workplace(job);
    let workplace = unless_stopped(&mut shutdown, opened).await?;
    let mut replay = Replay { job, workplace, shutdown, report };
    let outcome = replay.all(filter).await;
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
}

impl Replay<'_> {
    /// Replays run by run, because a value is unique within its run.
    async fn all(&mut self, mut filter: Filter) -> Result<(), ClientError> {
        let dataset = &self.job.source.dataset;
        let connection = &mut self.workplace.connection;
        let runs = settle::open_runs(connection, &filter, dataset).await?;
        for run_id in runs {
            filter.run = Some(run_id);
            self.workplace.seed_claims(run_id).await?;
            self.pages(&filter).await?;
        }
        self.report.take_ids(filter.ids.len() as u64);
        Ok(())
    }

    /// Replays the rows of one run, each once: those that are refused again stay behind.
    ///
    /// In the order of the file, since of two rows with the same unique value
    /// the later one is refused.
    async fn pages(&mut self, filter: &Filter) -> Result<(), ClientError> {
        let mut after = settle::BEFORE_ALL;
        loop {
            if self.shutdown.is_requested() {
                return Err(ClientError::Interrupted);
            }
            let rows = self.next_rows(filter, after).await?;
            let Some(last) = rows.last() else {
                return Ok(());
            };
            after = last.key();
            let page = self.replay_page(rows).await?;
            self.report.take(&page);
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

    async fn replay_page(&mut self, rows: Vec<OpenRow>) -> Result<Page, ClientError> {
        let reading = page::read(&mut self.workplace, rows);
        let page = unless_stopped(&mut self.shutdown, reading).await?;
        page::commit(&mut self.workplace, self.job, &page).await?;
        tracing::debug!(
            loaded = page.loaded.len(),
            filtered = page.filtered.len(),
            refused = page.refused.len(),
            "page of quarantine replayed"
        );
        Ok(page)
    }
}
