//! Every kind of paging, to its end.

use super::host::{Host, Reply, message, page, reply};
use super::*;

fn number(size: Option<PageSize>) -> Paging {
    Paging::Number { parameter: "page".to_owned(), first: 1, size }
}

fn size(records: u64) -> PageSize {
    PageSize { records, parameter: Some("size".to_owned()) }
}

#[test]
fn one_request_may_give_all() {
    let host = Host::start(|_, _| page(items(0, 3)));
    let source = Fetcher::new(settings(&host, Paging::Once));
    let fetched = source.fetch();
    assert_eq!(kept(&fetched), [3]);
    assert_eq!(host.targets(), ["/v1/users?hidden-query=1&key=hidden-parameter"]);
    let kept = &fetched.pages[0];
    assert_eq!(std::fs::read_to_string(&kept.path).expect("it is there"), items(0, 3));
    assert!(kept.name.starts_with("page-000001-"), "{}", kept.name);
    assert_eq!(kept.path.extension().and_then(|ending| ending.to_str()), Some("json"));
    assert_eq!(source.api.find("users", &kept.name).as_ref(), Some(&kept.path));
    assert_eq!(source.api.spooled("users").expect("it is read"), std::slice::from_ref(&kept.path));
}

#[test]
fn numbers_are_counted_until_a_page_has_no_records() {
    let host = Host::start(|_, asked| {
        let number: u64 = asked.parameter("page").expect("a number").parse().expect("a number");
        page(items(number * 10, 3_u64.saturating_sub(number)))
    });
    let fetched = Fetcher::new(settings(&host, number(None))).fetch();
    assert_eq!(kept(&fetched), [2, 1]);
    assert_eq!(host.asked().len(), 3);
}

#[test]
fn a_page_that_is_not_full_is_the_last_one() {
    let host = Host::start(|_, asked| {
        assert_eq!(asked.parameter("size").as_deref(), Some("4"));
        let number: u64 = asked.parameter("page").expect("a number").parse().expect("a number");
        page(items(number * 10, if number < 3 { 4 } else { 1 }))
    });
    let fetched = Fetcher::new(settings(&host, number(Some(size(4))))).fetch();
    assert_eq!(kept(&fetched), [4, 4, 1]);
    assert_eq!(host.asked().len(), 3);
}

#[test]
fn offsets_are_those_of_records() {
    let host = Host::start(|_, asked| {
        let offset: u64 = asked.parameter("from").expect("an offset").parse().expect("a number");
        page(items(offset, 10_u64.saturating_sub(offset).min(5)))
    });
    let paging = Paging::Offset { parameter: "from".to_owned(), size: size(5) };
    assert_eq!(kept(&Fetcher::new(settings(&host, paging)).fetch()), [5, 5]);
    let offsets: Vec<_> = host.asked().iter().filter_map(|asked| asked.parameter("from")).collect();
    assert_eq!(offsets, ["0", "5", "10"]);
}

#[test]
fn cursors_lead_from_page_to_page_even_over_empty_ones() {
    let host = Host::start(|_, asked| {
        page(match asked.parameter("after").as_deref() {
            None => "{\"items\":[1],\"next\":\"a&b\"}",
            Some("a&b") => "{\"items\":[],\"next\":7}",
            Some("7") => "{\"items\":[2,3],\"next\":null}",
            Some(_) => "{}",
        })
    });
    let cursor = "/next".parse().expect("a pointer");
    let paging = Paging::Cursor { parameter: "after".to_owned(), cursor };
    assert_eq!(kept(&Fetcher::new(settings(&host, paging)).fetch()), [1, 2]);
    assert_eq!(host.asked().len(), 3);
}

#[test]
fn links_are_followed() {
    let host = Host::start(|before, _| {
        let link = format!("</v1/other?p={}>; rel=\"next\", </>; rel=\"first\"", before + 1);
        let headers = if before < 2 { vec![("link", link.as_str())] } else { Vec::new() };
        reply(200, &headers, items(before as u64, 1))
    });
    assert_eq!(kept(&Fetcher::new(settings(&host, Paging::Link)).fetch()), [1, 1, 1]);
    assert_eq!(host.targets()[1..], ["/v1/other?p=1", "/v1/other?p=2"]);
    let asked = host.asked();
    assert!(asked.iter().all(|asked| asked.header("authorization").is_some()));
}

#[test]
fn next_addresses_are_followed() {
    let host = Host::start(|before, _| {
        page(match before {
            0 => "{\"items\":[1],\"paging\":{\"next\":\"?p=2\"}}",
            _ => "{\"items\":[2],\"paging\":{}}",
        })
    });
    let next_url = "/paging/next".parse().expect("a pointer");
    let paging = Paging::NextUrl { next_url };
    assert_eq!(kept(&Fetcher::new(settings(&host, paging)).fetch()), [1, 1]);
    assert_eq!(host.targets()[1], "/v1/users?p=2");
}

#[test]
fn an_address_of_another_origin_is_never_asked() {
    let other = Host::start(|_, _| page(items(0, 1)));
    let target = other.url("/v1/users");
    let host = Host::start(move |_, _| page(format!("{{\"items\":[1],\"next\":\"{target}\"}}")));
    let next_url = "/next".parse().expect("a pointer");
    let source = Fetcher::new(settings(&host, Paging::NextUrl { next_url }));
    let (number, text) = source.failure();
    assert!(number == 2 && text.contains("another origin"), "{text}");
    assert!(other.asked().is_empty());
}

#[test]
fn lines_are_pages_too() {
    let host = Host::start(|_, _| reply(200, &[], "{\"id\":1}\n\n{\"id\":2}\n"));
    let mut source = Fetcher::new(settings(&host, Paging::Once));
    source.layout = JsonLayout { framing: Framing::Lines, ..JsonLayout::default() };
    let fetched = source.fetch();
    assert_eq!(kept(&fetched), [2]);
    assert!(fetched.pages[0].name.ends_with(".ndjson"));
}

#[test]
fn no_content_is_the_end() {
    let host = Host::start(|before, _| match before {
        0 => page(items(0, 2)),
        _ => Reply::Bytes(message(204, &[], b"")),
    });
    assert_eq!(kept(&Fetcher::new(settings(&host, number(None))).fetch()), [2]);
}

#[test]
fn a_page_that_comes_again_is_a_failure() {
    let host = Host::start(|_, _| page(items(0, 2)));
    let (number, text) = Fetcher::new(settings(&host, number(None))).failure();
    assert_eq!(number, 2);
    assert_eq!(text, "page 2 repeats page 1: does the API know parameter \"page\"?");
}

#[test]
fn too_many_pages_are_a_failure_after_those_that_are_allowed() {
    let host = Host::start(|before, _| page(items(before as u64, 1)));
    let source = Fetcher::new(ApiSettings { pages_max: 2, ..settings(&host, number(None)) });
    let fetched = source.fetch();
    let (number, error) = fetched.failure.expect("it fails");
    assert!(number == 3 && error.to_string().contains("more than 2 pages"), "{error}");
    assert_eq!((fetched.pages.len(), host.asked().len()), (2, 2));
}

#[test]
fn pages_that_do_not_fit_in_the_spool_are_a_failure() {
    let host = Host::start(|before, _| page(items(before as u64, 1)));
    let source = Fetcher::with_spool_of(settings(&host, number(None)), 50);
    let fetched = source.fetch();
    let (_, error) = fetched.failure.expect("it fails");
    assert!(error.to_string().contains("50 bytes together"), "{error}");
    assert_eq!(fetched.pages.len(), 2);
}

#[test]
fn the_first_page_may_be_fetched_alone() {
    let host = Host::start(|before, _| page(items(before as u64, 1)));
    let settings =
        ApiSettings { incremental: Some(incremental(None)), ..settings(&host, number(None)) };
    let source = Fetcher::new(settings);
    let fetched = source.api.fetch_first("users", &source.layout, &|| false);
    let fetched = fetched.expect("the spool can be written");
    assert_eq!((kept(&fetched), host.asked().len()), (vec![1], 1));
    assert_eq!(fetched.watermark, None);
}

#[test]
fn an_incremental_fetch_tells_from_where_and_how_far() {
    let host = Host::start(|_, asked| {
        let number: u64 = asked.parameter("page").expect("a number").parse().expect("a number");
        page(match number {
            1 => "{\"items\":[{\"at\":9},{\"at\":10}]}",
            2 => "{\"items\":[{\"at\":8},{\"at\":null}]}",
            _ => "{\"items\":[]}",
        })
    });
    let incremental = Some(incremental(Some("5")));
    let source = Fetcher::new(ApiSettings { incremental, ..settings(&host, number(None)) });
    let fetched = source.fetch();
    assert_eq!(fetched.watermark.as_deref(), Some("10"));
    assert!(!format!("{fetched:?}").contains("10\""), "{fetched:?}");
    assert_eq!(source.fetch_from(Some("10")).watermark, None);
    assert_eq!(source.fetch_from(Some("6")).watermark.as_deref(), Some("10"));
    let since: Vec<_> = host.asked().iter().filter_map(|asked| asked.parameter("since")).collect();
    assert_eq!(since, ["5", "5", "5", "10", "10", "10", "6", "6", "6"]);
}

#[test]
fn a_fetch_that_failed_tells_no_watermark_but_its_pages() {
    let host = Host::start(|before, _| match before {
        0 => page("{\"items\":[{\"at\":9}]}"),
        _ => reply(404, &[], ""),
    });
    let incremental = Some(incremental(None));
    let source = Fetcher::new(ApiSettings { incremental, ..settings(&host, number(None)) });
    let fetched = source.fetch();
    assert_eq!((fetched.pages.len(), fetched.watermark), (1, None));
    assert_eq!(fetched.failure.expect("it fails").0, 2);
    assert_eq!(host.asked()[0].parameter("since"), None);
}

#[test]
fn what_is_fetched_again_is_the_same_page() {
    let host = Host::start(|_, _| page(items(0, 2)));
    let source = Fetcher::new(settings(&host, Paging::Once));
    let (first, second) = (source.fetch(), source.fetch());
    assert_eq!(first.pages[0].path, second.pages[0].path);
    assert_eq!(source.api.spooled("users").expect("it is read").len(), 1);
    assert!(first.pages[0].path.starts_with(source.folder.path()));
}
