//! Tells the kinds of datasets apart, and refuses keys that mean nothing for the kind that is declared.

use crate::settings::dataset::RawDataset;
use crate::settings::words::one_of;

/// Where the records of a dataset come from, and how they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Delimited files.
    Csv,
    /// Files of JSON documents, or of one document a line.
    Json,
    /// The same, as an API gives it.
    HttpJson,
}

const KINDS: [(&str, Kind); 3] =
    [("csv", Kind::Csv), ("json", Kind::Json), ("http_json", Kind::HttpJson)];

const OF_CSV: &[Kind] = &[Kind::Csv];
const OF_JSON: &[Kind] = &[Kind::Json, Kind::HttpJson];
const OF_API: &[Kind] = &[Kind::HttpJson];
const OF_FILES: &[Kind] = &[Kind::Csv, Kind::Json];

impl Kind {
    /// Reads `kind`, and refuses keys of the others.
    pub(super) fn of(raw: &RawDataset) -> Result<Self, String> {
        let kind = match &raw.kind {
            None => Self::Csv,
            Some(word) => one_of("kind", word, &KINDS)?,
        };
        for (key, is_given, kinds) in keys(raw) {
            if is_given && !kinds.contains(&kind) {
                let words: Vec<String> =
                    kinds.iter().map(|kind| format!("{:?}", kind.word())).collect();
                return Err(format!(
                    "{key} belongs to kind = {}, and this is {:?}: remove it, or write another kind",
                    words.join(" or "),
                    kind.word()
                ));
            }
        }
        Ok(kind)
    }

    fn word(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Json => "json",
            Self::HttpJson => "http_json",
        }
    }
}

/// Keys that not every kind has: whether they are written, and for which kinds they may be.
fn keys(raw: &RawDataset) -> [(&'static str, bool, &'static [Kind]); 30] {
    [
        ("files", !raw.files.is_empty(), OF_FILES),
        ("min_age", raw.min_age.is_some(), OF_FILES),
        ("max_expansion", raw.max_expansion.is_some(), OF_FILES),
        ("delimiter", raw.delimiter.is_some(), OF_CSV),
        ("other_delimiters", raw.other_delimiters.is_some(), OF_CSV),
        ("quote", raw.quote.is_some(), OF_CSV),
        ("escape", raw.escape.is_some(), OF_CSV),
        ("comment", raw.comment.is_some(), OF_CSV),
        ("terminator", raw.terminator.is_some(), OF_CSV),
        ("blank_lines", raw.blank_lines.is_some(), OF_CSV),
        ("stray_quotes", raw.stray_quotes.is_some(), OF_CSV),
        ("skip_initial_space", raw.skip_initial_space, OF_CSV),
        ("trailing_delimiter", raw.trailing_delimiter, OF_CSV),
        ("max_field", raw.max_field.is_some(), OF_CSV),
        ("encoding", raw.encoding.is_some(), OF_CSV),
        ("skip_rows", raw.skip_rows > 0, OF_CSV),
        ("header", raw.header.is_some(), OF_CSV),
        ("skip_footer", raw.skip_footer > 0, OF_CSV),
        ("ragged", raw.ragged.is_some(), OF_CSV),
        ("format", raw.format.is_some(), OF_JSON),
        ("records", raw.records.is_some(), OF_JSON),
        ("url", raw.url.is_some(), OF_API),
        ("method", raw.method.is_some(), OF_API),
        ("body", raw.body.is_some(), OF_API),
        ("parameters", !raw.parameters.is_empty(), OF_API),
        ("headers", !raw.headers.is_empty(), OF_API),
        ("ca_file", raw.ca_file.is_some(), OF_API),
        ("pages", raw.pages.is_some(), OF_API),
        ("incremental", raw.incremental.is_some(), OF_API),
        ("http", raw.http.is_some(), OF_API),
    ]
}
