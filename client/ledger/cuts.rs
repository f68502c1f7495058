//! Takes splits from whoever works on them: what is committed of them stays, the rest goes to another run or nowhere.
//!
//! Invariants: whoever worked on such a split is fenced, and the parts of a
//! split cover what the whole did. The callers hold the lock of the job, so
//! that nobody adds splits meanwhile.
//!
//! All statements that follow on a lock see what the transactions before it
//! committed: under READ COMMITTED each takes a snapshot of its own.

use sqlx::PgConnection;

use crate::ledger::{FileId, LedgerError, RunId};

/// A worker that commits holds its splits until it is done, so this waits for
/// it, and rows that it finished meanwhile are left out. In one order, so that
/// two sessions do not wait for each other.
const LOCK_OF_RUN: &str = "
SELECT split_id FROM ferry.split WHERE run_id = $1 AND NOT done
ORDER BY split_id FOR NO KEY UPDATE";

/// What is committed stays with the old run; what is not goes to the new one.
/// No other split of the file begins there, because the whole one covered it.
const COPY_RESTS: &str = "
INSERT INTO ferry.split
    (run_id, file_id, fingerprint_bytes, fingerprint_hash, modified_unix_nanos,
     start_byte, start_row, end_byte, end_row, next_byte, next_row)
SELECT $2, file_id, fingerprint_bytes, fingerprint_hash, modified_unix_nanos,
       next_byte, next_row, end_byte, end_row, next_byte, next_row
FROM ferry.split WHERE run_id = $1 AND NOT done AND next_byte > start_byte";

/// Which makes it done: its end is where it stands.
const CUT_OF_RUN: &str = "
UPDATE ferry.split
SET end_byte = next_byte, end_row = next_row,
    epoch = epoch + 1, lease_owner = NULL, lease_until = NULL
WHERE run_id = $1 AND NOT done AND next_byte > start_byte";

const MOVE_OF_RUN: &str = "
UPDATE ferry.split
SET run_id = $2, epoch = epoch + 1, lease_owner = NULL, lease_until = NULL
WHERE run_id = $1 AND NOT done";

/// Gives all that is left of one run to another.
///
/// A worker of the old run may have written refused rows or claims of a split
/// that is moved, with the old run's number; they go with its transaction,
/// which the split's new epoch refuses.
pub(super) async fn hand_over(
    conn: &mut PgConnection,
    from: RunId,
    to: RunId,
) -> Result<(), LedgerError> {
    sqlx::query(LOCK_OF_RUN).bind(from.0).fetch_all(&mut *conn).await?;
    sqlx::query(COPY_RESTS).bind(from.0).bind(to.0).execute(&mut *conn).await?;
    sqlx::query(CUT_OF_RUN).bind(from.0).execute(&mut *conn).await?;
    sqlx::query(MOVE_OF_RUN).bind(from.0).bind(to.0).execute(&mut *conn).await?;
    Ok(())
}

/// Stronger than above, because a split that is deleted must have nothing that
/// refers to it: a worker that has written such rows, and has yet to commit,
/// is waited for. It does not wait in turn: it holds the split already.
const LOCK_OF_FILES: &str = "
SELECT split_id FROM ferry.split WHERE file_id = ANY($1) AND NOT done
ORDER BY split_id FOR UPDATE";

/// Refused rows, claims and commits are written in the transaction that moves
/// the split past them. So nothing refers to a split that has not moved.
const DELETE_UNTOUCHED: &str = "
DELETE FROM ferry.split WHERE file_id = ANY($1) AND next_byte = start_byte AND NOT done";

const CUT_OF_FILES: &str = "
UPDATE ferry.split
SET end_byte = next_byte, end_row = next_row,
    epoch = epoch + 1, lease_owner = NULL, lease_until = NULL
WHERE file_id = ANY($1) AND NOT done";

/// A row of the file comes again with the file, and must not be loaded twice;
/// or the file was rewritten, and the row is no longer where it was.
const DISCARD_ROWS: &str = "
UPDATE ferry.quarantine SET state = 'discarded', settled_at = now()
WHERE state = 'open'
  AND split_id IN (SELECT split_id FROM ferry.split WHERE file_id = ANY($1))";

/// Values that its rows have claimed would refuse them when they come again.
const FORGET_CLAIMS: &str = "
DELETE FROM ferry.claim
WHERE split_id IN (SELECT split_id FROM ferry.split WHERE file_id = ANY($1))";

/// Nobody waits for the rest of such a file any more.
const FORGET_PROBLEMS: &str = "
UPDATE ferry.file SET problem_reason = NULL, problem = NULL
WHERE file_id = ANY($1) AND problem IS NOT NULL";

/// An API may give the same page again: what was not loaded of it is then new.
const FORGET_PAGES: &str = "
DELETE FROM ferry.file AS f
WHERE f.file_id = ANY($1) AND f.is_page
  AND NOT EXISTS (SELECT FROM ferry.split AS s WHERE s.file_id = f.file_id)";

/// Likewise of a page of which the beginning is loaded, and nothing behind a gap.
const REOPEN_PAGES: &str = "
UPDATE ferry.file AS f
SET planned_byte = s.end_byte, planned_row = s.end_row
FROM (SELECT file_id, max(end_byte) AS end_byte, max(end_row) AS end_row
      FROM ferry.split WHERE file_id = ANY($1) GROUP BY file_id
      HAVING min(start_row) = 0 AND sum(end_row - start_row) = max(end_row)) AS s
WHERE f.file_id = s.file_id AND f.is_page";

/// Ends the loading of files where it stands: what was loaded and refused stays as it is.
///
/// For good, but for pages of an API that come again.
pub(super) async fn end_here(conn: &mut PgConnection, files: &[FileId]) -> Result<(), LedgerError> {
    let statements = [
        LOCK_OF_FILES,
        DELETE_UNTOUCHED,
        CUT_OF_FILES,
        FORGET_PROBLEMS,
        FORGET_PAGES,
        REOPEN_PAGES,
    ];
    run_all(conn, files, &statements).await
}

/// Ends the loading of files where it stands, because they are loaded from their start again.
pub(super) async fn give_up(conn: &mut PgConnection, files: &[FileId]) -> Result<(), LedgerError> {
    let statements = [LOCK_OF_FILES, DELETE_UNTOUCHED, CUT_OF_FILES, DISCARD_ROWS, FORGET_CLAIMS];
    run_all(conn, files, &statements).await
}

async fn run_all(
    conn: &mut PgConnection,
    files: &[FileId],
    statements: &[&'static str],
) -> Result<(), LedgerError> {
    let files: Vec<i64> = files.iter().map(|file| file.0).collect();
    for statement in statements {
        sqlx::query(*statement).bind(&files).execute(&mut *conn).await?;
    }
    Ok(())
}
