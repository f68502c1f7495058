//! Turns an error of PostgreSQL into words that quote no value.
//!
//! PostgreSQL's messages quote values of records, so its errors are told by
//! their SQLSTATE and by the names of tables, columns and constraints, as long
//! as PostgreSQL itself took those from its catalogue.

mod names;

use std::borrow::Cow;
use std::fmt;

use ferry::reject::{Code, Reason};
use sqlx::postgres::{PgDatabaseError, PgSeverity};

use names::{Names, quotes_no_value};

/// Classes of SQLSTATE by which PostgreSQL speaks of anything but a row. The
/// others speak of a row: of its data, its constraints, a view, an exception
/// that a trigger raises, under a code of its own perhaps.
const CLASSES_OF_DATABASE: [&str; 33] = [
    "00", "01", "02", "03", "08", "0A", "0B", "0F", "0L", "0P", "0Z", "20", "24", "25", "26", "28",
    "2B", "2D", "34", "3B", "3D", "3F", "40", "42", "53", "54", "55", "57", "58", "72", "F0", "HV",
    "XX",
];
/// A row that is too large for its table, or a value for its index.
const TOO_LARGE: &str = "54000";
/// An upsert that meets a row which it has just written.
const TOUCHED_TWICE: &str = "21000";
/// What is over once somebody else is done, or the server is up again.
const PASSING: [&str; 8] = ["25P03", "40001", "40P01", "53300", "55P03", "57P01", "57P02", "57P03"];
/// Class of what befalls a connection.
const CLASS_OF_CONNECTIONS: &str = "08";
/// Class of values that are not what they should be.
const CLASS_OF_DATA: &str = "22";
/// What a column says of bytes that are none of its type: it will again.
const PROTOCOL_VIOLATION: &str = "08P01";

/// A statement that failed. It has no source, and its `Debug` is its `Display`:
/// nothing that prints it, or its causes, can print a value.
pub(crate) struct StatementError(sqlx::Error);

/// What PostgreSQL refused a row for; names only, no values.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RowRefusal {
    /// Five digits and capital letters.
    pub(crate) sqlstate: String,
    /// The constraint that the row breaks, if PostgreSQL itself names it.
    pub(crate) constraint: Option<String>,
    /// The column of the table, likewise.
    pub(crate) column: Option<String>,
}

impl RowRefusal {
    /// The same as quarantine says it: `sqlstate_23505`.
    pub(crate) fn reason(&self) -> Reason {
        let code = Code::from_wire(&format!("sqlstate_{}", self.sqlstate.to_ascii_lowercase()));
        // A SQLSTATE is always a code; if it were none, the row would still be refused.
        let code = code.unwrap_or(Code::CHECK_FAILED);
        Reason { code, column: self.column.clone() }
    }
}

impl StatementError {
    /// Whether the session is gone, so that only a new one can tell what was committed.
    pub(crate) fn is_connection_lost(&self) -> bool {
        is_connection_lost(&self.0)
    }

    /// What PostgreSQL refused a row for, if it refused a row: other rows may pass.
    pub(crate) fn row_refusal(&self) -> Option<RowRefusal> {
        if self.is_connection_lost() {
            return None;
        }
        let error = postgresql_error(&self.0)?;
        let names = Names::of(error);
        is_of_row(error.code()).then(|| RowRefusal {
            sqlstate: error.code().to_owned(),
            constraint: names.constraint.map(str::to_owned),
            column: names.column.map(str::to_owned),
        })
    }

    /// Whether the same may succeed on a new connection a little later.
    pub(crate) fn is_retryable(&self) -> bool {
        match self.sqlstate() {
            Some(sqlstate) => is_passing(&sqlstate),
            None => self.is_connection_lost(),
        }
    }

    /// Whether a statement would have written a row twice.
    pub(crate) fn touches_row_twice(&self) -> bool {
        self.sqlstate().as_deref() == Some(TOUCHED_TWICE)
    }

    /// The SQLSTATE, if the server sent one.
    pub(crate) fn sqlstate(&self) -> Option<String> {
        sqlstate(&self.0)
    }
}

impl From<sqlx::Error> for StatementError {
    fn from(error: sqlx::Error) -> Self {
        Self(error)
    }
}

impl fmt::Display for StatementError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&describe(&self.0))
    }
}

impl fmt::Debug for StatementError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for StatementError {}

/// The SQLSTATE of an error, if the server sent it.
pub(super) fn sqlstate(error: &sqlx::Error) -> Option<String> {
    error.as_database_error()?.code().map(Cow::into_owned)
}

/// Whether PostgreSQL could not take a value as what it was to be: a text that is no number, say.
pub(crate) fn is_data_exception(error: &sqlx::Error) -> bool {
    sqlstate(error).is_some_and(|code| code.starts_with(CLASS_OF_DATA))
}

/// Whether what a SQLSTATE stands for is over after a while.
pub(super) fn is_passing(sqlstate: &str) -> bool {
    let is_of_connection =
        sqlstate.starts_with(CLASS_OF_CONNECTIONS) && sqlstate != PROTOCOL_VIOLATION;
    is_of_connection || PASSING.contains(&sqlstate)
}

fn is_of_row(sqlstate: &str) -> bool {
    let is_sqlstate = sqlstate.len() == 5 && sqlstate.bytes().all(|b| b.is_ascii_alphanumeric());
    let class = sqlstate.get(..2).unwrap_or_default();
    is_sqlstate && (!CLASSES_OF_DATABASE.contains(&class) || sqlstate == TOO_LARGE)
}

/// The error as PostgreSQL sent it, if it did.
fn postgresql_error(error: &sqlx::Error) -> Option<&PgDatabaseError> {
    error.as_database_error()?.try_downcast_ref::<PgDatabaseError>()
}

fn is_connection_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(error) => error
            .try_downcast_ref::<PgDatabaseError>()
            .is_some_and(|error| matches!(error.severity(), PgSeverity::Fatal | PgSeverity::Panic)),
        _ => false,
    }
}

/// What went wrong, in words that quote no value.
pub(super) fn describe(error: &sqlx::Error) -> String {
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
    names: Names<'a>,
    /// The message, if it can only hold names of objects.
    message: Option<&'a str>,
}

impl<'a> From<&'a PgDatabaseError> for Refusal<'a> {
    fn from(error: &'a PgDatabaseError) -> Self {
        let is_safe = quotes_no_value(error.routine(), error.r#where().is_some());
        Self {
            sqlstate: error.code(),
            names: Names::of(error),
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
        let Names { constraint, schema, table, column } = self.names;
        if let Some(constraint) = constraint {
            write!(f, ", constraint {constraint}")?;
        }
        match (schema, table) {
            (Some(schema), Some(table)) => write!(f, ", table {schema}.{table}")?,
            (None, Some(table)) => write!(f, ", table {table}")?,
            _ => {}
        }
        if let Some(column) = column {
            write!(f, ", column {column}")?;
        }
        f.write_str(")")
    }
}

/// What a SQLSTATE means to the person who runs a load.
fn meaning(sqlstate: &str) -> &'static str {
    match sqlstate {
        "21000" => "a statement would write a row twice",
        PROTOCOL_VIOLATION => {
            "a column does not take the bytes that it is sent: was its type changed? run again"
        }
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
            Some("P0") => "a trigger or a function of the table refuses a row",
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
    fn a_broken_constraint_is_named() {
        let names = Names {
            constraint: Some("users_pkey"),
            schema: Some("public"),
            table: Some("users"),
            column: None,
        };
        let names = names.sent_by(Some("_bt_check_unique"));
        let refusal = Refusal { sqlstate: "23505", names, ..Refusal::default() };
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
    fn what_a_row_is_refused_for_is_told_from_trouble_of_the_database() {
        let of_rows = ["22P02", "23505", "23514", "23P01", "44000", "54000", "P0001", "21000"];
        let of_triggers = ["38000", "45000", "U0001", "AB123"];
        for of_row in of_rows.into_iter().chain(of_triggers) {
            assert!(is_of_row(of_row), "{of_row}");
        }
        for of_database in ["", "08006", "25P03", "40001", "42501", "53100", "54001", "57P01"] {
            assert!(!is_of_row(of_database), "{of_database}");
        }
    }

    #[test]
    fn a_lost_connection_is_recognised() {
        let lost = sqlx::Error::Io(std::io::ErrorKind::UnexpectedEof.into());
        assert!(is_connection_lost(&lost));
        assert!(!is_connection_lost(&sqlx::Error::RowNotFound));
        assert_eq!(sqlstate(&lost), None);
        let lost = StatementError::from(lost);
        assert_eq!((lost.row_refusal(), lost.sqlstate()), (None, None));
        assert!(lost.is_retryable() && !lost.touches_row_twice());
        assert!(!StatementError::from(sqlx::Error::RowNotFound).is_retryable());
    }

    #[test]
    fn what_passes_is_told_from_what_stays() {
        for passing in ["08006", "25P03", "40001", "40P01", "53300", "55P03", "57P01", "57P03"] {
            assert!(is_passing(passing), "{passing}");
        }
        for lasting in ["23505", "25006", "42501", "53100", "57014", "57P04", "XX000"] {
            assert!(!is_passing(lasting), "{lasting}");
        }
    }

    #[test]
    fn a_refusal_becomes_a_reason_of_its_column() {
        let mut refusal = RowRefusal {
            sqlstate: "23P01".to_owned(),
            constraint: Some("rooms_no_overlap".to_owned()),
            column: None,
        };
        let code = Code::from_wire("sqlstate_23p01").expect("a code");
        assert_eq!(refusal.reason(), Reason::of_record(code.clone()));
        refusal.column = Some("room".to_owned());
        assert_eq!(refusal.reason(), Reason::of_column(code, "room"));
    }
}
