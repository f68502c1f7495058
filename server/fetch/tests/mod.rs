//! Fetches from a real HTTP host: every kind of paging here, every kind of trouble beside it.

mod host;
mod pages;
mod requests;
mod trouble;

use std::time::Duration;

use ferry::host::settings::Secret;
use ferry::schema::Column;
use ferry::values::FieldFormat;
use ureq::http::{HeaderMap, HeaderValue};

use self::host::Host;
use super::*;
use crate::json::Framing;
use crate::wanted::{NullWords, WantedColumn};

/// Settings of an API at this host that is asked fast, and again twice.
fn settings(host: &Host, paging: Paging) -> ApiSettings {
    settings_at(&host.url("/v1/users?hidden-query=1"), paging)
}

fn settings_at(url: &str, paging: Paging) -> ApiSettings {
    let mut headers = HeaderMap::new();
    headers.insert("authorization", HeaderValue::from_static("Bearer hidden-header"));
    ApiSettings {
        endpoint: Endpoint {
            url: url.parse().expect("an address"),
            shown: "http://host/v1/users".to_owned(),
            parameters: vec![("key".to_owned(), Secret::new("hidden-parameter".to_owned()))],
            headers,
            body: None,
        },
        paging,
        pages_max: 100,
        incremental: None,
        retries: 2,
        requests_per_second: 1000.0,
        limits: Limits {
            timeout: Duration::from_secs(20),
            connect_timeout: Duration::from_secs(5),
            response_bytes_max: 100_000,
            authorities: None,
        },
        proxy: None,
    }
}

/// An API with a spool of its own, which is gone when this is dropped.
struct Fetcher {
    api: Api,
    layout: JsonLayout,
    folder: tempfile::TempDir,
}

impl Fetcher {
    fn new(settings: ApiSettings) -> Self {
        Self::with_spool_of(settings, 1 << 20)
    }

    fn with_spool_of(settings: ApiSettings, bytes_max: u64) -> Self {
        let folder = tempfile::tempdir().expect("temporary folder");
        let age_max = Duration::from_hours(24);
        let spool = Spool::new(folder.path().join("spool"), bytes_max, age_max);
        let api = Api::new(settings, Arc::new(spool));
        Self { api, layout: records_at("/items"), folder }
    }

    fn fetch(&self) -> Fetched {
        self.fetch_from(None)
    }

    fn fetch_from(&self, watermark: Option<&str>) -> Fetched {
        let fetched = self.api.fetch("users", &self.layout, watermark, &|| false);
        fetched.expect("the spool can be written")
    }

    /// Number of the page that stopped the fetch, and why.
    #[track_caller]
    fn failure(&self) -> (u32, String) {
        let (page, error) = self.fetch().failure.expect("it fails");
        let text = error.to_string();
        let shown = format!("{text} {error:?} {:?}", self.api);
        assert!(!shown.contains("hidden"), "{shown}");
        (page, text)
    }
}

fn records_at(pointer: &str) -> JsonLayout {
    let records = pointer.parse().expect("a pointer");
    JsonLayout { framing: Framing::Document { records }, ..JsonLayout::default() }
}

/// A document with so many records, from this one on.
fn items(first: u64, records: u64) -> String {
    let records: Vec<String> =
        (first..first + records).map(|id| format!("{{\"id\":{id}}}")).collect();
    format!("{{\"items\":[{}]}}", records.join(","))
}

/// Records of each page that was kept.
#[track_caller]
fn kept(fetched: &Fetched) -> Vec<u64> {
    assert!(fetched.failure.is_none(), "{:?}", fetched.failure);
    fetched.pages.iter().map(|page| page.records).collect()
}

fn incremental(initial: Option<&str>) -> Incremental {
    Incremental {
        parameter: "since".to_owned(),
        column: WantedColumn {
            column: Column {
                name: "at".to_owned(),
                column_type: "bigint".parse().expect("a type"),
            },
            format: Arc::new(FieldFormat::default()),
            nulls: Arc::new(NullWords::default()),
        },
        initial: initial.map(str::to_owned),
        ahead_max: Duration::from_hours(24),
    }
}
