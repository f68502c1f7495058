//! What can go wrong with a source host, told apart by what the reader can do about it.

use ferry::position::Position;
use ferry::wire::codec::CodecError;
use ferry::wire::convert::InvalidMessage;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::ledger::files::FileProblem;

/// Reason of the problem of a page that the source could not fetch.
pub(crate) const FETCH_FAILED: &str = "FETCH_FAILED";
/// Reasons that concern a single file.
const FILE_REASONS: [&str; 7] = [
    "FILE_NOT_FOUND",
    "FILE_CHANGED",
    "FILE_UNREADABLE",
    "BAD_HEADER",
    "BAD_JSON",
    "ARCHIVE_DAMAGED",
    "ARCHIVE_TOO_LARGE",
];

/// A source that cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum SourceError {
    /// No connection.
    #[error(
        "cannot reach the source {url}: {reason}: check the address, that ferry-server runs there, and whether it has TLS (https:// and source.ca_file, or http://)"
    )]
    Unreachable {
        /// Address as configured.
        url: String,
        /// Innermost cause.
        reason: String,
    },
    /// The host took the connection, and no call was ever answered.
    #[error(
        "the source takes the connection and does not answer ({0}): check whether it has TLS (https:// in source.url), and wants a certificate (source.cert_file, source.key_file)"
    )]
    Unanswered(String),
    /// The connection broke or the server is stopping.
    #[error(
        "the connection to the source was lost ({0}): run the job again to continue where it stopped"
    )]
    Lost(String),
    /// The stream ended without its last message.
    #[error("the source ended the stream early: run the job again to continue where it stopped")]
    Interrupted,
    /// The source answered that it will not.
    #[error("the source refused: {message}")]
    Refused {
        /// Stable reason, empty if none was given.
        reason: String,
        /// Text for people.
        message: String,
    },
    /// Settings that name no usable source.
    #[error("{0}")]
    Settings(String),
    /// The source broke the protocol.
    #[error("the source sent a message that makes no sense: {0}")]
    Protocol(String),
    /// A batch did not begin where the one before it ended.
    #[error("the source left out records: expected a batch from {expected}, got one from {found}")]
    Gap {
        /// End of the batch before.
        expected: Position,
        /// Start of the batch that came.
        found: Position,
    },
    /// Records are neither rows nor rejects.
    #[error(
        "accounts do not close: not every record between {start} and {end} came as a row or a reject"
    )]
    Unaccounted {
        /// Start of the range.
        start: Position,
        /// End of the range.
        end: Position,
    },
}

impl SourceError {
    /// What is wrong with the file that was to be read, if only that one is to blame.
    pub(crate) fn problem_of(&self, file: &str) -> Option<FileProblem> {
        let Self::Refused { reason, message } = self else {
            return None;
        };
        let (file, reason, message) = (file.to_owned(), reason.clone(), message.clone());
        self.is_of_file().then_some(FileProblem { file, reason, message })
    }

    /// Whether a single file is to blame, and others of the dataset can be read all the same.
    pub(crate) fn is_of_file(&self) -> bool {
        matches!(self, Self::Refused { reason, .. } if FILE_REASONS.contains(&reason.as_str()))
    }
}

impl From<Status> for SourceError {
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        let reason = details.error_info().map(|info| info.reason.clone()).unwrap_or_default();
        match status.code() {
            Code::Unavailable | Code::Cancelled | Code::DeadlineExceeded | Code::Aborted => {
                Self::Lost(innermost(&status))
            }
            // ferry-server gives a reason with each of its own errors.
            Code::Unknown | Code::Internal if reason.is_empty() => Self::Lost(innermost(&status)),
            Code::ResourceExhausted => Self::Lost(status.message().to_owned()),
            _ => {
                let message = format!("{}{}", status.message(), hint(&reason));
                Self::Refused { reason, message }
            }
        }
    }
}

impl From<InvalidMessage> for SourceError {
    fn from(error: InvalidMessage) -> Self {
        Self::Protocol(error.0)
    }
}

impl From<CodecError> for SourceError {
    fn from(error: CodecError) -> Self {
        Self::Protocol(error.to_string())
    }
}

/// What a reason means to whom the source knows nothing of.
fn hint(reason: &str) -> &'static str {
    match reason {
        "NO_TOKEN" => "; here, set source.token_file (--token-file)",
        _ => "",
    }
}

/// The cause at the bottom of a chain of errors: the ones above it repeat each other.
pub(super) fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    match cause.downcast_ref::<Status>() {
        Some(status) => status.message().to_owned(),
        None => cause.to_string(),
    }
}
