//! Lists the files of a job page by page, pages of an API among them, and how far each is loaded.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};

use super::Page;
use crate::ledger::files::{FileStatus, StatusOf, read_status, status_statement};
use crate::ledger::times::TimeForm;
use crate::ledger::{LedgerError, without_nul};

/// A file of a job, and how far all runs together have loaded it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileStanding {
    /// How far it is loaded, with times as RFC 3339 has them.
    pub(crate) status: FileStatus,
    /// Whether it is a page that was fetched from an API.
    pub(crate) is_page: bool,
}

/// Files of one name in several datasets stay together, so that a name is a place to go on from.
const NEXT_FILES: StatusOf = StatusOf {
    files: "(SELECT * FROM ferry.file
             WHERE job = $1 AND superseded_at IS NULL
               AND ($3::text IS NULL OR name COLLATE \"C\" > $3)
             ORDER BY name COLLATE \"C\" FETCH FIRST ($4::bigint) ROWS WITH TIES)",
    order: "f.name COLLATE \"C\", f.dataset COLLATE \"C\"",
};

/// The next files of a job after a name, those left out that were given up.
pub(crate) async fn files(
    conn: &mut PgConnection,
    job: &str,
    after: Option<&str>,
    limit: u32,
) -> Result<Page<FileStanding>, LedgerError> {
    let rows = status_statement(&NEXT_FILES, job, TimeForm::Rfc3339)
        .bind(after.map(without_nul))
        .bind(i64::from(limit) + 1)
        .fetch_all(conn)
        .await?;
    let files = rows.iter().map(read_file).collect::<Result<Vec<_>, _>>()?;
    Ok(whole_names(files, limit))
}

/// Cuts a page behind the last file of a name, though it may become longer so.
fn whole_names(mut files: Vec<FileStanding>, limit: u32) -> Page<FileStanding> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut end = limit.min(files.len());
    while end > 0 && end < files.len() && files[end].status.name == files[end - 1].status.name {
        end += 1;
    }
    let has_more = end < files.len();
    files.truncate(end);
    Page { items: files, has_more }
}

fn read_file(row: &PgRow) -> Result<FileStanding, LedgerError> {
    Ok(FileStanding { status: read_status(row)?, is_page: row.try_get("is_page")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(dataset: &str, name: &str) -> FileStanding {
        let status = FileStatus {
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
        };
        FileStanding { status, is_page: false }
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
