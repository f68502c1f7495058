//! What this host offers: names of datasets to files and pages, and which content a position belongs to.
//!
//! Invariant: a request names datasets, files and pages; paths come from the
//! settings and the disk alone, and addresses from the settings.

pub(crate) mod archive;
pub(crate) mod dataset;
pub(crate) mod files;
pub(crate) mod fingerprint;
pub(crate) mod format;
mod headers;
pub(crate) mod listing;
pub(crate) mod names;
pub(crate) mod open_file;
pub(crate) mod origin;
pub(crate) mod plan;
mod scan;
pub(crate) mod scans;
pub(crate) mod unwanted;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::catalog::dataset::{Dataset, DatasetName};
use crate::catalog::fingerprint::FingerprintCache;
use crate::catalog::scans::ScanCache;

/// Asks whether nobody waits for the result of a long read any more.
pub(crate) type IsUnwanted<'a> = &'a (dyn Fn() -> bool + 'a);

/// All declared datasets.
pub(crate) struct Catalog {
    datasets: BTreeMap<DatasetName, Arc<Dataset>>,
    pub(crate) fingerprints: FingerprintCache,
    pub(crate) scans: ScanCache,
}

impl Catalog {
    pub(crate) fn new(datasets: Vec<Dataset>) -> Self {
        let by_name = |dataset: Dataset| (dataset.name.clone(), Arc::new(dataset));
        Self {
            datasets: datasets.into_iter().map(by_name).collect(),
            fingerprints: FingerprintCache::default(),
            scans: ScanCache::default(),
        }
    }

    /// All datasets, ordered by name.
    pub(crate) fn datasets(&self) -> impl Iterator<Item = &Arc<Dataset>> {
        self.datasets.values()
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Arc<Dataset>> {
        self.datasets.get(name)
    }
}
