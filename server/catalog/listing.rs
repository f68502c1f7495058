//! Lists what a plan is made of: the files of a dataset as they lie, or the pages of its API, which are fetched for it.
//!
//! Invariants: an API is asked once for each plan; a page that cannot be
//! fetched keeps neither those before it nor those of earlier plans from being
//! planned.

use std::collections::{BTreeMap, HashMap};

use crate::catalog::IsUnwanted;
use crate::catalog::dataset::Dataset;
use crate::catalog::files::SourceFile;
use crate::catalog::format::Format;
use crate::catalog::origin::{Origin, SourceKind};
use crate::catalog::plan::{KnownFile, PlanRequest};
use crate::error::RequestError;
use crate::fetch::{Api, Fetched, failed_page_name};
use crate::json::JsonLayout;

/// What there is to plan.
#[derive(Default)]
pub(super) struct Listing {
    /// Ordered by name.
    pub(super) sources: Vec<Listed>,
    /// Name of the page that could not be fetched, and why.
    pub(super) failure: Option<(String, RequestError)>,
    /// Greatest value of the incremental column in all pages, if there is one.
    pub(super) watermark: Option<String>,
}

/// One file or page.
pub(super) struct Listed {
    pub(super) file: SourceFile,
    pub(super) kind: SourceKind,
}

/// Lists the files of a dataset, or fetches its pages.
pub(super) fn list(
    dataset: &Dataset,
    request: &PlanRequest,
    is_unwanted: IsUnwanted<'_>,
) -> Result<Listing, RequestError> {
    match &dataset.origin {
        Origin::Files(files) => {
            let listed = |file| Listed { file, kind: SourceKind::File };
            let sources = files.list()?.into_iter().map(listed).collect();
            Ok(Listing { sources, ..Listing::default() })
        }
        Origin::Api(api) => {
            let (name, watermark) = (dataset.name.as_str(), request.watermark.as_deref());
            let fetched = api
                .fetch(name, layout_of(dataset)?, watermark, is_unwanted)
                .map_err(|error| RequestError::of_fetch(name, &error))?;
            pages(dataset, api, fetched, &request.known)
        }
    }
}

/// What lies here now; of an API that nothing is kept of, the first page is fetched.
///
/// Without it nobody could tell the fields of its records. If it cannot be had,
/// what the owner declares will do.
pub(crate) fn sources_to_describe(
    dataset: &Dataset,
    is_unwanted: IsUnwanted<'_>,
) -> Result<Vec<SourceFile>, RequestError> {
    let sources = dataset.sources()?;
    let Origin::Api(api) = &dataset.origin else {
        return Ok(sources);
    };
    if !sources.is_empty() {
        return Ok(sources);
    }
    let name = dataset.name.as_str();
    let fetched = api
        .fetch_first(name, layout_of(dataset)?, is_unwanted)
        .map_err(|error| RequestError::of_fetch(name, &error))?;
    if let Some((number, error)) = fetched.failure {
        let error = RequestError::of_fetch(&failed_page_name(number), &error);
        if matches!(error, RequestError::Stopping) || dataset.declared.is_empty() {
            return Err(error);
        }
        tracing::warn!(dataset = %dataset.name, error = %error, "no page tells the columns");
    }
    dataset.sources()
}

fn layout_of(dataset: &Dataset) -> Result<&JsonLayout, RequestError> {
    match &dataset.format {
        Format::Json(layout) => Ok(layout),
        Format::Delimited(_) => {
            let text = format!("dataset \"{}\" has pages of another format", dataset.name);
            Err(RequestError::Internal(text))
        }
    }
}

/// The pages that were fetched, and those before them that are known and kept.
fn pages(
    dataset: &Dataset,
    api: &Api,
    fetched: Fetched,
    known: &HashMap<String, KnownFile>,
) -> Result<Listing, RequestError> {
    let Fetched { pages, failure, mut watermark } = fetched;
    let mut sources = BTreeMap::new();
    for page in pages {
        if let Some(file) = SourceFile::of_page(&page.name, &page.path)? {
            sources.insert(page.name, Listed { file, kind: SourceKind::Page });
        } else {
            // It is gone already: the next plan fetches it again.
            watermark = None;
        }
    }
    for name in known.keys() {
        if sources.contains_key(name) {
            continue;
        }
        if let Some(path) = api.find(dataset.name.as_str(), name)
            && let Some(file) = SourceFile::of_page(name, &path)?
        {
            sources.insert(name.clone(), Listed { file, kind: SourceKind::EarlierPage });
        }
    }
    let failure = failure.map(|(number, error)| {
        let name = failed_page_name(number);
        let error = RequestError::of_fetch(&name, &error);
        (name, error)
    });
    if let Some((_, RequestError::Stopping)) = failure {
        return Err(RequestError::Stopping);
    }
    Ok(Listing { sources: sources.into_values().collect(), failure, watermark })
}
