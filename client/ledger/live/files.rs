//! Lists the files of a job page by page, pages of an API among them, and how far each is loaded.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};

use super::Page;
use crate::ledger::files::FileProblem;
use crate::ledger::times::TimeForm;
use crate::ledger::{LedgerError, from_bigint, without_nul};

/// A file of a job, and how far all runs together have loaded it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileStanding {
    /// Dataset that it belongs to.
    pub(crate) dataset: String,
    /// Its name there.
    pub(crate) name: String,
    /// Its size when it was planned last.
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
    /// When something of it was committed last, as RFC 3339 has it.
    pub(crate) last_commit_at: Option<String>,
    /// Why it could not be read to its end when it was planned last.
    pub(crate) problem: Option<FileProblem>,
    /// Whether it is a page that was fetched from an API.
    pub(crate) is_page: bool,
}

/// Files of one name in several datasets stay together, so that a name is a place to go on from.
const FILES: &str = "
SELECT f.dataset, f.name, f.fingerprint_bytes AS size_bytes, f.problem_reason, f.problem, f.is_page,
       s.planned_rows, s.loaded, s.quarantined, s.filtered, s.rows_left,
       to_char(c.last_commit_at AT TIME ZONE 'UTC', $4::text) AS last_commit_at
FROM (SELECT * FROM ferry.file
      WHERE job = $1 AND superseded_at IS NULL AND ($2::text IS NULL OR name COLLATE \"C\" > $2)
      ORDER BY name COLLATE \"C\" FETCH FIRST ($3::bigint) ROWS WITH TIES) AS f
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
ORDER BY f.name COLLATE \"C\", f.dataset COLLATE \"C\"";

/// The next files of a job after a name, those left out that were given up.
pub(crate) async fn files(
    conn: &mut PgConnection,
    job: &str,
    after: Option<&str>,
    limit: u32,
) -> Result<Page<FileStanding>, LedgerError> {
    let rows = sqlx::query(FILES)
        .bind(job)
        .bind(after.map(without_nul))
        .bind(i64::from(limit) + 1)
        .bind(TimeForm::Rfc3339.pattern())
        .fetch_all(conn)
        .await?;
    let files = rows.iter().map(read_file).collect::<Result<Vec<_>, _>>()?;
    Ok(whole_names(files, limit))
}

/// Cuts a page behind the last file of a name, though it may become longer so.
fn whole_names(mut files: Vec<FileStanding>, limit: u32) -> Page<FileStanding> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut end = limit.min(files.len());
    while end > 0 && end < files.len() && files[end].name == files[end - 1].name {
        end += 1;
    }
    let has_more = end < files.len();
    files.truncate(end);
    Page { items: files, has_more }
}

fn read_file(row: &PgRow) -> Result<FileStanding, LedgerError> {
    let name: String = row.try_get("name")?;
    let reason: Option<String> = row.try_get("problem_reason")?;
    let message: Option<String> = row.try_get("problem")?;
    let told = reason.zip(message);
    Ok(FileStanding {
        dataset: row.try_get("dataset")?,
        size_bytes: from_bigint(row, "size_bytes")?,
        planned_rows: from_bigint(row, "planned_rows")?,
        loaded: from_bigint(row, "loaded")?,
        quarantined: from_bigint(row, "quarantined")?,
        filtered: from_bigint(row, "filtered")?,
        rows_left: from_bigint(row, "rows_left")?,
        last_commit_at: row.try_get("last_commit_at")?,
        problem: told.map(|(reason, message)| FileProblem { file: name.clone(), reason, message }),
        is_page: row.try_get("is_page")?,
        name,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(dataset: &str, name: &str) -> FileStanding {
        FileStanding {
            dataset: dataset.to_owned(),
            name: name.to_owned(),
            size_bytes: 0,
            planned_rows: 0,
            loaded: 0,
            quarantined: 0,
            filtered: 0,
            rows_left: 0,
            last_commit_at: None,
            problem: None,
            is_page: false,
        }
    }

    fn cut(files: &[(&str, &str)], limit: u32) -> (usize, bool) {
        let files = files.iter().map(|(dataset, name)| file(dataset, name)).collect();
        let page = whole_names(files, limit);
        (page.items.len(), page.has_more)
    }

    #[test]
    fn files_of_one_name_stay_on_one_page() {
        let files = [("x", "a"), ("x", "b"), ("y", "b"), ("z", "b"), ("x", "c")];
        assert_eq!(cut(&files, 1), (1, true));
        assert_eq!(cut(&files, 2), (4, true));
        assert_eq!(cut(&files[..4], 2), (4, false));
        assert_eq!(cut(&files, 5), (5, false));
        assert_eq!(cut(&[], 5), (0, false));
    }
}
