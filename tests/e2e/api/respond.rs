//! Writes one answer of HTTP/1.1 to a connection, right or wrong in the way that is wanted.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::{Trouble, wait_for_end};

const PIECES: usize = 10;
const HTML: &[u8] = b"<!doctype html><title>Sign in</title><p>Please sign in.";

/// What is to be answered.
pub(super) struct Page {
    pub(super) body: Vec<u8>,
    /// Value of the `Link` header.
    pub(super) link: Option<String>,
    pub(super) is_compressed: bool,
}

/// Sends a page, or what is wrong with it.
pub(super) fn send(
    mut stream: &TcpStream,
    page: Page,
    trouble: Option<&Trouble>,
) -> io::Result<()> {
    let Page { mut body, link, mut is_compressed } = page;
    let mut head = String::new();
    if let Some(link) = link {
        write!(head, "link: {link}\r\n").unwrap();
    }
    let mut status = 200;
    let mut content_type = "application/json";
    match trouble {
        Some(Trouble::Status(code)) => (status, body) = (*code, Vec::new()),
        Some(Trouble::RetryAfter(code, after)) => {
            (status, body) = (*code, Vec::new());
            write!(head, "retry-after: {after}\r\n").unwrap();
        }
        Some(Trouble::Redirect(location)) => {
            (status, body) = (302, Vec::new());
            write!(head, "location: {location}\r\n").unwrap();
        }
        Some(Trouble::Body(text)) => body = text.as_bytes().to_vec(),
        Some(Trouble::Html) => (content_type, body) = ("text/html", HTML.to_vec()),
        Some(Trouble::Padded(bytes)) => body.splice(0..0, vec![b' '; *bytes]).for_each(drop),
        Some(Trouble::Bomb(bytes)) => {
            body.splice(0..0, vec![b' '; *bytes]).for_each(drop);
            is_compressed = true;
        }
        _ => {}
    }
    if is_compressed {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&body)?;
        body = encoder.finish()?;
        head.push_str("content-encoding: gzip\r\n");
    }
    let head = format!(
        "HTTP/1.1 {status} Said\r\ncontent-type: {content_type}\r\nconnection: close\r\n{head}"
    );
    if matches!(trouble, Some(Trouble::CutChunked)) {
        write!(stream, "{head}transfer-encoding: chunked\r\n\r\n{:x}\r\n", body.len())?;
        stream.write_all(&body[..body.len() / 2])?;
        return stream.shutdown(Shutdown::Both);
    }
    write!(stream, "{head}content-length: {}\r\n\r\n", body.len())?;
    match trouble {
        Some(Trouble::Silent) => wait_for_end(stream),
        Some(Trouble::CutLength) => stream.write_all(&body[..body.len() / 2])?,
        Some(Trouble::Slow(milliseconds)) => {
            for piece in body.chunks(body.len().div_ceil(PIECES).max(1)) {
                stream.write_all(piece)?;
                thread::sleep(Duration::from_millis(*milliseconds));
            }
        }
        _ => stream.write_all(&body)?,
    }
    stream.shutdown(Shutdown::Write)
}
