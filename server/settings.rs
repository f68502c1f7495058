//! Turns `server.toml` into settings that can be served.
//!
//! Invariant: what [`Settings`] holds needs no further check but the files' headers.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ferry::host::settings::{SettingsError, Span, beside, read_toml};
use ferry::schema::ColumnType;
use serde::Deserialize;

use crate::catalog::dataset::{Dataset, DatasetName};
use crate::catalog::files::FileSet;
use crate::delimited::Dialect;
use crate::error::ServerError;

const MIN_AGE_DEFAULT: Duration = Duration::from_secs(10);
const LISTEN_DEFAULT: &str = "127.0.0.1:7443";
const DRAIN_DEFAULT: Duration = Duration::from_secs(30);
const STREAMS_DEFAULT: usize = 64;
/// Each stream holds a thread, and Tokio's own limit on those is 512.
const STREAMS_MAX: usize = 256;

/// How to serve what.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) listen: SocketAddr,
    /// How long open streams may take to end.
    pub(crate) drain: Duration,
    /// Most streams at once.
    pub(crate) streams_max: usize,
    pub(crate) tls: Option<TlsFiles>,
    /// Who may ask; empty if anyone may.
    pub(crate) tokens: Vec<Token>,
    pub(crate) datasets: Vec<Dataset>,
}

/// Where the certificates are.
#[derive(Debug)]
pub(crate) struct TlsFiles {
    pub(crate) cert_file: PathBuf,
    pub(crate) key_file: PathBuf,
    /// Signs the client certificates, which are then required.
    pub(crate) client_ca_file: Option<PathBuf>,
}

/// Someone who may ask.
#[derive(Debug)]
pub(crate) struct Token {
    pub(crate) name: String,
    /// SHA-256 of the token.
    pub(crate) sha256: [u8; 32],
    /// What they may read; `None` for everything.
    pub(crate) datasets: Option<BTreeSet<DatasetName>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSettings {
    listen: Option<String>,
    root: Option<PathBuf>,
    #[serde(default)]
    insecure: bool,
    drain: Option<Span>,
    #[serde(default)]
    limits: RawLimits,
    tls: Option<RawTls>,
    #[serde(default)]
    token: Vec<RawToken>,
    #[serde(default)]
    dataset: Vec<RawDataset>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLimits {
    streams_max: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTls {
    cert_file: PathBuf,
    key_file: PathBuf,
    client_ca_file: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawToken {
    name: String,
    sha256: String,
    datasets: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDataset {
    name: String,
    #[serde(default)]
    description: String,
    files: Vec<String>,
    delimiter: Option<String>,
    min_age: Option<Span>,
    #[serde(default)]
    columns: BTreeMap<String, String>,
}

impl Settings {
    /// Reads and checks the settings; `listen` goes before the address in the file.
    pub(crate) fn load(path: &Path, listen: Option<SocketAddr>) -> Result<Self, ServerError> {
        let raw: RawSettings = read_toml(path)?;
        validate(raw, path, listen).map_err(|message| {
            let path = path.display().to_string();
            SettingsError::Invalid { path, message }.into()
        })
    }
}

fn validate(raw: RawSettings, path: &Path, listen: Option<SocketAddr>) -> Result<Settings, String> {
    let listen = match listen {
        Some(listen) => listen,
        None => parse_address(raw.listen.as_deref().unwrap_or(LISTEN_DEFAULT))?,
    };
    if !listen.ip().is_loopback() && raw.tls.is_none() && !raw.insecure {
        return Err(format!(
            "listen = \"{listen}\" is open to the network without [tls]: add [tls], listen on 127.0.0.1, or write insecure = true if the network is trusted"
        ));
    }
    let streams_max = raw.limits.streams_max.unwrap_or(STREAMS_DEFAULT);
    if !(1..=STREAMS_MAX).contains(&streams_max) {
        return Err(format!("limits.streams_max = {streams_max}: write 1 to {STREAMS_MAX}"));
    }
    let root = find_root(&beside(path, raw.root.as_deref().unwrap_or(Path::new("."))))?;
    let datasets = validate_datasets(raw.dataset, &root)?;
    let names: BTreeSet<&DatasetName> = datasets.iter().map(|dataset| &dataset.name).collect();
    Ok(Settings {
        listen,
        drain: raw.drain.map_or(DRAIN_DEFAULT, |Span(drain)| drain),
        streams_max,
        tls: raw.tls.map(|tls| tls_files(tls, path)),
        tokens: validate_tokens(raw.token, &names)?,
        datasets,
    })
}

fn parse_address(text: &str) -> Result<SocketAddr, String> {
    let example = "write an IP address and a port, such as \"127.0.0.1:7443\"";
    text.parse().map_err(|_| format!("listen = \"{text}\": {example}"))
}

fn find_root(path: &Path) -> Result<PathBuf, String> {
    let shown = path.display();
    let root = path.canonicalize().map_err(|error| format!("root {shown}: {error}"))?;
    if root.is_dir() { Ok(root) } else { Err(format!("root {shown} is not a folder")) }
}

fn tls_files(tls: RawTls, path: &Path) -> TlsFiles {
    TlsFiles {
        cert_file: beside(path, &tls.cert_file),
        key_file: beside(path, &tls.key_file),
        client_ca_file: tls.client_ca_file.map(|file| beside(path, &file)),
    }
}

fn validate_datasets(raw: Vec<RawDataset>, root: &Path) -> Result<Vec<Dataset>, String> {
    if raw.is_empty() {
        return Err("no [[dataset]]: declare at least one, with name and files".to_owned());
    }
    let mut names = BTreeSet::new();
    let mut datasets = Vec::with_capacity(raw.len());
    for raw in raw {
        let name: DatasetName = raw.name.parse()?;
        if !names.insert(name.clone()) {
            return Err(format!("dataset \"{name}\" is declared twice: rename one of them"));
        }
        let shown = name.to_string();
        let dataset = validate_dataset(name, raw, root);
        datasets.push(dataset.map_err(|text| format!("dataset \"{shown}\": {text}"))?);
    }
    Ok(datasets)
}

fn validate_dataset(name: DatasetName, raw: RawDataset, root: &Path) -> Result<Dataset, String> {
    if raw.files.is_empty() {
        return Err(
            "files is empty: write at least one pattern, such as \"customers*.csv\"".to_owned()
        );
    }
    let mut dialect = Dialect::default();
    if let Some(delimiter) = raw.delimiter {
        dialect.delimiter = parse_delimiter(&delimiter, dialect.quote)?;
    }
    let mut declared = BTreeMap::new();
    for (column, column_type) in raw.columns {
        let column_type = column_type
            .parse::<ColumnType>()
            .map_err(|error| format!("column \"{column}\": {error}"))?;
        declared.insert(column, column_type);
    }
    let files = FileSet::new(root, &raw.files)?;
    let min_age = raw.min_age.map_or(MIN_AGE_DEFAULT, |span| span.0);
    Ok(Dataset { name, description: raw.description, files, dialect, min_age, declared })
}

fn parse_delimiter(text: &str, quote: u8) -> Result<u8, String> {
    match text.as_bytes() {
        [byte] if byte.is_ascii() && *byte != quote && !b"\r\n\0".contains(byte) => Ok(*byte),
        _ => Err(format!(
            "delimiter = {text:?}: write one ASCII character that is neither a quote nor a line end"
        )),
    }
}

fn validate_tokens(
    raw: Vec<RawToken>,
    datasets: &BTreeSet<&DatasetName>,
) -> Result<Vec<Token>, String> {
    let mut names = BTreeSet::new();
    let mut tokens = Vec::with_capacity(raw.len());
    for raw in raw {
        let RawToken { name, sha256, datasets: readable } = raw;
        if name.is_empty() || !names.insert(name.clone()) {
            return Err(format!("token name \"{name}\" is empty or written twice: rename it"));
        }
        let Some(sha256) = parse_sha256(&sha256) else {
            return Err(format!(
                "token \"{name}\": sha256 must be the 64 hexadecimal digits that `printf %s TOKEN | sha256sum` prints"
            ));
        };
        let readable = match readable {
            None => None,
            Some(readable) => Some(validate_readable(&name, &readable, datasets)?),
        };
        tokens.push(Token { name, sha256, datasets: readable });
    }
    Ok(tokens)
}

fn validate_readable(
    token: &str,
    readable: &[String],
    datasets: &BTreeSet<&DatasetName>,
) -> Result<BTreeSet<DatasetName>, String> {
    let mut names = BTreeSet::new();
    for name in readable {
        let is_declared = |declared: &&&DatasetName| declared.as_str() == name.as_str();
        let Some(declared) = datasets.iter().find(is_declared) else {
            return Err(format!(
                "token \"{token}\" names dataset \"{name}\", which is not declared: correct or remove it"
            ));
        };
        names.insert((*declared).clone());
    }
    Ok(names)
}

fn parse_sha256(digits: &str) -> Option<[u8; 32]> {
    if digits.len() != 64 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut digest = [0; 32];
    for (index, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATASET: &str = "[[dataset]]\nname = \"customers\"\nfiles = [\"*.csv\"]\n";

    fn load(text: &str) -> Result<Settings, String> {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("server.toml");
        std::fs::write(&path, text).expect("file is written");
        Settings::load(&path, None).map_err(|error| error.to_string())
    }

    fn refusal(text: &str) -> String {
        load(text).expect_err("it is refused")
    }

    #[test]
    fn what_is_left_out_has_a_default() {
        let settings = load(DATASET).expect("it is valid");
        assert_eq!(settings.listen.to_string(), "127.0.0.1:7443");
        assert_eq!((settings.drain, settings.streams_max), (Duration::from_secs(30), 64));
        assert!(settings.tls.is_none() && settings.tokens.is_empty());
        assert_eq!(settings.datasets[0].dialect, Dialect::default());
    }

    #[test]
    fn everything_can_be_said() {
        let sha256 = "0f".repeat(32);
        let settings = load(&format!(
            "listen = \"0.0.0.0:1\"\nroot = \".\"\ndrain = \"5s\"\n\
             [limits]\nstreams_max = 3\n\
             [tls]\ncert_file = \"a.pem\"\nkey_file = \"/b.key\"\nclient_ca_file = \"c.pem\"\n\
             [[token]]\nname = \"loader\"\nsha256 = \"{sha256}\"\ndatasets = [\"customers\"]\n\
             {DATASET}description = \"d\"\ndelimiter = \"\\t\"\n\
             [dataset.columns]\nsigned = \"date\"\n"
        ))
        .expect("it is valid");
        let tls = settings.tls.expect("it is there");
        assert!(tls.cert_file.ends_with("a.pem") && tls.cert_file.is_absolute());
        assert_eq!(tls.key_file, Path::new("/b.key"));
        assert_eq!(settings.tokens[0].sha256, [0x0f; 32]);
        assert!(settings.tokens[0].datasets.as_ref().is_some_and(|names| names.len() == 1));
        assert_eq!(settings.datasets[0].dialect.delimiter, b'\t');
        assert_eq!(settings.datasets[0].declared["signed"], ColumnType::Date);
    }

    #[test]
    fn a_listener_open_to_the_network_needs_tls_or_insecure() {
        let open = "listen = \"0.0.0.0:7443\"\n";
        assert!(refusal(&format!("{open}{DATASET}")).contains("insecure = true"));
        assert!(load(&format!("{open}insecure = true\n{DATASET}")).is_ok());
        assert!(load(&format!("listen = \"[::1]:7443\"\n{DATASET}")).is_ok());
    }

    #[test]
    fn what_cannot_be_served_is_refused_with_a_reason() {
        let cases = [
            (String::new(), "no [[dataset]]"),
            (format!("{DATASET}{DATASET}"), "declared twice"),
            (DATASET.replace("customers", "Customers"), "cannot name a dataset"),
            (DATASET.replace("*.csv", "../*.csv"), "without \"..\""),
            (DATASET.replace("\"*.csv\"", ""), "files is empty"),
            (format!("{DATASET}delimiter = \";;\"\n"), "one ASCII character"),
            (format!("{DATASET}delimiter = \"ä\"\n"), "one ASCII character"),
            (format!("{DATASET}delimiter = '\"'\n"), "one ASCII character"),
            (format!("{DATASET}[dataset.columns]\na = \"int3\"\n"), "unknown type \"int3\""),
            (format!("{DATASET}file = 1\n"), "did you mean `files`?"),
            (format!("listen = \"localhost\"\n{DATASET}"), "an IP address and a port"),
            (format!("root = \"gone\"\n{DATASET}"), "gone"),
            (format!("root = \"server.toml\"\n{DATASET}"), "not a folder"),
            (format!("drain = \"soon\"\n{DATASET}"), "not a duration"),
            (format!("{DATASET}[limits]\nstreams_max = 0\n"), "write 1 to 256"),
        ];
        for (text, expected) in cases {
            let refusal = refusal(&text);
            assert!(refusal.contains(expected), "{expected:?} is not in {refusal:?}");
        }
    }

    #[test]
    fn tokens_are_checked() {
        let token = |rest: &str| format!("{DATASET}[[token]]\nname = \"loader\"\n{rest}\n");
        let good = format!("sha256 = \"{}\"", "aB".repeat(32));
        assert!(load(&token(&good)).is_ok());
        assert!(refusal(&token("sha256 = \"abc\"")).contains("64 hexadecimal digits"));
        let signs = format!("sha256 = \"{}\"", "+1".repeat(32));
        assert!(refusal(&token(&signs)).contains("64 hexadecimal digits"));
        let unknown = token(&format!("{good}\ndatasets = [\"orders\"]"));
        assert!(refusal(&unknown).contains("names dataset \"orders\""));
        let twice = token(&format!("{good}\n[[token]]\nname = \"loader\"\n{good}"));
        assert!(refusal(&twice).contains("written twice"));
    }
}
