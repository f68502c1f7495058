//! A Redis of a test's own, which the test may kill and start again, and what can be asked of it.
//!
//! Commands go over a connection of this file's own, which shares no code with
//! ferry. Invariant: the server is gone once its value is dropped.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::hosts::{Process, free_port, wait_for};

/// How long an answer may take.
const ANSWER_SECONDS_MAX: u64 = 10;
/// Keys that one step of a scan looks at.
const SCAN_COUNT: &str = "1000";

/// A running server, or one that was killed.
pub(crate) struct Redis {
    port: u16,
    folder: TempDir,
    process: Option<Process>,
}

/// What the server says to a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    Text(String),
    Number(i64),
    Nothing,
    List(Vec<Reply>),
    Error(String),
}

impl Reply {
    /// The texts of a list, or of lists within it, one after the other.
    fn texts(self) -> Vec<String> {
        match self {
            Self::Text(text) => vec![text],
            Self::Number(number) => vec![number.to_string()],
            Self::List(replies) => replies.into_iter().flat_map(Self::texts).collect(),
            Self::Nothing => Vec::new(),
            Self::Error(message) => panic!("Redis refused: {message}"),
        }
    }
}

impl Redis {
    /// Starts a server on a free port.
    pub(crate) fn start() -> Self {
        let mut redis = Self::absent();
        redis.restart();
        redis
    }

    /// A port on which no server runs yet.
    pub(crate) fn absent() -> Self {
        Self { port: free_port(), folder: tempfile::tempdir().unwrap(), process: None }
    }

    /// Starts the server, on the same port as before, with nothing in it.
    pub(crate) fn restart(&mut self) {
        let mut command = Command::new("redis-server");
        command.args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
        command.args(["--appendonly", "no", "--maxmemory", "256mb", "--dir"]);
        command.arg(self.folder.path());
        let is_there = Command::new("redis-server").arg("--version").output().is_ok();
        assert!(is_there, "redis-server is missing: apt-get install redis-server");
        let mut process = Process::spawn(&mut command);
        wait_for("Redis to listen", 30, || {
            assert!(process.ended().is_none(), "redis-server ended:\n{}", process.stdout());
            let mut stream = self.connect()?;
            let reply = exchange(&mut stream, &["PING"]).ok()?;
            (reply == Reply::Text("PONG".to_owned())).then_some(())
        });
        self.process = Some(process);
    }

    /// SIGKILL: connections are cut, and what it held is lost.
    pub(crate) fn kill(&mut self) {
        let mut process = self.process.take().expect("Redis runs");
        process.kill();
    }

    /// Sends it a signal such as `STOP`, after which it takes commands and does none until `CONT`.
    pub(crate) fn signal(&self, name: &str) {
        self.process.as_ref().expect("Redis runs").signal(name);
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// The table `[cache]` of a job, with this time to live.
    pub(crate) fn settings(&self, ttl: &str) -> String {
        format!("[cache]\nurl = \"{}\"\nttl = \"{ttl}\"\n", self.url())
    }

    /// Runs a command; fails if the server refuses it.
    #[track_caller]
    pub(crate) fn command(&self, words: &[&str]) -> Reply {
        let mut stream = self.connect().expect("Redis listens");
        let reply = exchange(&mut stream, words).unwrap();
        assert!(!matches!(reply, Reply::Error(_)), "{}: {reply:?}", words[0]);
        reply
    }

    /// All keys there are, in order.
    pub(crate) fn keys(&self) -> Vec<String> {
        let mut stream = self.connect().expect("Redis listens");
        let mut keys = Vec::new();
        let mut cursor = "0".to_owned();
        loop {
            let words = ["SCAN", &cursor, "COUNT", SCAN_COUNT];
            let mut found = exchange(&mut stream, &words).unwrap().texts();
            cursor = found.remove(0);
            keys.extend(found);
            if cursor == "0" {
                break;
            }
        }
        keys.sort();
        keys.dedup();
        keys
    }

    /// Keys of cached rows, in order.
    pub(crate) fn entries(&self) -> Vec<String> {
        let mut keys = self.keys();
        keys.retain(|key| key.starts_with("ferry:"));
        keys
    }

    /// Columns and values of an entry, NULL left out; none if it is not there.
    pub(crate) fn entry(&self, key: &str) -> BTreeMap<String, String> {
        let mut texts = self.command(&["HGETALL", key]).texts().into_iter();
        let mut entry = BTreeMap::new();
        while let (Some(field), Some(value)) = (texts.next(), texts.next()) {
            entry.insert(field, value);
        }
        // The names of those that are NULL.
        entry.remove("");
        entry
    }

    /// Milliseconds that an entry has left; -1 if it stays for ever, -2 if it is not there.
    pub(crate) fn milliseconds_left(&self, key: &str) -> i64 {
        match self.command(&["PTTL", key]) {
            Reply::Number(number) => number,
            other => panic!("no number: {other:?}"),
        }
    }

    /// Everything that is stored, keys and values.
    pub(crate) fn dump(&self) -> String {
        let mut dump = String::new();
        for key in self.keys() {
            dump.push_str(&key);
            // Others are marks, which hold nothing.
            let is_entry = key.starts_with("ferry:");
            for (field, value) in is_entry.then(|| self.entry(&key)).into_iter().flatten() {
                dump.push('\n');
                dump.push_str(&field);
                dump.push('=');
                dump.push_str(&value);
            }
            dump.push('\n');
        }
        dump
    }

    fn connect(&self) -> Option<BufReader<TcpStream>> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(ANSWER_SECONDS_MAX))).unwrap();
        stream.set_nodelay(true).unwrap();
        Some(BufReader::new(stream))
    }
}

/// Sends a command as RESP has it, and reads the answer.
fn exchange(stream: &mut BufReader<TcpStream>, words: &[&str]) -> std::io::Result<Reply> {
    let mut request = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        write!(request, "${}\r\n{word}\r\n", word.len())?;
    }
    stream.get_mut().write_all(&request)?;
    read_reply(stream)
}

fn read_reply(stream: &mut BufReader<TcpStream>) -> std::io::Result<Reply> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    let (kind, rest) = line.trim_end_matches("\r\n").split_at(1);
    let number = || rest.parse::<i64>().unwrap_or_else(|_| panic!("no number: {line:?}"));
    let reply = match kind {
        "+" => Reply::Text(rest.to_owned()),
        "-" => Reply::Error(rest.to_owned()),
        ":" => Reply::Number(number()),
        "$" | "*" if number() < 0 => Reply::Nothing,
        "$" => {
            let length = usize::try_from(number()).unwrap();
            let mut bytes = vec![0; length + 2];
            stream.read_exact(&mut bytes)?;
            bytes.truncate(length);
            Reply::Text(String::from_utf8_lossy(&bytes).into_owned())
        }
        "*" => {
            let mut replies = Vec::new();
            for _ in 0..number() {
                replies.push(read_reply(stream)?);
            }
            Reply::List(replies)
        }
        _ => panic!("no reply of RESP: {line:?}"),
    };
    Ok(reply)
}
