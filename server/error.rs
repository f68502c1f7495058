//! What can go wrong: at start, with an exit code, and while a request is answered.
//!
//! Invariant: no text holds a value of a record or a path above a dataset's root.

use std::io::{self, ErrorKind};

use ferry::host::pem::PemError;
use ferry::host::settings::SettingsError;
use ferry::position::Position;
use ferry::wire::codec::CodecError;
use ferry::wire::convert::InvalidMessage;

use crate::catalog::archive::archive_error;
use crate::catalog::unwanted::Unwanted;
use crate::chunk::RowCountDiffers;
use crate::delimited::DelimitedError;
use crate::fetch::FetchError;
use crate::inspect::InspectError;
use crate::json::JsonError;

/// Why the program could not start, or ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServerError {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Pem(#[from] PemError),
    #[error(transparent)]
    Inspect(#[from] InspectError),
    #[error("the certificates of [tls] cannot be used: {0}")]
    Tls(String),
    #[error(
        "{problems} of the settings do not fit the files: see the lines that begin with \"error:\""
    )]
    Check { problems: usize },
    #[error("cannot listen on {address}: {source}; choose another address with --listen")]
    CannotListen { address: String, source: io::Error },
    #[error("cannot write the answer to standard output: {0}")]
    Output(io::Error),
    #[error("cannot start: {0}")]
    Runtime(io::Error),
    #[error("the reflection service cannot be built: {0}")]
    Reflection(String),
    #[error("the server ended: {0}")]
    Transport(String),
}

impl ServerError {
    /// The exit code that scripts see.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Settings(_) | Self::Pem(_) | Self::Tls(_) | Self::Check { .. } => 2,
            Self::Inspect(error) if error.is_of_usage() => 2,
            Self::CannotListen { .. } => 3,
            Self::Inspect(_)
            | Self::Output(_)
            | Self::Runtime(_)
            | Self::Reflection(_)
            | Self::Transport(_) => 1,
        }
    }
}

/// An error with the texts of everything that caused it.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Why a request was not answered, or a stream ended before its split did.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    #[error("a bearer token is needed: send the header \"authorization: Bearer TOKEN\"")]
    NoToken,
    #[error("the bearer token is not known here: ask the operator of this server for one")]
    BadToken,
    #[error("no dataset \"{dataset}\" here: {hint}")]
    DatasetNotFound { dataset: String, hint: String },
    #[error(
        "dataset \"{dataset}\" has no file \"{file}\": ask PlanTransfer or GetDataset for them"
    )]
    FileNotFound { dataset: String, file: String },
    #[error(
        "dataset \"{dataset}\" has page \"{file}\" no more: run again, which asks the API for what it has now"
    )]
    PageNotFound { dataset: String, file: String },
    #[error("dataset \"{dataset}\" has no column \"{column}\": {hint}")]
    ColumnNotInDataset { dataset: String, column: String, hint: String },
    #[error("file \"{file}\" has no column \"{column}\": {hint}")]
    ColumnNotInFile { file: String, column: String, hint: String },
    #[error("file \"{file}\" has changed since it was planned: plan the transfer again")]
    FileChanged { file: String },
    #[error("position {position} of file \"{file}\" lies outside its split, {start} to {end}")]
    PositionBeyondSplit { file: String, position: Position, start: Position, end: Position },
    #[error(
        "position {position} of file \"{file}\" does not lie between two records: use one that PlanTransfer or ReadBatches gave"
    )]
    PositionNotOnBoundary { file: String, position: Position },
    #[error(
        "the records of file \"{file}\" end at {found} instead of {expected}: use positions that PlanTransfer or ReadBatches gave"
    )]
    RowCountDiffers { file: String, expected: Position, found: Position },
    #[error("{0}")]
    InvalidRequest(String),
    #[error("the header of file \"{file}\" cannot be used: {problem}")]
    BadHeader { file: String, problem: String },
    #[error("\"{file}\" cannot be read: {source}")]
    FileUnreadable { file: String, source: io::Error },
    #[error("file \"{file}\" cannot be read to its end: {problem}")]
    ArchiveDamaged { file: String, problem: String },
    #[error("file \"{file}\" cannot be read to its end: {problem}")]
    ArchiveTooLarge { file: String, problem: String },
    #[error("the records of \"{file}\" cannot be told apart: {problem}")]
    BadJson { file: String, problem: String },
    #[error("\"{file}\" cannot be fetched: {problem}")]
    FetchFailed { file: String, problem: String },
    #[error("the dataset has more than {max} files: declare several datasets")]
    TooManyFiles { max: usize },
    #[error("{max} streams are open already: try again later, or raise limits.streams_max")]
    TooManyStreams { max: usize },
    #[error("the reader took nothing for {seconds} s: go on from the last position")]
    ReaderTooSlow { seconds: u64 },
    #[error("server is stopping: go on from the last position once it is back")]
    Stopping,
    #[error("unexpected: {0}")]
    Internal(String),
}

impl RequestError {
    /// Says which file an error belongs to.
    pub(crate) fn of_file(file: &str, error: DelimitedError) -> Self {
        let name = file;
        let file = name.to_owned();
        match error {
            DelimitedError::Io(source) => Self::of_reading(name, source),
            DelimitedError::BadHeader(problem) => Self::BadHeader { file, problem },
            DelimitedError::MissingColumn { column, nearest } => {
                let hint = hint(nearest.as_deref());
                Self::ColumnNotInFile { file, column, hint }
            }
            DelimitedError::RowCountDiffers(RowCountDiffers { expected, found }) => {
                Self::RowCountDiffers { file, expected, found }
            }
            DelimitedError::Arrow(error) => Self::Internal(error.to_string()),
        }
    }

    /// The same of a file of JSON.
    pub(crate) fn of_json(file: &str, error: JsonError) -> Self {
        match error {
            JsonError::Io(source) => Self::of_reading(file, source),
            JsonError::RowCountDiffers(RowCountDiffers { expected, found }) => {
                Self::RowCountDiffers { file: file.to_owned(), expected, found }
            }
            JsonError::Arrow(error) => Self::Internal(error.to_string()),
            error => Self::BadJson { file: file.to_owned(), problem: error.to_string() },
        }
    }

    /// Says what could not be fetched: a page, or the pages of a dataset.
    pub(crate) fn of_fetch(file: &str, error: &FetchError) -> Self {
        if error.is_stopping() {
            return Self::Stopping;
        }
        Self::FetchFailed { file: file.to_owned(), problem: error.to_string() }
    }

    /// Says which file could not be read, and whether its disk, its archive or its content is to blame.
    pub(crate) fn of_reading(file: &str, source: io::Error) -> Self {
        let file = file.to_owned();
        if source.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<Unwanted>) {
            return Self::Stopping;
        }
        if let Some(error) = source.get_ref().and_then(|inner| inner.downcast_ref::<JsonError>()) {
            return Self::BadJson { file, problem: error.to_string() };
        }
        match archive_error(&source) {
            // The bytes that were there when it was opened are not there any more.
            None if source.kind() == ErrorKind::UnexpectedEof => Self::FileChanged { file },
            None => Self::FileUnreadable { file, source },
            Some(error) if error.is_too_large() => {
                Self::ArchiveTooLarge { file, problem: error.to_string() }
            }
            Some(error) => Self::ArchiveDamaged { file, problem: error.to_string() },
        }
    }

    /// Says how far a content is read all the same.
    pub(crate) fn with_end(mut self, end: Option<Position>) -> Self {
        if let Self::ArchiveDamaged { problem, .. }
        | Self::ArchiveTooLarge { problem, .. }
        | Self::BadJson { problem, .. } = &mut self
        {
            *problem = match end {
                Some(end) => format!("{problem}; it is read up to {end}"),
                None => format!("{problem}; nothing new of it is read"),
            };
        }
        self
    }

    /// Whether the content is to blame, or its archive, of which the bytes on disk can be read.
    pub(crate) fn is_of_content(&self) -> bool {
        matches!(
            self,
            Self::ArchiveDamaged { .. } | Self::ArchiveTooLarge { .. } | Self::BadJson { .. }
        )
    }

    /// Whether it keeps one file from being read, and says nothing of the others.
    pub(crate) fn is_of_one_file(&self) -> bool {
        let is_of_file = matches!(
            self,
            Self::BadHeader { .. }
                | Self::FileChanged { .. }
                | Self::FileUnreadable { .. }
                | Self::FetchFailed { .. }
        );
        is_of_file || self.is_of_content()
    }

    /// Whether the file is not there any more.
    pub(crate) fn is_absence(&self) -> bool {
        let Self::FileUnreadable { source, .. } = self else {
            return false;
        };
        matches!(source.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
    }
}

/// What to do about a column that is not there.
pub(crate) fn hint(nearest: Option<&str>) -> String {
    match nearest {
        Some(name) => format!("did you mean \"{name}\"?"),
        None => "ask GetDataset for the columns".to_owned(),
    }
}

impl From<InvalidMessage> for RequestError {
    fn from(error: InvalidMessage) -> Self {
        Self::InvalidRequest(error.to_string())
    }
}

impl From<CodecError> for RequestError {
    fn from(error: CodecError) -> Self {
        Self::Internal(error.to_string())
    }
}
