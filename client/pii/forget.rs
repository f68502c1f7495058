//! Deletes the rows of one person in all targets of a job, and leaves a note that it was done.
//!
//! Invariant: rows, quarantined records and the note change in one
//! transaction, and the person's value never leaves the memory of the process.

mod cached;
mod leftovers;

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;

use serde_json::{Map, Value};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use super::places::{self, Deletion, Layer, Place};
use super::wanted::{self, Wanted};
use super::{PiiError, connect_to_ledger, hashed_column, value};
use crate::cache;
use crate::database;
use crate::error::ClientError;
use crate::job::{CleanRule, Job};
use crate::ledger::claims;
use crate::ledger::erasures::{self, Erasure};
use crate::ledger::{LedgerError, RunId, keys, lock_job};
use crate::load::catalogue::TargetTable;
use crate::names::TableName;
use crate::output;

/// Whose rows are to be deleted, and how.
pub(crate) struct ForgetOptions {
    /// Column of the source by which the person is found.
    pub(crate) column: String,
    /// Where the request is kept, for the note in the ledger.
    pub(crate) reference: Option<String>,
    /// Files with keys that earlier runs used.
    pub(crate) old_key_files: Vec<PathBuf>,
    /// Pseudonym in hexadecimal digits, instead of a value on standard input.
    pub(crate) token: Option<String>,
    /// Whether rows are only counted.
    pub(crate) is_dry_run: bool,
}

/// What was deleted.
struct Erased {
    /// Rows of each target, in the order of the job, then of tables beside them.
    rows: Vec<(String, u64)>,
    /// Keys of the deleted rows that may be in the cache, by table.
    cached: Vec<(TableName, Vec<Vec<String>>)>,
    /// Quarantined records that were emptied.
    quarantined: u64,
    /// Number of the note in the ledger.
    erasure_id: i64,
}

impl Erased {
    fn is_nothing(&self) -> bool {
        self.quarantined == 0 && self.rows.iter().all(|(_, rows)| *rows == 0)
    }
}

/// Deletes the rows of the person whose value or pseudonym is given.
pub(crate) async fn forget(job: &Job, options: &ForgetOptions) -> Result<(), ClientError> {
    let (rule, domain) = hashed_column(&job.columns, &options.column)?;
    let cache = cache::cache_of_targets(job)?;
    let loaded_as = places::loaded_name(&job.transform, &options.column)?;
    let mut connection = connect_to_ledger(job).await?;
    let wanted = if let Some(token) = &options.token {
        Wanted::of_token(token)?
    } else {
        let used = keys::of_job(&mut connection, &job.name).await?;
        let keys = wanted::keys(job, &used, &options.old_key_files)?;
        let domains = keys::domains_of(&mut connection, &job.name, &rule.name, domain).await?;
        let person = ask_for_person(rule.clean.clone()).await?;
        Wanted::under_keys(&person, &domains, &keys)
    };

    // Keys of deleted rows are texts, by which their entries in the cache are found.
    database::set_up_texts(&mut connection).await?;
    let mut transaction = connection.begin().await?;
    lock_job(&mut transaction, &job.name).await?;
    let unfinished = keys::unfinished_run(&mut transaction, &job.name).await?;
    let erased = erase(&mut transaction, job, options, loaded_as, &wanted).await?;
    if options.is_dry_run {
        // Constraints that wait for the end must speak here too.
        sqlx::query("SET CONSTRAINTS ALL IMMEDIATE").execute(&mut *transaction).await?;
        transaction.rollback().await?;
    } else {
        transaction.commit().await?;
    }
    let _ = connection.close().await;
    show(&erased, &wanted, options.is_dry_run);
    if let Some(cache) = cache.filter(|_| !options.is_dry_run) {
        cached::forget(&cache, &erased.cached).await;
    }
    warn_of_return(unfinished);
    Ok(())
}

/// Takes the person's value from standard input.
async fn ask_for_person(rules: Vec<CleanRule>) -> Result<Zeroizing<String>, PiiError> {
    if io::stdin().is_terminal() {
        output::note("write the value of the person, then Enter and Ctrl-D");
    }
    // On a thread that nobody waits for: a signal must end the program while it reads.
    let (sender, receiver) = oneshot::channel();
    std::thread::spawn(move || {
        let _ = sender.send(value::only_value(io::stdin().lock(), &rules));
    });
    receiver.await.unwrap_or(Err(PiiError::NoValue))
}

/// Deletes rows, empties quarantined records and writes the note.
async fn erase(
    conn: &mut PgConnection,
    job: &Job,
    options: &ForgetOptions,
    loaded_as: &str,
    wanted: &Wanted,
) -> Result<Erased, ClientError> {
    let places = look_up_places(conn, job, loaded_as).await?;
    let (rows, cached) = delete_rows(conn, &places, loaded_as, wanted).await?;
    let names = [options.column.clone(), loaded_as.to_owned()];
    claims::remove(conn, &job.name, &options.column, &wanted.claim_digests()).await?;
    let quarantined = erasures::empty_records(conn, &job.name, &names, &wanted.digits).await?;
    let erasure = Erasure {
        job: &job.name,
        column: &options.column,
        key_ids: &wanted.key_ids,
        reference: options.reference.as_deref(),
        deleted: &to_json(&rows),
        quarantined,
    };
    let erasure_id = erasures::record(conn, &erasure).await?;
    Ok(Erased { rows, cached, quarantined, erasure_id })
}

async fn look_up_places(
    conn: &mut PgConnection,
    job: &Job,
    loaded_as: &str,
) -> Result<Vec<Place>, ClientError> {
    let mut places = Vec::with_capacity(job.targets.len());
    let mut tables = Vec::with_capacity(job.targets.len());
    for target in &job.targets {
        let Some(table) = TargetTable::lookup(conn, &target.table).await? else {
            return Err(PiiError::NoTable { table: target.table.to_string() }.into());
        };
        places.push(Place::new(Some(target), Layer::Target, &table, loaded_as)?);
        tables.push(table.name);
    }
    for leftover in leftovers::list(conn, job, &tables).await? {
        // One that is gone meanwhile holds nobody.
        if let Some(table) = TargetTable::lookup(conn, &leftover.table).await? {
            let target = job.targets.get(leftover.target);
            places.push(Place::new(target, leftover.layer, &table, loaded_as)?);
        }
    }
    Ok(places)
}

/// Counts of deleted rows by table, and the keys of those that may be in the cache.
type Deleted = (Vec<(String, u64)>, Vec<(TableName, Vec<Vec<String>>)>);

async fn delete_rows(
    conn: &mut PgConnection,
    places: &[Place],
    loaded_as: &str,
    wanted: &Wanted,
) -> Result<Deleted, ClientError> {
    let Deletion { sql, tables, cached } = places::deletion(places, loaded_as)?;
    // Every name in it was quoted where it was put together.
    let counts = sqlx::query(AssertSqlSafe(sql))
        .bind(&wanted.bytes)
        .bind(&wanted.digits)
        .fetch_one(conn)
        .await?;
    let mut rows = Vec::with_capacity(tables.len());
    for (index, table) in tables.into_iter().enumerate() {
        let count: i64 = counts.try_get(index)?;
        let invalid = |_| LedgerError::Invalid { what: "number of deleted rows" };
        rows.push((table, u64::try_from(count).map_err(invalid)?));
    }
    let mut keys = Vec::with_capacity(cached.len());
    for (index, table) in cached.into_iter().enumerate() {
        keys.push((table, cached::keys_of(counts.try_get(rows.len() + index)?)?));
    }
    Ok((rows, keys))
}

fn to_json(rows: &[(String, u64)]) -> String {
    let entry = |(table, rows): &(String, u64)| (table.clone(), Value::from(*rows));
    let entries: Map<String, Value> = rows.iter().map(entry).collect();
    Value::Object(entries).to_string()
}

fn show(erased: &Erased, wanted: &Wanted, is_dry_run: bool) {
    let header = if is_dry_run { "rows to delete" } else { "rows deleted" };
    let mut table = output::table(["table", header], 1..2);
    for (name, rows) in &erased.rows {
        table.add_row([name.clone(), rows.to_string()]);
    }
    table.add_row(["ferry.quarantine (emptied)".to_owned(), erased.quarantined.to_string()]);
    output::line(table.to_string());
    if !wanted.key_ids.is_empty() {
        output::line(format!("pseudonyms looked for under key {}", wanted.key_ids.join(", ")));
    }
    if erased.is_nothing() {
        output::line("nothing was found");
    }
    if is_dry_run {
        output::line("dry run: nothing was changed");
    } else {
        output::line(format!("noted as erasure {} in ferry.erasure", erased.erasure_id));
    }
}

/// What this deletion cannot prevent.
fn warn_of_return(unfinished: Option<RunId>) {
    output::line(
        "rows of the person that are still at the source come back when their file is loaded anew: remove them there too",
    );
    if let Some(run) = unfinished {
        output::line(format!(
            "run {run} of this job is not finished and may load rows of the person yet: forget again when it is done"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_note_counts_rows_by_table() {
        let rows = [("public.users".to_owned(), 2), ("\"A b\"".to_owned(), 0)];
        let note: Value = serde_json::from_str(&to_json(&rows)).expect("JSON");
        assert_eq!(note, serde_json::json!({ "public.users": 2, "\"A b\"": 0 }));
    }

    #[test]
    fn an_emptied_record_is_something() {
        let erased = |rows, quarantined| Erased {
            rows: vec![("users".to_owned(), rows)],
            cached: Vec::new(),
            quarantined,
            erasure_id: 1,
        };
        assert!(erased(0, 0).is_nothing());
        assert!(!erased(1, 0).is_nothing());
        assert!(!erased(0, 1).is_nothing());
    }
}
