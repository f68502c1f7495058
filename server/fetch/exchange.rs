//! One request and its answer, on a thread of its own, so that nobody has to wait for a slow API.
//!
//! Invariants: an answer is never larger than its limit, however small it was
//! when compressed; a thread that nobody waits for ends with its time-out.

use std::io::{self, ErrorKind, Read as _};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use ureq::config::Config;
use ureq::http::{HeaderMap, Response, header};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body, Timeout};
use url::Url;

use super::wait::wait_for;
use super::{Api, Endpoint, FetchError, IsUnwanted, Proxy};

const USER_AGENT: &str = concat!("ferry-server/", env!("CARGO_PKG_VERSION"));

/// How long an answer may take, how large it may be, and whom to trust.
#[derive(Debug)]
pub(crate) struct Limits {
    /// For everything from the name to the last byte.
    pub(crate) timeout: Duration,
    /// For finding the host, and again for reaching it.
    pub(crate) connect_timeout: Duration,
    /// Of a body, decompressed.
    pub(crate) response_bytes_max: u64,
    /// Authorities to trust in place of the usual ones.
    pub(crate) authorities: Option<Vec<Certificate<'static>>>,
}

impl Limits {
    /// How requests to an API are made.
    pub(super) fn config(&self, endpoint: &Endpoint, proxy: Option<&Proxy>) -> Config {
        let tls = TlsConfig::builder();
        let tls = match &self.authorities {
            None => tls,
            Some(certificates) => tls.root_certs(RootCerts::new_with_certs(certificates)),
        };
        Agent::config_builder()
            .user_agent(USER_AGENT)
            .proxy(proxy.map(|proxy| proxy.way.clone()))
            .tls_config(tls.build())
            .https_only(endpoint.url.scheme() == "https")
            // Both are looked at here: a redirect may lead to another origin.
            .http_status_as_error(false)
            .max_redirects(0)
            .max_idle_connections_per_host(1)
            .timeout_global(Some(self.timeout))
            .timeout_resolve(Some(self.connect_timeout))
            .timeout_connect(Some(self.connect_timeout))
            .build()
    }
}

/// What an API answered to one request.
pub(super) struct Answer {
    /// Where it was found.
    pub(super) url: Url,
    pub(super) status: u16,
    headers: HeaderMap,
    /// Empty unless the status is that of a page.
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// A header, if there is one, and it is text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// All `Link` headers.
    pub(super) fn links(&self) -> Vec<String> {
        let links = self.headers.get_all(header::LINK).into_iter();
        links.filter_map(|value| value.to_str().ok()).map(str::to_owned).collect()
    }

    /// Whether the end of the body was told before, so that a cut would have been noticed.
    pub(super) fn has_told_its_end(&self) -> bool {
        self.headers.contains_key(header::CONTENT_LENGTH)
            || self.headers.contains_key(header::TRANSFER_ENCODING)
    }

    /// Whether the body is in an encoding that was not undone.
    pub(super) fn is_encoded(&self) -> bool {
        let encoding = self.header(header::CONTENT_ENCODING.as_str());
        encoding.is_some_and(|encoding| !encoding.trim().eq_ignore_ascii_case("identity"))
    }
}

/// Whether the status is that of an answer with records.
pub(super) fn is_page(status: u16) -> bool {
    matches!(status, 200 | 203)
}

/// Makes requests, one after another.
pub(super) struct Exchange<'a> {
    endpoint: &'a Arc<Endpoint>,
    /// The variable that names the proxy, if there is one.
    proxy: Option<&'static str>,
    agent: Agent,
    response_bytes_max: u64,
    is_unwanted: IsUnwanted<'a>,
}

impl<'a> Exchange<'a> {
    pub(super) fn new(api: &'a Api, is_unwanted: IsUnwanted<'a>) -> Self {
        Self {
            endpoint: &api.endpoint,
            proxy: api.proxy.as_ref().map(|proxy| proxy.variable),
            agent: api.config.new_agent(),
            response_bytes_max: api.response_bytes_max,
            is_unwanted,
        }
    }

    /// Asks once. A redirect is an answer like any other.
    pub(super) fn ask(&self, url: &Url) -> Result<Answer, FetchError> {
        let (sender, receiver) = mpsc::sync_channel(1);
        let (endpoint, agent) = (Arc::clone(self.endpoint), self.agent.clone());
        let (asked, bytes_max) = (url.clone(), self.response_bytes_max);
        let ask = move || {
            let answer = endpoint.ask(&agent, &asked);
            let answer = answer.and_then(|answer| read(answer, asked, bytes_max));
            // It fails if nobody waits any more, who then needs no answer.
            sender.send(answer).ok();
        };
        let thread = thread::Builder::new().name("fetch".to_owned()).spawn(ask);
        thread.map_err(|error| self.no_answer(error.to_string()))?;
        let answer = match wait_for(&receiver, self.is_unwanted) {
            Ok(Some(answer)) => answer,
            Ok(None) => return Err(self.no_answer("the request ended in a panic".to_owned())),
            Err(error) => {
                // Closes the connection, and with it ends the thread.
                self.agent.clone().shutdown();
                return Err(error);
            }
        };
        let answer = answer.map_err(|error| self.explain(error))?;
        if answer.body.len() as u64 > self.response_bytes_max {
            let bytes_max = self.response_bytes_max;
            return Err(FetchError::TooLarge { url: self.endpoint.shown.clone(), bytes_max });
        }
        Ok(answer)
    }

    fn no_answer(&self, problem: String) -> FetchError {
        let problem = self.by_way_of_the_proxy(problem);
        FetchError::NoAnswer { url: self.endpoint.shown.clone(), problem }
    }

    fn of_tls(&self, problem: String) -> FetchError {
        // It may be the proxy that TLS has something against.
        let problem = self.by_way_of_the_proxy(problem);
        FetchError::of_tls(self.endpoint.shown.clone(), problem)
    }

    fn by_way_of_the_proxy(&self, problem: String) -> String {
        match self.proxy {
            None => problem,
            Some(variable) => format!("{problem}, by way of the proxy of {variable}"),
        }
    }

    /// Says what went wrong without what was sent or received.
    fn explain(&self, error: ureq::Error) -> FetchError {
        let url = self.endpoint.shown.clone();
        let problem = match error {
            // What TLS finds wrong with a peer is no fault of the network.
            ureq::Error::Io(error) if error.kind() == ErrorKind::InvalidData => {
                return self.of_tls(error.to_string());
            }
            ureq::Error::Rustls(error) => return self.of_tls(error.to_string()),
            ureq::Error::Tls(problem) => return self.of_tls(problem.to_owned()),
            ureq::Error::Http(_) | ureq::Error::BadUri(_) => {
                return FetchError::CannotAsk { url, problem: "correct url, or its parameters" };
            }
            ureq::Error::RequireHttpsOnly(_) | ureq::Error::TlsRequired => {
                return FetchError::CannotAsk {
                    url,
                    problem: "the connection would not be secret",
                };
            }
            ureq::Error::LargeResponseHeader(..) => {
                return FetchError::CannotAsk { url, problem: "its header is larger than 64 KiB" };
            }
            ureq::Error::Io(error) => explain_io(&error),
            ureq::Error::Timeout(Timeout::Resolve | Timeout::Connect) => {
                "it was not reached within http.connect_timeout".to_owned()
            }
            ureq::Error::Timeout(_) => "it took longer than http.timeout".to_owned(),
            ureq::Error::HostNotFound => "its host name is not known".to_owned(),
            // The reason holds a status, and nothing else of the proxy's answer.
            ureq::Error::ConnectProxyFailed(reason) => format!("it was not reached: {reason}"),
            ureq::Error::Protocol(_) => "it is not HTTP, or breaks its rules".to_owned(),
            ureq::Error::Decompress(..) => "its gzip stream is cut or damaged".to_owned(),
            _ => "the connection failed".to_owned(),
        };
        self.no_answer(problem)
    }
}

fn explain_io(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::UnexpectedEof => "it ended in the middle".to_owned(),
        _ => error.to_string(),
    }
}

/// Reads an answer up to one byte more than allowed.
fn read(answer: Response<Body>, url: Url, bytes_max: u64) -> Result<Answer, ureq::Error> {
    let status = answer.status().as_u16();
    let (parts, body) = answer.into_parts();
    let mut bytes = Vec::new();
    if is_page(status) {
        body.into_reader().take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    }
    Ok(Answer { url, status, headers: parts.headers, body: bytes })
}
