//! Where the content of a dataset comes from: files below the root, or pages of an API that are kept in the spool.

use std::path::PathBuf;

use crate::catalog::dataset::DatasetName;
use crate::catalog::files::{FileSet, SourceFile};
use crate::error::RequestError;
use crate::fetch::Api;

/// Where content comes from.
#[derive(Debug)]
pub(crate) enum Origin {
    Files(FileSet),
    Api(Box<Api>),
}

/// What one of the things to read is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SourceKind {
    File,
    /// A page that the API gave for this plan.
    Page,
    /// A page that it gave for an earlier one, and not for this.
    EarlierPage,
}

impl SourceKind {
    pub(crate) fn is_page(self) -> bool {
        matches!(self, Self::Page | Self::EarlierPage)
    }
}

impl Origin {
    /// What lies here now, ordered by name.
    pub(crate) fn list(&self, dataset: &DatasetName) -> Result<Vec<SourceFile>, RequestError> {
        match self {
            Self::Files(files) => files.list(),
            Self::Api(api) => {
                let paths = api
                    .spooled(dataset.as_str())
                    .map_err(|error| RequestError::of_fetch(dataset.as_str(), &error))?;
                pages(&paths)
            }
        }
    }

    /// The file or page of this name, if it is one of the dataset's.
    pub(crate) fn find(
        &self,
        dataset: &DatasetName,
        name: &str,
    ) -> Result<Option<SourceFile>, RequestError> {
        match self {
            Self::Files(files) => files.find(name),
            Self::Api(api) => match api.find(dataset.as_str(), name) {
                Some(path) => SourceFile::of_page(name, &path),
                None => Ok(None),
            },
        }
    }
}

fn pages(paths: &[PathBuf]) -> Result<Vec<SourceFile>, RequestError> {
    let mut pages = Vec::with_capacity(paths.len());
    for path in paths {
        // Only names that the spool itself gives are there.
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        pages.extend(SourceFile::of_page(name, path)?);
    }
    Ok(pages)
}
