//! Gives records over gRPC: the look-ups of REST, with typed values.
//!
//! Invariant: whoever may not read gets no record, no health but that of the
//! process, and no description of what there is.

use std::collections::HashMap;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use chrono::NaiveDateTime;
use ferry::host::shutdown::Shutdown;
use ferry::wire::generated::record_service_server::{RecordService, RecordServiceServer};
use ferry::wire::generated::value::Kind;
use ferry::wire::generated::{
    Field, FoundIn, GetRecordRequest, GetRecordResponse, ListRecordsRequest, ListRecordsResponse,
    RECORD_DESCRIPTOR_SET, Record, Value,
};
use ferry::wire::{ERROR_DOMAIN, MESSAGE_BYTES_MAX};
use tonic::service::Routes;
use tonic::service::interceptor::InterceptedService;
use tonic::{Code, Request, Response, Status};
use tonic_health::ServingStatus;
use tonic_health::server::{HealthReporter, health_reporter};
use tonic_reflection::server::{Builder as ReflectionBuilder, Error as ReflectionError};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::ServeError;
use super::access::{Identity, caller};
use super::problem::Problem;
use super::records::{look_up, record_page};
use super::settings::Role;
use super::state::AppState;
use crate::records::{self, JsonKind, ServedColumn, ServedTable};

/// The services whose health is told: all of them together, and the one that matters.
const HEALTH_NAMES: [&str; 2] = ["", "ferry.v1.RecordService"];
/// A request names a table and a key, or a page.
const REQUEST_BYTES_MAX: usize = 64 * 1024;
/// A page holds values of 8 MiB at most; names of columns come to them.
const RESPONSE_BYTES_MAX: usize = 2 * MESSAGE_BYTES_MAX;

/// Answers calls.
struct Records {
    state: AppState,
}

/// Adds the services to a router.
pub(super) async fn add_services(router: Router, state: &AppState) -> Result<Router, ServeError> {
    let records = RecordServiceServer::new(Records { state: state.clone() })
        .max_decoding_message_size(REQUEST_BYTES_MAX)
        .max_encoding_message_size(RESPONSE_BYTES_MAX);
    let (health, health_service) = health_reporter();
    for name in HEALTH_NAMES {
        health.set_service_status(name, ServingStatus::Serving).await;
    }
    tokio::spawn(tell_stop(health, state.shutdown()));
    let reflection_v1 = reflection().build_v1().map_err(|error| no_reflection(&error))?;
    let reflection_v1alpha = reflection().build_v1alpha().map_err(|error| no_reflection(&error))?;
    let services = Routes::from(router)
        // Before the message is read: whoever may not read is not waited for.
        .add_service(InterceptedService::new(records, only_readers))
        .add_service(health_service)
        .add_service(InterceptedService::new(reflection_v1, only_readers))
        .add_service(InterceptedService::new(reflection_v1alpha, only_readers));
    Ok(services.into_axum_router())
}

/// Whether a request is a call of gRPC.
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("application/grpc"))
}

/// A problem as the answer to a call.
pub(super) fn refusal(problem: &Problem) -> axum::response::Response {
    status(problem).into_http::<Body>()
}

/// The answer to a call of what is not there.
pub(super) fn unimplemented() -> axum::response::Response {
    Status::unimplemented("there is no such service").into_http::<Body>()
}

#[tonic::async_trait]
impl RecordService for Records {
    async fn get_record(
        &self,
        request: Request<GetRecordRequest>,
    ) -> Result<Response<GetRecordResponse>, Status> {
        let record = self.record(request).await;
        record.map(Response::new).map_err(|problem| status(&problem))
    }

    async fn list_records(
        &self,
        request: Request<ListRecordsRequest>,
    ) -> Result<Response<ListRecordsResponse>, Status> {
        let page = self.page(request).await;
        page.map(Response::new).map_err(|problem| status(&problem))
    }
}

impl Records {
    async fn record(
        &self,
        request: Request<GetRecordRequest>,
    ) -> Result<GetRecordResponse, Problem> {
        let GetRecordRequest { table, key } = request.into_inner();
        let (table, found) = look_up(&self.state, &table, &key).await?;
        let found_in = match found.found_in {
            records::FoundIn::Cache => FoundIn::Cache,
            records::FoundIn::Database => FoundIn::Database,
        };
        Ok(GetRecordResponse {
            record: Some(record(&table, &found.fields)),
            found_in: found_in.into(),
            remaining_ttl: found.ttl.and_then(|ttl| prost_types::Duration::try_from(ttl).ok()),
        })
    }

    async fn page(
        &self,
        request: Request<ListRecordsRequest>,
    ) -> Result<ListRecordsResponse, Problem> {
        let ListRecordsRequest { table, page_size, page_token } = request.into_inner();
        let limit = match u32::try_from(page_size) {
            Ok(0) => self.state.page_rows(None)?,
            Ok(limit) => limit.min(self.state.page_rows_max()),
            Err(_) => return Err(Problem::bad_request("bad_limit", "`page_size` is negative")),
        };
        let after = Some(page_token.as_str()).filter(|token| !token.is_empty());
        let page = record_page(&self.state, &table, after, limit).await?;
        let records = page.rows.iter().map(|fields| record(&page.table, fields)).collect();
        Ok(ListRecordsResponse { records, next_page_token: page.next.unwrap_or_default() })
    }
}

/// The row in the order of the table's columns.
fn record(table: &ServedTable, fields: &[(String, Option<String>)]) -> Record {
    let field = |(index, column): (usize, &ServedColumn)| {
        // They are in this order nearly always.
        let text = match fields.get(index) {
            Some((name, text)) if *name == column.name => text.as_deref(),
            _ => fields
                .iter()
                .find(|(name, _)| *name == column.name)
                .and_then(|(_, text)| text.as_deref()),
        };
        Field { column: column.name.clone(), value: Some(value(column, text)) }
    };
    Record { fields: table.columns.iter().enumerate().map(field).collect() }
}

/// PostgreSQL's text of a value, typed.
fn value(column: &ServedColumn, text: Option<&str>) -> Value {
    let kind = text.map_or(Kind::Null(0), |text| {
        typed(column, text).unwrap_or_else(|| Kind::String(text.to_owned()))
    });
    Value { kind: Some(kind) }
}

fn typed(column: &ServedColumn, text: &str) -> Option<Kind> {
    match column.kind {
        JsonKind::Number if matches!(column.type_name.as_str(), "real" | "double precision") => {
            text.parse().ok().map(Kind::Double)
        }
        JsonKind::Number => text.parse().ok().map(Kind::Int64),
        JsonKind::Boolean => Some(Kind::Bool(matches!(text, "t" | "true"))),
        JsonKind::Text if column.type_name.starts_with("timestamp") => timestamp(text),
        JsonKind::Text | JsonKind::Json => None,
    }
}

/// Sessions are in UTC; years beyond 9999, before Christ, and infinity stay text.
fn timestamp(text: &str) -> Option<Kind> {
    let text = text.strip_suffix("+00").unwrap_or(text);
    let time = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").ok()?.and_utc();
    Some(Kind::Timestamp(prost_types::Timestamp {
        seconds: time.timestamp(),
        nanos: i32::try_from(time.timestamp_subsec_nanos()).ok()?,
    }))
}

fn status(problem: &Problem) -> Status {
    let code = match problem.status() {
        StatusCode::BAD_REQUEST => Code::InvalidArgument,
        StatusCode::UNAUTHORIZED => Code::Unauthenticated,
        StatusCode::FORBIDDEN => Code::PermissionDenied,
        StatusCode::NOT_FOUND => Code::NotFound,
        StatusCode::CONFLICT => Code::FailedPrecondition,
        StatusCode::TOO_MANY_REQUESTS => Code::ResourceExhausted,
        StatusCode::SERVICE_UNAVAILABLE => Code::Unavailable,
        _ => Code::Internal,
    };
    let reason = problem.code().to_ascii_uppercase();
    let details = ErrorDetails::with_error_info(reason, ERROR_DOMAIN, HashMap::new());
    Status::with_error_details(code, problem.detail(), details)
}

/// Lets a call pass whose caller may read.
fn only_readers(request: Request<()>) -> Result<Request<()>, Status> {
    match caller(request.extensions().get::<Identity>(), Role::Read) {
        Ok(_) => Ok(request),
        Err(problem) => Err(status(&problem)),
    }
}

/// Tells whoever asks for the health that the process is about to stop.
async fn tell_stop(health: HealthReporter, mut shutdown: Shutdown) {
    shutdown.requested().await;
    for name in HEALTH_NAMES {
        health.set_service_status(name, ServingStatus::NotServing).await;
    }
}

/// Describes ferry's service, the health service, and the details of errors.
fn reflection() -> ReflectionBuilder<'static> {
    ReflectionBuilder::configure()
        // Each version would describe itself only; whoever asks one is to see both.
        .include_reflection_service(false)
        .register_encoded_file_descriptor_set(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(RECORD_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
}

fn no_reflection(error: &ReflectionError) -> ServeError {
    ServeError::Reflection(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(type_name: &str, kind: JsonKind) -> ServedColumn {
        ServedColumn {
            name: "c".to_owned(),
            type_name: type_name.to_owned(),
            kind,
            pii: None,
            is_key: false,
            is_nullable: true,
            sql_type: type_name.to_owned(),
        }
    }

    /// Values have no `Debug`, so only a failure's line tells which it was.
    #[track_caller]
    fn assert_kind(type_name: &str, kind: JsonKind, text: Option<&str>, expected: Kind) {
        let value = value(&column(type_name, kind), text);
        assert!(value.kind == Some(expected), "{type_name} {text:?}");
    }

    #[test]
    fn values_have_the_kind_of_their_type() {
        let string = |text: &str| Kind::String(text.to_owned());
        assert_kind("bigint", JsonKind::Number, Some("-7"), Kind::Int64(-7));
        assert_kind("real", JsonKind::Number, Some("7"), Kind::Double(7.0));
        let infinite = Kind::Double(f64::NEG_INFINITY);
        assert_kind("double precision", JsonKind::Number, Some("-Infinity"), infinite);
        assert_kind("boolean", JsonKind::Boolean, Some("true"), Kind::Bool(true));
        assert_kind("boolean", JsonKind::Boolean, Some("f"), Kind::Bool(false));
        assert_kind("numeric", JsonKind::Text, Some("1.50"), string("1.50"));
        assert_kind("jsonb", JsonKind::Json, Some("[1]"), string("[1]"));
        assert_kind("text", JsonKind::Text, None, Kind::Null(0));
    }

    #[test]
    fn times_are_timestamps_as_far_as_protobuf_has_them() {
        let assert_time = |text: &str, expected: Kind| {
            assert_kind("timestamp with time zone", JsonKind::Text, Some(text), expected);
        };
        let time = |seconds, nanos| Kind::Timestamp(prost_types::Timestamp { seconds, nanos });
        assert_time("1970-01-01 00:00:01.5+00", time(1, 500_000_000));
        assert_time("1969-12-31 23:59:59", time(-1, 0));
        for text in ["infinity", "0044-03-15 12:00:00+00 BC", "10000-01-01 00:00:00+00"] {
            assert_time(text, Kind::String(text.to_owned()));
        }
    }

    #[test]
    fn a_problem_is_a_status_with_its_reason() {
        let status = status(&Problem::not_found("table_not_found", "no such table"));
        assert_eq!(status.code(), Code::NotFound);
        let info = status.get_details_error_info().expect("a reason");
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("TABLE_NOT_FOUND", "ferry"));
        let response = refusal(&Problem::too_many("too_many_requests", "", 1));
        assert_eq!(response.headers()["grpc-status"], "8");
    }
}
