//! Reads one request of HTTP/1.1 from a connection, as far as the tests look at it.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpStream;
use std::time::Instant;

use url::form_urlencoded;

/// What was asked.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Names and values, decoded, in their order.
    pub(crate) query: Vec<(String, String)>,
    /// Names in lower case.
    headers: Vec<(String, String)>,
    pub(crate) body: String,
    /// When its head was there.
    pub(crate) at: Instant,
}

impl Asked {
    /// Value of a parameter.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        value_of(&self.query, name)
    }

    /// Value of a header, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        value_of(&self.headers, name)
    }
}

fn value_of<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// The request of a connection; none if it ends before its head does.
pub(super) fn read(stream: &TcpStream) -> Option<Asked> {
    let mut lines = BufReader::new(stream);
    let mut line = String::new();
    lines.read_line(&mut line).ok()?;
    let mut words = line.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        lines.read_line(&mut line).ok()?;
        let line = line.strip_suffix("\r\n")?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':')?;
        headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    let at = Instant::now();
    let length = value_of(&headers, "content-length").map_or(Some(0), |text| text.parse().ok())?;
    let mut body = vec![0; length];
    lines.read_exact(&mut body).ok()?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let query = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let body = String::from_utf8(body).ok()?;
    Some(Asked { method, path: path.to_owned(), query, headers, body, at })
}
