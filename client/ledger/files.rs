//! Which files a job knows, how far each is cut into splits and loaded, and what is wrong with it.

use std::cmp::Reverse;
use std::fmt;

use ferry::position::{Fingerprint, Position};
use ferry::schema::Column;
use serde::Serialize;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, PgConnection, Postgres, Row as _};

use crate::ledger::columns::read_columns;
use crate::ledger::times::TimeForm;
use crate::ledger::{FileId, LedgerError, from_bigint, read_fingerprint, read_position};

/// Pages that are dealt with and of which the source is told all the same: the
/// newest of them. If it gives an older one again, the ledger knows it.
const DONE_PAGES_TOLD: usize = 5000;

/// A file that a job has met before, or a page of an API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KnownFile {
    /// The file.
    pub(crate) file_id: FileId,
    /// Name of the file below the dataset's root.
    pub(crate) name: String,
    /// Content that `planned_to` belongs to.
    pub(crate) fingerprint: Fingerprint,
    /// End of the last split.
    pub(crate) planned_to: Position,
    /// Its header with the dataset's types; `None` if it was planned by a version that did not ask.
    pub(crate) columns: Option<Vec<Column>>,
    /// Why it could not be read to its end when it was planned last.
    pub(crate) problem: Option<FileProblem>,
    /// Whether a record of it is dealt with: until then nothing depends on its content.
    pub(crate) is_begun: bool,
    /// Whether no record of it is left to deal with.
    pub(crate) is_done: bool,
    /// Whether it is a page of an API.
    pub(crate) is_page: bool,
}

/// Why a file cannot be read, or not to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct FileProblem {
    /// Name of the file below the dataset's root.
    pub(crate) file: String,
    /// Stable word of the source, such as `ARCHIVE_DAMAGED`.
    pub(crate) reason: String,
    /// Text for people; holds no value of a record.
    pub(crate) message: String,
}

/// The text, which names the file.
impl fmt::Display for FileProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.message.contains(&self.file) {
            return f.write_str(&self.message);
        }
        write!(f, "\"{}\": {}", self.file, self.message)
    }
}

/// Either those of some names, or all.
const KNOWN: &str = "
SELECT file_id, name, fingerprint_bytes, fingerprint_hash, modified_unix_nanos,
       planned_byte, planned_row, columns::text AS columns, problem_reason, problem, is_page,
       EXISTS (SELECT FROM ferry.split
               WHERE split.file_id = file.file_id AND next_row > start_row) AS is_begun,
       NOT EXISTS (SELECT FROM ferry.split
                   WHERE split.file_id = file.file_id AND NOT done) AS is_done
FROM ferry.file
WHERE job = $1 AND dataset = $2 AND superseded_at IS NULL
  AND ($3::text[] IS NULL OR name = ANY ($3))
ORDER BY name";

/// The files of a dataset that the job knows and has not given up, by name.
pub(crate) async fn known(
    conn: &mut PgConnection,
    job: &str,
    dataset: &str,
) -> Result<Vec<KnownFile>, LedgerError> {
    read_known(conn, job, dataset, None).await
}

/// Those of these names, whatever they are.
pub(super) async fn known_among(
    conn: &mut PgConnection,
    job: &str,
    dataset: &str,
    names: &[String],
) -> Result<Vec<KnownFile>, LedgerError> {
    read_known(conn, job, dataset, Some(names)).await
}

async fn read_known(
    conn: &mut PgConnection,
    job: &str,
    dataset: &str,
    names: Option<&[String]>,
) -> Result<Vec<KnownFile>, LedgerError> {
    let rows = sqlx::query(KNOWN).bind(job).bind(dataset).bind(names).fetch_all(conn).await?;
    let mut files = Vec::with_capacity(rows.len());
    for row in &rows {
        files.push(KnownFile {
            file_id: FileId(row.try_get("file_id")?),
            name: row.try_get("name")?,
            fingerprint: read_fingerprint(row)?,
            planned_to: read_position(row, "planned_byte", "planned_row")?,
            columns: read_columns(row)?,
            problem: read_problem(row)?,
            is_begun: row.try_get("is_begun")?,
            is_done: row.try_get("is_done")?,
            is_page: row.try_get("is_page")?,
        });
    }
    Ok(files)
}

/// The files of which the source is told when it plans: all but old pages that
/// are dealt with, whose content never changes.
pub(crate) fn to_tell(known: &[KnownFile]) -> Vec<KnownFile> {
    let is_settled = |file: &&KnownFile| file.is_page && file.is_done && file.problem.is_none();
    let mut settled: Vec<FileId> =
        known.iter().filter(is_settled).map(|file| file.file_id).collect();
    settled.sort_unstable_by_key(|file| Reverse(file.0));
    // Whatever became known later has the greater one.
    let oldest_told = settled.get(DONE_PAGES_TOLD - 1).copied();
    let is_told = |file: &&KnownFile| {
        !is_settled(file) || oldest_told.is_none_or(|oldest| file.file_id.0 >= oldest.0)
    };
    known.iter().filter(is_told).cloned().collect()
}

fn read_problem(row: &PgRow) -> Result<Option<FileProblem>, LedgerError> {
    let reason: Option<String> = row.try_get("problem_reason")?;
    let message: Option<String> = row.try_get("problem")?;
    let file = row.try_get("name")?;
    Ok(reason.zip(message).map(|(reason, message)| FileProblem { file, reason, message }))
}

/// What is wrong with the files that the job knows and has not given up, by name.
pub(crate) async fn problems(
    conn: &mut PgConnection,
    job: &str,
    dataset: &str,
) -> Result<Vec<FileProblem>, LedgerError> {
    let rows = sqlx::query(
        "SELECT name, problem_reason, problem FROM ferry.file
         WHERE job = $1 AND dataset = $2 AND superseded_at IS NULL AND problem IS NOT NULL
         ORDER BY name",
    )
    .bind(job)
    .bind(dataset)
    .fetch_all(conn)
    .await?;
    let mut problems = Vec::with_capacity(rows.len());
    for row in &rows {
        problems.extend(read_problem(row)?);
    }
    Ok(problems)
}

/// A file that a run has not dealt with to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnsettledFile {
    /// The file.
    pub(crate) file_id: FileId,
    /// Name of the file below the dataset's root.
    pub(crate) name: String,
    /// Records that no run has dealt with yet.
    pub(crate) rows_left: u64,
}

const UNSETTLED: &str = "
SELECT f.file_id, f.name, s.rows_left
FROM ferry.file AS f
CROSS JOIN LATERAL (
    SELECT coalesce(sum(end_row - next_row), 0)::bigint AS rows_left, count(*) AS split_count
    FROM ferry.split WHERE file_id = f.file_id AND NOT done
) AS s
WHERE f.job = $1 AND f.dataset = $2 AND f.superseded_at IS NULL
  AND (s.split_count > 0 OR f.problem IS NOT NULL)
ORDER BY f.name";

/// The files that the job knows of which splits are left to do, or with which something is wrong.
pub(crate) async fn unsettled(
    conn: &mut PgConnection,
    job: &str,
    dataset: &str,
) -> Result<Vec<UnsettledFile>, LedgerError> {
    let rows = sqlx::query(UNSETTLED).bind(job).bind(dataset).fetch_all(conn).await?;
    let mut files = Vec::with_capacity(rows.len());
    for row in &rows {
        files.push(UnsettledFile {
            file_id: FileId(row.try_get("file_id")?),
            name: row.try_get("name")?,
            rows_left: from_bigint(row, "rows_left")?,
        });
    }
    Ok(files)
}

/// How far a file is loaded, by all runs of its job together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileStatus {
    /// Dataset that the file belongs to.
    pub(crate) dataset: String,
    /// Name of the file below the dataset's root.
    pub(crate) name: String,
    /// Size of the file when it was planned last.
    pub(crate) size_bytes: u64,
    /// Records in its splits.
    pub(crate) planned_rows: u64,
    /// Rows in the targets.
    pub(crate) loaded: u64,
    /// Rows in quarantine.
    pub(crate) quarantined: u64,
    /// Rows that the job left out.
    pub(crate) filtered: u64,
    /// Records that no run has dealt with yet.
    pub(crate) rows_left: u64,
    /// When something of it was committed last, in the form that was asked for.
    pub(crate) last_commit_at: Option<String>,
    /// Why it could not be read to its end when it was planned last.
    pub(crate) problem: Option<FileProblem>,
}

const STATUS: &str = "
SELECT f.dataset, f.name, f.fingerprint_bytes AS size_bytes, f.problem_reason, f.problem, f.is_page,
       s.planned_rows, s.loaded, s.quarantined, s.filtered, s.rows_left,
       to_char(c.last_commit_at AT TIME ZONE 'UTC', $2::text) AS last_commit_at
FROM ";
const SUMS: &str = " AS f
CROSS JOIN LATERAL (
    SELECT coalesce(sum(end_row - start_row), 0)::bigint AS planned_rows,
           coalesce(sum(loaded_rows), 0)::bigint AS loaded,
           coalesce(sum(quarantined_rows), 0)::bigint AS quarantined,
           coalesce(sum(filtered_rows), 0)::bigint AS filtered,
           coalesce(sum(end_row - next_row), 0)::bigint AS rows_left
    FROM ferry.split WHERE file_id = f.file_id
) AS s
CROSS JOIN LATERAL (
    SELECT max(committed_at) AS last_commit_at
    FROM ferry.commit JOIN ferry.split USING (split_id) WHERE file_id = f.file_id
) AS c
ORDER BY ";

/// Which files of a job a statement is on, and in which order.
pub(super) struct StatusOf {
    /// A query of `ferry.file` in parentheses; `$1` is the job, `$3` the first argument of its own.
    pub(super) files: &'static str,
    /// Columns of the files `f`.
    pub(super) order: &'static str,
}

/// A statement whose rows [`read_status`] reads; the next argument is `$3`.
pub(super) fn status_statement(
    of: &StatusOf,
    job: &str,
    form: TimeForm,
) -> Query<'static, Postgres, PgArguments> {
    // All of the text stands in this program; what comes from outside is bound.
    sqlx::query(AssertSqlSafe([STATUS, of.files, SUMS, of.order].concat()))
        .bind(job.to_owned())
        .bind(form.pattern())
}

pub(super) fn read_status(row: &PgRow) -> Result<FileStatus, LedgerError> {
    Ok(FileStatus {
        dataset: row.try_get("dataset")?,
        name: row.try_get("name")?,
        size_bytes: from_bigint(row, "size_bytes")?,
        planned_rows: from_bigint(row, "planned_rows")?,
        loaded: from_bigint(row, "loaded")?,
        quarantined: from_bigint(row, "quarantined")?,
        filtered: from_bigint(row, "filtered")?,
        rows_left: from_bigint(row, "rows_left")?,
        last_commit_at: row.try_get("last_commit_at")?,
        problem: read_problem(row)?,
    })
}

const ALL_FILES: StatusOf = StatusOf {
    files: "(SELECT * FROM ferry.file WHERE job = $1 AND superseded_at IS NULL)",
    order: "f.dataset, f.name",
};

/// Every file of a job that was not given up, by name.
pub(crate) async fn statuses(
    conn: &mut PgConnection,
    job: &str,
) -> Result<Vec<FileStatus>, LedgerError> {
    let rows = status_statement(&ALL_FILES, job, TimeForm::Words).fetch_all(conn).await?;
    rows.iter().map(read_status).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(message: &str) -> FileProblem {
        let (file, reason) = ("a.csv".to_owned(), "FILE_UNREADABLE".to_owned());
        FileProblem { file, reason, message: message.to_owned() }
    }

    /// A page that is dealt with.
    fn page(file_id: i64) -> KnownFile {
        KnownFile {
            file_id: FileId(file_id),
            name: format!("page-{file_id:06}-a"),
            fingerprint: Fingerprint {
                size_bytes: 1,
                content_hash: [0; 16],
                modified_unix_nanos: 1,
            },
            planned_to: Position::default(),
            columns: None,
            problem: None,
            is_begun: true,
            is_done: true,
            is_page: true,
        }
    }

    #[test]
    fn the_source_is_not_told_of_old_pages_that_are_dealt_with() {
        let most = i64::try_from(DONE_PAGES_TOLD).expect("a small number");
        let mut known: Vec<KnownFile> = (1..=most + 4).map(page).collect();
        known[0].is_done = false;
        known[1].problem = Some(problem("it ends early"));
        known[2].is_page = false;
        let told: Vec<i64> = to_tell(&known).iter().map(|file| file.file_id.0).collect();
        let expected: Vec<i64> = (1..=most + 4).filter(|file_id| *file_id != 4).collect();
        assert_eq!(told, expected);
        assert_eq!(to_tell(&known[..7]).len(), 7);
    }

    #[test]
    fn a_problem_names_its_file_once() {
        let told = "the header of file \"a.csv\" cannot be used";
        assert_eq!(problem(told).to_string(), told);
        assert_eq!(problem("it ends early").to_string(), "\"a.csv\": it ends early");
    }
}
