//! A web API on this machine: serves records as pages in every style of paging, and behaves badly on command.
//!
//! It speaks HTTP/1.1 by hand, one request a connection, so that it can break
//! every rule of it. What was asked of it is kept for the tests to look at.

mod request;
mod respond;
mod secure;
mod tunnel;

use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

use crate::hosts::wait_for;
pub(crate) use request::Asked;
pub(crate) use secure::Secure;
pub(crate) use tunnel::Tunnel;

/// Stands in every cursor: what a client does not encode breaks the request.
const CURSOR_TAIL: &str = ":a b&c=d+e/é%";

/// How the records are handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paging {
    /// All in one answer, as a top-level array.
    Once,
    /// By page number and size.
    Number,
    /// By page number alone: an empty page is the end.
    NumberToEmpty,
    /// By offset and size.
    Offset,
    /// By a cursor in the body.
    Cursor,
    /// By the `Link` header, absolute; the body is an array.
    Link,
    /// By a relative URL in the body.
    NextUrl,
}

impl Paging {
    /// All of them.
    pub(crate) const ALL: [Self; 7] = [
        Self::Once,
        Self::Number,
        Self::NumberToEmpty,
        Self::Offset,
        Self::Cursor,
        Self::Link,
        Self::NextUrl,
    ];

    /// Pointer to the records of an answer.
    pub(crate) fn records(self) -> &'static str {
        if self.is_array() { "" } else { "/data/items" }
    }

    /// The table of settings that a source needs to follow it.
    pub(crate) fn settings(self, size: usize) -> String {
        let keys = match self {
            Self::Once => return String::new(),
            Self::Number => {
                format!(
                    "\"number\"\nparameter = \"page\"\nsize_parameter = \"size\"\nsize = {size}"
                )
            }
            Self::NumberToEmpty => "\"number\"\nparameter = \"page\"".to_owned(),
            Self::Offset => format!("\"offset\"\nparameter = \"offset\"\nsize = {size}"),
            Self::Cursor => {
                "\"cursor\"\nparameter = \"cursor\"\ncursor = \"/meta/next_cursor\"".to_owned()
            }
            Self::Link => "\"link\"".to_owned(),
            Self::NextUrl => "\"next_url\"\nnext_url = \"/paging/next\"".to_owned(),
        };
        format!("[dataset.pages]\nby = {keys}\n")
    }

    fn is_array(self) -> bool {
        matches!(self, Self::Once | Self::NumberToEmpty | Self::Link)
    }
}

/// What goes wrong with the answer to a request.
#[derive(Debug, Clone)]
pub(crate) enum Trouble {
    /// Another status, without a body.
    Status(u16),
    /// The same, with a `Retry-After`.
    RetryAfter(u16, &'static str),
    /// The head comes, and then nothing until the client gives up.
    Silent,
    /// The body comes in ten pieces, so many milliseconds apart.
    Slow(u64),
    /// The connection ends before the length that was promised.
    CutLength,
    /// The connection ends in the middle of a chunk.
    CutChunked,
    /// This stands in place of the JSON.
    Body(&'static str),
    /// A page for people, with status 200.
    Html,
    /// The page before comes once more.
    PageBefore,
    /// Somewhere else.
    Redirect(String),
    /// So many bytes of white space before the JSON.
    Padded(usize),
    /// The same, compressed to a thousandth of it.
    Bomb(usize),
    /// The next page is said to be there.
    NextAt(String),
    /// The answer waits until the test lets it go.
    Held,
}

/// A server; its connections end when it is dropped.
pub(crate) struct Api {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    address: SocketAddr,
    state: Mutex<State>,
    is_over: AtomicBool,
}

/// What is served, and what was asked.
struct State {
    paging: Paging,
    size: usize,
    records: Vec<Value>,
    /// Whether each record is a line of its own.
    is_lines: bool,
    is_compressed: bool,
    is_open: bool,
    /// Page from 1, what goes wrong with it, and how often yet.
    troubles: Vec<(usize, Trouble, u32)>,
    requests: Vec<Asked>,
}

impl Api {
    /// Serves these records in pages of this size.
    pub(crate) fn start(paging: Paging, size: usize, records: Vec<Value>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let state = State {
            paging,
            size,
            records,
            is_lines: false,
            is_compressed: false,
            is_open: false,
            troubles: Vec::new(),
            requests: Vec::new(),
        };
        let is_over = AtomicBool::new(false);
        let shared = Arc::new(Shared { address, state: Mutex::new(state), is_over });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || accept(&accepting, &listener));
        Self { address, shared }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Scheme, host and port.
    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where the first page is.
    pub(crate) fn url(&self) -> String {
        format!("{}/v1/people", self.origin())
    }

    /// How the records are handed out.
    pub(crate) fn paging(&self) -> Paging {
        self.shared.state.lock().unwrap().paging
    }

    /// Settings of the pages for a source.
    pub(crate) fn pages(&self) -> String {
        let state = self.shared.state.lock().unwrap();
        state.paging.settings(state.size)
    }

    /// Writes each record in a line of its own from now on.
    pub(crate) fn serve_lines(&self) {
        self.shared.state.lock().unwrap().is_lines = true;
    }

    /// Compresses all answers from now on.
    pub(crate) fn compress(&self) {
        self.shared.state.lock().unwrap().is_compressed = true;
    }

    /// Serves other records from now on.
    pub(crate) fn set_records(&self, records: Vec<Value>) {
        self.shared.state.lock().unwrap().records = records;
    }

    /// Does this with a page, from 1, so many times.
    pub(crate) fn trouble(&self, page: usize, trouble: Trouble, times: u32) {
        self.shared.state.lock().unwrap().troubles.push((page, trouble, times));
    }

    /// Behaves well from now on, and lets go what it held.
    pub(crate) fn mend(&self) {
        let mut state = self.shared.state.lock().unwrap();
        state.troubles.clear();
        state.is_open = true;
    }

    /// What was asked so far.
    pub(crate) fn requests(&self) -> Vec<Asked> {
        self.shared.state.lock().unwrap().requests.clone()
    }

    /// What was asked since this was called last.
    pub(crate) fn take_requests(&self) -> Vec<Asked> {
        self.shared.state.lock().unwrap().requests.split_off(0)
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        self.mend();
        // Wakes the thread that waits for connections, so that it sees the end.
        drop(TcpStream::connect(self.address));
    }
}

fn accept(shared: &Arc<Shared>, listener: &TcpListener) {
    while let Ok((stream, _)) = listener.accept() {
        if shared.is_over.load(Ordering::SeqCst) {
            return;
        }
        let answering = Arc::clone(shared);
        thread::spawn(move || answering.answer(&stream));
    }
}

impl Shared {
    fn answer(&self, stream: &TcpStream) {
        // A connection that its client opened in vain asks nothing.
        let Some(asked) = request::read(stream) else { return };
        let (page, trouble) = self.note(asked);
        if matches!(trouble, Some(Trouble::Held)) {
            wait_for("the test to let the answer go", 60, || {
                self.state.lock().unwrap().is_open.then_some(())
            });
        }
        // Whoever asked may be gone by now.
        let _ = respond::send(stream, page, trouble.as_ref());
    }

    /// Keeps a request, and gives the page that it asks for with what is to go wrong.
    fn note(&self, asked: Asked) -> (respond::Page, Option<Trouble>) {
        let mut state = self.state.lock().unwrap();
        let number = page_number(state.paging, state.size, &asked);
        let query = asked.query.clone();
        state.requests.push(asked);
        let waiting =
            state.troubles.iter_mut().find(|(page, _, times)| *page == number && *times > 0);
        let trouble = waiting.map(|(_, trouble, times)| {
            *times -= 1;
            trouble.clone()
        });
        let shown = match &trouble {
            Some(Trouble::PageBefore) => number.saturating_sub(1).max(1),
            _ => number,
        };
        let next = match &trouble {
            Some(Trouble::NextAt(url)) => Some(url.clone()),
            _ => None,
        };
        (self.page(&state, shown, &query, next), trouble)
    }

    /// A page from 1, as it is meant to be.
    fn page(
        &self,
        state: &State,
        number: usize,
        query: &[(String, String)],
        other_next: Option<String>,
    ) -> respond::Page {
        let since = query.iter().find(|(name, _)| name == "updated_since").map(|(_, value)| value);
        let is_wanted = |record: &&Value| {
            let updated_at = record["updated_at"].as_str().unwrap_or_default();
            since.is_none_or(|since| updated_at >= since.as_str())
        };
        let wanted: Vec<&Value> = state.records.iter().filter(is_wanted).collect();
        let size = if state.paging == Paging::Once { usize::MAX } else { state.size };
        let from = (number - 1).saturating_mul(size).min(wanted.len());
        let to = from.saturating_add(size).min(wanted.len());
        let is_last = to == wanted.len();
        let mut link = None;
        let mut next = Value::Null;
        let mut cursor = Value::Null;
        if !is_last || other_next.is_some() {
            let mut pairs = url::form_urlencoded::Serializer::new(String::new());
            pairs.extend_pairs(query.iter().filter(|(name, _)| name != "at"));
            pairs.append_pair("at", &number.to_string());
            let relative = format!("/v1/people?{}", pairs.finish());
            let absolute = format!("http://{}{relative}", self.address);
            let shown = other_next.clone().unwrap_or(absolute);
            link = Some(format!("<{shown}>; rel=\"next\", </v1/people>; rel=\"first\""));
            next = json!(other_next.unwrap_or(relative));
            cursor = json!(format!("{number}{CURSOR_TAIL}"));
        }
        let records = &wanted[from..to];
        let body = if state.is_lines {
            records.iter().map(|record| record.to_string() + "\n").collect()
        } else if state.paging.is_array() {
            json!(records).to_string()
        } else {
            json!({
                "meta": { "next_cursor": cursor },
                "data": { "items": records, "more": [] },
                "paging": { "next": next },
            })
            .to_string()
        };
        let link = link.filter(|_| state.paging == Paging::Link);
        respond::Page { body: body.into_bytes(), link, is_compressed: state.is_compressed }
    }
}

/// Number from 1 of the page that a request asks for.
fn page_number(paging: Paging, size: usize, asked: &Asked) -> usize {
    let number = |name: &str| asked.parameter(name)?.parse::<usize>().ok();
    match paging {
        Paging::Once => 1,
        Paging::Number | Paging::NumberToEmpty => number("page").unwrap_or(1).max(1),
        Paging::Offset => number("offset").unwrap_or(0) / size + 1,
        Paging::Link | Paging::NextUrl => number("at").unwrap_or(0) + 1,
        Paging::Cursor => match asked.parameter("cursor") {
            None => 1,
            Some(cursor) => {
                // A cursor that came back otherwise than it was given leads nowhere.
                let before = cursor.strip_suffix(CURSOR_TAIL);
                before
                    .and_then(|page| page.parse::<usize>().ok())
                    .map_or(usize::MAX / 2, |page| page + 1)
            }
        },
    }
}

/// Reads until the other side has gone.
fn wait_for_end(mut stream: &TcpStream) {
    let mut buffer = [0; 256];
    while let Ok(1..) = stream.read(&mut buffer) {}
}
