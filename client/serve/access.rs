//! Tells who asks and whether they may: tokens and roles, the host that is asked, the page that asks.
//!
//! Invariant: without tokens only this host may ask, under a name of its own, and
//! no page of another site can write; with them a request needs a token and its role.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, Uri, header};
use ferry::host::token::{TokenDigest, bearer, holder};

use super::problem::Problem;
use super::settings::{Role, ServeSettings};

const SEC_FETCH_SITE: &str = "sec-fetch-site";
const SEC_FETCH_MODE: &str = "sec-fetch-mode";
/// Who asks where no token is asked for.
const ANYONE: &str = "anyone";

/// Who may ask, under which names of this host, and from which pages.
pub(super) struct Access {
    /// Empty if anyone may ask.
    callers: Vec<(TokenDigest, Caller)>,
    hosts: Hosts,
    /// Origins of other sites whose pages may write.
    origins: Vec<HeaderValue>,
}

/// Names of this host that a request may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hosts {
    /// Any: a token tells who asks.
    Any,
    /// Those of the loopback interface: a page that had its own name point there is refused.
    Loopback,
}

/// Who asks.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// Name of the token.
    pub(crate) name: Arc<str>,
    pub(crate) role: Role,
}

/// What the token of a request tells.
#[derive(Debug, Clone)]
pub(super) enum Identity {
    Known(Caller),
    NoToken,
    BadToken,
}

/// A caller that may read.
#[derive(Debug)]
pub(crate) struct Read(pub(crate) Caller);

/// A caller that may operate.
#[derive(Debug)]
pub(crate) struct Operate(pub(crate) Caller);

impl Access {
    pub(super) fn new(settings: &ServeSettings) -> Self {
        let callers: Vec<(TokenDigest, Caller)> = settings
            .tokens
            .iter()
            .map(|token| {
                let caller = Caller { name: token.name.as_str().into(), role: token.role };
                (token.sha256, caller)
            })
            .collect();
        let is_guarded = !callers.is_empty() || !settings.listen.ip().is_loopback();
        let hosts = if is_guarded { Hosts::Any } else { Hosts::Loopback };
        Self { callers, hosts, origins: settings.origins.clone() }
    }

    /// Whether a request needs a token.
    pub(super) fn asks_for_token(&self) -> bool {
        !self.callers.is_empty()
    }

    /// Who asks.
    pub(super) fn identify(&self, headers: &HeaderMap) -> Identity {
        if self.callers.is_empty() {
            return Identity::Known(Caller { name: ANYONE.into(), role: Role::Operate });
        }
        let header = headers.get(header::AUTHORIZATION).and_then(|header| header.to_str().ok());
        let Some(token) = header.and_then(bearer) else {
            return Identity::NoToken;
        };
        match holder(&self.callers, token) {
            Some(caller) => Identity::Known(caller.clone()),
            None => Identity::BadToken,
        }
    }

    /// Refuses what a page of another site could make a browser send.
    pub(super) fn check_site(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<(), Problem> {
        let authority = authority(uri, headers);
        if self.hosts == Hosts::Loopback && !authority.is_some_and(is_loopback) {
            return Err(Problem::forbidden(
                "unknown_host",
                "without tokens, this host answers as localhost, 127.0.0.1 or [::1] alone: ask it by that name, or add a [[token]]",
            ));
        }
        let is_ours = match *method {
            Method::OPTIONS => true,
            Method::GET | Method::HEAD => !self.is_fetched_elsewhere(headers),
            _ => self.is_own_page(authority, headers),
        };
        if is_ours {
            return Ok(());
        }
        Err(Problem::forbidden(
            "cross_site",
            "a page of another site may not do this: add its origin to cors.origins if it is to",
        ))
    }

    /// Whether a browser says that a page of another site fetches this: it could not read the
    /// answer, but use up what is answered in a minute. Whoever follows a link fetches nothing.
    fn is_fetched_elsewhere(&self, headers: &HeaderMap) -> bool {
        let says = |name: &str, word: &str| headers.get(name).is_some_and(|value| value == word);
        let origin = headers.get(header::ORIGIN);
        says(SEC_FETCH_SITE, "cross-site")
            && !says(SEC_FETCH_MODE, "navigate")
            && !origin.is_some_and(|origin| self.origins.contains(origin))
    }

    /// Whether a browser says that the request is of a page of ours, or no browser sends it.
    fn is_own_page(&self, authority: Option<&str>, headers: &HeaderMap) -> bool {
        let Some(origin) = headers.get(header::ORIGIN) else {
            return headers.get(SEC_FETCH_SITE).is_none_or(|site| site != "cross-site");
        };
        if self.origins.contains(origin) {
            return true;
        }
        let origin = origin.to_str().unwrap_or_default();
        let of_web = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        match (of_web, authority) {
            (Some(origin), Some(authority)) => origin.eq_ignore_ascii_case(authority),
            _ => false,
        }
    }
}

/// The host that is asked, with its port: HTTP/2 has it in the URI, HTTP/1 in a header.
fn authority<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    match uri.authority() {
        Some(authority) => Some(authority.as_str()),
        None => headers.get(header::HOST).and_then(|host| host.to_str().ok()),
    }
}

/// Whether a host, with or without a port, is this one and no other.
fn is_loopback(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((host, "")) => host,
            Some((host, port)) if port.starts_with(':') => host,
            _ => return false,
        },
        None => match authority.split_once(':') {
            // Not `localhost:x@evil.example`, whose host is the other one.
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            Some(_) => return false,
            None => authority,
        },
    };
    let is_address = host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    is_address || host.eq_ignore_ascii_case("localhost")
}

/// Whoever asks, if they have the role.
pub(super) fn caller(identity: Option<&Identity>, role: Role) -> Result<Caller, Problem> {
    match identity {
        Some(Identity::Known(caller)) if caller.role >= role => Ok(caller.clone()),
        Some(Identity::Known(_)) => Err(Problem::forbidden(
            "role_missing",
            "this token may only read: this needs one with role = \"operate\"",
        )),
        Some(Identity::BadToken) => {
            Err(Problem::unauthorized("bad_token", "nobody has this token: correct it"))
        }
        // Whom nobody looked at is nobody.
        Some(Identity::NoToken) | None => Err(Problem::unauthorized(
            "no_token",
            "this needs a token: send it as `Authorization: Bearer TOKEN`",
        )),
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Read {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        caller(parts.extensions.get(), Role::Read).map(Self)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Operate {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        caller(parts.extensions.get(), Role::Operate).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderName;

    fn access(tokens: &[(&str, Role)], hosts: Hosts) -> Access {
        let caller = |(token, role): &(&str, Role)| {
            (TokenDigest::of(token), Caller { name: (*token).into(), role: *role })
        };
        Access {
            callers: tokens.iter().map(caller).collect(),
            hosts,
            origins: vec![HeaderValue::from_static("https://intranet.example")],
        }
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        pairs.iter().map(pair).collect()
    }

    fn code(access: &Access, authorization: Option<&'static str>, role: Role) -> &'static str {
        let headers = match authorization {
            Some(header) => headers(&[("authorization", header)]),
            None => HeaderMap::new(),
        };
        let identity = access.identify(&headers);
        caller(Some(&identity), role).map_or_else(|problem| problem.code(), |_| "passes")
    }

    #[test]
    fn a_token_has_the_rights_of_its_role() {
        let access = access(&[("reader", Role::Read), ("operator", Role::Operate)], Hosts::Any);
        for (token, role, expected) in [
            (Some("Bearer reader"), Role::Read, "passes"),
            (Some("Bearer reader"), Role::Operate, "role_missing"),
            (Some("bearer operator"), Role::Read, "passes"),
            (Some("Bearer operator"), Role::Operate, "passes"),
            (Some("Bearer operato"), Role::Read, "bad_token"),
            (Some("Basic operator"), Role::Read, "no_token"),
            (Some("operator"), Role::Read, "no_token"),
            (None, Role::Read, "no_token"),
        ] {
            assert_eq!(code(&access, token, role), expected, "{token:?} {role:?}");
        }
    }

    #[test]
    fn without_tokens_anyone_may_operate_but_nobody_unseen() {
        assert_eq!(code(&access(&[], Hosts::Loopback), None, Role::Operate), "passes");
        let unseen = caller(None, Role::Read).expect_err("nobody looked");
        assert_eq!(unseen.code(), "no_token");
    }

    fn site(access: &Access, method: &Method, pairs: &[(&'static str, &'static str)]) -> bool {
        let uri = Uri::from_static("/api/v1/jobs");
        access.check_site(method, &uri, &headers(pairs)).is_ok()
    }

    #[test]
    fn without_tokens_only_names_of_this_host_are_answered() {
        let open = access(&[], Hosts::Loopback);
        for host in ["localhost", "LocalHost:8080", "127.0.0.1:1", "127.9.9.9", "[::1]", "[::1]:8"]
        {
            assert!(site(&open, &Method::GET, &[("host", host)]), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "10.0.0.1",
            "[::1]x",
            "localhost:x@evil.example",
            "localhost:@evil.example:80",
            "",
        ] {
            assert!(!site(&open, &Method::GET, &[("host", host)]), "{host}");
        }
        assert!(!site(&open, &Method::GET, &[]));
        let guarded = access(&[("reader", Role::Read)], Hosts::Any);
        assert!(site(&guarded, &Method::GET, &[("host", "ferry.example")]));
    }

    #[test]
    fn the_host_of_http_2_stands_in_the_uri() {
        let open = access(&[], Hosts::Loopback);
        let uri = Uri::from_static("http://evil.example/api/v1/jobs");
        let headers = headers(&[("host", "localhost")]);
        assert!(open.check_site(&Method::GET, &uri, &headers).is_err());
    }

    #[test]
    fn pages_of_other_sites_may_not_write() {
        let access = access(&[], Hosts::Any);
        let host = ("host", "127.0.0.1:8080");
        let may = |pairs: &[(&'static str, &'static str)]| {
            let pairs: Vec<_> = std::iter::once(host).chain(pairs.iter().copied()).collect();
            site(&access, &Method::POST, &pairs)
        };
        assert!(may(&[]));
        assert!(may(&[("origin", "http://127.0.0.1:8080"), ("sec-fetch-site", "same-origin")]));
        assert!(may(&[("origin", "https://intranet.example"), ("sec-fetch-site", "cross-site")]));
        assert!(!may(&[("origin", "http://127.0.0.1:8081")]));
        assert!(!may(&[("origin", "https://evil.example")]));
        assert!(!may(&[("origin", "null")]));
        assert!(!may(&[("sec-fetch-site", "cross-site")]));
        assert!(site(&access, &Method::GET, &[host, ("origin", "https://evil.example")]));
    }

    #[test]
    fn pages_of_other_sites_may_lead_here_and_fetch_nothing() {
        let access = access(&[], Hosts::Any);
        let cross = [("host", "127.0.0.1:8080"), ("sec-fetch-site", "cross-site")];
        let may = |pair: (&'static str, &'static str)| {
            site(&access, &Method::GET, &[cross[0], cross[1], pair])
        };
        assert!(!may(("sec-fetch-mode", "no-cors")));
        assert!(!may(("origin", "https://evil.example")));
        assert!(may(("origin", "https://intranet.example")));
        assert!(may(("sec-fetch-mode", "navigate")));
        assert!(site(&access, &Method::GET, &[cross[0], ("sec-fetch-site", "same-origin")]));
        assert!(site(&access, &Method::OPTIONS, &cross), "a preflight is answered by cors.origins");
    }
}
