//! Ends a run that has nothing left to do: the accounts close, tables are replaced, in one transaction.
//!
//! Invariants: a run is finished once, by one worker; a table is replaced if
//! and only if its run is finished.

use sqlx::{Connection as _, PgConnection};

use super::accounts::{self, RejectGuard};
use super::crew::ended_by_other;
use crate::error::ClientError;
use crate::job::{Job, Mode, Target};
use crate::ledger::RunId;
use crate::ledger::accounts::accounts;
use crate::ledger::runs::{self, Finish, RunState};
use crate::load::replace::{self, Replaced, Replacement};

/// Whether a run is at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It is finished, by this worker or by another.
    Finished,
    /// Another worker has added splits.
    MoreToDo,
    /// Another worker is finishing it, which may take as long as its tables are large.
    Busy,
}

/// Finishes a run, if it is at its end.
///
/// Unless it is committed nothing is known of the connection: the ledger says
/// whether the run is finished.
pub(super) async fn finish(
    job: &Job,
    run_id: RunId,
    replacements: &[Replacement],
    connection: &mut PgConnection,
) -> Result<End, ClientError> {
    let mut transaction = connection.begin().await?;
    match runs::lock_for_finish(&mut transaction, run_id).await? {
        Finish::Ready => {}
        Finish::Finished => return Ok(End::Finished),
        Finish::Early => return Ok(End::MoreToDo),
        Finish::Busy => return Ok(End::Busy),
        Finish::Failed => {
            let standing = runs::standing(&mut transaction, run_id).await?;
            // Another run has begun, and there was nothing to take over from this one.
            let was_empty = accounts(&mut transaction, run_id).await?.is_empty();
            if was_empty && standing.state == RunState::Stopped {
                return Ok(End::Finished);
            }
            return Err(ended_by_other(run_id, &standing));
        }
    }
    let files = accounts(&mut transaction, run_id).await?;
    accounts::refuse_open(&files)?;
    let rows = accounts::sum(&files);
    RejectGuard::new(job.load.max_rejects, 0, rows).check_at_end()?;
    // A source without a record says nothing of what the tables should hold.
    let mut replaced = Vec::new();
    if !files.is_empty() {
        replaced = replace_tables(job, replacements, &mut transaction).await?;
    }
    runs::mark_finished(&mut transaction, run_id, &replaced).await?;
    transaction.commit().await?;
    Ok(End::Finished)
}

/// Drops what a finished run has filled beside its tables.
///
/// Not in the transaction that finishes it: to drop a table locks those that it
/// refers to against their readers.
pub(super) async fn drop_incoming(replacements: &[Replacement], connection: &mut PgConnection) {
    for Replacement { incoming, .. } in replacements {
        if let Err(error) = replace::drop_incoming(connection, incoming).await {
            tracing::warn!(%error, table = %incoming, "left for the next run to drop");
        }
    }
}

/// Replaces tables; returns for each table of the job how many rows that wrote, if it is one of them.
async fn replace_tables(
    job: &Job,
    replacements: &[Replacement],
    connection: &mut PgConnection,
) -> Result<Vec<Option<u64>>, ClientError> {
    let all = replace::replace(connection, replacements).await?;
    for (Replacement { target, .. }, Replaced { removed, written }) in replacements.iter().zip(&all)
    {
        tracing::info!(table = %target, removed, written, "table replaced");
    }
    // In the order of the job, as the replacements are.
    let mut all = all.into_iter();
    let written = |target: &Target| match target.mode {
        Mode::Replace { .. } => all.next().map(|replaced| replaced.written),
        _ => None,
    };
    Ok(job.targets.iter().map(written).collect())
}
