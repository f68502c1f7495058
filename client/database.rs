//! Turns a database URL into a connection, and an error of PostgreSQL into words.
//!
//! Invariant: no URL, no password and no value of a record is in any text made
//! here. PostgreSQL's messages quote values, so its errors are told by their
//! SQLSTATE and by the names of tables, columns and constraints.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use ferry::host::settings::Secret;
use sqlx::postgres::{PgConnectOptions, PgDatabaseError, PgSeverity};
use sqlx::{ConnectOptions as _, PgConnection};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What a session needs, whatever role, database or server say.
///
/// A COPY may take as long as it takes; a wait for somebody else's lock may
/// not. A worker that hangs or is cut off must not keep its locks: the server
/// ends its session within about a minute.
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

/// Routines of PostgreSQL whose messages name objects and quote no value.
const ROUTINES_WITHOUT_VALUES: [&str; 6] = [
    "aclcheck_error",
    "parserOpenTable",
    "RangeVarGetRelidExtended",
    "get_namespace_oid",
    "LookupExplicitNamespace",
    "CopyGetAttnums",
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
    /// The server refuses the session for another reason.
    #[error("the database at {host}:{port} refused the session: {reason}")]
    Refused {
        /// Host name, address or folder of the socket.
        host: String,
        /// Port.
        port: u16,
        /// Why, without values.
        reason: String,
    },
}

/// Opens a session that is set up for loading.
pub(crate) async fn connect(
    url: &Secret,
    application_name: &str,
) -> Result<PgConnection, DatabaseError> {
    let options = parse(url)?.application_name(application_name);
    match tokio::time::timeout(CONNECT_TIMEOUT, open(&options)).await {
        Ok(Ok(conn)) => Ok(conn),
        Ok(Err(error)) => Err(explain(&options, &error)),
        Err(_) => {
            let seconds = CONNECT_TIMEOUT.as_secs();
            Err(unreachable(&options, format!("no answer within {seconds} seconds")))
        }
    }
}

async fn open(options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    let mut conn = options.connect().await?;
    // Statements rather than start-up options, which connection poolers refuse.
    sqlx::raw_sql(SESSION_SETTINGS).execute(&mut conn).await?;
    Ok(conn)
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
        _ => DatabaseError::Refused { host, port, reason: describe(error) },
    }
}

/// The SQLSTATE of an error, if the server sent it.
pub(crate) fn sqlstate(error: &sqlx::Error) -> Option<String> {
    error.as_database_error()?.code().map(Cow::into_owned)
}

/// Whether the session is gone, so that only a new one can tell what was committed.
pub(crate) fn is_connection_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(error) => error
            .try_downcast_ref::<PgDatabaseError>()
            .is_some_and(|error| matches!(error.severity(), PgSeverity::Fatal | PgSeverity::Panic)),
        _ => false,
    }
}

/// What went wrong, in words that quote no value.
pub(crate) fn describe(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) => match error.try_downcast_ref::<PgDatabaseError>() {
            Some(error) => Refusal::from(error).to_string(),
            None => "the database refused the statement".to_owned(),
        },
        sqlx::Error::Io(error) => format!("the connection to the database is lost: {error}"),
        sqlx::Error::Tls(_) => "the encrypted connection to the database failed".to_owned(),
        sqlx::Error::Protocol(_) => "the connection to the database is out of step".to_owned(),
        sqlx::Error::ColumnDecode { index, .. } => {
            format!("column {index} of a ledger table has an unexpected type")
        }
        sqlx::Error::RowNotFound => "a row that must be in the database is missing".to_owned(),
        _ => "the database driver failed".to_owned(),
    }
}

/// The parts of PostgreSQL's error that quote no value.
#[derive(Default)]
struct Refusal<'a> {
    sqlstate: &'a str,
    constraint: Option<&'a str>,
    schema: Option<&'a str>,
    table: Option<&'a str>,
    column: Option<&'a str>,
    /// The message, if it can only hold names of objects.
    message: Option<&'a str>,
}

impl<'a> From<&'a PgDatabaseError> for Refusal<'a> {
    fn from(error: &'a PgDatabaseError) -> Self {
        let is_safe = error.routine().is_some_and(|name| ROUTINES_WITHOUT_VALUES.contains(&name));
        Self {
            sqlstate: error.code(),
            constraint: error.constraint(),
            schema: error.schema(),
            table: error.table(),
            column: error.column(),
            message: is_safe.then(|| error.message()),
        }
    }
}

impl fmt::Display for Refusal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (SQLSTATE {}", meaning(self.sqlstate), self.sqlstate)?;
        if let Some(message) = self.message {
            write!(f, ": {message}")?;
        }
        if let Some(constraint) = self.constraint {
            write!(f, ", constraint {constraint}")?;
        }
        match (self.schema, self.table) {
            (Some(schema), Some(table)) => write!(f, ", table {schema}.{table}")?,
            (None, Some(table)) => write!(f, ", table {table}")?,
            _ => {}
        }
        if let Some(column) = self.column {
            write!(f, ", column {column}")?;
        }
        f.write_str(")")
    }
}

/// What a SQLSTATE means to the person who runs a load.
fn meaning(sqlstate: &str) -> &'static str {
    match sqlstate {
        "23502" => "a row lacks a value that the table requires",
        "23503" => "a row refers to another one that is not there",
        "23505" => "a row repeats a key that must be unique",
        "23514" => "a row breaks a check of the table",
        "23P01" => "a row collides with another one",
        "25006" => "the database is read-only: connect to the primary server",
        "25P03" => "the session was idle in a transaction for too long: run again",
        "40001" | "40P01" => "the transaction collided with another one: run again",
        "42501" => "the database user lacks a permission: grant it, then run again",
        "42703" => "a column is missing in the database",
        "42P01" => "a table is missing in the database",
        "3F000" => "a schema is missing in the database: create it",
        "53100" => "the disk of the database is full: free some space, then run again",
        "53200" => "the database is out of memory",
        "53300" => {
            "the database has no connection left: raise max_connections or run fewer workers"
        }
        "55P03" => "another session holds a lock for too long: let it end, then run again",
        "57014" => "the statement was cancelled on the server",
        "57P01" => "an administrator ended the session or the server: run again",
        "57P02" => "the database server crashed: run again once it is up",
        "57P03" => "the database is starting or stopping: try again in a moment",
        _ => match sqlstate.get(..2) {
            Some("08") => "the connection to the database is lost",
            Some("22") => "a value does not fit its column",
            Some("23") => "a row breaks a constraint of the table",
            Some("53") => "the database is out of resources",
            Some("58") => "the database server has trouble with its files",
            Some("XX") => "the database has an internal error, see its log",
            _ => "the database refused a statement",
        },
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
    fn unknown_parameters_are_left_out() {
        let url = "postgres://u@h/d?sslmode=require&sslpassword=x&channel_binding=require";
        assert_eq!(without_unknown_parameters(url), "postgres://u@h/d?sslmode=require");
        assert_eq!(without_unknown_parameters("postgres://u@h/d"), "postgres://u@h/d");
    }

    #[test]
    fn a_broken_constraint_is_named() {
        let refusal = Refusal {
            sqlstate: "23505",
            constraint: Some("users_pkey"),
            schema: Some("public"),
            table: Some("users"),
            ..Refusal::default()
        };
        assert_eq!(
            refusal.to_string(),
            "a row repeats a key that must be unique (SQLSTATE 23505, constraint users_pkey, table public.users)"
        );
    }

    #[test]
    fn a_missing_permission_names_its_object() {
        let message = Some("permission denied for schema ferry");
        let refusal = Refusal { sqlstate: "42501", message, ..Refusal::default() };
        assert_eq!(
            refusal.to_string(),
            "the database user lacks a permission: grant it, then run again (SQLSTATE 42501: permission denied for schema ferry)"
        );
    }

    #[test]
    fn an_unknown_sqlstate_is_told_by_its_class() {
        assert_eq!(meaning("22P02"), "a value does not fit its column");
        assert_eq!(meaning("99999"), "the database refused a statement");
        assert_eq!(meaning(""), "the database refused a statement");
    }

    #[test]
    fn a_lost_connection_is_recognised() {
        let lost = sqlx::Error::Io(std::io::ErrorKind::UnexpectedEof.into());
        assert!(is_connection_lost(&lost));
        assert!(!is_connection_lost(&sqlx::Error::RowNotFound));
        assert_eq!(sqlstate(&lost), None);
    }
}
