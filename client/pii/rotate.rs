//! Replaces the key of a job's pseudonyms, in steps that a crash can come between.
//!
//! Invariant: at every moment the old key is in the key file or kept beside
//! it, and the ledger has retired it before the key file changes. So whatever
//! interrupts a rotation, the same command brings it to its end.

use std::path::Path;

use sqlx::{Connection as _, PgConnection};

use super::kept;
use super::{PiiError, connect_to_ledger};
use crate::error::ClientError;
use crate::job::{Job, JobError};
use crate::key::PseudonymKey;
use crate::ledger::{keys, lock_job};
use crate::output;

/// Replaces the job's key by a new one, or by the one in the file `to`.
pub(crate) async fn rotate(job: &Job, to: Option<&Path>) -> Result<(), ClientError> {
    let key_file = job.pii_key_file.as_deref().ok_or(JobError::NO_KEY)?;
    kept::refuse_link(key_file)?;
    let old = PseudonymKey::read(key_file)?.id();
    if let Some(path) = to {
        refuse_same(path, &old)?;
    }
    let mut connection = connect_to_ledger(job).await?;
    refuse_unfit(&mut connection, &job.name, &old).await?;
    let begun = keys::state(&mut connection, &old).await?.and_then(|state| state.successor);

    let kept_at = kept::keep(key_file, &old)?;
    let new = stage(key_file, to, begun.as_deref())?;
    record(&mut connection, &job.name, &old, &new).await?;
    kept::replace(key_file)?;

    let others = keys::other_jobs(&mut connection, &job.name, &old).await?;
    output::line(format!("old key {old}, kept in {}", kept_at.display()));
    output::line(format!("new key {new}, in {}", key_file.display()));
    tell_consequences(&others);
    let _ = connection.close().await;
    Ok(())
}

fn refuse_same(path: &Path, old: &str) -> Result<(), ClientError> {
    let id = PseudonymKey::read(path)?.id();
    if id == old {
        return Err(PiiError::SameKey { path: path.to_owned(), id }.into());
    }
    Ok(())
}

/// Refuses while a run needs the old key, or if what lies in the key file is not the old key.
async fn refuse_unfit(
    connection: &mut PgConnection,
    job: &str,
    old: &str,
) -> Result<(), ClientError> {
    if let Some(run) = keys::unfinished_run(connection, job).await? {
        return Err(PiiError::Unfinished { run }.into());
    }
    match keys::changed_silently(connection, job, old).await? {
        Some(before) => Err(PiiError::ChangedByHand { before, now: old.to_owned() }.into()),
        None => Ok(()),
    }
}

/// Writes the new key beside the key file; returns its identifier.
fn stage(key_file: &Path, to: Option<&Path>, begun: Option<&str>) -> Result<String, ClientError> {
    match to {
        Some(path) => kept::stage_copy(key_file, path)?,
        // A rotation that was interrupted has written it, and told the ledger.
        None if begun.is_some_and(|id| kept::is_staged(key_file, id)) => {}
        None => kept::stage_new(key_file)?,
    }
    Ok(kept::staged_id(key_file)?)
}

async fn record(
    connection: &mut PgConnection,
    job: &str,
    old: &str,
    new: &str,
) -> Result<(), ClientError> {
    let mut transaction = connection.begin().await?;
    lock_job(&mut transaction, job).await?;
    // A run may have been opened since it was asked first.
    refuse_unfit(&mut transaction, job, old).await?;
    keys::retire(&mut transaction, old, new).await?;
    transaction.commit().await?;
    Ok(())
}

fn tell_consequences(others: &[String]) {
    output::line(
        "rows loaded before keep the pseudonyms of the old key: old and new rows of one person do not join until the table is loaded anew",
    );
    output::line(
        "`ferry-client pii forget` looks for both; keep the old key as long as such rows exist",
    );
    if !others.is_empty() {
        let names = others.join(", ");
        output::line(format!(
            "the old key was also used by: {names}; whatever reads the same key file changes with it"
        ));
    }
}
