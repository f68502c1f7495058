//! Turns `serve.toml` and the flags into settings that can be served with.
//!
//! Bounds: 64 tokens, 16 origins, 256 job files, and those of [`Limits`].

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use axum::http::HeaderValue;
use ferry::host::settings::{ByteSize, SettingsError, beside, read_toml};
use ferry::host::token::TokenDigest;
use serde::Deserialize;
use url::Url;

use super::ServeError;
use super::job_files::job_files;

const LISTEN_DEFAULT: &str = "127.0.0.1:8080";
const TOKENS_MAX: usize = 64;
const ORIGINS_MAX: usize = 16;
const BODY_BYTES: std::ops::RangeInclusive<u64> = 1024..=8 * 1024 * 1024;
const REQUESTS_IN_FLIGHT_MAX: usize = 1024;
const PAGE_ROWS_MAX: u32 = 1000;
const REQUESTS_PER_MINUTE_MAX: u32 = 100_000_000;

/// Whom to serve what, and how.
#[derive(Debug)]
pub(crate) struct ServeSettings {
    pub(super) listen: SocketAddr,
    /// Job files, at least one.
    pub(super) jobs: Vec<PathBuf>,
    pub(super) tls: Option<TlsFiles>,
    /// Who may ask; empty if anyone may.
    pub(super) tokens: Vec<Token>,
    /// Pages of other sites that may ask in a browser.
    pub(super) origins: Vec<HeaderValue>,
    pub(super) limits: Limits,
}

/// Where the certificate is.
#[derive(Debug)]
pub(super) struct TlsFiles {
    pub(super) cert_file: PathBuf,
    pub(super) key_file: PathBuf,
}

/// Someone who may ask.
#[derive(Debug)]
pub(super) struct Token {
    pub(super) name: String,
    pub(super) sha256: TokenDigest,
    pub(super) role: Role,
}

/// What someone may do; who may operate may read too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// Look at everything that is served.
    Read,
    /// Start runs, replay and discard rows.
    Operate,
}

/// Bounds of what is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// Requests that are answered at the same time, 1 to 1024; others wait a little.
    pub(super) requests_in_flight: usize,
    /// Longest body of a request, 1 KiB to 8 MiB.
    pub(super) body_bytes: usize,
    /// Most rows of a page, 1 to 1000.
    pub(super) page_rows_max: u32,
    /// Requests a minute of one token, or of one peer without a token, 1 to 100,000,000.
    pub(super) requests_per_minute: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests_in_flight: 64,
            body_bytes: 64 * 1024,
            page_rows_max: 500,
            requests_per_minute: 1200,
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawServe {
    listen: Option<String>,
    #[serde(default)]
    jobs: Vec<String>,
    #[serde(default)]
    insecure: bool,
    tls: Option<RawTls>,
    #[serde(default)]
    token: Vec<RawToken>,
    #[serde(default)]
    cors: RawCors,
    #[serde(default)]
    limits: RawLimits,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTls {
    cert_file: PathBuf,
    key_file: PathBuf,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawToken {
    name: String,
    sha256: String,
    role: Role,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCors {
    #[serde(default)]
    origins: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLimits {
    requests_in_flight: Option<usize>,
    body_bytes: Option<ByteSize>,
    page_rows_max: Option<u32>,
    requests_per_minute: Option<u32>,
}

impl ServeSettings {
    /// Reads the file, if there is one; job files of the flags come before its own, and
    /// `listen` goes before its address.
    pub(crate) fn load(
        file: Option<&Path>,
        jobs: Vec<PathBuf>,
        listen: Option<SocketAddr>,
    ) -> Result<Self, ServeError> {
        let raw: RawServe = file.map(read_toml).transpose()?.unwrap_or_default();
        validate(raw, file, jobs, listen).map_err(|message| match file {
            None => ServeError::Invalid(message),
            Some(file) => {
                SettingsError::Invalid { path: file.display().to_string(), message }.into()
            }
        })
    }
}

fn validate(
    raw: RawServe,
    file: Option<&Path>,
    mut jobs: Vec<PathBuf>,
    listen: Option<SocketAddr>,
) -> Result<ServeSettings, String> {
    let listen = match listen {
        Some(listen) => listen,
        None => parse_address(raw.listen.as_deref().unwrap_or(LISTEN_DEFAULT))?,
    };
    let beside_file = |path: &Path| match file {
        Some(file) => beside(file, path),
        None => path.to_owned(),
    };
    for pattern in &raw.jobs {
        jobs.extend(job_files(&beside_file(Path::new(pattern)))?);
    }
    if jobs.is_empty() {
        return Err("no job is named: give job files, or a file with jobs = [\"job.toml\"]".into());
    }
    let tls = raw.tls.map(|tls| TlsFiles {
        cert_file: beside_file(&tls.cert_file),
        key_file: beside_file(&tls.key_file),
    });
    let tokens = validate_tokens(raw.token)?;
    if !listen.ip().is_loopback() && !raw.insecure {
        refuse_open(listen, tls.as_ref(), &tokens)?;
    }
    let origins = validate_origins(&raw.cors.origins)?;
    Ok(ServeSettings { listen, jobs, tls, tokens, origins, limits: validate_limits(&raw.limits)? })
}

/// Refuses to show data to a whole network by mistake.
fn refuse_open(listen: SocketAddr, tls: Option<&TlsFiles>, tokens: &[Token]) -> Result<(), String> {
    let missing = match (tls, tokens) {
        (None, []) => "[tls] and a [[token]]",
        (None, _) => "[tls]",
        (Some(_), []) => "a [[token]]",
        (Some(_), _) => return Ok(()),
    };
    Err(format!(
        "listen = \"{listen}\" is open to the network without {missing}: add that to the file of --config, listen on 127.0.0.1, or write insecure = true if the network is trusted"
    ))
}

fn parse_address(text: &str) -> Result<SocketAddr, String> {
    let example = "write an IP address and a port, such as \"127.0.0.1:8080\"";
    text.parse().map_err(|_| format!("listen = \"{text}\": {example}"))
}

fn validate_tokens(raw: Vec<RawToken>) -> Result<Vec<Token>, String> {
    if raw.len() > TOKENS_MAX {
        return Err(format!("more than {TOKENS_MAX} tokens: remove some"));
    }
    let mut names = BTreeSet::new();
    let mut tokens = Vec::with_capacity(raw.len());
    for RawToken { name, sha256, role } in raw {
        if name.is_empty() || !names.insert(name.clone()) {
            return Err(format!("token name \"{name}\" is empty or written twice: rename it"));
        }
        let sha256 =
            sha256.parse::<TokenDigest>().map_err(|error| format!("token \"{name}\": {error}"))?;
        tokens.push(Token { name, sha256, role });
    }
    Ok(tokens)
}

/// Takes origins as a browser writes them, so that they can be compared as texts.
fn validate_origins(origins: &[String]) -> Result<Vec<HeaderValue>, String> {
    if origins.len() > ORIGINS_MAX {
        return Err(format!("cors.origins has more than {ORIGINS_MAX} entries: remove some"));
    }
    let one = |origin: &String| {
        let written = Url::parse(origin).ok().map(|url| url.origin().ascii_serialization());
        let is_of_web = origin.starts_with("http://") || origin.starts_with("https://");
        let value = HeaderValue::from_str(origin).ok();
        match value.filter(|_| is_of_web && written.as_ref() == Some(origin)) {
            Some(value) => Ok(value),
            None => Err(format!(
                "cors.origins: \"{origin}\" is no origin: write scheme, host and port alone, such as \"https://intranet.example.org\""
            )),
        }
    };
    origins.iter().map(one).collect()
}

fn validate_limits(raw: &RawLimits) -> Result<Limits, String> {
    let default = Limits::default();
    let limits = Limits {
        requests_in_flight: raw.requests_in_flight.unwrap_or(default.requests_in_flight),
        body_bytes: match raw.body_bytes {
            None => default.body_bytes,
            Some(ByteSize(bytes)) if BODY_BYTES.contains(&bytes) => {
                usize::try_from(bytes).unwrap_or(default.body_bytes)
            }
            Some(size) => {
                return Err(format!("limits.body_bytes = \"{size}\": write 1KiB to 8MiB"));
            }
        },
        page_rows_max: raw.page_rows_max.unwrap_or(default.page_rows_max),
        requests_per_minute: raw.requests_per_minute.unwrap_or(default.requests_per_minute),
    };
    let out_of = |name: &str, most: u64| Err(format!("limits.{name}: write 1 to {most}"));
    if !(1..=REQUESTS_IN_FLIGHT_MAX).contains(&limits.requests_in_flight) {
        return out_of("requests_in_flight", 1024);
    }
    if !(1..=PAGE_ROWS_MAX).contains(&limits.page_rows_max) {
        return out_of("page_rows_max", PAGE_ROWS_MAX.into());
    }
    if !(1..=REQUESTS_PER_MINUTE_MAX).contains(&limits.requests_per_minute) {
        return out_of("requests_per_minute", REQUESTS_PER_MINUTE_MAX.into());
    }
    Ok(limits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<ServeSettings, String> {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("serve.toml");
        std::fs::write(&path, text).expect("file is written");
        let jobs = vec![PathBuf::from("job.toml")];
        ServeSettings::load(Some(&path), jobs, None).map_err(|error| error.to_string())
    }

    fn refusal(text: &str) -> String {
        load(text).expect_err("it is refused")
    }

    #[test]
    fn what_is_left_out_has_a_default() {
        let jobs = vec![PathBuf::from("job.toml")];
        let settings = ServeSettings::load(None, jobs, None).expect("it is valid");
        assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
        assert!(settings.tokens.is_empty() && settings.origins.is_empty());
        assert_eq!(settings.limits, Limits::default());
        assert!(ServeSettings::load(None, Vec::new(), None).is_err());
    }

    #[test]
    fn everything_can_be_said() {
        let sha256 = "0f".repeat(32);
        let settings = load(&format!(
            "listen = \"0.0.0.0:1\"\n[tls]\ncert_file = \"a.pem\"\nkey_file = \"/b.key\"\n\
             [[token]]\nname = \"page\"\nsha256 = \"{sha256}\"\nrole = \"read\"\n\
             [[token]]\nname = \"night\"\nsha256 = \"{sha256}\"\nrole = \"operate\"\n\
             [cors]\norigins = [\"https://a.example\", \"http://b.example:81\"]\n\
             [limits]\nrequests_in_flight = 2\nbody_bytes = \"1KiB\"\npage_rows_max = 3\n\
             requests_per_minute = 4\n"
        ))
        .expect("it is valid");
        assert!(settings.tls.is_some_and(|tls| tls.cert_file.is_absolute()));
        let roles: Vec<Role> = settings.tokens.iter().map(|token| token.role).collect();
        assert_eq!(roles, [Role::Read, Role::Operate]);
        assert_eq!(settings.origins.len(), 2);
        let limits = settings.limits;
        assert_eq!((limits.requests_in_flight, limits.body_bytes), (2, 1024));
        assert_eq!((limits.page_rows_max, limits.requests_per_minute), (3, 4));
    }

    #[test]
    fn a_listener_open_to_the_network_needs_tls_and_a_token() {
        let open = "listen = \"0.0.0.0:8080\"\n";
        let token =
            format!("[[token]]\nname = \"a\"\nsha256 = \"{}\"\nrole = \"read\"\n", "0f".repeat(32));
        let tls = "[tls]\ncert_file = \"a\"\nkey_file = \"b\"\n";
        assert!(refusal(open).contains("without [tls] and a [[token]]"));
        assert!(refusal(&format!("{open}{token}")).contains("without [tls]:"));
        assert!(refusal(&format!("{open}{tls}")).contains("without a [[token]]:"));
        assert!(load(&format!("{open}{token}{tls}")).is_ok());
        assert!(load(&format!("{open}insecure = true\n")).is_ok());
        assert!(load("listen = \"[::1]:8080\"\n").is_ok());
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_what_to_write() {
        for (text, part) in [
            ("lsten = \"x\"\n", "did you mean `listen`?"),
            ("listen = \"localhost\"\n", "127.0.0.1:8080"),
            ("[cors]\norigins = [\"*\"]\n", "is no origin"),
            ("[cors]\norigins = [\"https://a.example/\"]\n", "is no origin"),
            ("[limits]\npage_rows_max = 0\n", "page_rows_max: write 1 to 1000"),
            ("[limits]\nbody_bytes = \"1GiB\"\n", "1KiB to 8MiB"),
            ("[limits]\nrequests_per_minute = 0\n", "requests_per_minute"),
            ("[[token]]\nname = \"a\"\nsha256 = \"0f\"\nrole = \"read\"\n", "64 hexadecimal"),
            ("[[token]]\nname = \"a\"\nsha256 = \"0f\"\nrole = \"root\"\n", "operate"),
        ] {
            let refusal = refusal(text);
            assert!(refusal.contains(part), "{text}: {refusal}");
        }
    }
}
