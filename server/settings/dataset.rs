//! Turns `[[dataset]]` into datasets that can be read.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::take;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ferry::host::settings::{ByteSize, Span};
use ferry::schema::ColumnType;
use ferry::values::FieldFormat;
use serde::Deserialize;
use toml::Value;

use crate::catalog::dataset::{Dataset, DatasetName, DeclaredColumn, EXPANSION_DEFAULT};
use crate::catalog::files::FileSet;
use crate::catalog::format::Format;
use crate::catalog::names::NameCache;
use crate::catalog::origin::Origin;
use crate::fetch::Spool;
use crate::settings::columns::{Columns, read_columns};
use crate::settings::http::{Beside, RawApi, RawHttp, RawIncremental, RawPages, api};
use crate::settings::json::json_layout;
use crate::settings::kind::Kind;
use crate::settings::layout::layout;
use crate::settings::words::{few, within};
use crate::wanted::NullWords;

const MIN_AGE_DEFAULT: Duration = Duration::from_secs(10);
/// More than deflate or zstd make of anything but one byte over and over.
const EXPANSION_MAX: u64 = 100_000;

/// `[[dataset]]` as it is written; its texts may hold secrets, and are not logged.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDataset {
    pub(super) name: String,
    #[serde(default)]
    pub(super) description: String,
    pub(super) kind: Option<String>,
    #[serde(default)]
    pub(super) files: Vec<String>,
    pub(super) min_age: Option<Span>,
    pub(super) max_expansion: Option<u64>,
    pub(super) delimiter: Option<String>,
    pub(super) other_delimiters: Option<Vec<String>>,
    pub(super) quote: Option<String>,
    pub(super) escape: Option<String>,
    pub(super) comment: Option<String>,
    pub(super) terminator: Option<String>,
    pub(super) blank_lines: Option<String>,
    pub(super) stray_quotes: Option<String>,
    #[serde(default)]
    pub(super) skip_initial_space: bool,
    #[serde(default)]
    pub(super) trailing_delimiter: bool,
    pub(super) max_field: Option<ByteSize>,
    pub(super) max_record: Option<ByteSize>,
    pub(super) encoding: Option<String>,
    #[serde(default)]
    pub(super) skip_rows: u32,
    /// Kept as it is, so that an error can say what may stand there.
    pub(super) header: Option<Value>,
    #[serde(default)]
    pub(super) skip_footer: u32,
    pub(super) ragged: Option<String>,
    #[serde(default)]
    pub(super) null: Vec<String>,
    /// Kept as it is, so that an error can name the column.
    pub(super) columns: Option<Value>,
    pub(super) format: Option<String>,
    pub(super) records: Option<String>,
    pub(super) url: Option<String>,
    pub(super) method: Option<String>,
    pub(super) body: Option<String>,
    #[serde(default)]
    pub(super) parameters: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) pages: Option<RawPages>,
    pub(super) incremental: Option<RawIncremental>,
    pub(super) http: Option<RawHttp>,
}

/// What datasets are declared beside.
pub(super) struct Surroundings<'a> {
    pub(super) settings_file: &'a Path,
    /// Canonical path below which files lie.
    pub(super) root: &'a Path,
    /// Where pages of APIs are kept.
    pub(super) spool: &'a Arc<Spool>,
}

/// Checks all datasets.
pub(super) fn validate_datasets(
    raw: Vec<RawDataset>,
    around: &Surroundings<'_>,
) -> Result<Vec<Dataset>, String> {
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
        let dataset = validate_dataset(name, raw, around);
        datasets.push(dataset.map_err(|text| format!("dataset \"{shown}\": {text}"))?);
    }
    Ok(datasets)
}

fn validate_dataset(
    name: DatasetName,
    mut raw: RawDataset,
    around: &Surroundings<'_>,
) -> Result<Dataset, String> {
    let kind = Kind::of(&raw)?;
    let nulls = few("null", take(&mut raw.null))?;
    let nulls = Arc::new(NullWords::new(nulls));
    let Columns { names, mut declared } = read_columns(raw.columns.as_ref(), &nulls)?;
    let (origin, format) = match kind {
        Kind::Csv => {
            let files = files(&raw, around, "customers*.csv")?;
            (Origin::Files(files), Format::Delimited(layout(&raw, names)?))
        }
        Kind::Json => {
            declare_all(names, &mut declared, &nulls);
            let files = files(&raw, around, "customers*.json")?;
            (Origin::Files(files), Format::Json(json_layout(&raw)?))
        }
        Kind::HttpJson => {
            declare_all(names, &mut declared, &nulls);
            let layout = json_layout(&raw)?;
            let beside = Beside {
                settings_file: around.settings_file,
                spool: around.spool,
                layout: &layout,
                columns: &declared,
            };
            let api = api(raw_api(&mut raw), &beside)?;
            (Origin::Api(Box::new(api)), Format::Json(layout))
        }
    };
    let expansion_max = raw.max_expansion.unwrap_or(EXPANSION_DEFAULT);
    Ok(Dataset {
        name,
        description: raw.description,
        origin,
        format,
        min_age: raw.min_age.map_or(MIN_AGE_DEFAULT, |span| span.0),
        expansion_max: within("max_expansion", expansion_max, &(1..=EXPANSION_MAX))?,
        declared,
        nulls,
        names: NameCache::default(),
    })
}

fn files(raw: &RawDataset, around: &Surroundings<'_>, example: &str) -> Result<FileSet, String> {
    if raw.files.is_empty() {
        return Err(format!("files is empty: write at least one pattern, such as \"{example}\""));
    }
    FileSet::new(around.root, &raw.files)
}

/// Records of JSON name their fields themselves: a list only says which there may be.
fn declare_all(
    names: Option<Vec<String>>,
    declared: &mut BTreeMap<String, DeclaredColumn>,
    nulls: &Arc<NullWords>,
) {
    let text = || DeclaredColumn {
        column_type: ColumnType::Text,
        format: Arc::new(FieldFormat::default()),
        nulls: Arc::clone(nulls),
    };
    for name in names.unwrap_or_default() {
        declared.entry(name).or_insert_with(text);
    }
}

fn raw_api(raw: &mut RawDataset) -> RawApi {
    RawApi {
        url: raw.url.take(),
        method: raw.method.take(),
        body: raw.body.take(),
        parameters: take(&mut raw.parameters),
        headers: take(&mut raw.headers),
        ca_file: raw.ca_file.take(),
        pages: raw.pages.take(),
        incremental: raw.incremental.take(),
        http: raw.http.take(),
    }
}
