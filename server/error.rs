//! What can go wrong: at start, with an exit code, and while a request is answered.
//!
//! Invariant: no text holds a value of a record or a path above a dataset's root.

use std::io;

use ferry::host::pem::PemError;
use ferry::host::settings::SettingsError;
use ferry::position::Position;
use ferry::wire::codec::CodecError;
use ferry::wire::convert::InvalidMessage;

use crate::delimited::DelimitedError;

/// Why the program could not start, or ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServerError {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Pem(#[from] PemError),
    #[error("the certificates of [tls] cannot be used: {0}")]
    Tls(String),
    #[error(
        "{problems} of the settings do not fit the files: see the lines that begin with \"error:\""
    )]
    Check { problems: usize },
    #[error("cannot listen on {address}: {source}; choose another address with --listen")]
    CannotListen { address: String, source: io::Error },
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
            Self::CannotListen { .. } => 3,
            Self::Runtime(_) | Self::Reflection(_) | Self::Transport(_) => 1,
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
    #[error(
        "file \"{file}\" has a record that is too long after {position}: look for a quote that is not closed"
    )]
    RecordTooLong { file: String, position: Position },
    #[error("the header of file \"{file}\" cannot be used: {problem}")]
    BadHeader { file: String, problem: String },
    #[error("\"{file}\" cannot be read: {source}")]
    FileUnreadable { file: String, source: io::Error },
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
        let file = file.to_owned();
        match error {
            DelimitedError::Io(source) => Self::FileUnreadable { file, source },
            DelimitedError::RecordTooLong { position } => Self::RecordTooLong { file, position },
            DelimitedError::BadHeader(problem) => Self::BadHeader { file, problem },
            DelimitedError::MissingColumn { column, nearest } => {
                let hint = hint(nearest.as_deref());
                Self::ColumnNotInFile { file, column, hint }
            }
            DelimitedError::RowCountDiffers { expected, found } => {
                Self::RowCountDiffers { file, expected, found }
            }
            DelimitedError::Arrow(error) => Self::Internal(error.to_string()),
        }
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
