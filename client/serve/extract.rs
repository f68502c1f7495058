//! Takes a request apart as axum does, and tells what is wrong with it as a problem.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::problem::Problem;

/// The parts of the path.
#[derive(Debug)]
pub(crate) struct InPath<T>(pub(crate) T);

/// The parameters behind the path.
#[derive(Debug)]
pub(crate) struct InQuery<T>(pub(crate) T);

/// The JSON document of the body.
#[derive(Debug)]
pub(crate) struct InBody<T>(pub(crate) T);

impl<T, S> FromRequestParts<S> for InPath<T>
where
    T: DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(path)) => Ok(Self(path)),
            Err(rejection) if rejection.status().is_client_error() => {
                // What the rejection says quotes the path, which may hold a key.
                Err(Problem::bad_request("bad_path", "a part of the path is not what it must be"))
            }
            Err(rejection) => {
                tracing::error!(error = %rejection, "a route and its handler differ");
                Err(Problem::unexpected())
            }
        }
    }
}

impl<T, S> FromRequestParts<S> for InQuery<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(query)) => Ok(Self(query)),
            Err(_) => Err(Problem::bad_request(
                "bad_query",
                "a parameter behind `?` is unknown, is written twice, or is not what it must be: /api/docs tells which there are",
            )),
        }
    }
}

impl<T, S> FromRequest<S> for InBody<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match Json::from_request(request, state).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(rejection) => Err(body_problem(&rejection)),
        }
    }
}

fn body_problem(rejection: &JsonRejection) -> Problem {
    match rejection.status() {
        status @ StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::new(status, "body_too_large", "the body is longer than limits.body_bytes")
        }
        status @ StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            Problem::new(status, "not_json", "send the body as Content-Type: application/json")
        }
        _ => Problem::bad_request(
            "bad_body",
            "the body is not the JSON document that this takes: /api/docs tells its form",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::extract::DefaultBodyLimit;
    use axum::response::IntoResponse as _;
    use axum::routing::{get, post};
    use axum::{Router, http};
    use serde::Deserialize;
    use tower::ServiceExt as _;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Page {
        limit: Option<u32>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Numbers {
        ids: Vec<i64>,
    }

    async fn limit(InQuery(page): InQuery<Page>) -> String {
        format!("{:?}", page.limit)
    }

    async fn count(InBody(body): InBody<Numbers>) -> String {
        body.ids.len().to_string()
    }

    fn router() -> Router {
        Router::new()
            .route("/path/{id}", get(|InPath(id): InPath<i64>| async move { id.to_string() }))
            .route("/query", get(limit))
            .route("/body", post(count))
            .layer(DefaultBodyLimit::max(20))
    }

    async fn status(request: http::request::Builder, body: &'static str) -> u16 {
        let request = request.body(Body::from(body)).expect("a request");
        let response = router().oneshot(request).await.into_response();
        if !response.status().is_success() {
            let kind = response.headers()[http::header::CONTENT_TYPE].to_str();
            assert_eq!(kind.ok(), Some("application/problem+json"));
        }
        response.status().as_u16()
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_a_problem() {
        for (uri, expected) in [
            ("/path/7", 200),
            ("/path/seven", 400),
            ("/path/9223372036854775808", 400),
            ("/query?limit=7", 200),
            ("/query?limit=-7", 400),
            ("/query?limit=", 400),
            ("/query?limit=7&limit=7", 400),
            ("/query?lmit=7", 400),
        ] {
            assert_eq!(status(http::Request::get(uri), "").await, expected, "{uri}");
        }
    }

    #[tokio::test]
    async fn a_body_must_be_short_json_of_its_form() {
        for (kind, body, expected) in [
            ("application/json", r#"{"ids":[1,2]}"#, 200),
            ("text/plain", r#"{"ids":[1,2]}"#, 415),
            ("application/json", r#"{"ids":[1,2]"#, 400),
            ("application/json", r#"{"ids":["1"]}"#, 400),
            ("application/json", r#"{"ids":[],"x":1}"#, 400),
            ("application/json", r#"{"ids":[1,2,3,4,5,6]}"#, 413),
        ] {
            let request = http::Request::post("/body").header("content-type", kind);
            assert_eq!(status(request, body).await, expected, "{kind} {body}");
        }
    }
}
