//! Turns a database URL into a connection.
//!
//! Invariant: no URL and no password is in any text made here.

mod nodelay;
mod pool;
mod statement;

use std::borrow::Cow;
use std::time::Duration;

use ferry::host::settings::Secret;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, PgConnection};

use statement::{describe, sqlstate};

pub(crate) use pool::{pool, set_up_look_ups, set_up_texts};
pub(crate) use statement::{RowRefusal, StatementError, is_data_exception};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The oldest that is tested, in the form of `server_version_num`.
const VERSION_MIN: u32 = 150_000;

/// What a session needs, whatever role, database or server say.
///
/// A COPY may take as long as it takes; a wait for somebody else's lock may
/// not. A worker that is cut off, or hangs between two statements, must not
/// keep its locks: the server ends its session within about a minute. One that
/// stands still in the middle of COPY is ended by no setting, but by the worker
/// that takes its split over.
const SESSION_SETTINGS: &str = "
SET statement_timeout = 0;
SET lock_timeout = '2min';
SET idle_in_transaction_session_timeout = '1min';
SET idle_session_timeout = 0;
SET tcp_keepalives_idle = 30;
SET tcp_keepalives_interval = 10;
SET tcp_keepalives_count = 3;
SET tcp_user_timeout = '1min';
SET client_min_messages = warning;
SET default_transaction_isolation = 'read committed'";

/// A statement whose client is gone ends, rather than go on, or wait for a lock,
/// for nobody. On its own, because servers on systems that cannot tell that a
/// client is gone refuse it; there such a statement lasts until it answers.
const CLIENT_CHECK: &str = "SET client_connection_check_interval = '5s'";

/// Parameters of a URL that sqlx understands; it would log others with their values.
const URL_PARAMETERS: [&str; 18] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];

/// A database that cannot be reached or does not let us in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DatabaseError {
    /// The URL cannot be read; it may hold a password, so it is not shown.
    #[error(
        "the database URL is not valid: write postgres://USER:PASSWORD@HOST:PORT/DATABASE, with %-escapes for special characters in the password"
    )]
    InvalidUrl,
    /// Nobody answers, or not in our language.
    #[error(
        "cannot reach the database at {host}:{port}: {reason}; check the URL and that PostgreSQL runs there"
    )]
    Unreachable {
        /// Host name, address or folder of the socket.
        host: String,
        /// Port.
        port: u16,
        /// What happened.
        reason: String,
    },
    /// The server does not let the user in.
    #[error(
        "the database refused user \"{user}\" (SQLSTATE {sqlstate}): check user, password and sslmode in the URL, and pg_hba.conf on the server"
    )]
    Authentication {
        /// User that was refused.
        user: String,
        /// 28P01 for a wrong password, 28000 for any other reason.
        sqlstate: String,
    },
    /// The server has no such database.
    #[error("there is no database \"{database}\" at {host}:{port}: create it, or correct the URL")]
    NoSuchDatabase {
        /// Name of the database.
        database: String,
        /// Host name, address or folder of the socket.
        host: String,
        /// Port.
        port: u16,
    },
    /// The server lacks what loading needs.
    #[error(
        "the database at {host}:{port} is PostgreSQL {version}, and ferry needs 15 or later: upgrade it, or load elsewhere"
    )]
    TooOld {
        /// Major version.
        version: u32,
        /// Host name, address or folder of the socket.
        host: String,
        /// Port.
        port: u16,
    },
    /// The server refuses the session for another reason.
    #[error("the database at {host}:{port} refused the session: {reason}")]
    Refused {
        /// Host name, address or folder of the socket.
        host: String,
        /// Port.
        port: u16,
        /// Why, without values.
        reason: String,
        /// The same, as a code.
        sqlstate: String,
    },
}

impl DatabaseError {
    /// Whether the database may let us in a little later.
    pub(crate) fn is_retryable(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused { sqlstate, .. } => statement::is_passing(sqlstate),
            Self::InvalidUrl
            | Self::Authentication { .. }
            | Self::NoSuchDatabase { .. }
            | Self::TooOld { .. } => false,
        }
    }
}

/// Opens a session that is set up for loading.
pub(crate) async fn connect(
    url: &Secret,
    application_name: &str,
) -> Result<PgConnection, DatabaseError> {
    let options = parse(url)?.application_name(application_name);
    match tokio::time::timeout(CONNECT_TIMEOUT, open(&options)).await {
        Ok(Ok(conn)) => match too_old(conn.server_version_num()) {
            Some(version) => Err(DatabaseError::TooOld {
                version,
                host: host(&options),
                port: options.get_port(),
            }),
            None => Ok(conn),
        },
        Ok(Err(error)) => Err(explain(&options, &error)),
        Err(_) => {
            let seconds = CONNECT_TIMEOUT.as_secs();
            Err(unreachable(&options, format!("no answer within {seconds} seconds")))
        }
    }
}

/// Names the session in PostgreSQL's own views.
pub(crate) async fn set_application_name(
    connection: &mut PgConnection,
    name: &str,
) -> Result<(), StatementError> {
    let query = sqlx::query("SELECT set_config('application_name', $1, false)").bind(name);
    query.execute(connection).await?;
    Ok(())
}

async fn open(options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    let mut conn = options.connect().await?;
    nodelay::set();
    // Statements rather than start-up options, which connection poolers refuse.
    sqlx::raw_sql(SESSION_SETTINGS).execute(&mut conn).await?;
    match sqlx::raw_sql(CLIENT_CHECK).execute(&mut conn).await {
        Err(error) if sqlstate(&error).is_none() => Err(error),
        _ => Ok(conn),
    }
}

/// The major version of a server that is too old. One that does not tell is tried.
fn too_old(server_version_num: Option<u32>) -> Option<u32> {
    server_version_num.filter(|number| *number < VERSION_MIN).map(|number| number / 10_000)
}

fn parse(url: &Secret) -> Result<PgConnectOptions, DatabaseError> {
    let url = url.expose();
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(DatabaseError::InvalidUrl);
    }
    let options: PgConnectOptions =
        without_unknown_parameters(url).parse().map_err(|_| DatabaseError::InvalidUrl)?;
    Ok(options.extra_float_digits(None::<i8>).disable_statement_logging())
}

fn without_unknown_parameters(url: &str) -> Cow<'_, str> {
    let Some((address, query)) = url.split_once('?') else {
        return Cow::Borrowed(url);
    };
    let mut known = Vec::new();
    for parameter in query.split('&') {
        let (name, _) = parameter.split_once('=').unwrap_or((parameter, ""));
        if URL_PARAMETERS.contains(&name) || name.starts_with("options[") {
            known.push(parameter);
        } else {
            tracing::warn!(parameter = name, "parameter of the database URL is ignored");
        }
    }
    Cow::Owned(format!("{address}?{}", known.join("&")))
}

fn host(options: &PgConnectOptions) -> String {
    match options.get_socket() {
        Some(folder) => folder.display().to_string(),
        None => options.get_host().to_owned(),
    }
}

fn unreachable(options: &PgConnectOptions, reason: String) -> DatabaseError {
    DatabaseError::Unreachable { host: host(options), port: options.get_port(), reason }
}

fn explain(options: &PgConnectOptions, error: &sqlx::Error) -> DatabaseError {
    let (host, port) = (host(options), options.get_port());
    let user = options.get_username().to_owned();
    let Some(sqlstate) = sqlstate(error) else {
        return match error {
            sqlx::Error::Io(error) => unreachable(options, error.to_string()),
            sqlx::Error::Tls(error) => unreachable(options, format!("TLS failed: {error}")),
            _ => unreachable(options, describe(error)),
        };
    };
    match sqlstate.as_str() {
        "28P01" | "28000" => DatabaseError::Authentication { user, sqlstate },
        "3D000" => {
            let database = options.get_database().map_or(user, str::to_owned);
            DatabaseError::NoSuchDatabase { database, host, port }
        }
        "57P03" => unreachable(options, describe(error)),
        _ => DatabaseError::Refused { host, port, reason: describe(error), sqlstate },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invalid_url_is_not_printed() {
        for url in ["", "hunter2", "mysql://u:hunter2@h/d", "postgres://u:hunter2@h:port/d"] {
            let error = parse(&Secret::new(url.to_owned())).expect_err("an invalid URL");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_server_that_is_too_old_is_told_by_its_major_version() {
        assert_eq!(too_old(Some(140_011)), Some(14));
        assert_eq!(too_old(Some(150_000)), None);
        assert_eq!(too_old(Some(180_001)), None);
        assert_eq!(too_old(None), None);
    }

    #[test]
    fn unknown_parameters_are_left_out() {
        let url = "postgres://u@h/d?sslmode=require&sslpassword=x&channel_binding=require";
        assert_eq!(without_unknown_parameters(url), "postgres://u@h/d?sslmode=require");
        assert_eq!(without_unknown_parameters("postgres://u@h/d"), "postgres://u@h/d");
    }
}
