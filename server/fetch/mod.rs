//! Fetches the pages of an HTTP API into a spool, where they are read like files.
//!
//! Invariants: headers and parameters are sent to one origin; neither they nor
//! values of records are in an error, a log line or a `Debug`.
//! Bounds: pages, bytes and time of each answer, attempts and the pauses
//! between them, requests a second, redirects, the spool's size and age. All
//! waits end within 100 ms after nobody waits for the result any more.

mod crawl;
mod error;
mod exchange;
mod link_header;
mod paging;
mod proxy;
mod rate;
mod request;
mod retry;
mod spool;
#[cfg(test)]
mod tests;
mod wait;
mod watermark;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use ureq::config::Config;

use self::crawl::{Crawl, Extent};
use self::rate::Rate;
use crate::json::JsonLayout;

pub(crate) use self::error::FetchError;
pub(crate) use self::exchange::Limits;
pub(crate) use self::paging::{PageSize, Paging};
pub(crate) use self::proxy::Proxy;
pub(crate) use self::request::{Endpoint, has_user};
pub(crate) use self::spool::{Spool, failed_page_name};
pub(crate) use self::watermark::Incremental;

/// Asks whether nobody waits for the result of a fetch any more.
pub(crate) type IsUnwanted<'a> = &'a (dyn Fn() -> bool + 'a);

/// An API whose pages are the files of a dataset.
pub(crate) struct Api {
    endpoint: Arc<Endpoint>,
    paging: Paging,
    pages_max: u32,
    incremental: Option<Incremental>,
    retries: u32,
    response_bytes_max: u64,
    rate: Rate,
    proxy: Option<Proxy>,
    config: Config,
    spool: Arc<Spool>,
}

/// All that is said of an API, once it is checked.
#[derive(Debug)]
pub(crate) struct ApiSettings {
    pub(crate) endpoint: Endpoint,
    pub(crate) paging: Paging,
    /// More pages than this are a failure.
    pub(crate) pages_max: u32,
    pub(crate) incremental: Option<Incremental>,
    /// Attempts after the first one.
    pub(crate) retries: u32,
    /// A positive number.
    pub(crate) requests_per_second: f64,
    pub(crate) limits: Limits,
    /// What leads to the API, if it is not reached directly.
    pub(crate) proxy: Option<Proxy>,
}

/// What a fetch brought.
pub(crate) struct Fetched {
    /// Pages with records, in their order.
    pub(crate) pages: Vec<Page>,
    /// Number of the page, from 1 on, that stopped the fetch before its end, and why.
    pub(crate) failure: Option<(u32, FetchError)>,
    /// Greatest value of the incremental column, if the fetch came to its end
    /// and it is greater than the one before: it is a value of a record.
    pub(crate) watermark: Option<String>,
}

/// A page in the spool.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) records: u64,
}

impl fmt::Debug for Fetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetched")
            .field("pages", &self.pages)
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}

impl Api {
    pub(crate) fn new(settings: ApiSettings, spool: Arc<Spool>) -> Self {
        let config = settings.limits.config(&settings.endpoint, settings.proxy.as_ref());
        Self {
            endpoint: Arc::new(settings.endpoint),
            paging: settings.paging,
            pages_max: settings.pages_max,
            incremental: settings.incremental,
            retries: settings.retries,
            response_bytes_max: settings.limits.response_bytes_max,
            rate: Rate::new(settings.requests_per_second),
            proxy: settings.proxy,
            config,
            spool,
        }
    }

    /// Fetches all pages, from the watermark on if the API is incremental.
    ///
    /// Blocks. An error means that nothing can be done at all: nobody waits, or
    /// the spool cannot be written. What is wrong with a page is told beside
    /// the pages before it.
    pub(crate) fn fetch(
        &self,
        dataset: &str,
        layout: &JsonLayout,
        watermark: Option<&str>,
        is_unwanted: IsUnwanted<'_>,
    ) -> Result<Fetched, FetchError> {
        Crawl::new(self, dataset, layout, watermark, is_unwanted).run(Extent::AllPages)
    }

    /// Fetches the first page, to see what records are like.
    pub(crate) fn fetch_first(
        &self,
        dataset: &str,
        layout: &JsonLayout,
        is_unwanted: IsUnwanted<'_>,
    ) -> Result<Fetched, FetchError> {
        Crawl::new(self, dataset, layout, None, is_unwanted).run(Extent::FirstPage)
    }

    /// Pages of the dataset that lie in the spool, ordered by name.
    pub(crate) fn spooled(&self, dataset: &str) -> Result<Vec<PathBuf>, FetchError> {
        self.spool.pages(dataset)
    }

    /// The page of this name, if it lies in the spool.
    pub(crate) fn find(&self, dataset: &str, name: &str) -> Option<PathBuf> {
        self.spool.find(dataset, name)
    }

    /// The address as it may be shown.
    pub(crate) fn shown(&self) -> &str {
        &self.endpoint.shown
    }
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api")
            .field("endpoint", &self.endpoint)
            .field("paging", &self.paging)
            .finish_non_exhaustive()
    }
}
