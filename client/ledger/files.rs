//! Which files a job knows, and how far each is cut into splits.

use ferry::position::{Fingerprint, Position};
use sqlx::{PgConnection, Row as _};

use crate::ledger::{LedgerError, read_fingerprint, read_position};

/// A file that a job has met before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KnownFile {
    /// Name of the file below the dataset's root.
    pub(crate) name: String,
    /// Content that `planned_to` belongs to.
    pub(crate) fingerprint: Fingerprint,
    /// End of the last split.
    pub(crate) planned_to: Position,
}

/// The files of a dataset that the job knows, by name.
pub(crate) async fn known(
    conn: &mut PgConnection,
    job: &str,
    dataset: &str,
) -> Result<Vec<KnownFile>, LedgerError> {
    let rows = sqlx::query(
        "SELECT name, fingerprint_bytes, fingerprint_hash, modified_unix_nanos,
                planned_byte, planned_row
         FROM ferry.file WHERE job = $1 AND dataset = $2 ORDER BY name",
    )
    .bind(job)
    .bind(dataset)
    .fetch_all(conn)
    .await?;
    let mut files = Vec::with_capacity(rows.len());
    for row in &rows {
        files.push(KnownFile {
            name: row.try_get("name")?,
            fingerprint: read_fingerprint(row)?,
            planned_to: read_position(row, "planned_byte", "planned_row")?,
        });
    }
    Ok(files)
}
