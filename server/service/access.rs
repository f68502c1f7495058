//! Tells who asks, from the bearer token of a request, and which datasets they may read.
//!
//! Invariant: a request that nobody checked may read nothing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use ferry::host::token::{TokenDigest, bearer, holder};
use tonic::metadata::MetadataMap;
use tonic::service::Interceptor;
use tonic::{Extensions, Request, Status};

use crate::catalog::dataset::DatasetName;
use crate::error::RequestError;
use crate::service::allowance::LineAllowance;
use crate::service::status::turn_away;
use crate::settings::Token;

/// Lets requests pass that may, and notes in them who asks.
#[derive(Clone)]
pub(super) struct Access {
    /// Who may ask; empty if anyone may.
    callers: Arc<[(TokenDigest, Caller)]>,
    /// What refusals may write to the log.
    lines: Arc<LineAllowance>,
}

/// Who asks.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) name: Arc<str>,
    datasets: Readable,
}

#[derive(Debug, Clone)]
enum Readable {
    All,
    These(Arc<BTreeSet<DatasetName>>),
}

impl Caller {
    /// Who asks, as [`Access`] noted it; someone who may read nothing if it did not.
    pub(super) fn of(extensions: &Extensions) -> Self {
        extensions.get().cloned().unwrap_or_else(|| Self {
            name: "unknown".into(),
            datasets: Readable::These(Arc::default()),
        })
    }

    pub(super) fn may_read(&self, dataset: &DatasetName) -> bool {
        match &self.datasets {
            Readable::All => true,
            Readable::These(datasets) => datasets.contains(dataset),
        }
    }
}

impl Access {
    pub(super) fn new(tokens: Vec<Token>) -> Self {
        let caller = |token: Token| {
            let datasets = token
                .datasets
                .map_or(Readable::All, |datasets| Readable::These(Arc::new(datasets)));
            (token.sha256, Caller { name: token.name.into(), datasets })
        };
        let callers = tokens.into_iter().map(caller).collect();
        Self { callers, lines: Arc::new(LineAllowance::new(Instant::now())) }
    }

    fn identify(&self, metadata: &MetadataMap) -> Result<Caller, RequestError> {
        if self.callers.is_empty() {
            return Ok(Caller { name: "anyone".into(), datasets: Readable::All });
        }
        let header = metadata.get("authorization").ok_or(RequestError::NoToken)?;
        let token = header.to_str().ok().and_then(bearer).ok_or(RequestError::NoToken)?;
        holder(&self.callers, token).cloned().ok_or(RequestError::BadToken)
    }
}

impl Interceptor for Access {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let peer = request.remote_addr();
        let caller = self
            .identify(request.metadata())
            .map_err(|error| turn_away(&error, peer, &self.lines))?;
        request.extensions_mut().insert(caller);
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::Code;

    fn name(name: &str) -> DatasetName {
        name.parse().expect("name is allowed")
    }

    fn access() -> Access {
        let token = |who: &str, secret: &str, datasets| Token {
            name: who.to_owned(),
            sha256: TokenDigest::of(secret),
            datasets,
        };
        let customers = BTreeSet::from([name("customers")]);
        Access::new(vec![token("loader", "s3cret", Some(customers)), token("all", "other", None)])
    }

    fn ask(mut access: Access, authorization: Option<&str>) -> Result<Caller, Status> {
        let mut request = Request::new(());
        if let Some(header) = authorization {
            let header = header.parse().expect("header is ASCII");
            request.metadata_mut().insert("authorization", header);
        }
        access.call(request).map(|request| Caller::of(request.extensions()))
    }

    #[test]
    fn a_token_tells_who_asks_and_what_they_may_read() {
        let loader = ask(access(), Some("Bearer s3cret")).expect("it is known");
        assert_eq!(&*loader.name, "loader");
        assert!(loader.may_read(&name("customers")));
        assert!(!loader.may_read(&name("orders")));
        let all = ask(access(), Some("bearer other")).expect("it is known");
        assert!(all.may_read(&name("orders")));
    }

    #[test]
    fn without_a_known_token_nobody_passes() {
        for header in
            [None, Some("s3cret"), Some("Basic s3cret"), Some("Bearer s3cre"), Some("Bearer ")]
        {
            let refusal = ask(access(), header).expect_err("it is refused");
            assert_eq!(refusal.code(), Code::Unauthenticated);
            assert!(!refusal.message().contains("s3cre"));
        }
    }

    #[test]
    fn without_tokens_anyone_may_read() {
        let caller = ask(Access::new(Vec::new()), None).expect("anyone passes");
        assert!(caller.may_read(&name("orders")));
    }

    #[test]
    fn a_request_that_nobody_checked_may_read_nothing() {
        let caller = Caller::of(&Extensions::new());
        assert!(!caller.may_read(&name("customers")));
    }
}
