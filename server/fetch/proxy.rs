//! Finds the proxy that leads to an API, in the variables of the environment.
//!
//! Invariants: what a variable holds is not told, since it may hold a password;
//! one that is set and names no usable proxy is an error, not a way around it.

use std::ffi::OsString;
use std::fmt;
use std::net::IpAddr;

use url::{Host, Url};

/// Variables that may name a proxy to `https` addresses: the first one that is set, and not empty, holds.
const OF_HTTPS: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
/// Those to others.
const OF_HTTP: [&str; 4] = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
/// Variables that may name hosts without a proxy: likewise.
const EXCEPTIONS: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// A proxy, and the variable that names it.
#[derive(Clone)]
pub(crate) struct Proxy {
    pub(super) variable: &'static str,
    pub(super) way: ureq::Proxy,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.variable)
    }
}

impl Proxy {
    /// The proxy that leads to an address, if one does; `variable` gives those of the environment.
    ///
    /// An API on this host needs none, nor does a host that `NO_PROXY` names.
    pub(crate) fn find(
        url: &Url,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Option<Self>, String> {
        if is_on_this_host(url) {
            return Ok(None);
        }
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let exceptions = EXCEPTIONS.iter().find_map(|name| variable(name)).unwrap_or_default();
        if is_excepted(url, &exceptions.to_string_lossy()) {
            return Ok(None);
        }
        for name in if url.scheme() == "https" { OF_HTTPS } else { OF_HTTP } {
            let Some(value) = variable(name) else { continue };
            return match value.to_str().and_then(|text| read(text.trim())) {
                Some(way) => Ok(Some(Self { variable: name, way })),
                None => Err(format!(
                    "{name} names no proxy that can be used: write \"http://HOST:PORT\", before the host \"USER:PASSWORD@\" if need be, with %23 for a # and the like; SOCKS is not spoken"
                )),
            };
        }
        Ok(None)
    }
}

/// A proxy as a variable names it; `None` if it is none that can be used.
fn read(text: &str) -> Option<ureq::Proxy> {
    let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let url: Url = whole.parse().ok()?;
    // A password with a "#", "?" or "/" in it would end the host too early.
    let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let is_spoken = matches!(url.scheme(), "http" | "https") && url.has_host();
    if is_bare && is_spoken { ureq::Proxy::new(&whole).ok() } else { None }
}

/// Whether the API runs on this host, so that no proxy leads to it.
fn is_on_this_host(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => is_below(name, "localhost") || is_same(name, "localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Whether the host of an address is among those that are named, each with or without its port.
fn is_excepted(url: &Url, names: &str) -> bool {
    let Some(host) = url.host() else { return false };
    let port = url.port_or_known_default().map(|port| format!(":{port}")).unwrap_or_default();
    let names = names.split(|letter: char| letter == ',' || letter.is_whitespace());
    names.map(str::to_ascii_lowercase).any(|name| {
        is_named(&host, &name)
            || name.strip_suffix(port.as_str()).is_some_and(|name| is_named(&host, name))
    })
}

/// Whether a name stands for a host: `*` for all, a name for itself and what lies
/// below it, `.name` for the latter alone, an address for itself, `10.0.0.0/8` for a range.
fn is_named(host: &Host<&str>, name: &str) -> bool {
    if name == "*" {
        return true;
    }
    let address = match host {
        Host::Domain(domain) => {
            let above = name.strip_prefix("*.").or_else(|| name.strip_prefix('.'));
            return is_below(domain, above.unwrap_or(name)) || is_same(domain, name);
        }
        Host::Ipv4(address) => IpAddr::V4(*address),
        Host::Ipv6(address) => IpAddr::V6(*address),
    };
    let name = name.trim_matches(['[', ']']);
    match name.split_once('/') {
        Some((first, bits)) => is_in_range(address, first, bits),
        None => name.parse::<IpAddr>().is_ok_and(|named| named == address),
    }
}

/// Whether two names are one; a dot at the end only says that a name is whole.
fn is_same(domain: &str, name: &str) -> bool {
    domain.trim_end_matches('.') == name.trim_end_matches('.')
}

fn is_below(domain: &str, above: &str) -> bool {
    let below = domain.trim_end_matches('.').strip_suffix(above.trim_end_matches('.'));
    below.is_some_and(|below| below.ends_with('.'))
}

/// Whether an address begins with the same bits as the first one of a range.
fn is_in_range(address: IpAddr, first: &str, bits: &str) -> bool {
    let (Ok(first), Ok(bits)) = (first.parse::<IpAddr>(), bits.parse::<u32>()) else {
        return false;
    };
    match (address, first) {
        (IpAddr::V4(address), IpAddr::V4(first)) => {
            (address.to_bits() ^ first.to_bits()).leading_zeros() >= bits
        }
        (IpAddr::V6(address), IpAddr::V6(first)) => {
            (address.to_bits() ^ first.to_bits()).leading_zeros() >= bits
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The variable whose proxy leads to an address, with these variables set.
    fn way(url: &str, set: &[(&str, &str)]) -> Result<Option<(&'static str, String)>, String> {
        let value = |name: &str| {
            let found = set.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        };
        let proxy = Proxy::find(&url.parse().expect("an address"), value)?;
        Ok(proxy
            .map(|proxy| (proxy.variable, format!("{}:{}", proxy.way.host(), proxy.way.port()))))
    }

    const API: &str = "https://api.example.com/v1";

    #[test]
    fn the_first_variable_that_is_set_names_the_proxy() {
        let via = |set: &[(&str, &str)]| way(API, set).expect("it can be used");
        assert_eq!(via(&[]), None);
        assert_eq!(via(&[("HTTPS_PROXY", "")]), None);
        let proxy = ("HTTPS_PROXY", "proxy:3128".to_owned());
        assert_eq!(via(&[("HTTPS_PROXY", "http://proxy:3128/")]), Some(proxy.clone()));
        assert_eq!(via(&[("HTTPS_PROXY", " proxy:3128 "), ("ALL_PROXY", "d")]), Some(proxy));
        let set = [("HTTP_PROXY", "a"), ("all_proxy", "u:p%23@c:1"), ("https_proxy", "https://b")];
        assert_eq!(via(&set), Some(("https_proxy", "b:443".to_owned())));
        assert_eq!(via(&set[..2]), Some(("all_proxy", "c:1".to_owned())));
        assert_eq!(via(&set[..1]), None, "that one is of other addresses");
        let plain = way("http://api.example.com/v1", &set).expect("it can be used");
        assert_eq!(plain, Some(("HTTP_PROXY", "a:80".to_owned())));
        assert_eq!(via(&[set[1], ("NO_PROXY", ""), ("no_proxy", "example.com")]), None);
    }

    #[test]
    fn a_variable_that_names_no_usable_proxy_is_named_without_its_value() {
        for value in [
            "http://",
            "ht!tp://hidden:1",
            "ftp://hidden:1",
            "socks5://u:hidden@proxy:1080",
            "socks5h://hidden:1080",
            "http://proxy:hidden",
            "http://u:hidden#1@proxy:3128",
            "http://u:1#hidden@proxy:3128",
            "http://u:1/hidden@proxy:3128",
            "http://u:1?hidden@proxy:3128",
        ] {
            // What comes behind it is not used in its place.
            let set = [("HTTPS_PROXY", value), ("ALL_PROXY", "http://proxy:1")];
            let refusal = way(API, &set).expect_err(value);
            assert!(refusal.starts_with("HTTPS_PROXY names no proxy"), "{refusal}");
            assert!(!refusal.contains("hidden"), "{refusal}");
        }
    }

    #[test]
    fn hosts_that_are_named_need_no_proxy() {
        let is_direct = |url: &str, names: &str| {
            let set = [("ALL_PROXY", "socks5://unusable"), ("NO_PROXY", names)];
            way(url, &set).is_ok()
        };
        for names in [
            "*",
            "api.example.com",
            "x, API.example.com",
            "x\tapi.example.com\n",
            "api.example.com:443",
            "api.example.com.",
            "example.com",
            ".example.com,x",
            "*.com",
        ] {
            assert!(is_direct(API, names), "{names}");
            assert!(is_direct("https://api.example.com./v1", names), "{names}");
        }
        for names in [
            "",
            ",",
            "other.com",
            "pi.example.com",
            ".api.example.com",
            "api.example.com:80",
            ".",
            "api",
        ] {
            assert!(!is_direct(API, names), "{names}");
        }
        for (url, names) in [
            ("http://10.1.2.3/", "10.1.2.3"),
            ("http://10.1.2.3/", "10.0.0.0/8"),
            ("http://10.1.2.3:81/", "10.1.2.2/31:81"),
            ("http://10.1.2.3/", "0.0.0.0/0"),
            ("http://[fd00::1]/", "fd00::1"),
            ("http://[fd00::1]:81/", "[FD00:0::1]:81"),
            ("https://[fd00::443]/", "fd00::443"),
            ("http://[fd00::1]/", "fc00::/7"),
        ] {
            assert!(is_direct(url, names), "{url} {names}");
        }
        for (url, names) in [
            ("http://10.1.2.3/", "3"),
            ("http://10.1.2.3/", "10.1.2.4/31"),
            ("http://10.1.2.3/", "10.1.2.3/33"),
            ("http://10.1.2.3/", "10.0.0.0/"),
            ("http://10.1.2.3/", "::/0"),
            ("http://[fd00::1]/", "fe00::/7"),
            ("http://[fd00::1]/", "0.0.0.0/0"),
        ] {
            assert!(!is_direct(url, names), "{url} {names}");
        }
    }

    #[test]
    fn this_host_needs_no_proxy() {
        let is_on_this_host =
            |host: &str| is_on_this_host(&format!("http://{host}/").parse().expect("an address"));
        for host in ["127.0.0.1:8000", "localhost", "localhost.", "api.localhost", "[::1]:9"] {
            assert!(is_on_this_host(host), "{host}");
        }
        for host in ["10.0.0.1", "localhost.example", "[::2]"] {
            assert!(!is_on_this_host(host), "{host}");
        }
    }

    #[test]
    fn nothing_of_a_proxy_is_shown() {
        let value = |name: &str| (name == "ALL_PROXY").then(|| "http://u:hidden@hidden:1".into());
        let proxy = Proxy::find(&API.parse().expect("an address"), value);
        let proxy = proxy.expect("it can be used").expect("it is set");
        assert_eq!(format!("{proxy:?}"), "ALL_PROXY");
    }
}
