//! Turns the keys of a `[[dataset]]` of kind `http_json` into an API that can be fetched.
//!
//! Invariants: no refusal holds a value that may come from the environment;
//! what is sent with each request is known to be allowed before the first one.
//! Bounds: 100 parameters and headers, an address of 8 KiB, a body of 1 MiB,
//! and those of time, size and number beside each key.

mod pages;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::env;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ferry::host::pem::{self, PemContent};
use ferry::host::settings::{ByteSize, Secret, Span, beside, expand};
use ferry::schema::{Column, ColumnType};
use serde::Deserialize;
use ureq::http::{HeaderMap, HeaderName, HeaderValue, header};
use ureq::tls::{Certificate, PemItem, parse_pem};
use url::Url;

use self::pages::{check_parameters, paging};
use crate::catalog::dataset::DeclaredColumn;
use crate::fetch::{Api, ApiSettings, Endpoint, Incremental, Limits, Proxy, Spool, has_user};
use crate::json::{Framing, JsonLayout};
use crate::settings::words::{one_of, within};
use crate::wanted::WantedColumn;

pub(super) use self::pages::RawPages;

const NAMES_MAX: usize = 100;
const URL_BYTES_MAX: usize = 8 * 1024;
const BODY_BYTES_MAX: usize = 1 << 20;
const VALUE_BYTES_MAX: usize = 4 * 1024;
const RETRIES_DEFAULT: u32 = 5;
const RETRIES_MAX: u32 = 20;
const RATE_DEFAULT: f64 = 10.0;
const RATES: RangeInclusive<f64> = 0.001..=1000.0;
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
const TIMEOUTS: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_mins(10);
const RESPONSE_BYTES_DEFAULT: ByteSize = ByteSize(32 << 20);
const AHEAD_DEFAULT: Duration = Duration::from_hours(24);
const AHEAD_MAX: Duration = Duration::from_hours(10 * 366 * 24);
/// A response is held in memory.
const RESPONSE_BYTES: RangeInclusive<u64> = 1 << 10..=256 << 20;

/// Headers that say how a message is sent, and not what is asked.
const HEADERS_OF_TRANSPORT: [&str; 10] = [
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "expect",
    "host",
    "range",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// The keys of a `[[dataset]]` that are about HTTP, as they are written.
pub(super) struct RawApi {
    pub(super) url: Option<String>,
    pub(super) method: Option<String>,
    pub(super) body: Option<String>,
    pub(super) parameters: BTreeMap<String, String>,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) pages: Option<RawPages>,
    pub(super) incremental: Option<RawIncremental>,
    pub(super) http: Option<RawHttp>,
}

/// `[dataset.incremental]` as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawIncremental {
    parameter: String,
    column: String,
    initial: Option<String>,
    max_ahead: Option<Span>,
}

/// `[dataset.http]` as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawHttp {
    timeout: Option<Span>,
    connect_timeout: Option<Span>,
    retries: Option<u32>,
    requests_per_second: Option<f64>,
    max_response: Option<ByteSize>,
}

/// What else is known where the keys are read.
pub(super) struct Beside<'a> {
    /// Path of `server.toml`.
    pub(super) settings_file: &'a Path,
    pub(super) spool: &'a Arc<Spool>,
    pub(super) layout: &'a JsonLayout,
    /// Columns of the dataset that are declared.
    pub(super) columns: &'a BTreeMap<String, DeclaredColumn>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Get,
    Post,
}

/// Reads an API; nothing is asked of it.
pub(super) fn api(raw: RawApi, known: &Beside<'_>) -> Result<Api, String> {
    let http = raw.http.unwrap_or_default();
    let (url, shown) = address(raw.url.as_deref())?;
    let proxy = Proxy::find(&url, |name| env::var_os(name))?;
    let body = body(raw.method.as_deref(), raw.body.as_deref())?;
    let (paging, pages_max) = paging(raw.pages, &known.layout.framing)?;
    let incremental = raw.incremental.map(|raw| incremental(raw, known.columns)).transpose()?;
    check_parameters(&paging, incremental.as_ref())?;
    let authorities = raw.ca_file.map(|file| authorities(&beside(known.settings_file, &file)));
    let requests_per_second = http.requests_per_second.unwrap_or(RATE_DEFAULT);
    let settings = ApiSettings {
        endpoint: Endpoint {
            url,
            shown,
            parameters: parameters(&raw.parameters)?,
            headers: headers(&raw.headers, &known.layout.framing, body.as_ref())?,
            body,
        },
        paging,
        pages_max,
        incremental,
        retries: within(
            "http.retries",
            http.retries.unwrap_or(RETRIES_DEFAULT),
            &(0..=RETRIES_MAX),
        )?,
        requests_per_second: within("http.requests_per_second", requests_per_second, &RATES)?,
        limits: Limits {
            timeout: timeout("http.timeout", http.timeout, TIMEOUT_DEFAULT)?,
            connect_timeout: timeout(
                "http.connect_timeout",
                http.connect_timeout,
                CONNECT_TIMEOUT_DEFAULT,
            )?,
            response_bytes_max: response_bytes_max(http.max_response)?,
            authorities: authorities.transpose()?,
        },
        proxy,
    };
    Ok(Api::new(settings, Arc::clone(known.spool)))
}

/// The address, and how it may be shown.
fn address(text: Option<&str>) -> Result<(Url, String), String> {
    const EXAMPLE: &str = "write an address such as \"https://api.example.com/v1/users\"";
    let text = text.ok_or_else(|| format!("url is missing: {EXAMPLE}"))?;
    let expanded = expanded("url", text)?;
    if expanded.expose().len() > URL_BYTES_MAX {
        return Err(format!("url is longer than {URL_BYTES_MAX} bytes: shorten it"));
    }
    let mut url: Url =
        expanded.expose().parse().map_err(|_| format!("url is no address: {EXAMPLE}"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(format!("url does not begin with http:// or https://: {EXAMPLE}"));
    }
    if has_user(&url) {
        return Err(
            "url holds a user or a password: write them in headers, such as headers = { Authorization = \"Basic ${API_LOGIN}\" }"
                .to_owned(),
        );
    }
    url.set_fragment(None);
    let origin = url.origin().ascii_serialization();
    // A part of the path may come from the environment, and be secret.
    let shown = if text.contains("${") { origin } else { format!("{origin}{}", url.path()) };
    Ok((url, shown))
}

/// What is posted, if the method is to post.
fn body(method: Option<&str>, body: Option<&str>) -> Result<Option<Secret>, String> {
    const METHODS: [(&str, Method); 2] = [("GET", Method::Get), ("POST", Method::Post)];
    let method = method.map_or(Ok(Method::Get), |word| one_of("method", word, &METHODS))?;
    match (method, body) {
        (Method::Get, None) => Ok(None),
        (Method::Get, Some(_)) => {
            Err("body is sent with a POST only: write method = \"POST\", or remove it".to_owned())
        }
        (Method::Post, body) => {
            let body = expanded("body", body.unwrap_or_default())?;
            if body.expose().len() > BODY_BYTES_MAX {
                return Err(format!("body is longer than {BODY_BYTES_MAX} bytes: shorten it"));
            }
            Ok(Some(body))
        }
    }
}

fn parameters(raw: &BTreeMap<String, String>) -> Result<Vec<(String, Secret)>, String> {
    check_count("parameters", raw.len())?;
    let mut parameters = Vec::with_capacity(raw.len());
    for (name, text) in raw {
        check_parameter("parameters", name)?;
        let value = expanded(&format!("parameters.{name}"), text)?;
        if value.expose().len() > VALUE_BYTES_MAX {
            return Err(format!("parameters.{name} is longer than {VALUE_BYTES_MAX} bytes"));
        }
        parameters.push((name.clone(), value));
    }
    Ok(parameters)
}

/// Checks the name of a parameter that stands at a key.
fn check_parameter(key: &str, name: &str) -> Result<(), String> {
    if name.is_empty() || name.len() > 128 || name.contains(char::is_control) {
        return Err(format!(
            "{key}: the name of a parameter has 1 to 128 bytes, and fits in one line"
        ));
    }
    Ok(())
}

/// The headers of every request, those that are written and those that are usual.
fn headers(
    raw: &BTreeMap<String, String>,
    framing: &Framing,
    body: Option<&Secret>,
) -> Result<HeaderMap, String> {
    check_count("headers", raw.len())?;
    let mut headers = HeaderMap::new();
    for (name, text) in raw {
        let header: HeaderName = name
            .parse()
            .map_err(|_| format!("headers: \"{}\" is no name of a header", name.escape_debug()))?;
        if HEADERS_OF_TRANSPORT.contains(&header.as_str()) {
            return Err(format!("headers.{name} is not yours to write: remove it"));
        }
        let setting = format!("headers.{name}");
        let mut value = HeaderValue::from_str(expanded(&setting, text)?.expose())
            .map_err(|_| format!("{setting} holds characters that no header may hold"))?;
        if value.len() > VALUE_BYTES_MAX {
            return Err(format!("{setting} is longer than {VALUE_BYTES_MAX} bytes"));
        }
        value.set_sensitive(true);
        if headers.insert(header, value).is_some() {
            return Err(format!("{setting} is written twice, in other letters: remove one"));
        }
    }
    let accepted = match framing {
        Framing::Document { .. } => "application/json",
        Framing::Lines => "application/x-ndjson, application/json;q=0.9",
    };
    headers.entry(header::ACCEPT).or_insert(HeaderValue::from_static(accepted));
    if body.is_some() {
        let json = HeaderValue::from_static("application/json");
        headers.entry(header::CONTENT_TYPE).or_insert(json);
    }
    Ok(headers)
}

fn incremental(
    raw: RawIncremental,
    columns: &BTreeMap<String, DeclaredColumn>,
) -> Result<Incremental, String> {
    let RawIncremental { parameter, column: name, initial, max_ahead } = raw;
    check_parameter("incremental.parameter", &parameter)?;
    let Some(declared) = columns.get(&name) else {
        return Err(format!(
            "incremental.column = {name:?} has no type, without which its greatest value is not known: declare it in columns, such as columns = {{ {name} = \"timestamptz\" }}"
        ));
    };
    let column_type = declared.column_type;
    if matches!(column_type, ColumnType::Jsonb | ColumnType::Bytea | ColumnType::Boolean) {
        return Err(format!(
            "incremental.column = {name:?} is of a type that has no useful order: choose a time or a number"
        ));
    }
    if !declared.format.is_plain() {
        return Err(format!(
            "incremental.column = {name:?} has a format of its own, in which values cannot be compared: choose a column without one"
        ));
    }
    if initial.as_ref().is_some_and(|initial| initial.len() > VALUE_BYTES_MAX) {
        return Err(format!("incremental.initial is longer than {VALUE_BYTES_MAX} bytes"));
    }
    let is_time =
        matches!(column_type, ColumnType::Date | ColumnType::Timestamp | ColumnType::Timestamptz);
    if max_ahead.is_some() && !is_time {
        return Err(
            "incremental.max_ahead goes with a column of type date, timestamp or timestamptz: remove it"
                .to_owned(),
        );
    }
    let ahead_max = max_ahead.map_or(AHEAD_DEFAULT, |Span(ahead)| ahead);
    if ahead_max > AHEAD_MAX {
        return Err("incremental.max_ahead: write \"0s\" to \"3660d\"".to_owned());
    }
    let column = WantedColumn {
        column: Column { name, column_type },
        format: Arc::clone(&declared.format),
        nulls: Arc::clone(&declared.nulls),
    };
    Ok(Incremental { parameter, column, initial, ahead_max })
}

fn authorities(file: &Path) -> Result<Vec<Certificate<'static>>, String> {
    let text =
        pem::read(file, PemContent::Certificates).map_err(|error| format!("ca_file: {error}"))?;
    let unusable = || format!("ca_file: {} holds no certificate that can be read", file.display());
    let mut certificates = Vec::new();
    for item in parse_pem(&text) {
        if let PemItem::Certificate(certificate) = item.map_err(|_| unusable())? {
            certificates.push(certificate);
        }
    }
    if certificates.is_empty() { Err(unusable()) } else { Ok(certificates) }
}

fn timeout(key: &str, span: Option<Span>, default: Duration) -> Result<Duration, String> {
    let timeout = span.map_or(default, |Span(span)| span);
    if TIMEOUTS.contains(&timeout) {
        Ok(timeout)
    } else {
        Err(format!("{key}: write \"100ms\" to \"10m\""))
    }
}

fn response_bytes_max(size: Option<ByteSize>) -> Result<u64, String> {
    let ByteSize(bytes) = size.unwrap_or(RESPONSE_BYTES_DEFAULT);
    if RESPONSE_BYTES.contains(&bytes) {
        Ok(bytes)
    } else {
        Err(format!("http.max_response is {bytes} bytes: write \"1KiB\" to \"256MiB\""))
    }
}

fn check_count(key: &str, count: usize) -> Result<(), String> {
    if count > NAMES_MAX {
        return Err(format!("{key} has {count} entries: write at most {NAMES_MAX}"));
    }
    Ok(())
}

/// A text with the variables of the environment in place of their names.
fn expanded(setting: &str, text: &str) -> Result<Secret, String> {
    expand(text, setting).map_err(|error| error.to_string())
}
