//! Turns a request error into the gRPC status that the client sees, with a stable reason.
//!
//! Invariants: this is the only place that does so, and it logs each refusal once,
//! or counts it if those who are not let in come too often; neither status nor
//! line is long, whatever names a caller sends.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Instant;

use ferry::wire::ERROR_DOMAIN;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::error::RequestError;
use crate::service::allowance::LineAllowance;

/// Longest text of a status, in bytes. A status travels in headers, percent-encoded
/// and once more in its details, and some clients take no more than 8 KiB of those.
const TEXT_BYTES_MAX: usize = 1024;
/// Longest name that is told again as a caller sent it, in bytes.
const NAME_BYTES_MAX: usize = 512;
/// Stands for what was left out.
const GAP: &str = " … ";

/// Logs a refusal and turns it into a status.
pub(super) fn refuse(error: &RequestError) -> Status {
    let (code, reason) = kind(error);
    let text = error.to_string();
    let text = shortened(&text, TEXT_BYTES_MAX);
    let is_fault = code == Code::Internal || matches!(error, RequestError::FileUnreadable { .. });
    // Quoted: names in it may be a caller's own words, line ends included.
    if is_fault {
        tracing::error!(reason, error = ?text, "request failed");
    } else {
        tracing::info!(reason, error = ?text, "request refused");
    }
    status(error, &text)
}

/// The same of someone who is not let in. The log says where they are; of too many, how many more came.
pub(super) fn turn_away(
    error: &RequestError,
    peer: Option<SocketAddr>,
    lines: &LineAllowance,
) -> Status {
    let text = error.to_string();
    if let Some(left_out) = lines.take_line(Instant::now()) {
        let (_, reason) = kind(error);
        let peer = peer.map(tracing::field::display);
        tracing::info!(reason, peer, left_out, error = ?text, "request refused");
    }
    status(error, &text)
}

fn status(error: &RequestError, text: &str) -> Status {
    let (code, reason) = kind(error);
    let details = ErrorDetails::with_error_info(reason, ERROR_DOMAIN, metadata(error));
    Status::with_error_details(code, text, details)
}

/// A name as it may be told again: of a longer one, the beginning and the end.
pub(super) fn shortened_name(name: &str) -> Cow<'_, str> {
    shortened(name, NAME_BYTES_MAX)
}

/// A text of at most so many bytes: of a longer one, the beginning and the end,
/// which says what to do.
fn shortened(text: &str, bytes_max: usize) -> Cow<'_, str> {
    if text.len() <= bytes_max {
        return Cow::Borrowed(text);
    }
    let side_bytes = bytes_max.saturating_sub(GAP.len()) / 2;
    let beginning = &text[..text.floor_char_boundary(side_bytes)];
    let end = &text[text.ceil_char_boundary(text.len() - side_bytes)..];
    Cow::Owned([beginning, GAP, end].concat())
}

/// The code, and the reason that programs may rely on.
pub(super) fn kind(error: &RequestError) -> (Code, &'static str) {
    match error {
        RequestError::NoToken => (Code::Unauthenticated, "NO_TOKEN"),
        RequestError::BadToken => (Code::Unauthenticated, "BAD_TOKEN"),
        RequestError::DatasetNotFound { .. } => (Code::NotFound, "DATASET_NOT_FOUND"),
        RequestError::FileNotFound { .. } | RequestError::PageNotFound { .. } => {
            (Code::NotFound, "FILE_NOT_FOUND")
        }
        RequestError::ColumnNotInDataset { .. } => (Code::InvalidArgument, "COLUMN_NOT_FOUND"),
        RequestError::ColumnNotInFile { .. } => (Code::FailedPrecondition, "COLUMN_NOT_FOUND"),
        RequestError::FileChanged { .. } => (Code::FailedPrecondition, "FILE_CHANGED"),
        RequestError::PositionBeyondSplit { .. } => {
            (Code::FailedPrecondition, "POSITION_BEYOND_SPLIT")
        }
        RequestError::PositionNotOnBoundary { .. } | RequestError::RowCountDiffers { .. } => {
            (Code::FailedPrecondition, "POSITION_NOT_ON_BOUNDARY")
        }
        RequestError::InvalidRequest(_) => (Code::InvalidArgument, "INVALID_REQUEST"),
        RequestError::BadHeader { .. } => (Code::FailedPrecondition, "BAD_HEADER"),
        RequestError::FileUnreadable { .. } => (Code::FailedPrecondition, "FILE_UNREADABLE"),
        RequestError::ArchiveDamaged { .. } => (Code::FailedPrecondition, "ARCHIVE_DAMAGED"),
        RequestError::ArchiveTooLarge { .. } => (Code::FailedPrecondition, "ARCHIVE_TOO_LARGE"),
        RequestError::BadJson { .. } => (Code::FailedPrecondition, "BAD_JSON"),
        RequestError::FetchFailed { .. } => (Code::FailedPrecondition, "FETCH_FAILED"),
        RequestError::TooManyFiles { .. } => (Code::FailedPrecondition, "TOO_MANY_FILES"),
        RequestError::TooManyStreams { .. } => (Code::ResourceExhausted, "TOO_MANY_STREAMS"),
        RequestError::ReaderTooSlow { .. } => (Code::DeadlineExceeded, "READER_TOO_SLOW"),
        RequestError::Stopping => (Code::Unavailable, "STOPPING"),
        RequestError::Internal(_) => (Code::Internal, "INTERNAL"),
    }
}

/// The names that the text holds, for programs.
fn metadata(error: &RequestError) -> HashMap<String, String> {
    let pairs: Vec<(&str, &String)> = match error {
        RequestError::DatasetNotFound { dataset, .. } => vec![("dataset", dataset)],
        RequestError::FileNotFound { dataset, file }
        | RequestError::PageNotFound { dataset, file } => {
            vec![("dataset", dataset), ("file", file)]
        }
        RequestError::ColumnNotInDataset { dataset, column, .. } => {
            vec![("dataset", dataset), ("column", column)]
        }
        RequestError::ColumnNotInFile { file, column, .. } => {
            vec![("file", file), ("column", column)]
        }
        RequestError::FileChanged { file }
        | RequestError::PositionBeyondSplit { file, .. }
        | RequestError::PositionNotOnBoundary { file, .. }
        | RequestError::RowCountDiffers { file, .. }
        | RequestError::BadHeader { file, .. }
        | RequestError::ArchiveDamaged { file, .. }
        | RequestError::ArchiveTooLarge { file, .. }
        | RequestError::BadJson { file, .. }
        | RequestError::FetchFailed { file, .. }
        | RequestError::FileUnreadable { file, .. } => vec![("file", file)],
        RequestError::NoToken
        | RequestError::BadToken
        | RequestError::InvalidRequest(_)
        | RequestError::TooManyFiles { .. }
        | RequestError::TooManyStreams { .. }
        | RequestError::ReaderTooSlow { .. }
        | RequestError::Stopping
        | RequestError::Internal(_) => Vec::new(),
    };
    let told = |(key, name): (&str, &String)| (key.to_owned(), shortened_name(name).into_owned());
    pairs.into_iter().map(told).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_carries_reason_domain_and_names() {
        let error = RequestError::ColumnNotInFile {
            file: "a.csv".to_owned(),
            column: "emial".to_owned(),
            hint: "did you mean \"email\"?".to_owned(),
        };
        let status = refuse(&error);
        assert_eq!(status.code(), Code::FailedPrecondition);
        assert_eq!(
            status.message(),
            "file \"a.csv\" has no column \"emial\": did you mean \"email\"?"
        );
        let info = status.get_details_error_info().expect("it has an ErrorInfo");
        assert_eq!((info.domain.as_str(), info.reason.as_str()), ("ferry", "COLUMN_NOT_FOUND"));
        assert_eq!(info.metadata.get("column").map(String::as_str), Some("emial"));
    }

    #[test]
    fn names_that_are_long_are_cut_in_the_middle() {
        let name = ["begin", &"ä".repeat(100_000), "end"].concat();
        let error = RequestError::DatasetNotFound { dataset: name, hint: "the hint".to_owned() };
        let status = refuse(&error);
        assert!(status.message().len() <= TEXT_BYTES_MAX, "{} bytes", status.message().len());
        assert!(status.message().starts_with("no dataset \"begin"));
        assert!(status.message().ends_with("end\" here: the hint"));
        let info = status.get_details_error_info().expect("it has an ErrorInfo");
        let name = &info.metadata["dataset"];
        assert!(name.len() <= NAME_BYTES_MAX && name.len() > NAME_BYTES_MAX - 10);
        assert!(name.starts_with("beginä") && name.ends_with("äend") && name.contains(GAP));
        // What other headers need has room beside it.
        assert!(status.details().len() * 4 / 3 + status.message().len() * 3 < 7 * 1024);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_no_broken_connection() {
        let error = RequestError::of_reading("a.csv", std::io::Error::other("disk"));
        let status = refuse(&error);
        assert_eq!(status.code(), Code::FailedPrecondition);
        let info = status.get_details_error_info().expect("it has an ErrorInfo");
        assert_eq!(info.reason, "FILE_UNREADABLE");
        assert_eq!(info.metadata.get("file").map(String::as_str), Some("a.csv"));
    }
}
