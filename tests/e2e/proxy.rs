//! Stands between two programs as a network does: passes bytes on, late if it is told to, cuts connections, loses COMMITs.
//!
//! Of PostgreSQL's protocol it knows where one message ends and the next one
//! begins, and what a COMMIT looks like; connections must be without TLS.

use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::Duration;

/// How many bytes are read at once, and held back together.
const PASSED_BYTES_MAX: usize = 16 * 1024;
/// Upper half of the code in a start-up message that opens a session.
const PROTOCOL_MAJOR: usize = 3;
const QUERY: u8 = b'Q';
const COPY_DATA: u8 = b'd';

/// A proxy; its connections are cut when it is dropped.
pub(crate) struct Proxy {
    address: SocketAddr,
    wire: Arc<Wire>,
}

impl Proxy {
    /// Stands before `target`, such as `127.0.0.1:5432`.
    pub(crate) fn start(target: &str) -> Self {
        Self::with(target, Duty::PassOn)
    }

    /// Keeps what `target` sends.
    pub(crate) fn listening_in(target: &str) -> Self {
        Self::with(target, Duty::ListenIn(Mutex::default()))
    }

    /// Stands before a PostgreSQL, and loses COMMITs, one after the other.
    pub(crate) fn losing_commits(target: &str, losses: Vec<Loss>) -> Self {
        Self::with(target, Duty::LoseCommits(Mutex::new(losses.into())))
    }

    fn with(target: &str, duty: Duty) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let wire = Arc::new(Wire {
            target: target.to_owned(),
            duty,
            delay_milliseconds: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
            links: Mutex::default(),
        });
        let accepting = Arc::clone(&wire);
        thread::spawn(move || accept(&accepting, &listener));
        Self { address, wire }
    }

    /// Where it listens, for a client that speaks gRPC.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Port on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Holds everything back for so long from now on.
    pub(crate) fn delay(&self, milliseconds: u64) {
        self.wire.delay_milliseconds.store(milliseconds, Ordering::SeqCst);
    }

    /// Cuts all connections; new ones are let through.
    pub(crate) fn cut(&self) {
        for link in self.wire.links.lock().unwrap().drain(..) {
            if let Some(link) = link.upgrade() {
                link.cut();
            }
        }
    }

    /// What the target has sent since this was asked last.
    pub(crate) fn take_heard(&self) -> Vec<u8> {
        match &self.wire.duty {
            Duty::ListenIn(heard) => heard.lock().unwrap().split_off(0),
            Duty::PassOn | Duty::LoseCommits(_) => panic!("this proxy does not listen in"),
        }
    }

    /// How many COMMITs are still to be lost.
    pub(crate) fn losses_left(&self) -> usize {
        match &self.wire.duty {
            Duty::LoseCommits(losses) => losses.lock().unwrap().len(),
            Duty::PassOn | Duty::ListenIn(_) => 0,
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.wire.is_over.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for connections, so that it sees the end.
        drop(TcpStream::connect(self.address));
        self.cut();
    }
}

/// A COMMIT that is to be lost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Loss {
    /// Which COMMITs count.
    pub(crate) of: Commits,
    /// So many of them pass first.
    pub(crate) passes: u64,
    /// What becomes of the next one.
    pub(crate) fate: Fate,
}

/// Which COMMITs a loss is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Commits {
    /// Of transactions with a COPY.
    WithRows,
    /// Of all others.
    WithoutRows,
}

/// What becomes of a COMMIT; its client never hears of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It never reaches the server.
    Swallowed,
    /// The connection ends at once after it, before the server can have answered.
    CutAtOnce,
    /// The server has answered when the connection ends.
    AnswerLost,
}

/// What a proxy does with the bytes that it passes on.
enum Duty {
    PassOn,
    ListenIn(Mutex<Vec<u8>>),
    LoseCommits(Mutex<VecDeque<Loss>>),
}

struct Wire {
    target: String,
    duty: Duty,
    delay_milliseconds: AtomicU64,
    is_over: AtomicBool,
    links: Mutex<Vec<Weak<Link>>>,
}

/// A connection of a client, and the one to the server that belongs to it.
struct Link {
    client: TcpStream,
    server: TcpStream,
    /// Whether the next word of the server is the last, and not heard.
    ends_with_answer: AtomicBool,
}

impl Link {
    fn cut(&self) {
        for side in [&self.client, &self.server] {
            // Failing only means that it is gone already.
            let _ = side.shutdown(Shutdown::Both);
        }
    }
}

fn accept(wire: &Arc<Wire>, listener: &TcpListener) {
    while let Ok((client, _)) = listener.accept() {
        if wire.is_over.load(Ordering::SeqCst) {
            return;
        }
        // A server that is not there is to its client as if it were cut off.
        let Ok(server) = TcpStream::connect(&wire.target) else { continue };
        for side in [&client, &server] {
            side.set_nodelay(true).unwrap();
        }
        let link = Arc::new(Link { client, server, ends_with_answer: AtomicBool::new(false) });
        let mut links = wire.links.lock().unwrap();
        links.retain(|link| link.strong_count() > 0);
        links.push(Arc::downgrade(&link));
        drop(links);
        let (asking, asked) = (Arc::clone(wire), Arc::clone(&link));
        thread::spawn(move || asking.pass_questions(&asked));
        let answering = Arc::clone(wire);
        thread::spawn(move || answering.pass_answers(&link));
    }
}

impl Wire {
    /// From the client to the server, until its end.
    fn pass_questions(&self, link: &Link) {
        let mut buffer = vec![0; PASSED_BYTES_MAX];
        let mut messages = Messages::default();
        while let Ok(count @ 1..) = (&link.client).read(&mut buffer) {
            self.hold_back();
            let is_passed = match &self.duty {
                Duty::PassOn | Duty::ListenIn(_) => send(&link.server, &buffer[..count]),
                Duty::LoseCommits(losses) => {
                    messages.take(&buffer[..count]);
                    pass_messages(link, &mut messages, losses)
                }
            };
            if !is_passed {
                break;
            }
        }
        let _ = link.server.shutdown(Shutdown::Write);
    }

    /// From the server to the client, until its end.
    fn pass_answers(&self, link: &Link) {
        let mut buffer = vec![0; PASSED_BYTES_MAX];
        while let Ok(count @ 1..) = (&link.server).read(&mut buffer) {
            if link.ends_with_answer.load(Ordering::SeqCst) {
                link.cut();
                return;
            }
            if let Duty::ListenIn(heard) = &self.duty {
                heard.lock().unwrap().extend_from_slice(&buffer[..count]);
            }
            self.hold_back();
            if !send(&link.client, &buffer[..count]) {
                break;
            }
        }
        let _ = link.client.shutdown(Shutdown::Write);
    }

    fn hold_back(&self) {
        let delay = self.delay_milliseconds.load(Ordering::SeqCst);
        if delay > 0 {
            thread::sleep(Duration::from_millis(delay));
        }
    }
}

/// Whether the bytes could be sent.
fn send(mut side: &TcpStream, bytes: &[u8]) -> bool {
    side.write_all(bytes).is_ok()
}

/// Passes on what is whole; `false` once the connection is cut.
fn pass_messages(link: &Link, messages: &mut Messages, losses: &Mutex<VecDeque<Loss>>) -> bool {
    while let Some(piece) = messages.next_piece() {
        let fate = piece.commits.and_then(|commits| next_fate(losses, commits));
        if fate.is_some() {
            // Set before the server hears of it: whatever it says then is not for the client.
            link.ends_with_answer.store(true, Ordering::SeqCst);
        }
        let is_passed = fate != Some(Fate::Swallowed) && send(&link.server, &piece.bytes);
        if matches!(fate, Some(Fate::Swallowed | Fate::CutAtOnce)) {
            link.cut();
        }
        if !is_passed {
            return false;
        }
    }
    true
}

fn next_fate(losses: &Mutex<VecDeque<Loss>>, commits: Commits) -> Option<Fate> {
    let mut losses = losses.lock().unwrap();
    let loss = losses.front_mut()?;
    if loss.of != commits {
        return None;
    }
    if loss.passes > 0 {
        loss.passes -= 1;
        return None;
    }
    losses.pop_front().map(|loss| loss.fate)
}

/// Bytes of a client that may be passed on together.
struct Piece {
    bytes: Vec<u8>,
    /// What it commits, if it is a COMMIT, which then is all of it.
    commits: Option<Commits>,
}

/// Tells the messages of a PostgreSQL client apart, however they are cut into reads.
#[derive(Default)]
struct Messages {
    pending: Vec<u8>,
    /// Bytes of the current message that may pass as they come.
    passing: usize,
    is_started: bool,
    has_rows: bool,
}

impl Messages {
    fn take(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    /// What may be passed on next; `None` until more has come.
    ///
    /// A query is held until it is whole; of all else only the header is.
    fn next_piece(&mut self) -> Option<Piece> {
        if self.passing == 0 {
            if !self.is_started {
                // Start-up messages have no type: a length, and a code.
                let (length, code) = (self.number_at(0)?, self.number_at(4)?);
                self.is_started = code >> 16 == PROTOCOL_MAJOR;
                self.passing = length;
            } else if self.pending.first() == Some(&QUERY) {
                return self.next_query();
            } else {
                self.passing = self.number_at(1)? + 1;
                self.has_rows |= self.pending.first() == Some(&COPY_DATA);
            }
        }
        let count = self.passing.min(self.pending.len());
        self.passing -= count;
        let bytes: Vec<u8> = self.pending.drain(..count).collect();
        (count > 0).then_some(Piece { bytes, commits: None })
    }

    fn next_query(&mut self) -> Option<Piece> {
        let length = self.number_at(1)? + 1;
        if self.pending.len() < length {
            return None;
        }
        let bytes: Vec<u8> = self.pending.drain(..length).collect();
        let text = &bytes[5..];
        if text.starts_with(b"BEGIN") {
            self.has_rows = false;
        }
        let is_commit = text == b"COMMIT\0";
        let commits = if self.has_rows { Commits::WithRows } else { Commits::WithoutRows };
        Some(Piece { bytes, commits: is_commit.then_some(commits) })
    }

    fn number_at(&self, place: usize) -> Option<usize> {
        let bytes = self.pending.get(place..place + 4)?;
        let number = u32::from_be_bytes(bytes.try_into().unwrap());
        Some(usize::try_from(number).unwrap())
    }
}

/// A message with its type and length.
fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[kind][..], &length.to_be_bytes(), body].concat()
}

#[test]
fn a_commit_is_found_however_its_bytes_arrive() {
    let start = [&12_u32.to_be_bytes()[..], &(3_u32 << 16).to_be_bytes(), b"user"].concat();
    let conversation = [
        start,
        message(b'Q', b"BEGIN\0"),
        message(COPY_DATA, b"Q\0\0\0\x0bCOMMIT\0, as a value"),
        message(b'Q', b"COMMIT\0"),
        message(b'Q', b"BEGIN\0"),
        message(b'P', b"\0SELECT 1\0\0\0"),
        message(b'Q', b"COMMIT\0"),
        message(b'X', b""),
    ]
    .concat();
    for read_bytes in 1..=conversation.len() {
        let mut messages = Messages::default();
        let (mut passed, mut commits) = (Vec::new(), Vec::new());
        for read in conversation.chunks(read_bytes) {
            messages.take(read);
            while let Some(piece) = messages.next_piece() {
                commits.extend(piece.commits);
                passed.extend(piece.bytes);
            }
        }
        assert_eq!(passed, conversation, "in reads of {read_bytes} bytes");
        assert_eq!(commits, [Commits::WithRows, Commits::WithoutRows]);
    }
}
