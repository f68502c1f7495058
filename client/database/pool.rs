//! Turns a database URL into a pool of sessions for look-ups, and makes any session write values in one form.
//!
//! Bounds: 3 s of waiting for a session, 10 s for a statement.

use std::time::Duration;

use ferry::host::settings::Secret;
use sqlx::postgres::PgPoolOptions;
use sqlx::{PgConnection, PgPool};

use super::{DatabaseError, nodelay, parse};

const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
const IDLE_TIMEOUT: Duration = Duration::from_mins(5);

const LOOK_UP_SETTINGS: &str = "
SET statement_timeout = '10s';
SET lock_timeout = '5s';
SET idle_in_transaction_session_timeout = '1min';
SET client_min_messages = warning;
SET default_transaction_isolation = 'read committed'";

/// Texts of values must not depend on role or database: some of them are cached, or name what is.
const TEXT_SETTINGS: &str = "
SET timezone = 'UTC';
SET datestyle = 'ISO, MDY';
SET intervalstyle = 'postgres';
SET bytea_output = 'hex';
SET extra_float_digits = 1";

/// A pool of at most `connections_max` sessions, opened when they are needed.
pub(crate) fn pool(
    url: &Secret,
    application_name: &str,
    connections_max: u32,
) -> Result<PgPool, DatabaseError> {
    let options = parse(url)?.application_name(application_name);
    let pool = PgPoolOptions::new()
        .max_connections(connections_max)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(IDLE_TIMEOUT)
        .after_connect(|connection, _| {
            nodelay::set();
            Box::pin(set_up_look_ups(connection))
        });
    Ok(pool.connect_lazy_with(options))
}

/// Bounds the statements of a session, and makes it write values as all others do.
pub(crate) async fn set_up_look_ups(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(LOOK_UP_SETTINGS).execute(&mut *connection).await?;
    set_up_texts(connection).await
}

/// Makes a session write values as all others do.
pub(crate) async fn set_up_texts(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(TEXT_SETTINGS).execute(connection).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_pool_connects_when_it_is_needed_and_hides_its_url() {
        let nobody = Secret::new("postgres://me:hunter2@127.0.0.1:1/none".to_owned());
        let pool = pool(&nobody, "test", 2).expect("a valid URL");
        assert_eq!(pool.size(), 0);
        let invalid = Secret::new("mysql://me:hunter2@host/d".to_owned());
        let error = super::pool(&invalid, "test", 2).expect_err("an invalid URL");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}
