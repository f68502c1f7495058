//! Turns a file that nobody has declared yet into a `[[dataset]]` for `server.toml`, and what it rests on.
//!
//! Invariants: the text that comes out is valid TOML; unless they are asked
//! for, no value of the file is in it, only names of columns and shapes of values.

mod booleans;
mod column;
mod detect_encoding;
pub(crate) mod dialect_text;
mod distinct;
mod fit;
mod header;
mod infer;
mod json;
mod mask;
mod number_shape;
mod numbers;
mod personal;
mod render;
mod render_columns;
mod sniff;
mod survey;
#[cfg(test)]
mod tests;
mod times;
pub(crate) mod toml_text;
mod trial;

use std::io::Read as _;
use std::path::Path;

use ferry::wire::COLUMNS_MAX;

use crate::catalog::open_file::OpenFile;
use crate::cli::InspectRequest;
use crate::delimited::{Layout, Ragged};
use crate::error::RequestError;
use crate::output::Progress;
use column::Probes;
use header::HeaderGiven;
use infer::Choice;
use render::Report;
use sniff::Given;
use survey::EXPANSION_MAX;
use trial::Sample;

/// Encoding, dialect and header are looked for in so many bytes.
const HEAD_BYTES: u64 = 1024 * 1024;
const NO_TEXT: &str = "it is no text, by the many control characters in it: export it as CSV, or \
     say --encoding if it is text";
const JSON: &str = "it is JSON: declare it with kind = \"json\", and format = \"ndjson\" if \
     each line is a record, or say --delimiter";

/// Why a file cannot be inspected.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InspectError {
    #[error("{path} is not a file on disk: name a single one, no folder and no pipe")]
    NoFile { path: String },
    #[error("{path} is empty: there is nothing to find in it")]
    Empty { path: String },
    #[error("{path} has no record: there is nothing to find in it")]
    NoRecord { path: String },
    #[error("{path} cannot be inspected: {problem}")]
    Unusable { path: String, problem: String },
    #[error(transparent)]
    Unreadable(#[from] RequestError),
    #[error("unexpected: {0}")]
    Unexpected(String),
}

impl InspectError {
    /// Whether the file named on the command line is at fault.
    pub(crate) fn is_of_usage(&self) -> bool {
        !matches!(self, Self::Unexpected(_))
    }
}

/// Inspects a file; the text is TOML.
pub(crate) fn act(request: &InspectRequest) -> Result<String, InspectError> {
    let path = request.file.display().to_string();
    let file = open(&request.file, &path)?;
    let (head, is_whole) = read_head(&file, &path)?;
    let unusable = |problem| InspectError::Unusable { path: path.clone(), problem };
    let encoding = detect_encoding::detect(&head, request.encoding).map_err(unusable)?;
    let text = detect_encoding::text_of(&head, &encoding);
    if request.delimiter.is_none() && detect_encoding::is_no_text(&text) {
        return Err(unusable(NO_TEXT.to_owned()));
    }
    if request.delimiter.is_none() && json::looks_like_json(&text) {
        return Err(unusable(JSON.to_owned()));
    }
    let sample = Sample { text: &text, is_whole };
    let given = Given { delimiter: request.delimiter.as_ref(), quote: request.quote };
    let sniffed = sniff::sniff(sample, given)?;
    let header_given = if request.no_header { HeaderGiven::Absent } else { HeaderGiven::Unknown };
    let header = header::detect(sample, &sniffed.dialect, sniffed.skip_rows, header_given)
        .ok_or_else(|| InspectError::NoRecord { path: path.clone() })?;
    let columns = header.names.len();
    if columns == 0 {
        return Err(unusable(
            "the fields of its first record cannot be told apart: say --quote and --delimiter"
                .to_owned(),
        ));
    }
    if columns > COLUMNS_MAX {
        return Err(unusable(format!(
            "its first record has {columns} fields, more than {COLUMNS_MAX}: say --delimiter"
        )));
    }

    let layout = Layout {
        dialect: sniffed.dialect.clone(),
        encoding: encoding.encoding,
        skip_rows: sniffed.skip_rows,
        header_rows: u32::from(header.is_there),
        names: header.are_made_up.then(|| header.names.clone()),
        skip_footer: 0,
        ragged: Ragged::Refuse,
        other_delimiters: Vec::new(),
    };
    let mut probes = Probes::new();
    let bytes_max = request.sample.map_or(u64::MAX, |sample| sample.0);
    let mut progress = Progress::new();
    let mut survey =
        survey::survey(&file, &layout, bytes_max, &mut probes, &mut |bytes| progress.tell(bytes))?;
    progress.end();
    let choices: Vec<Choice> =
        survey.columns.iter_mut().map(|column| infer::choose(column, &probes)).collect();
    Ok(render::render(&Report {
        request,
        file: &file,
        encoding: &encoding,
        sniffed: &sniffed,
        header: &header,
        survey: &survey,
        choices: &choices,
    }))
}

fn open(file: &Path, path: &str) -> Result<OpenFile, InspectError> {
    let unreadable = |source| RequestError::FileUnreadable { file: path.to_owned(), source };
    let metadata = std::fs::metadata(file).map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(InspectError::NoFile { path: path.to_owned() });
    }
    if metadata.len() == 0 {
        return Err(InspectError::Empty { path: path.to_owned() });
    }
    Ok(OpenFile::open(path, file)?)
}

/// The first bytes of the content, and whether they are all of it.
fn read_head(file: &OpenFile, path: &str) -> Result<(Vec<u8>, bool), InspectError> {
    let content = file.content(0, file.stamp.size_bytes, EXPANSION_MAX)?;
    let mut head = Vec::new();
    let outcome = content.take(HEAD_BYTES + 1).read_to_end(&mut head);
    match outcome {
        // What lies before damage in an archive can be looked at.
        Err(source) if head.is_empty() => {
            return Err(RequestError::FileUnreadable { file: path.to_owned(), source }.into());
        }
        Ok(_) | Err(_) => {}
    }
    if head.is_empty() {
        return Err(InspectError::Empty { path: path.to_owned() });
    }
    let head_bytes = usize::try_from(HEAD_BYTES).unwrap_or(usize::MAX);
    let is_whole = outcome.is_ok() && head.len() <= head_bytes;
    head.truncate(head_bytes);
    Ok((head, is_whole))
}
