//! What stands before every handler: site, caller, rate, room, time, panics; and behind it: headers.
//!
//! Invariant: a refusal is a problem for whoever speaks JSON, and a status for whoever speaks gRPC.

use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state, map_response};
use axum::response::{IntoResponse as _, Response};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::access::{Access, Identity};
use super::connection::Peer;
use super::grpc;
use super::limits::{Counted, Gate};
use super::meters;
use super::problem::Problem;
use super::settings::ServeSettings;

/// How long a handler may take until its answer begins.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
const PREFLIGHT_AGE: Duration = Duration::from_mins(10);
/// What the pages may load: scripts, styles, images and data of this origin, nothing else.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const NO_ROUTE: &str = "none";
/// What is asked by whoever ends a process that does not answer.
const HEALTH_PATHS: [&str; 2] = ["/healthz", "/grpc.health.v1.Health/Check"];
/// Which pages may show an answer as an image or a script, which CORS does not ask about.
const RESOURCE_POLICY: &str = "cross-origin-resource-policy";

/// What a request must pass.
struct Guard {
    access: Access,
    gate: Gate,
}

/// Puts the guard before the routes; those that are added to the router later are not guarded.
pub(super) fn guarded(router: Router, settings: &ServeSettings, access: Access) -> Router {
    let guard = Arc::new(Guard { access, gate: Gate::new(&settings.limits) });
    let router = router
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(no_such_path)
        .layer(DefaultBodyLimit::max(settings.limits.body_bytes))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(guard, pass))
        .layer(map_response(add_headers));
    if settings.origins.is_empty() {
        return router;
    }
    let cors = CorsLayer::new()
        .allow_origin(AllowOrigin::list(settings.origins.iter().cloned()))
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE])
        .expose_headers([header::RETRY_AFTER])
        .max_age(PREFLIGHT_AGE);
    router.layer(cors)
}

/// Lets a request through, and counts it with its answer.
async fn pass(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = request.method().clone();
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let is_grpc = grpc::is_grpc(request.headers());
    let response = match guard.answer(request, next).await {
        Ok(response) => response,
        Err(problem) if is_grpc => grpc::refusal(&problem),
        Err(problem) => problem.into_response(),
    };
    let route = matched.as_ref().map_or(NO_ROUTE, MatchedPath::as_str);
    meters::count(&method, route, response.status(), began.elapsed());
    response
}

impl Guard {
    async fn answer(&self, mut request: Request, next: Next) -> Result<Response, Problem> {
        self.access.check_site(request.method(), request.uri(), request.headers())?;
        let identity = self.access.identify(request.headers());
        let peer = request.extensions().get::<Peer>().copied();
        if let Some(counted) = self.counted(&identity, peer) {
            self.gate.count(&counted, Instant::now())?;
            request.extensions_mut().insert(counted);
        }
        let needs_room = needs_room(&identity, request.uri());
        request.extensions_mut().insert(identity);
        let _room = if needs_room { Some(self.gate.enter().await?) } else { None };
        match tokio::time::timeout(ANSWER_TIMEOUT, next.run(request)).await {
            Ok(response) => Ok(response),
            Err(_) => Err(Problem::busy("timed_out", "the answer took too long: try again")),
        }
    }

    /// Who is counted; nobody if there is neither a token nor an address, as in a test.
    fn counted(&self, identity: &Identity, peer: Option<Peer>) -> Option<Counted> {
        match identity {
            Identity::Known(caller) if self.access.asks_for_token() => {
                Some(Counted::Token(Arc::clone(&caller.name)))
            }
            _ => peer.map(|Peer(address)| Counted::peer(address.ip())),
        }
    }
}

/// Whether a request takes room, and waits for it.
///
/// Where tokens are asked for, whoever shows none is refused, or given what lies in memory: were
/// they to take room, they could keep it from those who may ask, by sending slowly.
fn needs_room(identity: &Identity, uri: &Uri) -> bool {
    matches!(identity, Identity::Known(_)) && !HEALTH_PATHS.contains(&uri.path())
}

async fn no_such_path(headers: HeaderMap) -> Response {
    let problem = Problem::not_found("path_not_found", "nothing is served under this path");
    if grpc::is_grpc(&headers) { grpc::unimplemented() } else { problem.into_response() }
}

/// The router adds the methods that there are.
async fn method_not_allowed() -> Problem {
    let detail = "this path has no such method: the header `Allow` has those that there are";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
}

/// What a panic says may quote a value, so it is told nobody; the hook has logged its place.
// Taken by value, since that is how the layer hands it out.
#[allow(clippy::needless_pass_by_value)]
fn panicked(_message: Box<dyn Any + Send>) -> Response {
    Problem::unexpected().into_response()
}

/// Says what a browser may do with an answer; what a handler has said itself stays.
async fn add_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let mut add = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    add(header::CACHE_CONTROL, "no-store");
    add(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    add(header::REFERRER_POLICY, "no-referrer");
    add(header::CONTENT_SECURITY_POLICY, PAGE_POLICY);
    add(HeaderName::from_static(RESOURCE_POLICY), "same-origin");
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::access::{Operate, Read};
    use crate::serve::settings::{Limits, Role, Token};
    use axum::body::Body;
    use axum::routing::{get, post};
    use ferry::host::token::TokenDigest;
    use std::path::PathBuf;
    use tower::ServiceExt as _;

    async fn read(Read(caller): Read) -> String {
        caller.name.to_string()
    }

    async fn operate(_: Operate) -> &'static str {
        "done"
    }

    async fn never() -> &'static str {
        std::future::pending().await
    }

    async fn panics() -> &'static str {
        let none: Option<&'static str> = std::hint::black_box(None);
        none.expect("hunter2")
    }

    fn router() -> Router {
        let jobs = vec![PathBuf::from("job.toml")];
        let settings = ServeSettings::load(None, jobs, None).expect("it is valid");
        let routes = Router::new()
            .route("/read", get(read))
            .route("/operate", post(operate))
            .route("/panics", get(panics));
        guarded(routes, &settings, Access::new(&settings))
    }

    async fn ask(method: Method, uri: &str, headers: &[(&str, &str)]) -> Response {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).expect("a request");
        router().oneshot(request).await.into_response()
    }

    const HOST: (&str, &str) = ("host", "localhost:8080");

    #[tokio::test]
    async fn what_is_answered_has_the_headers_of_a_careful_host() {
        let response = ask(Method::GET, "/read", &[HOST]).await;
        assert_eq!(response.status(), StatusCode::OK);
        let headers = response.headers();
        assert_eq!(headers[header::CACHE_CONTROL], "no-store");
        assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert!(headers.contains_key(header::CONTENT_SECURITY_POLICY));
        assert_eq!(headers[RESOURCE_POLICY], "same-origin");
        assert!(!headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN));
    }

    #[tokio::test]
    async fn what_is_refused_is_a_problem_for_browsers_and_a_status_for_grpc() {
        let rebound = ask(Method::GET, "/read", &[("host", "evil.example")]).await;
        assert_eq!(rebound.status(), StatusCode::FORBIDDEN);
        assert_eq!(rebound.headers()[header::CONTENT_TYPE], "application/problem+json");
        let grpc = [("host", "evil.example"), ("content-type", "application/grpc")];
        let rebound = ask(Method::POST, "/operate", &grpc).await;
        assert_eq!(rebound.status(), StatusCode::OK);
        assert_eq!(rebound.headers()["grpc-status"], "7");
        let cross = [HOST, ("origin", "https://evil.example")];
        let refused = ask(Method::POST, "/operate", &cross).await;
        assert_eq!(refused.status(), StatusCode::FORBIDDEN);
        let own = [HOST, ("origin", "http://localhost:8080")];
        assert_eq!(ask(Method::POST, "/operate", &own).await.status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn what_is_not_there_is_said_so() {
        assert_eq!(ask(Method::GET, "/none", &[HOST]).await.status(), StatusCode::NOT_FOUND);
        let wrong = ask(Method::DELETE, "/operate", &[HOST]).await;
        assert_eq!(wrong.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(wrong.headers()[header::ALLOW], "POST");
        assert_eq!(wrong.headers()[header::CONTENT_TYPE], "application/problem+json");
        let grpc = [HOST, ("content-type", "application/grpc")];
        let unknown = ask(Method::POST, "/ferry.v1.NoService/Call", &grpc).await;
        assert_eq!(unknown.headers()["grpc-status"], "12");
    }

    #[tokio::test]
    async fn who_shows_no_token_takes_no_room_and_health_needs_none() {
        let jobs = vec![PathBuf::from("job.toml")];
        let settings = ServeSettings::load(None, jobs, None).expect("it is valid");
        let sha256 = TokenDigest::of("a-token");
        let token = Token { name: "page".to_owned(), sha256, role: Role::Read };
        let limits = Limits { requests_in_flight: 1, ..Limits::default() };
        let settings = ServeSettings { tokens: vec![token], limits, ..settings };
        let unguarded = Router::new()
            .route("/never", get(never))
            .route("/read", get(read))
            .route("/healthz", get(|| async { "ok" }));
        let router = guarded(unguarded, &settings, Access::new(&settings));
        let ask = |uri: &str, token: Option<&str>| {
            let mut request = Request::builder().uri(uri);
            if let Some(token) = token {
                request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
            }
            router.clone().oneshot(request.body(Body::empty()).expect("a request"))
        };
        let soon = Duration::from_millis(50);

        let mut stranger = Box::pin(ask("/never", None));
        assert!(tokio::time::timeout(soon, &mut stranger).await.is_err(), "it is being answered");
        let known = ask("/read", Some("a-token")).await.into_response();
        assert_eq!(known.status(), StatusCode::OK, "a stranger took the room");
        let mut slow = Box::pin(ask("/never", Some("a-token")));
        assert!(tokio::time::timeout(soon, &mut slow).await.is_err(), "it is being answered");
        let health = ask("/healthz", Some("a-token")).await.into_response();
        assert_eq!(health.status(), StatusCode::OK, "a busy process lives");
    }

    #[tokio::test]
    async fn a_panic_is_a_problem_without_its_text() {
        let response = ask(Method::GET, "/panics", &[HOST]).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let body = axum::body::to_bytes(response.into_body(), 1 << 16).await.expect("short");
        assert!(!String::from_utf8_lossy(&body).contains("hunter2"));
    }
}
