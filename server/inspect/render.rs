//! Turns what was found in a file into a `[[dataset]]` of `server.toml`, with what it rests on as comments.
//!
//! Invariant: the same findings give the same text, and every line of it is TOML.

use std::path::{Component, Path};

use encoding_rs::UTF_8;
use ferry::host::settings::ByteSize;
use ferry::reject::Code;

use super::detect_encoding::FoundEncoding;
use super::dialect_text::{special_dialect, text_of};
use super::header::FoundHeader;
use super::infer::Choice;
use super::personal::is_personal;
use super::render_columns::{declarations, describe};
use super::sniff::Sniffed;
use super::survey::{Misfit, Survey};
use super::toml_text::{key, string, strings};
use crate::catalog::dataset::DatasetName;
use crate::catalog::open_file::OpenFile;
use crate::cli::InspectRequest;
use crate::delimited::Escape;

/// Endings that are no part of a dataset's name.
const ENDINGS: [&str; 9] = [".gz", ".zst", ".zstd", ".csv", ".tsv", ".tab", ".psv", ".txt", ".dat"];
/// Where a file's name holds nothing that can name a dataset.
const NAME_DEFAULT: &str = "dataset";
const NAME_BYTES_MAX: usize = 64;
/// More records at the end that do not fit are no footer.
const FOOTER_RECORDS_MAX: u64 = 5;

/// All that was found.
pub(super) struct Report<'a> {
    pub(super) request: &'a InspectRequest,
    pub(super) file: &'a OpenFile,
    pub(super) encoding: &'a FoundEncoding,
    pub(super) sniffed: &'a Sniffed,
    pub(super) header: &'a FoundHeader,
    pub(super) survey: &'a Survey,
    pub(super) choices: &'a [Choice],
}

/// The text for `server.toml`.
pub(super) fn render(report: &Report<'_>) -> String {
    let mut lines = dataset(report);
    lines.push(String::new());
    lines.extend(evidence(report));
    lines.push("#".to_owned());
    lines.push("# Columns:".to_owned());
    lines.extend(describe(report));
    lines.push("#".to_owned());
    lines.extend(misfits(report));
    let personal: Vec<String> =
        report.survey.names.iter().filter(|name| is_personal(name)).map(|name| key(name)).collect();
    if !personal.is_empty() {
        lines.push("#".to_owned());
        lines.push(format!("# Personal data, by their names: {}", personal.join(", ")));
        lines.push("#   Let job.toml hash them (pii = \"hash\"), or leave them out.".to_owned());
    }
    lines.push(String::new());
    lines.join("\n")
}

fn dataset(report: &Report<'_>) -> Vec<String> {
    let Report { request, encoding, sniffed, header, .. } = report;
    let mut lines = vec!["[[dataset]]".to_owned()];
    let name = match &request.name {
        Some(name) => name.to_string(),
        None => dataset_name(&request.file),
    };
    lines.push(format!("name = {}", string(&name)));
    let pattern = pattern(&request.file);
    lines.push(format!("files = {} # below the folder of server.toml", strings([&*pattern])));
    if encoding.encoding != UTF_8 {
        let label = encoding.encoding.name().to_ascii_lowercase();
        lines.push(format!("encoding = {}", string(&label)));
    }
    lines.extend(special_dialect(&sniffed.dialect));
    if sniffed.skip_rows > 0 {
        lines.push(format!("skip_rows = {}", sniffed.skip_rows));
    }
    if !header.is_there {
        lines.push("header = false".to_owned());
    }
    lines.extend(declarations(&report.survey.names, report.choices, header.are_made_up));
    lines
}

fn evidence(report: &Report<'_>) -> Vec<String> {
    let Report { request, file, encoding, sniffed, header, survey, .. } = report;
    let size = ByteSize(file.stamp.size_bytes);
    let wrong = survey.misfit_count();
    let part = match request.sample {
        Some(sample) => format!("in the first {sample} of its content"),
        None => "in it".to_owned(),
    };
    let mut lines = vec![
        format!("# {}: {size}", string(&file_name(&request.file))),
        format!("#   records: {} {part}, {} of them fit", survey.records, survey.records - wrong),
        format!("#   compression: {}", compression(file)),
        format!(
            "#   encoding {}: {}",
            encoding.encoding.name().to_ascii_lowercase(),
            encoding.evidence
        ),
        format!("#   {}", delimiter_evidence(sniffed)),
        format!("#   quote: {}", quote_evidence(report)),
    ];
    let header_word = if header.is_there { "header" } else { "no header" };
    lines.push(format!("#   {header_word}: {}", header.evidence));
    lines
}

fn compression(file: &OpenFile) -> String {
    use crate::catalog::archive::Compression;

    match file.compression() {
        Compression::None => "none".to_owned(),
        compression => format!("{compression}, by its first bytes"),
    }
}

fn delimiter_evidence(sniffed: &Sniffed) -> String {
    let Sniffed { dialect, records, matching, field_count, next_best, .. } = sniffed;
    let delimiter = string(&dialect.delimiter.to_string());
    if *field_count == 1 {
        return format!("delimiter {delimiter}: nothing parts the records, so there is one column");
    }
    let next = match next_best {
        Some((next, count)) => {
            format!("; next best {}: {count} alike", string(&next.to_string()))
        }
        None => String::new(),
    };
    format!(
        "delimiter {delimiter}: {matching} of the first {records} records have {field_count} fields{next}"
    )
}

fn quote_evidence(report: &Report<'_>) -> String {
    let dialect = &report.sniffed.dialect;
    match (dialect.quote, dialect.escape) {
        (None, _) if report.request.quote.is_some() => "none, as given".to_owned(),
        (None, _) => "none, it would cut fields that hold one".to_owned(),
        (quote, Escape::Byte(byte)) => {
            let escape = string(&char::from(byte).to_string());
            format!("{}, with {escape} before it inside quotes", string(&text_of(quote)))
        }
        (quote, _) => string(&text_of(quote)),
    }
}

fn misfits(report: &Report<'_>) -> Vec<String> {
    let survey = report.survey;
    if survey.misfits.is_empty() && survey.broken.is_none() {
        let text = match (survey.records, report.request.sample) {
            (0, _) => "# There is no record to look at.",
            (_, None) => "# Every record fits.",
            (_, Some(_)) => "# Every record that was looked at fits.",
        };
        return vec![text.to_owned()];
    }
    let mut lines = Vec::new();
    if !survey.misfits.is_empty() {
        lines.push("# What does not fit, and goes to quarantine:".to_owned());
    }
    for misfit in &survey.misfits {
        lines.push(format!("#   {}: {}", misfit.code, places(misfit)));
        if let Some(hint) = hint(&misfit.code) {
            lines.push(format!("#     {hint}"));
        }
    }
    lines.extend(footer_hint(report));
    if let Some(problem) = &survey.broken {
        lines.push(format!("# Only a part was looked at: {}", one_line(problem)));
    }
    lines
}

/// A few records at the end that do not fit may be a footer.
fn footer_hint(report: &Report<'_>) -> Option<String> {
    let Survey { records, misfits_at_end, broken, .. } = report.survey;
    let is_end = broken.is_none() && report.request.sample.is_none();
    let may_be_footer = (1..=FOOTER_RECORDS_MAX).contains(misfits_at_end);
    (is_end && may_be_footer && misfits_at_end < records).then(|| match misfits_at_end {
        1 => "#   if the last record is no data: skip_footer = 1".to_owned(),
        count => format!("#   if the last {count} records are no data: skip_footer = {count}"),
    })
}

fn places(misfit: &Misfit) -> String {
    let shown: Vec<String> = misfit
        .places
        .iter()
        .map(|place| format!("row {} (byte {})", place.row_number, place.byte_start))
        .collect();
    let records = if misfit.count == 1 { "record" } else { "records" };
    let more = if misfit.count > misfit.places.len() as u64 { ", …" } else { "" };
    format!("{} {records}, {}{more}", misfit.count, shown.join(", "))
}

fn hint(code: &Code) -> Option<&'static str> {
    if *code == Code::TOO_FEW_FIELDS {
        Some("ragged = \"pad\" takes the fields that are missing as NULL")
    } else if *code == Code::STRAY_QUOTE {
        Some("stray_quotes = \"keep\" takes such quotes as text")
    } else if *code == Code::FIELD_TOO_LARGE {
        Some("max_field = \"2MiB\" takes fields up to that")
    } else if *code == Code::BAD_UTF8 || *code == Code::BAD_ENCODING {
        Some("if there are many, it is another encoding: try --encoding")
    } else {
        None
    }
}

fn one_line(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

/// The name alone: folders are nobody's business.
fn file_name(file: &Path) -> String {
    file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The file's name without its endings, in the letters that a dataset may have.
fn dataset_name(file: &Path) -> String {
    let name = file_name(file).to_lowercase();
    let mut stem = name.as_str();
    while let Some(shorter) = ENDINGS.iter().find_map(|ending| stem.strip_suffix(ending)) {
        stem = shorter;
    }
    let is_allowed = |character: char| {
        character.is_ascii_lowercase() || character.is_ascii_digit() || "_.-".contains(character)
    };
    let allowed: String = stem
        .chars()
        .map(|character| if is_allowed(character) { character } else { '_' })
        .take(NAME_BYTES_MAX)
        .collect();
    let trimmed = allowed.trim_matches(['_', '.', '-']);
    if trimmed.parse::<DatasetName>().is_ok() {
        trimmed.to_owned()
    } else {
        NAME_DEFAULT.to_owned()
    }
}

/// The pattern that matches the file alone: its path if that leads down, or else its name.
fn pattern(file: &Path) -> String {
    let is_below = file
        .components()
        .all(|component| matches!(component, Component::Normal(_) | Component::CurDir));
    let parts: Vec<String> = file
        .components()
        .filter_map(|component| match component {
            Component::Normal(part) => Some(part.to_string_lossy().into_owned()),
            _ => None,
        })
        .collect();
    let path = if is_below { parts.join("/") } else { parts.last().cloned().unwrap_or_default() };
    let mut pattern = String::with_capacity(path.len());
    for character in path.chars() {
        if "*?[]{}\\".contains(character) {
            pattern.push('[');
            pattern.push(character);
            pattern.push(']');
        } else {
            pattern.push(character);
        }
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_become_names_of_datasets() {
        let name = |file: &str| dataset_name(Path::new(file));
        assert_eq!(name("data/Customers 2024.csv.gz"), "customers_2024");
        assert_eq!(name("a.b.tsv"), "a.b");
        assert_eq!(name("Größe.csv"), "gr__e");
        assert_eq!(name("顧客.csv"), "dataset");
    }

    #[test]
    fn patterns_match_the_file_alone() {
        assert_eq!(pattern(Path::new("./data/a.csv")), "data/a.csv");
        assert_eq!(pattern(Path::new("/srv/data/a.csv")), "a.csv");
        assert_eq!(pattern(Path::new("../a[1].csv")), "a[[]1[]].csv");
    }
}
