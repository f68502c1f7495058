//! Turns `[[dataset]]` into datasets that can be read.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ferry::host::settings::{ByteSize, Span};
use serde::Deserialize;
use toml::Value;

use crate::catalog::dataset::{Dataset, DatasetName, EXPANSION_DEFAULT};
use crate::catalog::files::FileSet;
use crate::delimited::NullWords;
use crate::settings::columns::{Columns, read_columns};
use crate::settings::layout::layout;
use crate::settings::words::{few, within};

const MIN_AGE_DEFAULT: Duration = Duration::from_secs(10);
/// More than deflate or zstd make of anything but one byte over and over.
const EXPANSION_MAX: u64 = 100_000;

/// `[[dataset]]` as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDataset {
    pub(super) name: String,
    #[serde(default)]
    pub(super) description: String,
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
}

/// Checks all datasets, whose files lie below `root`, a canonical path.
pub(super) fn validate_datasets(raw: Vec<RawDataset>, root: &Path) -> Result<Vec<Dataset>, String> {
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

fn validate_dataset(
    name: DatasetName,
    mut raw: RawDataset,
    root: &Path,
) -> Result<Dataset, String> {
    if raw.files.is_empty() {
        return Err(
            "files is empty: write at least one pattern, such as \"customers*.csv\"".to_owned()
        );
    }
    let files = FileSet::new(root, &raw.files)?;
    let nulls = few("null", std::mem::take(&mut raw.null))?;
    let nulls = Arc::new(NullWords::new(nulls));
    let Columns { names, declared } = read_columns(raw.columns.as_ref(), &nulls)?;
    let layout = layout(&raw, names)?;
    let expansion_max = raw.max_expansion.unwrap_or(EXPANSION_DEFAULT);
    Ok(Dataset {
        name,
        description: raw.description,
        files,
        layout,
        min_age: raw.min_age.map_or(MIN_AGE_DEFAULT, |span| span.0),
        expansion_max: within("max_expansion", expansion_max, &(1..=EXPANSION_MAX))?,
        declared,
        nulls,
    })
}
