//! The document of the whole API, as `OpenAPI` 3.1: what each file says of its handlers, and what holds for all.
//!
//! Invariant: it is what this process does: bounds are those of its settings, and a
//! token is asked for in it if one is asked for.

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use serde_json::{Map, Value, json};
use utoipa::OpenApi;
use utoipa::openapi::OpenApi as OpenApiDocument;

use super::problem::{PROBLEM_JSON, ProblemBody};
use super::state::AppState;

const OPENAPI_JSON: &str = "application/json";
/// Paths that are open to everyone.
const OPEN_PATHS: [&str; 2] = ["/healthz", "/api/v1/openapi.json"];
const TOKEN_SCHEME: &str = "token";
/// What any operation may answer instead, with what it says of it.
const PROBLEMS: [(&str, &str); 4] = [
    ("400", "The request says something that cannot be."),
    ("429", "Too many requests: `Retry-After` says when to go on."),
    ("500", "A defect of ferry-client: its log tells more."),
    ("503", "Something that is needed is not there, or there is too much to do: try again."),
];
const TOKEN_PROBLEMS: [(&str, &str); 1] = [("401", "A token is missing, or nobody has it.")];
const SITE_PROBLEMS: [(&str, &str); 1] =
    [("403", "The token's role does not reach so far, or a page of another site asks.")];
const PATH_PROBLEMS: [(&str, &str); 1] = [("404", "There is no such thing.")];
const BODY_PROBLEMS: [(&str, &str); 2] =
    [("413", "The body is too long."), ("415", "The body is not sent as JSON.")];

#[derive(OpenApi)]
#[openapi(
    info(
        title = "ferry-client",
        description = "Runs of jobs, what they refused, and the records that they loaded. Personal data is what the jobs made of it: pseudonyms."
    ),
    paths(show_document, super::assets::show_health),
    components(schemas(ProblemBody)),
    tags(
        (name = "jobs", description = "Jobs, and the files that they know"),
        (name = "runs", description = "Runs: their accounts, progress and commits"),
        (name = "quarantine", description = "Rows that were refused"),
        (name = "tables", description = "Tables and their records"),
        (name = "health", description = "The process itself")
    )
)]
struct Document;

/// Whether callers need a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tokens {
    AskedFor,
    NotAskedFor,
}

pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/api/v1/openapi.json", get(show_document))
}

/// The document, from those of the files that have handlers.
pub(super) fn document(
    parts: Vec<OpenApiDocument>,
    page_rows_max: u32,
    tokens: Tokens,
) -> Result<String, serde_json::Error> {
    let mut whole = Document::openapi();
    for part in parts {
        whole.merge(part);
    }
    env!("CARGO_PKG_VERSION").clone_into(&mut whole.info.version);
    let mut document = serde_json::to_value(&whole)?;
    bound_integers(&mut document);
    if let Some(paths) = document.get_mut("paths").and_then(Value::as_object_mut) {
        for (path, methods) in paths {
            for operation in methods.as_object_mut().into_iter().flat_map(Map::values_mut) {
                complete(operation, path, page_rows_max, tokens);
            }
        }
    }
    if tokens == Tokens::AskedFor {
        document["components"]["securitySchemes"] =
            json!({ TOKEN_SCHEME: { "type": "http", "scheme": "bearer" } });
    }
    serde_json::to_string_pretty(&document)
}

/// Says of an operation what holds for all.
fn complete(operation: &mut Value, path: &str, page_rows_max: u32, tokens: Tokens) {
    let mut problems = PROBLEMS.to_vec();
    let needs_token = tokens == Tokens::AskedFor && !OPEN_PATHS.contains(&path);
    if needs_token {
        problems.extend(TOKEN_PROBLEMS);
        operation["security"] = json!([{ TOKEN_SCHEME: [] }]);
    }
    problems.extend(SITE_PROBLEMS);
    if path.contains('{') {
        problems.extend(PATH_PROBLEMS);
    }
    if operation.get("requestBody").is_some() {
        problems.extend(BODY_PROBLEMS);
    }
    let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten() {
        if parameter["name"] == "limit" {
            parameter["schema"]["maximum"] = page_rows_max.into();
        }
    }
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else {
        return;
    };
    for (status, description) in problems {
        responses.entry(status).or_insert_with(|| {
            let schema = json!({ "$ref": "#/components/schemas/ProblemBody" });
            json!({ "description": description, "content": { PROBLEM_JSON: { "schema": schema } } })
        });
    }
}

/// Says of each integer of 64 bits where it ends, which its format only implies.
fn bound_integers(part: &mut Value) {
    match part {
        Value::Array(parts) => parts.iter_mut().for_each(bound_integers),
        Value::Object(members) => {
            if members.get("format").is_some_and(|format| format == "int64") {
                members.entry("minimum").or_insert_with(|| i64::MIN.into());
                members.entry("maximum").or_insert_with(|| i64::MAX.into());
            }
            members.values_mut().for_each(bound_integers);
        }
        _ => {}
    }
}

/// Show this document.
#[utoipa::path(
    get,
    path = "/api/v1/openapi.json",
    tag = "health",
    responses((status = 200, description = "This document.", body = Value, content_type = "application/json"))
)]
pub(super) async fn show_document(State(state): State<AppState>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, OPENAPI_JSON)], state.document().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(tokens: Tokens) -> Value {
        let text = document(super::super::documents(), 7, tokens).expect("a document");
        serde_json::from_str(&text).expect("JSON")
    }

    #[test]
    fn every_operation_tells_its_problems() {
        let document = whole(Tokens::AskedFor);
        let paths = document["paths"].as_object().expect("paths");
        assert!(paths.len() >= 20, "{} paths", paths.len());
        for (path, methods) in paths {
            for (method, operation) in methods.as_object().expect("methods") {
                let responses = operation["responses"].as_object().expect("responses");
                for status in ["400", "403", "429", "500", "503"] {
                    assert!(responses.contains_key(status), "{method} {path} {status}");
                }
                let is_open = OPEN_PATHS.contains(&path.as_str());
                assert_eq!(operation.get("security").is_none(), is_open, "{method} {path}");
                assert_eq!(responses.contains_key("401"), !is_open, "{method} {path}");
                assert_eq!(
                    operation.get("requestBody").is_some(),
                    responses.contains_key("415"),
                    "{method} {path}"
                );
                let has_summary = operation.get("summary").is_some();
                assert!(has_summary, "{method} {path} has no summary");
            }
        }
        assert!(document["components"]["schemas"]["ProblemBody"].is_object());
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn visit(part: &Value, document: &Value) {
            match part {
                Value::Array(parts) => parts.iter().for_each(|part| visit(part, document)),
                Value::Object(members) => {
                    if let Some(Value::String(reference)) = members.get("$ref") {
                        let pointer = reference.trim_start_matches('#');
                        assert!(document.pointer(pointer).is_some(), "{reference}");
                    }
                    members.values().for_each(|part| visit(part, document));
                }
                _ => {}
            }
        }
        let document = whole(Tokens::NotAskedFor);
        visit(&document, &document);
    }

    #[test]
    fn bounds_are_those_of_the_settings() {
        let document = whole(Tokens::NotAskedFor);
        let list = &document["paths"]["/api/v1/tables/{table}/records"]["get"];
        let parameters = list["parameters"].as_array().expect("parameters");
        let limit = parameters.iter().find(|parameter| parameter["name"] == "limit");
        assert_eq!(limit.expect("a limit")["schema"]["maximum"], 7);
        assert!(list.get("security").is_none());
        assert!(document["components"].get("securitySchemes").is_none());
    }

    #[test]
    fn integers_of_64_bits_have_their_bounds() {
        let mut part = json!({ "x": [{ "type": "integer", "format": "int64", "minimum": 1 }] });
        bound_integers(&mut part);
        assert_eq!(part["x"][0]["minimum"], 1);
        assert_eq!(part["x"][0]["maximum"], i64::MAX);
    }
}
