//! Why a page was not fetched, in words that hold no secret and no value of a record.
//!
//! Invariant: of a URL only its host and the path that stands in the settings
//! are told; of an answer only its status, and of a document only offsets.

use std::io;

use crate::json::JsonError;

/// What stopped a fetch.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("nobody waits for what is fetched")]
    Stopping,
    #[error("the spool cannot be {action}: {source}; check folder of [spool]")]
    Spool {
        /// "read" or "written".
        action: &'static str,
        source: io::Error,
    },
    #[error("{url} gave no whole answer: {problem}")]
    NoAnswer { url: String, problem: String },
    #[error("{url} is not to be trusted: {problem}{}", advice_on_trust(problem))]
    NotTrusted { url: String, problem: String },
    #[error("{url} cannot be asked over TLS: {problem}{}", advice_on_tls(problem))]
    NoTls { url: String, problem: String },
    #[error("{url} cannot be asked: {problem}")]
    CannotAsk { url: String, problem: &'static str },
    #[error("{url} answered with status {status}{}", advice(*status))]
    Status { url: String, status: u16 },
    #[error(
        "{url} answered with status {status} and asks to wait {seconds} s, more than the 300 s that are waited: run again after that"
    )]
    WaitTooLong { url: String, status: u16, seconds: u64 },
    #[error("{url} redirects {problem}: correct url")]
    Redirected { url: String, problem: &'static str },
    #[error(
        "{url} answered in a content encoding other than gzip, and gzip alone was asked for: correct the API, or what lies before it"
    )]
    ContentEncoding { url: String },
    #[error(
        "{url} answered with more than {bytes_max} bytes: ask for smaller pages, or raise http.max_response"
    )]
    TooLarge { url: String, bytes_max: u64 },
    #[error("{url} did not answer with whole JSON: {problem}")]
    NotJson { url: String, problem: String },
    #[error("the answer of {url} is not as the settings say: {problem}")]
    WrongShape { url: String, problem: String },
    #[error(
        "the next page of {url} lies at another origin, to which headers and parameters are never sent"
    )]
    OtherOrigin { url: String },
    #[error("{url} says where its next page is, but {problem}")]
    BadNext { url: String, problem: &'static str },
    #[error(
        "the watermark of \"{column}\" lies further ahead of this host's clock than incremental.max_ahead, so that nothing would be new: set the clock, delete the watermark (table ferry.watermark) to fetch everything again, or raise incremental.max_ahead"
    )]
    WatermarkAhead { column: String },
    #[error("page {page} repeats page {earlier}: {hint}")]
    Repeats { page: u32, earlier: u32, hint: String },
    #[error("there are more than {max} pages: raise pages.max_pages, or ask for larger pages")]
    TooManyPages { max: u32 },
    #[error(
        "the pages are larger than {bytes_max} bytes together: raise max_bytes of [spool], or ask for less"
    )]
    TooManyBytes { bytes_max: u64 },
    #[error("{last}, tried {attempts} times")]
    GaveUp { attempts: u32, last: Box<FetchError> },
}

impl FetchError {
    /// What TLS, in its own words, has against a peer.
    pub(super) fn of_tls(url: String, problem: String) -> Self {
        if problem.contains("certificate") {
            Self::NotTrusted { url, problem }
        } else {
            Self::NoTls { url, problem }
        }
    }

    /// Why an answer is not a page of records.
    pub(super) fn of_document(url: &str, error: &JsonError) -> Self {
        let url = url.to_owned();
        let problem = match error {
            JsonError::EndsEarly { byte_offset } => format!("it ends at byte {byte_offset}"),
            JsonError::Broken { byte_offset } => format!("it is broken from byte {byte_offset} on"),
            error => return Self::WrongShape { url, problem: error.to_string() },
        };
        // What is broken may have been cut on its way.
        Self::NotJson { url, problem }
    }

    /// Whether nobody waits any more.
    pub(crate) fn is_stopping(&self) -> bool {
        matches!(self, Self::Stopping)
    }

    /// Whether the same request may succeed a little later.
    pub(super) fn is_retryable(&self) -> bool {
        match self {
            Self::NoAnswer { .. } | Self::NotJson { .. } => true,
            Self::Status { status, .. } => {
                matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504)
            }
            _ => false,
        }
    }

    /// Whether no page can be fetched at all, this one or another.
    pub(super) fn is_of_host(&self) -> bool {
        matches!(self, Self::Stopping | Self::Spool { .. })
    }
}

/// What to do about a certificate that TLS has something against.
fn advice_on_trust(problem: &str) -> &'static str {
    let is_about = |word: &str| problem.contains(word);
    if is_about("UnknownIssuer") || is_about("BadSignature") {
        "; set ca_file to a file with the authority that signed it, if you trust that"
    } else if is_about("not valid for name") {
        "; correct the host of url, or have a certificate made for it"
    } else {
        ""
    }
}

/// What to do about a peer that does not speak TLS as it should.
fn advice_on_tls(problem: &str) -> &'static str {
    if problem.contains("InvalidContentType") {
        "; what answers speaks no TLS: correct scheme or port of its address"
    } else {
        ""
    }
}

/// What to do about a status.
fn advice(status: u16) -> &'static str {
    match status {
        400 | 422 => ": check parameters, and those of pages and incremental",
        401 | 403 => ": check headers and parameters, it lets nobody in without the right ones",
        404 | 410 => ": check url",
        405 => ": check method",
        429 => ": lower http.requests_per_second",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_told_with_what_to_do() {
        let text =
            |status| FetchError::Status { url: "https://h/p".to_owned(), status }.to_string();
        assert_eq!(text(418), "https://h/p answered with status 418");
        assert_eq!(text(404), "https://h/p answered with status 404: check url");
    }

    #[test]
    fn what_tls_has_against_a_peer_is_told_with_what_to_do() {
        for (problem, begins, ends) in [
            (
                "invalid peer certificate: UnknownIssuer",
                "is not to be trusted",
                "if you trust that",
            ),
            (
                "invalid peer certificate: certificate not valid for name \"h\"; certificate is only valid for x",
                "is not to be trusted",
                "made for it",
            ),
            ("invalid peer certificate: Expired", "is not to be trusted", ": Expired"),
            (
                "received corrupt message of type InvalidContentType",
                "cannot be asked over TLS",
                "scheme or port of its address",
            ),
            ("received fatal alert: HandshakeFailure", "cannot be asked", "HandshakeFailure"),
        ] {
            let error = FetchError::of_tls("https://h/p".to_owned(), problem.to_owned());
            let text = error.to_string();
            assert!(text.starts_with(&format!("https://h/p {begins}")), "{text}");
            assert!(text.ends_with(ends) && text.contains(problem), "{text}");
            assert!(!error.is_retryable());
        }
    }

    #[test]
    fn what_passes_by_itself_is_tried_again() {
        let of = |status| FetchError::Status { url: String::new(), status };
        for status in [408, 425, 429, 500, 502, 503, 504] {
            assert!(of(status).is_retryable(), "{status}");
        }
        for status in [202, 400, 401, 404, 501, 505] {
            assert!(!of(status).is_retryable(), "{status}");
        }
        assert!(!FetchError::Stopping.is_retryable());
    }
}
