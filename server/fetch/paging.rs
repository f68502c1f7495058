//! Where the next page is: by number, offset, cursor, `Link` header or URL.
//!
//! Invariants: no cursor and no address is asked for twice in a fetch; no
//! address of another origin is asked at all.

use std::collections::HashSet;

use url::Url;
use xxhash_rust::xxh3::xxh3_128;

use super::FetchError;
use super::link_header::next_link;
use super::request::{Endpoint, URL_BYTES_MAX};
use crate::json::{Pointer, scalar_at};

/// Longest cursor.
const CURSOR_BYTES_MAX: usize = 4 * 1024;

/// How the records of an API are told apart into pages.
#[derive(Debug)]
pub(crate) enum Paging {
    /// One request gives all records.
    Once,
    /// Pages are counted; a page is the last one if it holds fewer records than its size.
    Number { parameter: String, first: u64, size: Option<PageSize> },
    /// A page begins at a record; it is the last one if it holds fewer records than its size.
    Offset { parameter: String, size: PageSize },
    /// A page holds what the next one is asked for with.
    Cursor { parameter: String, cursor: Pointer },
    /// The `Link` header says where the next page is.
    Link,
    /// A page holds the address of the next one.
    NextUrl { next_url: Pointer },
}

/// How many records a page holds.
#[derive(Debug)]
pub(crate) struct PageSize {
    /// At least one.
    pub(crate) records: u64,
    /// The parameter that asks for so many, if one does.
    pub(crate) parameter: Option<String>,
}

/// A page, as far as the next one depends on it.
pub(super) struct Turned<'a> {
    /// Where it was found.
    pub(super) url: &'a Url,
    pub(super) links: &'a [String],
    pub(super) body: &'a [u8],
    pub(super) records: u64,
}

/// Goes from page to page.
pub(super) struct Pager<'a> {
    paging: &'a Paging,
    endpoint: &'a Endpoint,
    /// Parameter of the incremental column, and from which value on.
    since: Option<(&'a str, &'a str)>,
    /// Number or offset of the page that is asked for.
    place: u64,
    /// Hashes of the cursors and addresses that were asked for.
    seen: HashSet<u128>,
}

impl<'a> Pager<'a> {
    pub(super) fn new(
        paging: &'a Paging,
        endpoint: &'a Endpoint,
        since: Option<(&'a str, &'a str)>,
    ) -> Self {
        let place = match paging {
            Paging::Number { first, .. } => *first,
            _ => 0,
        };
        Self { paging, endpoint, since, place, seen: HashSet::new() }
    }

    /// Address of the first page.
    pub(super) fn first(&mut self) -> Url {
        let url = self.url(None);
        self.seen.insert(xxh3_128(url.as_str().as_bytes()));
        url
    }

    /// Address of the page after this one, if there is one.
    pub(super) fn after(&mut self, page: &Turned<'_>) -> Result<Option<Url>, FetchError> {
        let paging: &'a Paging = self.paging;
        match paging {
            Paging::Once => Ok(None),
            Paging::Number { size, .. } => {
                let full = size.as_ref().map_or(1, |size| size.records);
                Ok((page.records >= full).then(|| self.turn(1)))
            }
            Paging::Offset { size, .. } => {
                Ok((page.records >= size.records).then(|| self.turn(size.records)))
            }
            Paging::Cursor { cursor, .. } => match self.scalar(page, cursor)? {
                None => Ok(None),
                Some(value) if value.len() > CURSOR_BYTES_MAX => {
                    Err(self.bad_next("its cursor is longer than 4 KiB"))
                }
                Some(value) => {
                    let next = self.url(Some(&value));
                    self.unless_seen(&value, page, next)
                }
            },
            Paging::Link => self.at(page, next_link(page.links.iter().map(String::as_str))),
            Paging::NextUrl { next_url } => {
                let next = self.scalar(page, next_url)?;
                self.at(page, next.as_deref())
            }
        }
    }

    /// Why a page may come twice, and what to do about it.
    pub(super) fn hint(&self) -> String {
        match self.paging {
            Paging::Number { parameter, .. }
            | Paging::Offset { parameter, .. }
            | Paging::Cursor { parameter, .. } => {
                format!("does the API know parameter \"{parameter}\"?")
            }
            Paging::Link => "its Link headers lead in a circle".to_owned(),
            Paging::NextUrl { next_url } => {
                format!("what it has at \"{next_url}\" leads in a circle")
            }
            Paging::Once => "it was asked for once".to_owned(),
        }
    }

    fn turn(&mut self, places: u64) -> Url {
        self.place = self.place.saturating_add(places);
        self.url(None)
    }

    /// An address with the parameters of this kind of paging.
    fn url(&self, cursor: Option<&str>) -> Url {
        let place = self.place.to_string();
        let records;
        let mut parameters: Vec<(&str, &str)> = self.since.into_iter().collect();
        let size = match self.paging {
            Paging::Number { parameter, size, .. } => {
                parameters.push((parameter, &place));
                size.as_ref()
            }
            Paging::Offset { parameter, size } => {
                parameters.push((parameter, &place));
                Some(size)
            }
            Paging::Cursor { parameter, .. } => {
                parameters.extend(cursor.map(|value| (parameter.as_str(), value)));
                None
            }
            Paging::Once | Paging::Link | Paging::NextUrl { .. } => None,
        };
        if let Some(PageSize { records: most, parameter: Some(parameter) }) = size {
            records = most.to_string();
            parameters.push((parameter, &records));
        }
        self.endpoint.url_with(&parameters)
    }

    /// A value of the page; an empty one, or `false`, is none.
    fn scalar(&self, page: &Turned<'_>, pointer: &Pointer) -> Result<Option<String>, FetchError> {
        if page.body.is_empty() {
            return Ok(None);
        }
        let value = scalar_at(page.body, pointer)
            .map_err(|error| FetchError::of_document(&self.endpoint.shown, &error))?;
        Ok(value.filter(|value| !value.is_empty() && value != "false"))
    }

    /// The next page at an address that the page gave, if it gave one.
    ///
    /// The address is asked as it is: it holds the parameters that it needs.
    fn at(&mut self, page: &Turned<'_>, next: Option<&str>) -> Result<Option<Url>, FetchError> {
        let Some(next) = next else {
            return Ok(None);
        };
        if next.len() > URL_BYTES_MAX {
            return Err(self.bad_next("its address is longer than 8 KiB"));
        }
        let mut next = page.url.join(next).map_err(|_| self.bad_next("that is no address"))?;
        if !self.endpoint.is_at_origin(&next) {
            return Err(FetchError::OtherOrigin { url: self.endpoint.shown.clone() });
        }
        next.set_fragment(None);
        let mark = next.to_string();
        self.unless_seen(&mark, page, next)
    }

    /// The next page, unless it was asked for before with the same cursor or address.
    ///
    /// Some APIs end with an empty page that leads to itself.
    fn unless_seen(
        &mut self,
        mark: &str,
        page: &Turned<'_>,
        next: Url,
    ) -> Result<Option<Url>, FetchError> {
        if self.seen.insert(xxh3_128(mark.as_bytes())) {
            Ok(Some(next))
        } else if page.records == 0 {
            Ok(None)
        } else {
            Err(self.bad_next("it has been there before"))
        }
    }

    fn bad_next(&self, problem: &'static str) -> FetchError {
        FetchError::BadNext { url: self.endpoint.shown.clone(), problem }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ureq::http::HeaderMap;

    fn endpoint() -> Endpoint {
        Endpoint {
            url: "https://h.example/v1/users?q=x".parse().expect("an address"),
            shown: "https://h.example/v1/users".to_owned(),
            parameters: Vec::new(),
            headers: HeaderMap::new(),
            body: None,
        }
    }

    fn size(records: u64, parameter: Option<&str>) -> PageSize {
        PageSize { records, parameter: parameter.map(str::to_owned) }
    }

    /// The queries that are asked for while pages hold so many records.
    fn queries(paging: &Paging, records: &[u64]) -> Vec<String> {
        let endpoint = endpoint();
        let mut pager = Pager::new(paging, &endpoint, Some(("since", "7")));
        let mut url = Some(pager.first());
        let mut queries = Vec::new();
        for &records in records {
            let asked = url.expect("there is another page");
            queries.push(asked.query().unwrap_or_default().to_owned());
            let page = Turned { url: &asked, links: &[], body: b"[]", records };
            url = pager.after(&page).expect("it can be asked for");
        }
        assert_eq!(url, None);
        queries
    }

    #[test]
    fn numbers_end_with_a_page_without_records() {
        let paging = Paging::Number { parameter: "page".to_owned(), first: 1, size: None };
        let expected = ["q=x&since=7&page=1", "q=x&since=7&page=2", "q=x&since=7&page=3"];
        assert_eq!(queries(&paging, &[5, 1, 0]), expected);
    }

    #[test]
    fn numbers_and_offsets_end_with_a_page_that_is_not_full() {
        let paging =
            Paging::Number { parameter: "p".to_owned(), first: 0, size: Some(size(3, Some("n"))) };
        assert_eq!(queries(&paging, &[3, 2]), ["q=x&since=7&p=0&n=3", "q=x&since=7&p=1&n=3"]);
        let paging = Paging::Offset { parameter: "o".to_owned(), size: size(3, None) };
        assert_eq!(
            queries(&paging, &[3, 4, 0]),
            ["q=x&since=7&o=0", "q=x&since=7&o=3", "q=x&since=7&o=6"]
        );
    }

    /// What comes after a page with this body and these links.
    fn after(paging: &Paging, body: &str, links: &[&str]) -> Result<Option<String>, String> {
        let endpoint = endpoint();
        let mut pager = Pager::new(paging, &endpoint, None);
        let first = pager.first();
        let links: Vec<String> = links.iter().map(|link| (*link).to_owned()).collect();
        let page = Turned { url: &first, links: &links, body: body.as_bytes(), records: 1 };
        let next = pager.after(&page).map_err(|error| error.to_string())?;
        Ok(next.map(String::from))
    }

    #[test]
    fn a_cursor_is_read_from_the_body() {
        let cursor = "/meta/next".parse().expect("a pointer");
        let paging = Paging::Cursor { parameter: "cursor".to_owned(), cursor };
        let next = |body| after(&paging, body, &[]).expect("it can be asked for");
        let url = "https://h.example/v1/users?q=x&cursor=a%2F%3D";
        assert_eq!(next("{\"meta\":{\"next\":\"a/=\"}}").as_deref(), Some(url));
        for body in ["{}", "{\"meta\":{\"next\":null}}", "{\"meta\":{\"next\":\"\"}}", ""] {
            assert_eq!(next(body), None, "{body}");
        }
        let long = format!("{{\"meta\":{{\"next\":\"{}\"}}}}", "a".repeat(5000));
        assert!(after(&paging, &long, &[]).expect_err("it is refused").contains("4 KiB"));
    }

    #[test]
    fn a_cursor_that_comes_again_is_the_end_only_without_records() {
        let cursor = "/next".parse().expect("a pointer");
        let paging = Paging::Cursor { parameter: "cursor".to_owned(), cursor };
        let endpoint = endpoint();
        let mut pager = Pager::new(&paging, &endpoint, None);
        let url = pager.first();
        let page = |records| Turned { url: &url, links: &[], body: b"{\"next\":7}", records };
        assert!(pager.after(&page(3)).expect("a new cursor").is_some());
        let error = pager.after(&page(3)).expect_err("the same cursor").to_string();
        assert!(error.contains("been there before") && !error.contains('7'), "{error}");
        assert_eq!(pager.after(&page(0)).expect("the end"), None);
    }

    #[test]
    fn the_next_address_is_taken_as_it_is_but_only_of_the_same_origin() {
        let next_url = "/next".parse().expect("a pointer");
        let paging = Paging::NextUrl { next_url };
        let next = |address: &str| after(&paging, &format!("{{\"next\":\"{address}\"}}"), &[]);
        let found = |address| next(address).expect("it can be asked for").expect("a page");
        assert_eq!(found("?p=2#x"), "https://h.example/v1/users?p=2");
        assert_eq!(found("/v2"), "https://h.example/v2");
        assert_eq!(found("https://h.example:443/v2"), "https://h.example/v2");
        for address in ["http://h.example/v2", "https://evil.example/", "//evil.example/x"] {
            let error = next(address).expect_err("it is refused");
            assert!(error.contains("another origin") && !error.contains("evil"), "{error}");
        }
        let error = next("https://h.example/v1/users?q=x").expect_err("a circle");
        assert!(error.contains("been there before"), "{error}");
        assert!(next("http://[").expect_err("it is refused").contains("no address"));
    }

    #[test]
    fn the_link_header_is_followed() {
        let next = |links: &[&str]| after(&Paging::Link, "[]", links).expect("it can be asked for");
        let url = "https://h.example/v1/users?p=2";
        assert_eq!(next(&["<?p=0>; rel=prev", "<?p=2>; rel=next"]).as_deref(), Some(url));
        assert_eq!(next(&[]), None);
    }
}
