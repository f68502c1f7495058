//! What is sent: method, headers, body, and never faster than allowed.

use super::host::{Host, page, reply};
use super::*;

#[test]
fn a_request_holds_what_the_settings_say() {
    let host = Host::start(|_, _| page(items(0, 1)));
    assert_eq!(kept(&Fetcher::new(settings(&host, Paging::Once)).fetch()), [1]);
    let asked = host.asked().remove(0);
    assert_eq!((asked.method.as_str(), asked.body.as_str()), ("GET", ""));
    assert_eq!(asked.header("authorization"), Some("Bearer hidden-header"));
    assert_eq!(asked.header("accept-encoding"), Some("gzip"));
    assert!(asked.header("user-agent").is_some_and(|name| name.starts_with("ferry-server/")));
}

#[test]
fn a_body_is_posted_with_every_page() {
    let host = Host::start(|before, _| page(items(0, u64::from(before == 0))));
    let paging = Paging::Number { parameter: "page".to_owned(), first: 0, size: None };
    let mut settings = settings(&host, paging);
    settings.endpoint.body = Some(Secret::new("{\"hidden\":1}".to_owned()));
    settings.endpoint.headers.insert("content-type", HeaderValue::from_static("application/json"));
    assert_eq!(kept(&Fetcher::new(settings).fetch()), [1]);
    assert_eq!(host.asked().len(), 2);
    for asked in host.asked() {
        assert_eq!((asked.method.as_str(), asked.body.as_str()), ("POST", "{\"hidden\":1}"));
        assert_eq!(asked.header("content-type"), Some("application/json"));
    }
}

#[test]
fn requests_are_spaced() {
    let host =
        Host::start(|before, _| page(items(0, if before == 3 { 0 } else { before as u64 + 1 })));
    let paging = Paging::Number { parameter: "page".to_owned(), first: 0, size: None };
    let settings = ApiSettings { requests_per_second: 10.0, ..settings(&host, paging) };
    assert_eq!(kept(&Fetcher::new(settings).fetch()), [1, 2, 3]);
    let asked = host.asked();
    let took = asked[3].at - asked[0].at;
    assert!(took >= Duration::from_millis(250), "{took:?}");
}

#[test]
fn redirects_within_the_origin_are_followed() {
    let host = Host::start(|_, asked| match asked.target.as_str() {
        "/new" => page(items(0, 2)),
        _ => reply(307, &[("location", "/new")], ""),
    });
    let mut settings = settings(&host, Paging::Once);
    settings.endpoint.body = Some(Secret::new("{}".to_owned()));
    assert_eq!(kept(&Fetcher::new(settings).fetch()), [2]);
    assert_eq!(host.asked()[1].body, "{}");
    assert!(host.asked()[1].header("authorization").is_some());
}

#[test]
fn redirects_elsewhere_or_without_end_are_failures() {
    let other = Host::start(|_, _| page(items(0, 1)));
    let elsewhere = other.url("/hidden");
    let host = Host::start(move |_, _| reply(302, &[("location", elsewhere.as_str())], ""));
    let (_, text) = Fetcher::new(settings(&host, Paging::Once)).failure();
    assert!(text.contains("redirects to another origin"), "{text}");
    assert!(other.asked().is_empty());

    let host =
        Host::start(|before, _| reply(302, &[("location", format!("/{before}").as_str())], ""));
    let (_, text) = Fetcher::new(settings(&host, Paging::Once)).failure();
    assert!(text.contains("redirects more than 5 times"), "{text}");
    assert_eq!(host.asked().len(), 6);

    let host = Host::start(|_, _| reply(302, &[("location", "/new")], ""));
    let mut settings = settings(&host, Paging::Once);
    settings.endpoint.body = Some(Secret::new("{}".to_owned()));
    let (_, text) = Fetcher::new(settings).failure();
    assert!(text.contains("redirects what is posted"), "{text}");

    let host = Host::start(|_, _| reply(301, &[], ""));
    let (_, text) = Fetcher::new(self::settings(&host, Paging::Once)).failure();
    assert!(text.contains("without saying where to"), "{text}");
}
