//! Counts what is asked and how long it takes, and gives all counters of the process at `/metrics`.
//!
//! Invariant: labels are of closed sets, or of the settings: methods, routes as
//! they are declared, statuses, names of jobs and tables. No path, no key, no value.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{Method, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use ferry::host::shutdown::Shutdown;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use utoipa::OpenApi;

use super::access::Read;
use super::state::AppState;

const REQUESTS: &str = "ferry_http_requests_total";
const REQUEST_SECONDS: &str = "ferry_http_request_seconds";
/// Upper bounds of the classes of times, in seconds.
const SECONDS: [f64; 9] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0];
/// How often what was counted is drained into the classes.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);
/// Format of the text, as Prometheus asks for it.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All counters of the process.
#[derive(Clone)]
pub(super) struct Meters(PrometheusHandle);

#[derive(OpenApi)]
#[openapi(paths(show_metrics))]
struct Document;

pub(super) fn document() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/metrics", get(show_metrics))
}

impl Meters {
    /// Begins to count. A second call in one process counts nothing: the first one does.
    pub(super) fn install() -> Result<Self, BuildError> {
        let times = Matcher::Full(REQUEST_SECONDS.to_owned());
        let recorder =
            PrometheusBuilder::new().set_buckets_for_metric(times, &SECONDS)?.build_recorder();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::debug!("counters are kept elsewhere in this process");
        }
        metrics::describe_counter!(REQUESTS, "Requests by method, route and status.");
        metrics::describe_histogram!(REQUEST_SECONDS, "Time until an answer began, by route.");
        Ok(Self(handle))
    }

    /// Keeps what is counted small until the end is asked for.
    pub(super) async fn keep_up(self, mut shutdown: Shutdown) {
        loop {
            tokio::select! {
                () = shutdown.requested() => return,
                () = tokio::time::sleep(UPKEEP_INTERVAL) => self.0.run_upkeep(),
            }
        }
    }
}

/// Counts an answer; `route` is as it was declared, such as `/api/v1/jobs/{job}`.
pub(super) fn count(method: &Method, route: &str, status: StatusCode, took: Duration) {
    let route = route.to_owned();
    let status = status.as_u16().to_string();
    let method = known_method(method);
    metrics::counter!(REQUESTS, "method" => method, "route" => route.clone(), "status" => status)
        .increment(1);
    metrics::histogram!(REQUEST_SECONDS, "route" => route).record(took.as_secs_f64());
}

/// A client can make methods up.
fn known_method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// Give all counters, as Prometheus reads them.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "health",
    responses((status = 200, description = "The counters", body = String, content_type = "text/plain"))
)]
pub(super) async fn show_metrics(_: Read, State(state): State<AppState>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, TEXT_FORMAT)], state.meters().0.render())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_that_a_client_makes_up_are_one() {
        let made_up = Method::from_bytes(b"BREW").expect("a token");
        assert_eq!(known_method(&made_up), "other");
        assert_eq!(known_method(&Method::GET), "GET");
    }
}
