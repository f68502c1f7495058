//! A host that behaves badly: what is tried again, what is given up, and what is said of it.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::host::{Host, Reply, message, page, reply};
use super::*;

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body).expect("it is written to memory");
    encoder.finish().expect("it is written to memory")
}

/// Fetches once from a host that gives this first, and then a good page.
#[track_caller]
fn assert_passes(first: impl Fn() -> Reply + Send + 'static) {
    let host = Host::start(move |before, _| if before == 0 { first() } else { page(items(0, 2)) });
    assert_eq!(kept(&Fetcher::new(settings(&host, Paging::Once)).fetch()), [2]);
    assert_eq!(host.asked().len(), 2);
}

/// What is said of a host that gives nothing but this, and how often it was asked.
#[track_caller]
fn refusal(answer: impl Fn() -> Reply + Send + 'static) -> (usize, String) {
    let host = Host::start(move |_, _| answer());
    let (_, text) = Fetcher::new(settings(&host, Paging::Once)).failure();
    (host.asked().len(), text)
}

#[test]
fn what_passes_by_itself_is_waited_for() {
    for status in [408, 425, 429, 500, 502, 503, 504] {
        assert_passes(move || reply(status, &[], "sorry"));
    }
    // Nothing, a header that is cut, and a body that is cut, in three ways.
    assert_passes(|| Reply::Bytes(Vec::new()));
    assert_passes(|| Reply::Bytes(b"HTTP/1.1 200 OK\r\ncontent-".to_vec()));
    assert_passes(|| Reply::Bytes(message(200, &[("content-length", "999")], b"{\"items\":[")));
    let chunked = [("transfer-encoding", "chunked")];
    assert_passes(move || Reply::Bytes(message(200, &chunked, b"a\r\n{\"items\":[\r\n")));
    assert_passes(|| Reply::Bytes(message(200, &[], b"{\"items\":[1,2")));
    assert_passes(|| page("<html>"));
}

#[test]
fn what_does_not_pass_is_given_up() {
    let (asked, text) = refusal(|| reply(500, &[], "hidden"));
    assert_eq!(asked, 3);
    assert_eq!(text, "http://host/v1/users answered with status 500, tried 3 times");
    let (asked, text) = refusal(|| page("{\"hidden\""));
    assert!(asked == 3 && text.contains("whole JSON: it ") && text.contains("byte"), "{text}");
}

#[test]
fn what_cannot_pass_is_not_tried_again() {
    for (status, advice) in [(401, "check headers"), (404, "check url"), (418, "418"), (202, "202")]
    {
        let (asked, text) = refusal(move || reply(status, &[], "hidden"));
        assert!(asked == 1 && text.contains(advice), "{asked} {text}");
    }
    let (asked, text) = refusal(|| page("{\"error\":\"hidden\"}"));
    assert!(asked == 1 && text.contains("no array at \"/items\""), "{asked} {text}");
}

#[test]
fn retry_after_is_obeyed() {
    let host = Host::start(|before, _| match before {
        0 => reply(429, &[("retry-after", "1")], ""),
        _ => page(items(0, 1)),
    });
    assert_eq!(kept(&Fetcher::new(settings(&host, Paging::Once)).fetch()), [1]);
    let asked = host.asked();
    let waited = asked[1].at - asked[0].at;
    assert!(waited >= Duration::from_millis(950), "{waited:?}");
}

#[test]
fn a_pause_that_is_too_long_is_told_instead_of_waited_for() {
    let (asked, text) = refusal(|| reply(503, &[("retry-after", "3600")], ""));
    assert!(asked == 1 && text.contains("asks to wait 3600 s"), "{asked} {text}");
}

#[test]
fn gzip_is_unpacked() {
    let host = Host::start(|_, _| {
        reply(200, &[("content-encoding", "gzip")], gzip(items(0, 5).as_bytes()))
    });
    let source = Fetcher::new(settings(&host, Paging::Once));
    let fetched = source.fetch();
    assert_eq!(kept(&fetched), [5]);
    let body = std::fs::read_to_string(&fetched.pages[0].path).expect("it is there");
    assert_eq!(body, items(0, 5));
}

#[test]
fn gzip_that_is_cut_is_asked_for_again() {
    assert_passes(|| {
        let body = gzip(items(0, 500).as_bytes());
        reply(200, &[("content-encoding", "gzip")], &body[..body.len() - 9])
    });
}

#[test]
fn too_much_is_refused_however_small_it_was() {
    let many = items(0, 20_000);
    assert!(many.len() > 100_000);
    let packed = gzip(many.as_bytes());
    let (asked, text) = refusal(move || page(&many));
    assert!(asked == 1 && text.contains("more than 100000 bytes"), "{asked} {text}");
    let (asked, text) =
        refusal(move || reply(200, &[("content-encoding", "gzip")], packed.clone()));
    assert!(asked == 1 && text.contains("more than 100000 bytes"), "{asked} {text}");
}

#[test]
fn as_much_as_is_allowed_is_taken() {
    let mut body = items(0, 3);
    body.push_str(&" ".repeat(100_000 - body.len()));
    let host = Host::start(move |_, _| page(&body));
    assert_eq!(kept(&Fetcher::new(settings(&host, Paging::Once)).fetch()), [3]);
}

#[test]
fn other_encodings_are_refused() {
    let (asked, text) = refusal(|| reply(200, &[("content-encoding", "br")], "hidden"));
    assert!(asked == 1 && text.contains("other than gzip"), "{asked} {text}");
}

#[test]
fn lines_without_a_length_that_end_in_the_middle_are_asked_for_again() {
    let host = Host::start(|before, _| match before {
        0 => Reply::Bytes(message(200, &[], b"{\"id\":1}\n{\"id\":")),
        _ => Reply::Bytes(message(200, &[], b"{\"id\":1}\n{\"id\":2}")),
    });
    let mut source = Fetcher::new(settings(&host, Paging::Once));
    source.layout = JsonLayout { framing: Framing::Lines, ..JsonLayout::default() };
    assert_eq!(kept(&source.fetch()), [2]);
}

#[test]
fn a_host_that_says_nothing_is_left_in_time() {
    let host = Host::start(|_, _| Reply::Silence);
    let mut settings = ApiSettings { retries: 0, ..settings(&host, Paging::Once) };
    settings.limits.timeout = Duration::from_millis(200);
    let start = Instant::now();
    let (_, text) = Fetcher::new(settings).failure();
    assert!(text.contains("took longer than http.timeout"), "{text}");
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_host_that_is_not_there_is_told() {
    let gone = Host::start(|_, _| Reply::Silence).url("/hidden");
    let settings = ApiSettings { retries: 1, ..settings_at(&gone, Paging::Once) };
    let (number, text) = Fetcher::new(settings).failure();
    assert!(number == 1 && text.contains("tried 2 times"), "{text}");
    assert!(text.to_lowercase().contains("refused"), "{text}");
}

#[test]
fn a_host_without_tls_is_told_nothing() {
    let host = Host::start(|_, _| Reply::Silence);
    let mut settings = ApiSettings { retries: 0, ..settings(&host, Paging::Once) };
    settings.endpoint.url.set_scheme("https").expect("it is a scheme");
    settings.limits.timeout = Duration::from_secs(2);
    Fetcher::new(settings).failure();
    assert!(host.asked().is_empty());
}

/// Answers one connection without TLS; how much was read of it first.
fn without_tls() -> (SocketAddr, JoinHandle<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let answering = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        // All of a client's first message; a server of HTTP/1.1 sees no request in it.
        let read = stream.read(&mut [0; 4 * 1024]).expect("it is read");
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").expect("it is written");
        stream.shutdown(Shutdown::Write).ok();
        // Nothing is left unread, or the answer might be lost.
        stream.read_to_end(&mut Vec::new()).ok();
        read
    });
    (address, answering)
}

/// Settings of an API that only this proxy leads to.
fn proxied(variable: &str, address: &str) -> ApiSettings {
    let url = "http://api.invalid/v1".parse().expect("an address");
    let proxy = Proxy::find(&url, |name| (name == variable).then(|| address.into()));
    ApiSettings { proxy: proxy.expect("it can be used"), ..settings_at(url.as_str(), Paging::Once) }
}

#[test]
fn a_port_that_answers_without_tls_is_told_as_that() {
    let (address, answering) = without_tls();
    let (_, text) =
        Fetcher::new(settings_at(&format!("https://{address}/hidden"), Paging::Once)).failure();
    assert!(text.ends_with("correct scheme or port of its address"), "{text}");
    assert!(!text.contains("ca_file") && !text.contains("tried"), "{text}");
    assert!(answering.join().expect("no panic") > 0);
}

#[test]
fn a_proxy_that_answers_without_tls_is_named_by_its_variable() {
    let (address, answering) = without_tls();
    let settings = proxied("HTTP_PROXY", &format!("https://{address}"));
    let (_, text) = Fetcher::new(settings).failure();
    assert!(text.contains("by way of the proxy of HTTP_PROXY; what answers"), "{text}");
    assert!(answering.join().expect("no panic") > 0);
}

#[test]
fn a_proxy_that_is_not_there_is_named_by_its_variable() {
    let gone = Host::start(|_, _| Reply::Silence).url("");
    let settings = ApiSettings { retries: 0, ..proxied("HTTP_PROXY", &gone) };
    let (_, text) = Fetcher::new(settings).failure();
    assert!(text.contains("refused") && text.ends_with("proxy of HTTP_PROXY"), "{text}");
}

#[test]
fn nobody_waits_for_a_host_that_nobody_waits_for() {
    let host = Host::start(|_, _| Reply::Silence);
    let source = Fetcher::new(settings(&host, Paging::Once));
    let start = Instant::now();
    let is_unwanted = || !host.asked().is_empty();
    let outcome = source.api.fetch("users", &source.layout, None, &is_unwanted);
    assert!(outcome.is_err_and(|error| error.is_stopping()));
    // Far below the time-out of 20 s.
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_pause_ends_when_nobody_waits() {
    let host = Host::start(|_, _| reply(429, &[("retry-after", "200")], ""));
    let source = Fetcher::new(settings(&host, Paging::Once));
    let start = Instant::now();
    let is_unwanted = || !host.asked().is_empty() && start.elapsed() > Duration::from_millis(300);
    let outcome = source.api.fetch("users", &source.layout, None, &is_unwanted);
    assert!(outcome.is_err_and(|error| error.is_stopping()));
    assert!(start.elapsed() < Duration::from_secs(30));
}
