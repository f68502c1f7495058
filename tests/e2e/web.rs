//! Runs `ferry-client serve` and asks it as a browser or a program would: JSON, headers, events.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::hosts::{Outcome, Process, client, wait_for};

const SERVING: &str = "ferry-client serving on ";
/// Longest answer that is read.
const BODY_BYTES_MAX: u64 = 64 << 20;
/// How long one answer may take, all events of a run included.
const ANSWER: Duration = Duration::from_mins(1);

/// A program that serves, and how it is asked.
pub(crate) struct Web {
    pub(crate) process: Process,
    url: String,
    agent: ureq::Agent,
    /// Sent with every request, if there is one.
    token: Option<String>,
}

impl Web {
    /// Serves these jobs on a free port.
    pub(crate) fn start<P: AsRef<Path>>(jobs: &[P]) -> Self {
        let mut command = client(["serve", "--listen", "127.0.0.1:0"]);
        for job in jobs {
            command.arg(job.as_ref());
        }
        Self::start_with(&mut command)
    }

    /// Serves what `serve.toml` says.
    pub(crate) fn configured(settings: &Path) -> Self {
        let mut command = client(["serve", "--listen", "127.0.0.1:0", "--config"]);
        Self::start_with(command.arg(settings))
    }

    /// Starts a command that serves, and waits until it does.
    pub(crate) fn start_with(command: &mut Command) -> Self {
        let mut process = Process::spawn(command);
        let url = wait_for("the first line of serve", 30, || {
            let ended = process.ended().is_some();
            let said = process.stdout();
            let mut lines = said.split_inclusive('\n');
            let url = lines.find_map(|line| line.strip_prefix(SERVING)?.strip_suffix('\n'));
            assert!(url.is_some() || !ended, "serve ended:\n{}", process.stderr());
            url.map(str::to_owned)
        });
        Self { process, url, agent: agent(None), token: None }
    }

    /// Trusts this authority only from now on.
    pub(crate) fn trust(&mut self, certificate: &str) {
        let certificate = Certificate::from_pem(certificate.as_bytes()).unwrap();
        let roots = RootCerts::new_with_certs(&[certificate]);
        self.agent = agent(Some(TlsConfig::builder().root_certs(roots).build()));
    }

    /// Shows this token from now on, or none.
    pub(crate) fn show_token(&mut self, token: Option<&str>) {
        self.token = token.map(str::to_owned);
    }

    /// Where it listens, such as `http://127.0.0.1:40001`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Host and port.
    pub(crate) fn address(&self) -> &str {
        self.url.split_once("://").unwrap().1
    }

    /// Asks for something below `/api/v1`.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask("GET", &format!("/api/v1{path}"), &[], "")
    }

    /// The JSON of something below `/api/v1` that is there.
    #[track_caller]
    pub(crate) fn json(&self, path: &str) -> Value {
        self.get(path).expect(200).json()
    }

    /// One record of a table, by the parts of its key.
    #[track_caller]
    pub(crate) fn record(&self, table: &str, key: &[&str]) -> Answer {
        self.get(&record_path(table, key))
    }

    /// Sends JSON to something below `/api/v1`.
    #[track_caller]
    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.ask("POST", &format!("/api/v1{path}"), &[("content-type", "application/json")], &body)
    }

    /// Any request with any headers.
    #[track_caller]
    pub(crate) fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let answer = self.try_ask(method, path, headers, body);
        answer.unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// The same, where no answer may come.
    pub(crate) fn try_ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<Answer, String> {
        let request = self.request(method, path, headers, body);
        let mut response = self.agent.run(request).map_err(|error| error.to_string())?;
        let header = |(name, value): (&ureq::http::HeaderName, &ureq::http::HeaderValue)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let headers = response.headers().iter().map(header).collect();
        let status = response.status().as_u16();
        let body = response.body_mut().with_config().limit(BODY_BYTES_MAX).read_to_string();
        let body = body.map_err(|error| error.to_string())?;
        Ok(Answer { status, headers, body })
    }

    /// The events of a stream below `/api/v1`, as they come.
    pub(crate) fn events(&self, path: &str) -> Events {
        let request = self.request("GET", &format!("/api/v1{path}"), &[], "");
        let response = self.agent.run(request).unwrap();
        assert_eq!(response.status().as_u16(), 200, "{path}");
        let content_type = response.headers().get("content-type").unwrap().to_str().unwrap();
        assert!(content_type.starts_with("text/event-stream"), "{content_type}");
        Events { lines: BufReader::new(response.into_body().into_reader()) }
    }

    /// Sends these very bytes of HTTP/1.1, and reads to the end of the connection.
    pub(crate) fn raw(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(ANSWER)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn stop(self) -> Outcome {
        self.process.signal("TERM");
        self.process.finish_within(20)
    }

    fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> ureq::http::Request<String> {
        let uri = format!("{}{path}", self.url);
        let mut request = ureq::http::Request::builder().method(method).uri(uri);
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(body.to_owned()).unwrap()
    }
}

/// Asks without following redirects, and takes every status for an answer.
fn agent(tls: Option<TlsConfig>) -> ureq::Agent {
    let mut config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .timeout_global(Some(ANSWER))
        .allow_non_standard_methods(true);
    if let Some(tls) = tls {
        config = config.tls_config(tls);
    }
    config.build().new_agent()
}

/// The path of a record below `/api/v1`.
pub(crate) fn record_path(table: &str, key: &[&str]) -> String {
    let parts: Vec<String> = key.iter().map(|part| encode(part)).collect();
    format!("/tables/{}/records/{}", encode(table), parts.join(","))
}

/// Writes everything but letters, digits and `-._~` as `%` and two hexadecimal digits.
pub(crate) fn encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push_str(&ferry::hex::encode(&[byte]).to_uppercase());
        }
    }
    encoded
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.body);
        self
    }

    /// Checks that it is a problem of this kind, told in words.
    #[track_caller]
    pub(crate) fn expect_problem(self, status: u16, code: &str) -> Self {
        let answer = self.expect(status);
        let content_type = answer.header("content-type").unwrap_or_default();
        assert!(content_type.starts_with("application/problem+json"), "{content_type}");
        let problem = answer.json();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["type"], format!("urn:ferry:problem:{code}"));
        assert_eq!(problem["status"], status);
        let is_text = |name: &str| problem[name].as_str().is_some_and(|text| !text.is_empty());
        assert!(is_text("title") && is_text("detail"), "{problem}");
        answer
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// Value of a header, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// A stream of server-sent events.
pub(crate) struct Events {
    lines: BufReader<ureq::BodyReader<'static>>,
}

impl Iterator for Events {
    /// Name and data.
    type Item = (String, Value);

    fn next(&mut self) -> Option<Self::Item> {
        let (mut name, mut data) = ("message".to_owned(), String::new());
        loop {
            let mut line = String::new();
            if self.lines.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            let line = line.trim_end_matches(['\r', '\n']);
            if let Some(rest) = line.strip_prefix("event:") {
                rest.trim_start().clone_into(&mut name);
            } else if let Some(rest) = line.strip_prefix("data:") {
                data.push_str(rest.trim_start());
            } else if line.is_empty() && !data.is_empty() {
                return Some((name, serde_json::from_str(&data).unwrap()));
            }
        }
    }
}
