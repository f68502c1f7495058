//! `job.toml` as it is written: what serde reads, and what flags lay over it.
//!
//! What may hold a password has no `Debug`.

use std::path::PathBuf;

use ferry::host::settings::{ByteSize, Span};
use serde::Deserialize;

/// A job file, not yet checked.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawJob {
    pub(crate) name: Option<String>,
    #[serde(default)]
    pub(crate) database: RawDatabase,
    #[serde(default)]
    pub(crate) source: RawSource,
    #[serde(default)]
    pub(crate) pii: RawPii,
    #[serde(default)]
    pub(crate) column: Vec<RawColumn>,
    #[serde(default)]
    pub(crate) target: Vec<RawTarget>,
    #[serde(default)]
    pub(crate) load: RawLoad,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawDatabase {
    pub(crate) url: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawSource {
    pub(crate) url: Option<String>,
    pub(crate) dataset: Option<String>,
    #[serde(default)]
    pub(crate) columns: Vec<String>,
    pub(crate) token: Option<String>,
    pub(crate) token_file: Option<PathBuf>,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) cert_file: Option<PathBuf>,
    pub(crate) key_file: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawPii {
    pub(crate) key_file: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawColumn {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) column_type: Option<String>,
    pub(crate) pii: Option<RawPiiMode>,
    pub(crate) domain: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RawPiiMode {
    Hash,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawTarget {
    pub(crate) table: Option<String>,
    #[serde(default)]
    pub(crate) create: bool,
    pub(crate) mode: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawLoad {
    pub(crate) commit_bytes: Option<ByteSize>,
    pub(crate) commit_interval: Option<Span>,
    pub(crate) split_bytes: Option<ByteSize>,
    pub(crate) max_rejects: Option<RawLimit>,
}

/// A count, or a percentage such as `"1%"`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(crate) enum RawLimit {
    Count(u64),
    Text(String),
}

/// Settings that flags and the environment lay over the file.
#[derive(Default)]
pub(crate) struct Overrides {
    pub(crate) name: Option<String>,
    pub(crate) database_url: Option<String>,
    pub(crate) source_url: Option<String>,
    pub(crate) dataset: Option<String>,
    pub(crate) columns: Vec<String>,
    pub(crate) table: Option<String>,
    pub(crate) create: bool,
    pub(crate) pii: Vec<String>,
    pub(crate) pii_key_file: Option<PathBuf>,
    pub(crate) token_file: Option<PathBuf>,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) cert_file: Option<PathBuf>,
    pub(crate) client_key_file: Option<PathBuf>,
    pub(crate) commit_bytes: Option<ByteSize>,
    pub(crate) commit_interval: Option<Span>,
    pub(crate) split_bytes: Option<ByteSize>,
    pub(crate) max_rejects: Option<String>,
}

impl RawJob {
    /// Lays flags over the file; what a flag does not say stays.
    pub(crate) fn overlay(&mut self, flags: Overrides) {
        replace(&mut self.name, flags.name);
        replace(&mut self.database.url, flags.database_url);
        replace(&mut self.source.url, flags.source_url);
        replace(&mut self.source.dataset, flags.dataset);
        if !flags.columns.is_empty() {
            self.source.columns = flags.columns;
        }
        if flags.token_file.is_some() {
            self.source.token = None;
        }
        replace(&mut self.source.token_file, flags.token_file);
        replace(&mut self.source.ca_file, flags.ca_file);
        replace(&mut self.source.cert_file, flags.cert_file);
        replace(&mut self.source.key_file, flags.client_key_file);
        replace(&mut self.pii.key_file, flags.pii_key_file);
        replace(&mut self.load.commit_bytes, flags.commit_bytes);
        replace(&mut self.load.commit_interval, flags.commit_interval);
        replace(&mut self.load.split_bytes, flags.split_bytes);
        replace(&mut self.load.max_rejects, flags.max_rejects.map(RawLimit::Text));
        self.overlay_target(flags.table, flags.create);
        for name in flags.pii {
            self.overlay_pii(name);
        }
    }

    fn overlay_target(&mut self, table: Option<String>, create: bool) {
        if self.target.is_empty() && (table.is_some() || create) {
            self.target.push(RawTarget::default());
        }
        if let Some(target) = self.target.first_mut() {
            replace(&mut target.table, table);
            target.create |= create;
        }
    }

    fn overlay_pii(&mut self, name: String) {
        let pii = Some(RawPiiMode::Hash);
        match self.column.iter_mut().find(|column| column.name == name) {
            Some(column) => column.pii = pii,
            None => self.column.push(RawColumn { name, column_type: None, pii, domain: None }),
        }
    }
}

fn replace<T>(setting: &mut Option<T>, flag: Option<T>) {
    if flag.is_some() {
        *setting = flag;
    }
}
