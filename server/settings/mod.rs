//! Turns `server.toml` into settings that can be served.
//!
//! Invariant: what [`Settings`] holds needs no further check but the files' headers.

mod columns;
mod dataset;
mod dialect;
mod http;
mod json;
mod kind;
mod layout;
mod spool;
#[cfg(test)]
mod tests;
mod tokens;
mod words;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ferry::host::settings::{SettingsError, Span, beside, read_toml};
use serde::Deserialize;

use crate::catalog::dataset::{Dataset, DatasetName};
use crate::error::ServerError;
use crate::settings::dataset::{RawDataset, Surroundings, validate_datasets};
use crate::settings::spool::{RawSpool, spool};
use crate::settings::tokens::{RawToken, validate_tokens};

pub(crate) use crate::settings::tokens::Token;

const LISTEN_DEFAULT: &str = "127.0.0.1:7443";
const DRAIN_DEFAULT: Duration = Duration::from_secs(30);
/// With the default of streams, their files fit into the 1024 descriptors that
/// most systems give a process.
const CONNECTIONS_DEFAULT: usize = 256;
const CONNECTIONS_MAX: usize = 4096;
const STREAMS_DEFAULT: usize = 64;
/// Each stream holds a thread, and Tokio's own limit on those is 512.
const STREAMS_MAX: usize = 256;

/// How to serve what.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) listen: SocketAddr,
    /// How long open streams may take to end.
    pub(crate) drain: Duration,
    /// Most connections at once.
    pub(crate) connections_max: usize,
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
    spool: RawSpool,
    #[serde(default)]
    token: Vec<RawToken>,
    #[serde(default)]
    dataset: Vec<RawDataset>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLimits {
    connections_max: Option<usize>,
    streams_max: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTls {
    cert_file: PathBuf,
    key_file: PathBuf,
    client_ca_file: Option<PathBuf>,
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
    let connections_max = raw.limits.connections_max.unwrap_or(CONNECTIONS_DEFAULT);
    check_limit("connections_max", connections_max, CONNECTIONS_MAX)?;
    let streams_max = raw.limits.streams_max.unwrap_or(STREAMS_DEFAULT);
    check_limit("streams_max", streams_max, STREAMS_MAX)?;
    let root = find_root(&beside(path, raw.root.as_deref().unwrap_or(Path::new("."))))?;
    let spool = spool(raw.spool, &root)?;
    let around = Surroundings { settings_file: path, root: &root, spool: &spool };
    let datasets = validate_datasets(raw.dataset, &around)?;
    let names: BTreeSet<&DatasetName> = datasets.iter().map(|dataset| &dataset.name).collect();
    Ok(Settings {
        listen,
        drain: raw.drain.map_or(DRAIN_DEFAULT, |Span(drain)| drain),
        connections_max,
        streams_max,
        tls: raw.tls.map(|tls| tls_files(tls, path)),
        tokens: validate_tokens(raw.token, &names)?,
        datasets,
    })
}

fn check_limit(name: &str, value: usize, max: usize) -> Result<(), String> {
    let is_allowed = (1..=max).contains(&value);
    if is_allowed { Ok(()) } else { Err(format!("limits.{name} = {value}: write 1 to {max}")) }
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
