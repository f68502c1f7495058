//! What is asked of an API: its address, parameters, headers and body.
//!
//! Invariant: headers and parameters go to the origin of `url` only; `Debug`
//! shows none of them.

use std::fmt;

use ferry::host::settings::Secret;
use ureq::http::{HeaderMap, Method, Request, Response};
use ureq::{Agent, Body};
use url::Url;

/// Longest address that is asked.
pub(super) const URL_BYTES_MAX: usize = 8 * 1024;

/// Where an API is, and what every request to it holds.
pub(crate) struct Endpoint {
    pub(crate) url: Url,
    /// The address as it may be shown: without parameters, and without what
    /// comes from the environment.
    pub(crate) shown: String,
    pub(crate) parameters: Vec<(String, Secret)>,
    pub(crate) headers: HeaderMap,
    /// What is posted; `None` to get.
    pub(crate) body: Option<Secret>,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl Endpoint {
    /// The address with all parameters; of two of the same name the later one holds.
    pub(super) fn url_with(&self, more: &[(&str, &str)]) -> Url {
        let own = self.parameters.iter().map(|(name, value)| (name.as_str(), value.expose()));
        let parameters: Vec<(&str, &str)> = own.chain(more.iter().copied()).collect();
        with_parameters(&self.url, &parameters)
    }

    /// Asks once, and blocks until the header of the answer is there.
    pub(super) fn ask(&self, agent: &Agent, url: &Url) -> Result<Response<Body>, ureq::Error> {
        let method = if self.body.is_some() { Method::POST } else { Method::GET };
        let mut request = Request::builder().method(method).uri(url.as_str());
        if let Some(headers) = request.headers_mut() {
            *headers = self.headers.clone();
        }
        match &self.body {
            None => agent.run(request.body(())?),
            Some(body) => agent.run(request.body(body.expose())?),
        }
    }

    /// Whether an address is one that headers and parameters may be sent to.
    pub(super) fn is_at_origin(&self, url: &Url) -> bool {
        url.origin() == self.url.origin() && !has_user(url)
    }
}

/// Whether an address holds the name or password of a user.
pub(crate) fn has_user(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

/// Adds parameters to an address; each replaces those of its name that come before it.
fn with_parameters(url: &Url, parameters: &[(&str, &str)]) -> Url {
    let mut whole = url.clone();
    if parameters.is_empty() {
        return whole;
    }
    let is_replaced = |name: &str| parameters.iter().any(|(other, _)| *other == name);
    // What need not change is left as it is written, to the last percent sign.
    if url.query_pairs().any(|(name, _)| is_replaced(&name)) {
        let kept = url.query_pairs().filter(|(name, _)| !is_replaced(name));
        whole.query_pairs_mut().clear().extend_pairs(kept);
    }
    {
        let mut pairs = whole.query_pairs_mut();
        for (index, (name, value)) in parameters.iter().enumerate() {
            let comes_again = parameters[index + 1..].iter().any(|(later, _)| later == name);
            if !comes_again {
                pairs.append_pair(name, value);
            }
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(url: &str) -> Endpoint {
        Endpoint {
            url: url.parse().expect("an address"),
            shown: "https://h/shown".to_owned(),
            parameters: vec![("key".to_owned(), Secret::new("se cret".to_owned()))],
            headers: HeaderMap::new(),
            body: None,
        }
    }

    #[test]
    fn parameters_are_added_and_replace_those_before() {
        let url = |text: &str, more: &[(&str, &str)]| endpoint(text).url_with(more).to_string();
        assert_eq!(url("https://h/p", &[]), "https://h/p?key=se+cret");
        assert_eq!(
            url("https://h/p?a=%7e&b", &[("since", "2024-01-01T00:00:00+00:00")]),
            "https://h/p?a=%7e&b&key=se+cret&since=2024-01-01T00%3A00%3A00%2B00%3A00"
        );
        assert_eq!(
            url("https://h/p?page=1&key=x&a=b", &[("page", "2"), ("key", "y")]),
            "https://h/p?a=b&page=2&key=y"
        );
        assert_eq!(with_parameters(&"https://h/p".parse().expect("an address"), &[]).query(), None);
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let endpoint = endpoint("https://h.example/p");
        let is_at_origin = |url: &str| endpoint.is_at_origin(&url.parse().expect("an address"));
        assert!(is_at_origin("https://h.example:443/other?x"));
        for url in [
            "http://h.example/p",
            "https://h.example:444/p",
            "https://h.example.org/p",
            "https://x.h.example/p",
            "https://u@h.example/p",
            "https://:w@h.example/p",
            "ftp://h.example/p",
            "data:,x",
        ] {
            assert!(!is_at_origin(url), "{url}");
        }
    }

    #[test]
    fn nothing_secret_is_shown() {
        let shown = format!("{:?}", endpoint("https://h/hidden?token=hidden"));
        assert_eq!(shown, "https://h/shown");
    }
}
