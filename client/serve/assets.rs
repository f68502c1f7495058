//! The page, as it is compiled in: HTML in its frame, styles, modules; and the word that the process lives.
//!
//! Invariant: nothing here is data, so no token is asked for: the form for the
//! token is part of the page.

use std::borrow::Cow;
use std::sync::LazyLock;

use axum::Router;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use ferry::hex;
use sha2::{Digest as _, Sha256};

use super::extract::InPath;
use super::problem::Problem;
use super::state::AppState;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";
/// A browser asks each time whether its copy is still right.
const CACHE_POLICY: &str = "no-cache";
/// Bytes of the digest that tells versions of a file apart.
const TAG_BYTES: usize = 16;

/// What both pages share, each part by the line that stands for it in them.
const FRAME: [(&str, &str); 3] = [
    ("<!-- head.html -->\n", include_str!("page/head.html")),
    ("<!-- top.html -->\n", include_str!("page/top.html")),
    ("<!-- foot.html -->\n", include_str!("page/foot.html")),
];

/// A file of the page.
struct Asset {
    name: &'static str,
    content: Cow<'static, [u8]>,
    kind: &'static str,
    /// Its version, as the header `ETag` has it.
    tag: String,
}

/// What a browser asks for by name, and the two pages, which it does not.
static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    vec![
        Asset::framed("index.html", include_str!("page/index.html")),
        Asset::framed("docs.html", include_str!("page/docs.html")),
        Asset::new("theme.css", CSS, include_bytes!("page/theme.css")),
        Asset::new("app.css", CSS, include_bytes!("page/app.css")),
        Asset::new("views.css", CSS, include_bytes!("page/views.css")),
        Asset::new("docs.css", CSS, include_bytes!("page/docs.css")),
        Asset::new("icon.svg", SVG, include_bytes!("page/icon.svg")),
        Asset::new("theme.js", SCRIPT, include_bytes!("page/theme.js")),
        Asset::new("app.js", SCRIPT, include_bytes!("page/app.js")),
        Asset::new("api.js", SCRIPT, include_bytes!("page/api.js")),
        Asset::new("stream.js", SCRIPT, include_bytes!("page/stream.js")),
        Asset::new("format.js", SCRIPT, include_bytes!("page/format.js")),
        Asset::new("icons.js", SCRIPT, include_bytes!("page/icons.js")),
        Asset::new("ui.js", SCRIPT, include_bytes!("page/ui.js")),
        Asset::new("states.js", SCRIPT, include_bytes!("page/states.js")),
        Asset::new("table.js", SCRIPT, include_bytes!("page/table.js")),
        Asset::new("dialogs.js", SCRIPT, include_bytes!("page/dialogs.js")),
        Asset::new("token.js", SCRIPT, include_bytes!("page/token.js")),
        Asset::new("chart.js", SCRIPT, include_bytes!("page/chart.js")),
        Asset::new("accounts.js", SCRIPT, include_bytes!("page/accounts.js")),
        Asset::new("splits.js", SCRIPT, include_bytes!("page/splits.js")),
        Asset::new("unasked.js", SCRIPT, include_bytes!("page/unasked.js")),
        Asset::new("jobs.js", SCRIPT, include_bytes!("page/jobs.js")),
        Asset::new("job.js", SCRIPT, include_bytes!("page/job.js")),
        Asset::new("runs.js", SCRIPT, include_bytes!("page/runs.js")),
        Asset::new("run.js", SCRIPT, include_bytes!("page/run.js")),
        Asset::new("run-head.js", SCRIPT, include_bytes!("page/run-head.js")),
        Asset::new("run-live.js", SCRIPT, include_bytes!("page/run-live.js")),
        Asset::new("run-splits.js", SCRIPT, include_bytes!("page/run-splits.js")),
        Asset::new("run-tables.js", SCRIPT, include_bytes!("page/run-tables.js")),
        Asset::new("quarantine.js", SCRIPT, include_bytes!("page/quarantine.js")),
        Asset::new("quarantine-choice.js", SCRIPT, include_bytes!("page/quarantine-choice.js")),
        Asset::new("quarantine-filters.js", SCRIPT, include_bytes!("page/quarantine-filters.js")),
        Asset::new("quarantine-list.js", SCRIPT, include_bytes!("page/quarantine-list.js")),
        Asset::new("entry.js", SCRIPT, include_bytes!("page/entry.js")),
        Asset::new("tables.js", SCRIPT, include_bytes!("page/tables.js")),
        Asset::new("records.js", SCRIPT, include_bytes!("page/records.js")),
        Asset::new("record.js", SCRIPT, include_bytes!("page/record.js")),
        Asset::new("values.js", SCRIPT, include_bytes!("page/values.js")),
        Asset::new("lineage.js", SCRIPT, include_bytes!("page/lineage.js")),
        Asset::new("drawing.js", SCRIPT, include_bytes!("page/drawing.js")),
        Asset::new("docs.js", SCRIPT, include_bytes!("page/docs.js")),
        Asset::new("openapi.js", SCRIPT, include_bytes!("page/openapi.js")),
    ]
});

pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/", get(show_page))
        .route("/ui", get(show_page))
        .route("/ui/", get(show_page))
        .route("/ui/{*view}", get(show_page))
        .route("/api/docs", get(show_docs))
        .route("/assets/{name}", get(show_asset))
        .route("/healthz", get(show_health))
}

impl Asset {
    fn new(name: &'static str, kind: &'static str, content: impl Into<Cow<'static, [u8]>>) -> Self {
        let content = content.into();
        let digest = Sha256::digest(&content);
        let tag = format!("\"{}\"", hex::encode(&digest[..TAG_BYTES]));
        Self { name, content, kind, tag }
    }

    /// A page with what both pages share.
    fn framed(name: &'static str, own: &str) -> Self {
        let mut page = own.to_owned();
        for (line, part) in FRAME {
            page = page.replace(line, part);
        }
        Self::new(name, HTML, page.into_bytes())
    }

    /// The file, or the word that the browser's copy is still right.
    fn answer(&'static self, headers: &HeaderMap) -> Response {
        let known = headers.get(header::IF_NONE_MATCH).and_then(|known| known.to_str().ok());
        let is_known = known.is_some_and(|known| {
            known.split(',').any(|tag| tag.trim().trim_start_matches("W/") == self.tag)
        });
        let mut response = if is_known {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            ([(header::CONTENT_TYPE, self.kind)], &self.content[..]).into_response()
        };
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(CACHE_POLICY));
        if let Ok(tag) = HeaderValue::from_str(&self.tag) {
            headers.insert(header::ETAG, tag);
        }
        response
    }
}

fn find(name: &str) -> Result<&'static Asset, Problem> {
    let asset = ASSETS.iter().find(|asset| asset.name == name);
    asset.ok_or_else(|| Problem::not_found("path_not_found", "the page has no such file"))
}

async fn show_page(headers: HeaderMap) -> Result<Response, Problem> {
    Ok(find("index.html")?.answer(&headers))
}

async fn show_docs(headers: HeaderMap) -> Result<Response, Problem> {
    Ok(find("docs.html")?.answer(&headers))
}

async fn show_asset(InPath(name): InPath<String>, headers: HeaderMap) -> Result<Response, Problem> {
    let asset = find(&name)?;
    if asset.kind == HTML {
        // Pages have paths of their own.
        return Err(Problem::not_found("path_not_found", "the page has no such file"));
    }
    Ok(asset.answer(&headers))
}

/// Say that the process lives.
///
/// It says nothing of databases, caches or sources: those may be gone for a while.
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "health",
    responses((status = 200, description = "The word `ok`.", body = String, content_type = "text/plain"))
)]
pub(super) async fn show_health() -> &'static str {
    "ok"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_there_once_with_its_type() {
        let mut names: Vec<&str> = ASSETS.iter().map(|asset| asset.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ASSETS.len());
        for asset in ASSETS.iter() {
            let (_, ending) = asset.name.rsplit_once('.').expect("an ending");
            let kind = match ending {
                "html" => HTML,
                "css" => CSS,
                "js" => SCRIPT,
                "svg" => SVG,
                other => panic!("{other} has no type"),
            };
            assert_eq!(asset.kind, kind, "{}", asset.name);
            assert!(!asset.content.is_empty(), "{}", asset.name);
        }
    }

    #[test]
    fn what_the_pages_name_is_served() {
        let mut imports = 0;
        for asset in ASSETS.iter() {
            let text = String::from_utf8_lossy(&asset.content);
            for part in text.split("\"/assets/").skip(1) {
                let name = part.split('"').next().unwrap_or_default();
                assert!(find(name).is_ok(), "{} names {name}", asset.name);
            }
            for part in text.split("from './").skip(1) {
                let name = part.split('\'').next().unwrap_or_default();
                assert!(find(name).is_ok(), "{} imports {name}", asset.name);
                imports += 1;
            }
        }
        assert!(imports > 0, "no import was found: are they written in another way?");
    }

    #[test]
    fn both_pages_stand_in_the_same_frame() {
        for name in ["index.html", "docs.html"] {
            let page = String::from_utf8_lossy(&find(name).expect("the page").content);
            assert!(!page.contains("<!--"), "{name}: {page}");
            for (_, part) in FRAME {
                assert_eq!(page.matches(part).count(), 1, "{name} lacks a part, or has it twice");
            }
        }
    }

    #[test]
    fn a_browser_that_has_the_file_is_not_sent_it_again() {
        let asset = find("index.html").expect("the page");
        let first = asset.answer(&HeaderMap::new());
        assert_eq!(first.status(), StatusCode::OK);
        assert_eq!(first.headers()[header::CONTENT_TYPE], HTML);
        assert_eq!(first.headers()[header::CACHE_CONTROL], "no-cache");
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_NONE_MATCH, first.headers()[header::ETAG].clone());
        assert_eq!(asset.answer(&headers).status(), StatusCode::NOT_MODIFIED);
        headers.insert(header::IF_NONE_MATCH, HeaderValue::from_static("\"other\""));
        assert_eq!(asset.answer(&headers).status(), StatusCode::OK);
    }
}
