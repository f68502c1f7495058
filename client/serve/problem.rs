//! Turns whatever goes wrong with a request into an answer by RFC 9457: a status, a stable code and words.
//!
//! Invariant: no value of a record, no address of a database and no text of a panic is in one.

use std::fmt;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::database::{DatabaseError, StatementError};
use crate::error::ClientError;
use crate::ledger::LedgerError;
use crate::records::RecordError;

/// Media type of a problem.
pub(super) const PROBLEM_JSON: &str = "application/problem+json";
/// SQLSTATE of a statement that took too long.
const CANCELLED: &str = "57014";
/// SQLSTATEs of what is not there any more.
const NO_TABLE: &str = "42P01";
const NO_COLUMN: &str = "42703";
/// SQLSTATEs of a table that is not what it was when it was looked at: a schema or
/// a type is gone, a key is of another type, a right was taken away.
const CHANGED: [&str; 4] = ["3F000", "42704", "42883", "42501"];
const RETRY_SOON_SECONDS: u64 = 1;
const DATABASE_UNREACHABLE: &str = "database_unreachable";
const TIMED_OUT: &str = "timed_out";

/// What a handler gives: a JSON document, or why there is none.
pub(crate) type Answer<T> = Result<Json<T>, Problem>;

/// Why a request is not answered as asked.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    /// After how many seconds it is worth another try.
    retry_after: Option<u64>,
}

/// What a problem looks like.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProblemBody {
    /// `urn:ferry:problem:` and the code.
    #[serde(rename = "type")]
    #[schema(pattern = "^urn:ferry:problem:[a-z_]+$")]
    urn: String,
    /// What the status means, in words.
    title: String,
    /// HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What is wrong with this request, and what to do.
    detail: String,
    /// Stable word for programs.
    #[schema(pattern = "^[a-z_]+$")]
    code: String,
}

impl Problem {
    /// 400: the request says something that cannot be.
    pub(crate) fn bad_request(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// 401: nobody known asks.
    pub(crate) fn unauthorized(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code, detail)
    }

    /// 403: whoever asks may not.
    pub(crate) fn forbidden(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, detail)
    }

    /// 404: there is no such thing.
    pub(crate) fn not_found(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, detail)
    }

    /// 409: it cannot be done as things are.
    pub(crate) fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// 429: one caller asks for too much; worth another try after so many seconds.
    pub(crate) fn too_many(
        code: &'static str,
        detail: impl Into<String>,
        retry_after_seconds: u64,
    ) -> Self {
        let problem = Self::new(StatusCode::TOO_MANY_REQUESTS, code, detail);
        Self { retry_after: Some(retry_after_seconds), ..problem }
    }

    /// 503: too much at the same time; worth another try soon.
    pub(crate) fn busy(code: &'static str, detail: impl Into<String>) -> Self {
        let problem = Self::unavailable(code, detail);
        Self { retry_after: Some(RETRY_SOON_SECONDS), ..problem }
    }

    /// 503: something that is needed cannot be reached.
    pub(crate) fn unavailable(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail)
    }

    /// 503: the database gives no session; whoever asked for one tells the log why.
    pub(crate) fn no_session() -> Self {
        Self::busy(DATABASE_UNREACHABLE, "the database cannot be reached: try again in a moment")
    }

    /// 503: the database refuses the session, such as for a wrong password; whoever asked for one tells the log.
    pub(crate) fn no_entry() -> Self {
        let detail = "the database refuses the session: the log of ferry-client tells why";
        Self::busy(DATABASE_UNREACHABLE, detail)
    }

    /// 503: a session of the database does not answer; whoever asked tells the log.
    pub(crate) fn silent() -> Self {
        Self::busy(TIMED_OUT, "the database took too long to answer: try again in a moment")
    }

    /// 500: a defect, or something that only the log can tell.
    pub(crate) fn unexpected() -> Self {
        let detail = "something went wrong that the log of ferry-client tells more of";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "unexpected", detail)
    }

    /// A problem of any status.
    pub(super) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), retry_after: None }
    }

    /// The HTTP status.
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// The stable word.
    pub(crate) fn code(&self) -> &'static str {
        self.code
    }

    /// Whether it would be told of whatever is asked of the same database.
    pub(super) fn is_of_whole_database(&self) -> bool {
        self.code == DATABASE_UNREACHABLE
    }

    /// What is wrong.
    pub(super) fn detail(&self) -> &str {
        &self.detail
    }

    fn body(&self) -> ProblemBody {
        let title = self.status.canonical_reason().unwrap_or("problem").to_ascii_lowercase();
        ProblemBody {
            urn: format!("urn:ferry:problem:{}", self.code),
            title,
            status: self.status.as_u16(),
            detail: self.detail.clone(),
            code: self.code.to_owned(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body())).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<StatementError> for Problem {
    fn from(error: StatementError) -> Self {
        if error.is_connection_lost() {
            return database_gone(&error);
        }
        match error.sqlstate().as_deref() {
            Some(CANCELLED) => return timed_out(),
            Some(NO_TABLE | NO_COLUMN) => return table_changed(),
            _ => {}
        }
        tracing::error!(%error, "a statement for a request failed");
        Self::unexpected()
    }
}

impl From<DatabaseError> for Problem {
    fn from(error: DatabaseError) -> Self {
        database_gone(&error)
    }
}

impl From<LedgerError> for Problem {
    fn from(error: LedgerError) -> Self {
        ClientError::from(error).into()
    }
}

impl From<RecordError> for Problem {
    fn from(error: RecordError) -> Self {
        if matches!(error, RecordError::TimedOut) {
            return timed_out();
        }
        if error.is_unavailable() {
            return database_gone(&error);
        }
        match error {
            RecordError::BadCursor => bad_cursor(),
            RecordError::Statement(error) if has_changed(&error) => {
                tracing::warn!(%error, "a table is not what it was: it is looked at anew soon");
                table_changed()
            }
            RecordError::Statement(error) => error.into(),
            error => {
                tracing::error!(%error, "a look-up failed");
                Self::unexpected()
            }
        }
    }
}

impl From<ClientError> for Problem {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Statement(error) | ClientError::Ledger(LedgerError::Database(error)) => {
                error.into()
            }
            ClientError::Database(error) => error.into(),
            ClientError::NotInQuarantine { .. } => Self::not_found(
                "row_not_found",
                "there is no such row in the quarantine of this job",
            ),
            ClientError::NoRun { id } => {
                Self::not_found("run_not_found", format!("there is no run {id}"))
            }
            ClientError::NothingSelected => Self::bad_request("nothing_selected", "name rows"),
            ClientError::ReplayBeforeReplace { .. } => {
                Self::conflict("run_unfinished", error.to_string())
            }
            ClientError::Ledger(error @ LedgerError::QuarantineMoved { .. }) => {
                Self::conflict("rows_moved", error.to_string())
            }
            ClientError::Ledger(error @ LedgerError::NotCurrent) => {
                Self::conflict("no_ledger", error.to_string())
            }
            ClientError::Interrupted => Self::unavailable("stopping", "this process is stopping"),
            error => of_class(&error),
        }
    }
}

/// What is told of a cursor that no page gave.
pub(super) fn bad_cursor() -> Problem {
    Problem::bad_request(
        "bad_cursor",
        "`after` is no `next` of a page of this table: begin without it",
    )
}

/// Errors that no request expects, by what the program would tell of them on its way out.
fn of_class(error: &ClientError) -> Problem {
    match error.code() {
        DATABASE_UNREACHABLE => database_gone(error),
        "source_unreachable" => Problem::unavailable("source_unreachable", error.to_string()),
        "unexpected" | "protocol" | "ledger" => {
            tracing::error!(%error, "a request failed");
            Problem::unexpected()
        }
        code => Problem::conflict(code, error.to_string()),
    }
}

/// The error itself names hosts and users, which are the log's business.
fn database_gone(error: &dyn fmt::Display) -> Problem {
    tracing::warn!(%error, "the database is not there for a request");
    Problem::no_session()
}

fn has_changed(error: &StatementError) -> bool {
    error.sqlstate().is_some_and(|state| CHANGED.contains(&state.as_str()))
}

fn table_changed() -> Problem {
    let detail = "the table is not what it was a moment ago: try again in a moment";
    Problem::busy("table_changed", detail)
}

fn timed_out() -> Problem {
    Problem::busy(TIMED_OUT, "the database took too long to answer: try again, or ask for less")
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::to_bytes;
    use serde_json::{Value, json};

    async fn document(response: Response) -> Value {
        let body = to_bytes(response.into_body(), 1 << 16).await.expect("a short body");
        serde_json::from_slice(&body).expect("JSON")
    }

    #[tokio::test]
    async fn a_problem_says_what_rfc_9457_asks_for() {
        let response = Problem::not_found("job_not_found", "there is no job x").into_response();
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        assert_eq!(response.headers()[header::CONTENT_TYPE], PROBLEM_JSON);
        let expected = json!({
            "type": "urn:ferry:problem:job_not_found",
            "title": "not found",
            "status": 404,
            "detail": "there is no job x",
            "code": "job_not_found",
        });
        assert_eq!(document(response).await, expected);
    }

    #[test]
    fn headers_say_how_to_go_on() {
        let refused = Problem::unauthorized("no_token", "").into_response();
        assert_eq!(refused.headers()[header::WWW_AUTHENTICATE], "Bearer");
        let later = Problem::too_many("too_many_requests", "", 7).into_response();
        assert_eq!(later.headers()[header::RETRY_AFTER], "7");
        assert!(!Problem::conflict("x", "").into_response().headers().contains_key("retry-after"));
    }

    #[test]
    fn errors_become_the_status_that_a_client_can_act_on() {
        let status = |error: ClientError| Problem::from(error).status().as_u16();
        assert_eq!(status(ClientError::NoRun { id: 3 }), 404);
        assert_eq!(status(ClientError::NotInQuarantine { id: 3 }), 404);
        assert_eq!(status(ClientError::NothingSelected), 400);
        assert_eq!(status(ClientError::Interrupted), 503);
        assert_eq!(status(LedgerError::NotCurrent.into()), 409);
        assert_eq!(status(LedgerError::QuarantineMoved { rows: 2 }.into()), 409);
        let lost = sqlx::Error::Io(std::io::ErrorKind::UnexpectedEof.into());
        let lost = Problem::from(StatementError::from(lost));
        assert_eq!(lost.code(), "database_unreachable");
        assert!(lost.is_of_whole_database() && !Problem::silent().is_of_whole_database());
        assert_eq!(Problem::no_session().status().as_u16(), 503);
    }

    #[test]
    fn the_address_of_the_database_is_not_told() {
        let error = DatabaseError::Unreachable {
            host: "db.internal".to_owned(),
            port: 5432,
            reason: "refused".to_owned(),
        };
        assert!(!Problem::from(error).detail().contains("db.internal"));
    }
}
