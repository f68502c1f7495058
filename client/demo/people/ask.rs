//! Asks one of the demo's own services over HTTP/1.0, whose answers end with the connection.

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::demo::DemoError;

/// More than any answer of the demo.
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// The JSON at a path of a service that listens at `url`.
pub(super) async fn get(url: &str, path: &str) -> Result<Value, DemoError> {
    let body = ask(url, "GET", path, "").await?;
    serde_json::from_str(&body).map_err(|_| bad(url, path, "no JSON".to_owned()))
}

/// Posts nothing to a path, with a token.
pub(super) async fn post(url: &str, path: &str, token: &str) -> Result<(), DemoError> {
    let headers = format!("Authorization: Bearer {token}\r\nContent-Length: 0\r\n");
    ask(url, "POST", path, &headers).await.map(drop)
}

/// The body of an answer that says that all is well.
async fn ask(url: &str, method: &str, path: &str, headers: &str) -> Result<String, DemoError> {
    let address = url.split_once("://").map_or(url, |(_, address)| address);
    let failed = |error: std::io::Error| bad(url, path, format!("nothing ({error})"));
    let mut stream = TcpStream::connect(address).await.map_err(failed)?;
    let request = format!("{method} {path} HTTP/1.0\r\nHost: {address}\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.map_err(failed)?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer).await.map_err(failed)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).unwrap_or("no status");
    if status.starts_with('2') {
        return Ok(body.to_owned());
    }
    Err(bad(url, path, format!("status {status}")))
}

fn bad(url: &str, path: &str, what: String) -> DemoError {
    DemoError::BadAnswer { url: format!("{url}{path}"), what }
}
