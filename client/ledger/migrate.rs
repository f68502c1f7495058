//! Brings the tables of schema `ferry` up to the version of this program.
//!
//! Invariant: one session migrates at a time, and a ledger that a later
//! version made is left alone.

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{PgConnection, SqlSafeStr as _};

use crate::ledger::{LOCK_CLASS, LedgerError};

/// Second half of the lock; those of jobs are hashes, and a collision only makes one wait.
const MIGRATION_LOCK: i32 = 0;

const SCHEMA: &str = "ferry";

/// Every migration in its order: version, name, SQL. One that was released never changes.
const MIGRATIONS: [(i64, &str, &str); 5] = [
    (1, "ledger", include_str!("../../migrations/0001_ledger.sql")),
    (2, "stages", include_str!("../../migrations/0002_stages.sql")),
    (3, "load", include_str!("../../migrations/0003_load.sql")),
    (4, "problems", include_str!("../../migrations/0004_problems.sql")),
    (5, "pages", include_str!("../../migrations/0005_pages.sql")),
];

/// Applies what is missing; returns the versions that were applied now.
pub(crate) async fn migrate(conn: &mut PgConnection) -> Result<Vec<i64>, LedgerError> {
    lock(conn).await?;
    let applied = migrate_alone(conn).await;
    let unlocked = unlock(conn).await;
    let applied = applied?;
    unlocked?;
    Ok(applied)
}

/// Whether nothing is missing; writes nothing.
///
/// A role that may not create schemas can so use a ledger that another made.
pub(crate) async fn is_current(conn: &mut PgConnection) -> Result<bool, LedgerError> {
    let migrator = migrator();
    let applied = applied(conn).await?;
    refuse_newer(&migrator, &applied)?;
    let is_applied = |migration: &Migration| {
        applied.iter().any(|(version, checksum)| {
            *version == migration.version && checksum[..] == migration.checksum[..]
        })
    };
    Ok(migrator.iter().all(is_applied))
}

/// Whether there is a ledger, of whatever version.
pub(crate) async fn exists(conn: &mut PgConnection) -> Result<bool, LedgerError> {
    Ok(!applied(conn).await?.is_empty())
}

async fn migrate_alone(conn: &mut PgConnection) -> Result<Vec<i64>, LedgerError> {
    let mut migrator = migrator();
    let before = applied(conn).await?;
    refuse_newer(&migrator, &before)?;
    if !has_schema(conn).await? {
        migrator.create_schema(SCHEMA);
    }
    migrator.run(&mut *conn).await.map_err(explain)?;
    let is_new = |version: &i64| before.iter().all(|(known, _)| known != version);
    Ok(migrator.iter().map(|migration| migration.version).filter(is_new).collect())
}

fn migrator() -> Migrator {
    let migration = |(version, name, sql): (i64, &'static str, &'static str)| {
        Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    let mut migrator = Migrator::with_migrations(MIGRATIONS.map(migration).to_vec());
    migrator.dangerous_set_table_name("ferry.migration");
    // Its own lock would stay taken after an error.
    migrator.set_locking(false);
    migrator
}

/// Who may write to the schema need not be allowed to make one.
async fn has_schema(conn: &mut PgConnection) -> Result<bool, LedgerError> {
    let asking = sqlx::query_scalar("SELECT to_regnamespace($1) IS NOT NULL").bind(SCHEMA);
    Ok(asking.fetch_one(conn).await?)
}

/// Versions and checksums of what was applied; empty if there is no ledger yet.
async fn applied(conn: &mut PgConnection) -> Result<Vec<(i64, Vec<u8>)>, LedgerError> {
    let has_table: bool = sqlx::query_scalar("SELECT to_regclass('ferry.migration') IS NOT NULL")
        .fetch_one(&mut *conn)
        .await?;
    if !has_table {
        return Ok(Vec::new());
    }
    let rows = sqlx::query_as("SELECT version, checksum FROM ferry.migration ORDER BY version")
        .fetch_all(conn)
        .await?;
    Ok(rows)
}

fn refuse_newer(migrator: &Migrator, applied: &[(i64, Vec<u8>)]) -> Result<(), LedgerError> {
    match applied.iter().find(|(version, _)| !migrator.version_exists(*version)) {
        Some((version, _)) => Err(LedgerError::Newer { version: *version }),
        None => Ok(()),
    }
}

fn explain(error: MigrateError) -> LedgerError {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            LedgerError::Database(error.into())
        }
        MigrateError::VersionMissing(version) => LedgerError::Newer { version },
        MigrateError::VersionMismatch(version) => LedgerError::Migrate(format!(
            "its migration {version} is not the one of this ferry-client, so that another build made it"
        )),
        other => LedgerError::Migrate(other.to_string()),
    }
}

async fn lock(conn: &mut PgConnection) -> Result<(), LedgerError> {
    sqlx::query("SELECT pg_advisory_lock($1, $2)")
        .bind(LOCK_CLASS)
        .bind(MIGRATION_LOCK)
        .execute(conn)
        .await?;
    Ok(())
}

async fn unlock(conn: &mut PgConnection) -> Result<(), LedgerError> {
    sqlx::query("SELECT pg_advisory_unlock($1, $2)")
        .bind(LOCK_CLASS)
        .bind(MIGRATION_LOCK)
        .execute(conn)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_of_a_later_version_is_refused() {
        let mut applied: Vec<_> =
            MIGRATIONS.iter().map(|(version, ..)| (*version, Vec::new())).collect();
        assert!(refuse_newer(&migrator(), &applied).is_ok());
        applied.push((99, Vec::new()));
        let refused = refuse_newer(&migrator(), &applied);
        assert!(matches!(refused, Err(LedgerError::Newer { version: 99 })));
    }
}
