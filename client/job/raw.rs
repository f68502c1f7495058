//! `job.toml` as it is written: what serde reads, not yet checked.
//!
//! What may hold a password has no `Debug`. Rules are kept as TOML values, so
//! that an error can name the column and the rule.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ferry::host::settings::{ByteSize, Span};
use serde::Deserialize;
use toml::Value;

/// A job file.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawJob {
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) database: RawDatabase,
    #[serde(default)]
    pub(super) source: RawSource,
    #[serde(default)]
    pub(super) pii: RawPii,
    #[serde(default)]
    pub(super) column: Vec<RawColumn>,
    #[serde(default)]
    pub(super) check: Vec<RawCheck>,
    #[serde(default)]
    pub(super) transform: RawTransform,
    #[serde(default)]
    pub(super) target: Vec<RawTarget>,
    #[serde(default)]
    pub(super) load: RawLoad,
    pub(super) cache: Option<RawCache>,
}

/// `[database]`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDatabase {
    pub(super) url: Option<String>,
}

/// `[source]`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSource {
    pub(super) url: Option<String>,
    pub(super) dataset: Option<String>,
    #[serde(default)]
    pub(super) columns: Vec<String>,
    pub(super) token: Option<String>,
    pub(super) token_file: Option<PathBuf>,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) cert_file: Option<PathBuf>,
    pub(super) key_file: Option<PathBuf>,
}

/// `[pii]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPii {
    pub(super) key_file: Option<PathBuf>,
}

/// One `[[column]]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawColumn {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) column_type: Option<String>,
    #[serde(default)]
    pub(super) clean: Vec<Value>,
    #[serde(default)]
    pub(super) check: Vec<Value>,
    pub(super) on_fail: Option<String>,
    pub(super) pii: Option<String>,
    pub(super) domain: Option<String>,
    pub(super) form: Option<String>,
    pub(super) keep_last: Option<usize>,
}

/// One `[[check]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCheck {
    pub(super) name: Option<String>,
    pub(super) expr: String,
    pub(super) on_fail: Option<String>,
}

/// `[transform]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTransform {
    pub(super) filter: Option<String>,
    #[serde(default)]
    pub(super) set: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) rename: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) drop: Vec<String>,
    #[serde(default)]
    pub(super) derive_before_hash: BTreeMap<String, String>,
}

/// One `[[target]]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTarget {
    pub(super) table: Option<String>,
    #[serde(default)]
    pub(super) create: bool,
    pub(super) mode: Option<String>,
    #[serde(default)]
    pub(super) key: Vec<String>,
    pub(super) update: Option<Vec<String>>,
    pub(super) only_if_newer: Option<String>,
    #[serde(default)]
    pub(super) keep_old: bool,
    #[serde(default)]
    pub(super) columns: Vec<String>,
    #[serde(default)]
    pub(super) cache: bool,
    pub(super) serve: Option<bool>,
    pub(super) serve_columns: Option<Vec<String>>,
}

/// `[cache]`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCache {
    pub(super) url: Option<String>,
    pub(super) ttl: Option<Span>,
    pub(super) max_rows: Option<usize>,
}

/// `[load]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLoad {
    pub(super) commit_bytes: Option<ByteSize>,
    pub(super) commit_interval: Option<Span>,
    pub(super) split_bytes: Option<ByteSize>,
    pub(super) max_rejects: Option<RawLimit>,
    pub(super) reject_window: Option<u64>,
    pub(super) unique_memory: Option<ByteSize>,
    pub(super) workers: Option<usize>,
    pub(super) lease: Option<Span>,
    pub(super) retries: Option<usize>,
    pub(super) drift: Option<String>,
    pub(super) rewritten: Option<String>,
    pub(super) file_order: Option<String>,
}

/// A count, or a percentage such as `"1%"`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(super) enum RawLimit {
    Count(u64),
    Text(String),
}
