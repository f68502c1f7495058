//! Serves made-up people as pages of JSON: the API that the demo reads from.
//!
//! It listens on 127.0.0.1 and asks for a token, as such APIs do. A `POST` to
//! `/move` gives one person another address, so that there is something new.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use ferry::host::shutdown::Shutdown;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::data;
use crate::demo::DemoError;
use crate::output::line;

/// What the API says once it listens.
pub(in crate::demo) const API_LISTENING: &str = "people API listening on ";
/// Path of the pages.
pub(in crate::demo) const API_PATH: &str = "/api/v2/users";
/// Path that changes a person.
pub(in crate::demo) const MOVE_PATH: &str = "/move";
const SIZE_DEFAULT: usize = 100;
const SIZE_MAX: usize = 100;

struct Api {
    token: String,
    people: Mutex<Vec<Value>>,
}

#[derive(Deserialize)]
struct PageQuery {
    page: Option<usize>,
    size: Option<usize>,
}

/// Serves the people to those who have the token, until a stop is requested.
pub(crate) async fn serve_api(
    address: SocketAddr,
    token: String,
    mut shutdown: Shutdown,
) -> Result<(), DemoError> {
    let failed = |source| DemoError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    let api = Arc::new(Api { token, people: Mutex::new(data::people()) });
    let router =
        Router::new().route(API_PATH, get(page)).route(MOVE_PATH, post(change)).with_state(api);
    line(format!("{API_LISTENING}http://{bound}"));
    let served = axum::serve(listener, router)
        .with_graceful_shutdown(async move { shutdown.requested().await });
    served.await.map_err(failed)
}

async fn page(
    State(api): State<Arc<Api>>,
    Query(query): Query<PageQuery>,
    headers: HeaderMap,
) -> Response {
    if !api.knows(&headers) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let size = query.size.unwrap_or(SIZE_DEFAULT).clamp(1, SIZE_MAX);
    let first = query.page.unwrap_or(1).saturating_sub(1).saturating_mul(size);
    let people = api.people.lock().unwrap_or_else(PoisonError::into_inner);
    let users: Vec<&Value> = people.iter().skip(first).take(size).collect();
    Json(json!({ "total": people.len(), "users": users })).into_response()
}

async fn change(State(api): State<Arc<Api>>, headers: HeaderMap) -> StatusCode {
    if !api.knows(&headers) {
        return StatusCode::UNAUTHORIZED;
    }
    let mut people = api.people.lock().unwrap_or_else(PoisonError::into_inner);
    people[data::CHANGING]["email"] = json!(data::new_email(data::CHANGING));
    StatusCode::NO_CONTENT
}

impl Api {
    fn knows(&self, headers: &HeaderMap) -> bool {
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        given.and_then(|given| given.strip_prefix("Bearer ")) == Some(self.token.as_str())
    }
}
