//! Turns a request error into the gRPC status that the client sees, with a stable reason.
//!
//! Invariant: this is the only place that does so, and it logs each refusal once.

use std::collections::HashMap;

use ferry::wire::ERROR_DOMAIN;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::error::RequestError;

/// Logs a refusal and turns it into a status.
pub(super) fn refuse(error: &RequestError) -> Status {
    let (code, reason) = kind(error);
    // Quoted: names in it may be a caller's own words, line ends included.
    let text = error.to_string();
    let is_fault = code == Code::Internal || matches!(error, RequestError::FileUnreadable { .. });
    if is_fault {
        tracing::error!(reason, error = ?text, "request failed");
    } else {
        tracing::info!(reason, error = ?text, "request refused");
    }
    let details = ErrorDetails::with_error_info(reason, ERROR_DOMAIN, metadata(error));
    Status::with_error_details(code, text, details)
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
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value.clone())).collect()
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
    fn a_file_that_cannot_be_read_is_no_broken_connection() {
        let error = RequestError::of_reading("a.csv", std::io::Error::other("disk"));
        let status = refuse(&error);
        assert_eq!(status.code(), Code::FailedPrecondition);
        let info = status.get_details_error_info().expect("it has an ErrorInfo");
        assert_eq!(info.reason, "FILE_UNREADABLE");
        assert_eq!(info.metadata.get("file").map(String::as_str), Some("a.csv"));
    }
}
