//! Turns a plan of the source into files and splits of the ledger.
//!
//! Invariant: the splits of a file follow each other without gap or overlap,
//! even if several workers plan at once: whoever comes second finds that the
//! file is planned further than its own splits begin, or loaded anew since its
//! plan was made, and adds nothing.

use std::collections::{HashMap, HashSet};

use ferry::position::{Fingerprint, Position, Split};
use ferry::schema::Column;
use sqlx::{Connection as _, PgConnection};

use crate::ledger::files::{self, FileProblem, KnownFile};
use crate::ledger::{
    FileId, LedgerError, RunId, cuts, encode_columns, lock_job, to_bigint, without_nul,
};

/// A file as the source saw it when it planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlannedContent {
    /// Name below the dataset's root.
    pub(crate) name: String,
    /// Content as it was then.
    pub(crate) fingerprint: Fingerprint,
    /// Its header with the dataset's types; empty if it has none yet.
    pub(crate) columns: Vec<Column>,
    /// Why it cannot be read to its end.
    pub(crate) problem: Option<FileProblem>,
    /// Whether it is a page of an API.
    pub(crate) is_page: bool,
}

/// A plan of the source, for one run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Registration<'a> {
    /// The run that is to load the splits.
    pub(crate) run_id: RunId,
    /// Name of the job.
    pub(crate) job: &'a str,
    /// Dataset that was planned.
    pub(crate) dataset: &'a str,
    /// Files that the plan begins anew.
    pub(crate) superseded: &'a [FileId],
    /// Files of which the rest is never loaded.
    pub(crate) given_up: &'a [FileId],
    /// Files of the plan.
    pub(crate) files: &'a [PlannedContent],
    /// Splits of the plan, in the order of each file, as the source gives them.
    pub(crate) splits: &'a [Split],
}

/// Adds what a plan holds and the ledger does not know yet.
///
/// A file that is new and has no split is left out: where its first record will
/// begin is not known.
pub(crate) async fn register(
    conn: &mut PgConnection,
    registration: &Registration<'_>,
) -> Result<(), LedgerError> {
    let Registration { run_id, job, dataset, superseded, given_up, files, splits } = *registration;
    let mut tx = conn.begin().await?;
    lock_job(&mut tx, job).await?;
    keep_running(&mut tx, run_id, job).await?;
    let taken = supersede(&mut tx, superseded).await?;
    if !given_up.is_empty() {
        cuts::end_here(&mut tx, given_up).await?;
    }
    let names: Vec<String> = files.iter().map(|file| file.name.clone()).collect();
    let known = files::known_among(&mut tx, job, dataset, &names).await?;
    let files = files.iter().filter(|file| !taken.contains(&file.name));
    let news = compare(&known, files, splits);
    upsert_files(&mut tx, job, dataset, &news.files).await?;
    insert_splits(&mut tx, run_id, job, dataset, &news.splits).await?;
    tx.commit().await?;
    Ok(())
}

/// Gives up files that are to be loaded from their start again; returns the
/// names of those that another worker has given up before.
///
/// What that one registered in their place stands, and this plan of them, which
/// was made before it, is void.
async fn supersede(
    conn: &mut PgConnection,
    superseded: &[FileId],
) -> Result<HashSet<String>, LedgerError> {
    if superseded.is_empty() {
        return Ok(HashSet::new());
    }
    let ids: Vec<i64> = superseded.iter().map(|file| file.0).collect();
    let ours: Vec<i64> = sqlx::query_scalar(
        "UPDATE ferry.file SET superseded_at = now()
         WHERE file_id = ANY($1) AND superseded_at IS NULL RETURNING file_id",
    )
    .bind(&ids)
    .fetch_all(&mut *conn)
    .await?;
    let given_up: Vec<FileId> = ours.iter().copied().map(FileId).collect();
    cuts::give_up(conn, &given_up).await?;
    let taken: Vec<String> = sqlx::query_scalar(
        "SELECT name FROM ferry.file WHERE file_id = ANY($1) AND file_id <> ALL($2)",
    )
    .bind(&ids)
    .bind(&ours)
    .fetch_all(conn)
    .await?;
    Ok(taken.into_iter().collect())
}

/// What the ledger does not know yet.
#[derive(Debug, PartialEq, Eq)]
struct News<'a> {
    files: Vec<FileNews>,
    splits: Vec<&'a Split>,
}

/// What the ledger is to know of a file.
#[derive(Debug, PartialEq, Eq)]
struct FileNews {
    name: String,
    fingerprint: Fingerprint,
    planned_to: Position,
    columns: Option<Vec<Column>>,
    problem: Option<FileProblem>,
    is_page: bool,
}

impl FileNews {
    fn is_known_by(&self, before: &KnownFile) -> bool {
        self.fingerprint == before.fingerprint
            && self.planned_to == before.planned_to
            && self.columns == before.columns
            && self.problem == before.problem
    }
}

fn compare<'a, 'p>(
    known: &[KnownFile],
    planned_files: impl Iterator<Item = &'p PlannedContent>,
    splits: &'a [Split],
) -> News<'a> {
    let known: HashMap<&str, &KnownFile> =
        known.iter().map(|file| (file.name.as_str(), file)).collect();
    let mut splits_by_file: HashMap<&str, Vec<&Split>> = HashMap::new();
    for split in splits {
        splits_by_file.entry(&split.file).or_default().push(split);
    }
    let mut news = News { files: Vec::new(), splits: Vec::new() };
    for planned in planned_files {
        let name = planned.name.as_str();
        let before = known.get(name).copied();
        let ranges = splits_by_file.get(name).map(Vec::as_slice).unwrap_or_default();
        let first = ranges.first().map(|split| split.start);
        let Some(start) = before.map(|file| file.planned_to).or(first) else {
            continue;
        };
        let file = FileNews {
            name: name.to_owned(),
            fingerprint: wider(before, &planned.fingerprint).clone(),
            planned_to: follow(start, ranges, &mut news.splits),
            columns: header(before, &planned.columns),
            problem: problem(before, planned),
            is_page: planned.is_page,
        };
        if before.is_none_or(|before| !file.is_known_by(before)) {
            news.files.push(file);
        }
    }
    news
}

/// The header as the source tells it now, since its owner may declare other types.
fn header(before: Option<&KnownFile>, planned: &[Column]) -> Option<Vec<Column>> {
    if planned.is_empty() {
        return before.and_then(|file| file.columns.clone());
    }
    Some(planned.to_vec())
}

/// What is wrong with the file now: what the source says, or does not say any more.
fn problem(before: Option<&KnownFile>, planned: &PlannedContent) -> Option<FileProblem> {
    match before {
        // A worker with an older plan knows less.
        Some(before) if before.fingerprint.size_bytes > planned.fingerprint.size_bytes => {
            before.problem.clone()
        }
        _ => planned.problem.clone(),
    }
}

/// Takes the splits that follow on `start`; returns where the last one ends.
fn follow<'a>(start: Position, ranges: &[&'a Split], taken: &mut Vec<&'a Split>) -> Position {
    let mut planned_to = start;
    for &split in ranges {
        if split.start == planned_to {
            planned_to = split.end;
            taken.push(split);
        }
    }
    planned_to
}

/// The fingerprint that covers more: a worker with an older plan knows less.
fn wider<'a>(before: Option<&'a KnownFile>, planned: &'a Fingerprint) -> &'a Fingerprint {
    match before {
        Some(before) if before.fingerprint.size_bytes > planned.size_bytes => &before.fingerprint,
        _ => planned,
    }
}

/// Sets the run running again if another worker has stopped it meanwhile.
async fn keep_running(
    conn: &mut PgConnection,
    run_id: RunId,
    job: &str,
) -> Result<(), LedgerError> {
    let updated = sqlx::query(
        "UPDATE ferry.run
         SET state = 'running', finished_at = NULL, error_code = NULL, error_message = NULL
         WHERE run_id = $1 AND state <> 'finished'
           AND NOT EXISTS (SELECT FROM ferry.run AS other
                           WHERE other.job = $2 AND other.run_id > $1)",
    )
    .bind(run_id.0)
    .bind(job)
    .execute(conn)
    .await?
    .rows_affected();
    if updated == 1 { Ok(()) } else { Err(LedgerError::RunEnded { run: run_id }) }
}

/// Names are unique among the files that count, hence the condition.
const UPSERT_FILES: &str = "
INSERT INTO ferry.file AS f
    (job, dataset, name, fingerprint_bytes, fingerprint_hash, modified_unix_nanos,
     planned_byte, planned_row, columns, problem_reason, problem, is_page)
SELECT $1, $2, r.name, r.size, r.hash, r.modified, r.planned_byte, r.planned_row,
       r.columns::jsonb, r.problem_reason, r.problem, r.is_page
FROM unnest($3::text[], $4::bigint[], $5::bytea[], $6::bigint[], $7::bigint[], $8::bigint[],
            $9::text[], $10::text[], $11::text[], $12::boolean[])
         AS r (name, size, hash, modified, planned_byte, planned_row, columns,
               problem_reason, problem, is_page)
ON CONFLICT (job, dataset, name) WHERE superseded_at IS NULL DO UPDATE
SET fingerprint_bytes = excluded.fingerprint_bytes,
    fingerprint_hash = excluded.fingerprint_hash,
    modified_unix_nanos = excluded.modified_unix_nanos,
    planned_byte = excluded.planned_byte,
    planned_row = excluded.planned_row,
    columns = excluded.columns,
    problem_reason = excluded.problem_reason,
    problem = excluded.problem,
    updated_at = now()
WHERE f.planned_byte <= excluded.planned_byte";

async fn upsert_files(
    conn: &mut PgConnection,
    job: &str,
    dataset: &str,
    files: &[FileNews],
) -> Result<(), LedgerError> {
    let names: Vec<String> = files.iter().map(|file| file.name.clone()).collect();
    let fingerprints = Fingerprints::of(files.iter().map(|file| &file.fingerprint))?;
    let planned = Positions::of(files.iter().map(|file| file.planned_to))?;
    let columns: Vec<Option<String>> =
        files.iter().map(|file| file.columns.as_deref().map(encode_columns)).collect();
    let problems = || files.iter().map(|file| file.problem.as_ref());
    let reasons: Vec<Option<String>> =
        problems().map(|problem| problem.map(|problem| problem.reason.clone())).collect();
    let messages: Vec<Option<String>> =
        problems().map(|problem| problem.map(|problem| without_nul(&problem.message))).collect();
    sqlx::query(UPSERT_FILES)
        .bind(job)
        .bind(dataset)
        .bind(names)
        .bind(fingerprints.sizes)
        .bind(fingerprints.hashes)
        .bind(fingerprints.times)
        .bind(planned.bytes)
        .bind(planned.rows)
        .bind(columns)
        .bind(reasons)
        .bind(messages)
        .bind(files.iter().map(|file| file.is_page).collect::<Vec<bool>>())
        .execute(conn)
        .await?;
    Ok(())
}

const INSERT_SPLITS: &str = "
INSERT INTO ferry.split
    (run_id, file_id, fingerprint_bytes, fingerprint_hash, modified_unix_nanos,
     start_byte, start_row, end_byte, end_row, next_byte, next_row)
SELECT $1, f.file_id, r.size, r.hash, r.modified,
       r.start_byte, r.start_row, r.end_byte, r.end_row, r.start_byte, r.start_row
FROM unnest($4::text[], $5::bigint[], $6::bytea[], $7::bigint[],
            $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[])
         AS r (name, size, hash, modified, start_byte, start_row, end_byte, end_row)
JOIN ferry.file AS f
  ON f.job = $2 AND f.dataset = $3 AND f.name = r.name AND f.superseded_at IS NULL";

async fn insert_splits(
    conn: &mut PgConnection,
    run_id: RunId,
    job: &str,
    dataset: &str,
    splits: &[&Split],
) -> Result<(), LedgerError> {
    let names: Vec<String> = splits.iter().map(|split| split.file.clone()).collect();
    let fingerprints = Fingerprints::of(splits.iter().map(|split| &split.fingerprint))?;
    let starts = Positions::of(splits.iter().map(|split| split.start))?;
    let ends = Positions::of(splits.iter().map(|split| split.end))?;
    let inserted = sqlx::query(INSERT_SPLITS)
        .bind(run_id.0)
        .bind(job)
        .bind(dataset)
        .bind(names)
        .bind(fingerprints.sizes)
        .bind(fingerprints.hashes)
        .bind(fingerprints.times)
        .bind(starts.bytes)
        .bind(starts.rows)
        .bind(ends.bytes)
        .bind(ends.rows)
        .execute(conn)
        .await?
        .rows_affected();
    if usize::try_from(inserted) == Ok(splits.len()) {
        Ok(())
    } else {
        Err(LedgerError::Invalid { what: "file of a split" })
    }
}

/// Fingerprints, column by column.
#[derive(Default)]
struct Fingerprints {
    sizes: Vec<i64>,
    hashes: Vec<Vec<u8>>,
    times: Vec<i64>,
}

impl Fingerprints {
    fn of<'a>(fingerprints: impl Iterator<Item = &'a Fingerprint>) -> Result<Self, LedgerError> {
        let mut columns = Self::default();
        for fingerprint in fingerprints {
            columns.sizes.push(to_bigint(fingerprint.size_bytes, "size of a file")?);
            columns.hashes.push(fingerprint.content_hash.to_vec());
            columns.times.push(fingerprint.modified_unix_nanos);
        }
        Ok(columns)
    }
}

/// Positions, column by column.
#[derive(Default)]
struct Positions {
    bytes: Vec<i64>,
    rows: Vec<i64>,
}

impl Positions {
    fn of(positions: impl Iterator<Item = Position>) -> Result<Self, LedgerError> {
        let mut columns = Self::default();
        for position in positions {
            columns.bytes.push(to_bigint(position.byte_offset, "byte offset")?);
            columns.rows.push(to_bigint(position.row_number, "row number")?);
        }
        Ok(columns)
    }
}

#[cfg(test)]
mod tests;
