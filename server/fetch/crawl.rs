//! One fetch: asks for page after page, again where that may help, and puts what holds records into the spool.
//!
//! Invariants: a page is in the spool only if it is whole, valid JSON with at
//! least one record that was not in a page before it; the fetch is bounded by
//! `max_pages` and the size of the spool, each page by attempts, pauses and
//! size.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime};

use serde::de::IgnoredAny;
use url::Url;
use xxhash_rust::xxh3::xxh3_128;

use super::exchange::{Answer, Exchange, is_page};
use super::paging::{Pager, Turned};
use super::retry::{PAUSE_ASKED_MAX, pause, pause_asked, random};
use super::spool::{Extension, page_name};
use super::wait::wait_until;
use super::watermark::Watermark;
use super::{Api, FetchError, Fetched, IsUnwanted, Page};
use crate::json::{Framing, JsonLayout, count_records, excerpt};

/// Redirects that are followed for one page.
const REDIRECTS_MAX: u32 = 5;

/// How much is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    AllPages,
    FirstPage,
}

/// A fetch under way.
pub(super) struct Crawl<'a> {
    api: &'a Api,
    dataset: &'a str,
    layout: &'a JsonLayout,
    is_unwanted: IsUnwanted<'a>,
    exchange: Exchange<'a>,
    pager: Pager<'a>,
    watermark: Watermark<'a>,
    /// Number of the page that is asked for, from 1 on.
    number: u32,
    /// Hashes of the pages with records, and their numbers.
    hashes: HashMap<u128, u32>,
    bytes: u64,
    pages: Vec<Page>,
}

/// A page that came whole.
struct Whole {
    answer: Answer,
    records: u64,
}

/// An attempt that failed, and how long the answer asks to wait.
struct Failed {
    error: FetchError,
    pause: Option<Duration>,
}

impl From<FetchError> for Failed {
    fn from(error: FetchError) -> Self {
        Self { error, pause: None }
    }
}

impl<'a> Crawl<'a> {
    pub(super) fn new(
        api: &'a Api,
        dataset: &'a str,
        layout: &'a JsonLayout,
        watermark: Option<&'a str>,
        is_unwanted: IsUnwanted<'a>,
    ) -> Self {
        let watermark = Watermark::new(api.incremental.as_ref(), watermark, SystemTime::now());
        Self {
            api,
            dataset,
            layout,
            is_unwanted,
            exchange: Exchange::new(api, is_unwanted),
            pager: Pager::new(&api.paging, &api.endpoint, watermark.since()),
            watermark,
            number: 0,
            hashes: HashMap::new(),
            bytes: 0,
            pages: Vec::new(),
        }
    }

    /// Fetches; an error is one of this host, since one of a page is told beside the pages before it.
    pub(super) fn run(mut self, extent: Extent) -> Result<Fetched, FetchError> {
        self.api.spool.prune(SystemTime::now());
        let mut failure = self.watermark.check().err().map(|error| (1, error));
        let mut next = if failure.is_none() { Some(self.pager.first()) } else { None };
        while let Some(url) = next {
            next = match self.page(&url) {
                Ok(_) if extent == Extent::FirstPage => None,
                Ok(after) => after,
                Err(error) if error.is_of_host() => return Err(error),
                Err(error) => {
                    failure = Some((self.number, error));
                    None
                }
            };
        }
        tracing::info!(
            dataset = self.dataset,
            pages = self.pages.len(),
            records = self.pages.iter().map(|page| page.records).sum::<u64>(),
            bytes = self.bytes,
            is_whole = failure.is_none(),
            "pages fetched"
        );
        let is_whole = failure.is_none() && extent == Extent::AllPages;
        let watermark = if is_whole { self.watermark.reached(self.dataset) } else { None };
        Ok(Fetched { pages: self.pages, failure, watermark })
    }

    /// Fetches a page, and says where the next one is.
    fn page(&mut self, url: &Url) -> Result<Option<Url>, FetchError> {
        self.number = self.number.saturating_add(1);
        let max = self.api.pages_max;
        if self.number > max {
            return Err(FetchError::TooManyPages { max });
        }
        let Whole { answer, records } = self.whole_page(url)?;
        if records > 0 {
            self.keep(&answer.body, records)?;
        }
        let links = answer.links();
        let (url, body) = (&answer.url, answer.body.as_slice());
        let next = self.pager.after(&Turned { url, links: &links, body, records });
        if next.is_err() {
            // This page is whole: it is the one behind it that cannot be asked for.
            self.number = self.number.saturating_add(1);
        }
        next
    }

    /// Puts the records of a page into the spool: what stands around them may
    /// differ each time that it is fetched.
    fn keep(&mut self, body: &[u8], records: u64) -> Result<(), FetchError> {
        let content = excerpt(body, self.layout)
            .map_err(|error| FetchError::of_document(self.api.shown(), &error))?;
        let hash = xxh3_128(&content);
        let page = self.number;
        if let Some(earlier) = self.hashes.insert(hash, page) {
            return Err(FetchError::Repeats { page, earlier, hint: self.pager.hint() });
        }
        let bytes_max = self.api.spool.bytes_max;
        self.bytes = self.bytes.saturating_add(content.len() as u64);
        if self.bytes > bytes_max {
            return Err(FetchError::TooManyBytes { bytes_max });
        }
        self.watermark
            .take(body, self.layout)
            .map_err(|error| FetchError::of_document(self.api.shown(), &error))?;
        let extension = match self.layout.framing {
            Framing::Document { .. } => Extension::Json,
            Framing::Lines => Extension::Ndjson,
        };
        let name = page_name(page, hash, extension);
        let path = self.api.spool.keep(self.dataset, &name, &content, SystemTime::now())?;
        self.pages.push(Page { name, path, records });
        Ok(())
    }

    /// Asks until a page comes whole, or trying again does not help.
    fn whole_page(&self, url: &Url) -> Result<Whole, FetchError> {
        let mut attempts = 0;
        loop {
            let Failed { error, pause: asked } = match self.attempt(url) {
                Ok(whole) => return Ok(whole),
                Err(failed) => failed,
            };
            attempts += 1;
            if !error.is_retryable() {
                return Err(error);
            }
            if attempts > self.api.retries {
                return Err(match attempts {
                    1 => error,
                    _ => FetchError::GaveUp { attempts, last: Box::new(error) },
                });
            }
            tracing::warn!(
                dataset = self.dataset,
                page = self.number,
                attempts,
                %error,
                "page is asked for again"
            );
            let pause = asked.unwrap_or_else(|| pause(attempts, random()));
            wait_until(Instant::now() + pause, self.is_unwanted)?;
        }
    }

    fn attempt(&self, url: &Url) -> Result<Whole, Failed> {
        let answer = self.follow(url)?;
        match answer.status {
            // There is nothing, and nothing more.
            204 => return Ok(Whole { answer, records: 0 }),
            status if is_page(status) => {}
            status => return Err(self.refused(status, &answer)),
        }
        if answer.is_encoded() {
            return Err(FetchError::ContentEncoding { url: self.shown() }.into());
        }
        if self.may_be_cut(&answer) {
            let problem = "it ends in the middle of a line".to_owned();
            return Err(FetchError::NotJson { url: self.shown(), problem }.into());
        }
        let records = count_records(answer.body.as_slice(), self.layout)
            .map_err(|error| FetchError::of_document(self.api.shown(), &error))?;
        Ok(Whole { answer, records })
    }

    fn refused(&self, status: u16, answer: &Answer) -> Failed {
        let url = self.shown();
        let header = if matches!(status, 429 | 503) { answer.header("retry-after") } else { None };
        let pause = header.and_then(|header| pause_asked(header, SystemTime::now()));
        match pause {
            Some(pause) if pause > PAUSE_ASKED_MAX => {
                FetchError::WaitTooLong { url, status, seconds: pause.as_secs() }.into()
            }
            pause => Failed { error: FetchError::Status { url, status }, pause },
        }
    }

    /// Asks, in its turn, and follows redirects within the origin.
    fn follow(&self, url: &Url) -> Result<Answer, FetchError> {
        let mut url = url.clone();
        for _ in 0..=REDIRECTS_MAX {
            wait_until(self.api.rate.take_turn(Instant::now()), self.is_unwanted)?;
            let answer = self.exchange.ask(&url)?;
            match answer.status {
                301 | 302 | 303 | 307 | 308 => url = self.redirect(&answer)?,
                _ => return Ok(answer),
            }
        }
        Err(self.redirected("more than 5 times"))
    }

    fn redirect(&self, answer: &Answer) -> Result<Url, FetchError> {
        let is_posted_as_it_is = matches!(answer.status, 307 | 308);
        if self.api.endpoint.body.is_some() && !is_posted_as_it_is {
            return Err(self.redirected("what is posted to another address"));
        }
        let target = answer.header("location").and_then(|target| answer.url.join(target).ok());
        let target = target.ok_or_else(|| self.redirected("without saying where to"))?;
        if self.api.endpoint.is_at_origin(&target) {
            Ok(target)
        } else {
            Err(self
                .redirected("to another origin, to which headers and parameters are never sent"))
        }
    }

    fn redirected(&self, problem: &'static str) -> FetchError {
        FetchError::Redirected { url: self.shown(), problem }
    }

    /// Whether lines end in the middle of one, and nothing told how many bytes there should be.
    fn may_be_cut(&self, answer: &Answer) -> bool {
        if self.layout.framing != Framing::Lines || answer.has_told_its_end() {
            return false;
        }
        let last = answer.body.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
        !last.trim_ascii().is_empty() && serde_json::from_slice::<IgnoredAny>(last).is_err()
    }

    fn shown(&self) -> String {
        self.api.shown().to_owned()
    }
}
