//! A small HTTP host for the tests: it answers as it is told, and remembers what it was asked.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// A request as it came.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) method: String,
    /// Path and query.
    pub(super) target: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
    pub(super) at: Instant,
}

impl Asked {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Value of a parameter of the query.
    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        let url = url::Url::parse(&format!("http://h{}", self.target)).expect("a target");
        url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
    }
}

/// What is answered.
pub(super) enum Reply {
    /// Bytes as they are, and then the end of the connection.
    Bytes(Vec<u8>),
    /// Nothing at all, while the other side waits.
    Silence,
}

/// An answer with a body whose length is told.
pub(super) fn reply(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Reply {
    let body = body.as_ref();
    let length = body.len().to_string();
    let mut headers = headers.to_vec();
    headers.push(("content-length", &length));
    Reply::Bytes(message(status, &headers, body))
}

/// An answer with just these headers.
pub(super) fn message(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut message = format!("HTTP/1.1 {status} Because\r\nconnection: close\r\n").into_bytes();
    for (name, value) in headers {
        message.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    message.extend_from_slice(b"\r\n");
    message.extend_from_slice(body);
    message
}

/// A page of JSON.
pub(super) fn page(body: impl AsRef<[u8]>) -> Reply {
    reply(200, &[("content-type", "application/json")], body)
}

/// A host that runs until it is dropped.
pub(super) struct Host {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    is_stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Host {
    /// Answers each request with what is made of it and of the number of those before it.
    pub(super) fn start(answer: impl Fn(usize, &Asked) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let is_stopping = Arc::new(AtomicBool::new(false));
        let (seen, stops) = (Arc::clone(&asked), Arc::clone(&is_stopping));
        let serve = move || {
            let mut silent = Vec::new();
            for stream in listener.incoming() {
                if stops.load(Ordering::SeqCst) {
                    return;
                }
                let stream = stream.expect("a connection");
                let Some(request) = read(&stream) else { continue };
                let before = seen.lock().expect("no panic").len();
                let reply = answer(before, &request);
                seen.lock().expect("no panic").push(request);
                match reply {
                    Reply::Bytes(bytes) => write(&stream, &bytes),
                    Reply::Silence => silent.push(stream),
                }
            }
        };
        Self { address, asked, is_stopping, thread: Some(thread::spawn(serve)) }
    }

    pub(super) fn url(&self, target: &str) -> String {
        format!("http://{}{target}", self.address)
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no panic").clone()
    }

    pub(super) fn targets(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.target).collect()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.is_stopping.store(true, Ordering::SeqCst);
        // Wakes the host, which then sees that it is to stop.
        TcpStream::connect(self.address).ok();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

fn read(stream: &TcpStream) -> Option<Asked> {
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a time-out");
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let mut asked = Asked { method, target, headers, body: String::new(), at: Instant::now() };
    let length = asked.header("content-length").and_then(|length| length.parse().ok());
    reader.take(length.unwrap_or(0)).read_to_string(&mut asked.body).ok()?;
    Some(asked)
}

fn write(mut stream: &TcpStream, bytes: &[u8]) {
    // The other side may have heard enough.
    stream.write_all(bytes).ok();
    stream.shutdown(Shutdown::Write).ok();
}
