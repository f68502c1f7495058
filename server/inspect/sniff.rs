//! Turns the beginning of a file into its dialect: whichever gives the most records of the same number of fields.
//!
//! What it finds is a proposal: the numbers that it rests on are told with it.

use memchr::{memchr_iter, memchr2, memmem};

use super::InspectError;
use super::trial::{Sample, Seen, Trial};
use crate::cli::QuoteChoice;
use crate::delimited::{Delimiter, Dialect, Escape};

/// What may stand between fields, and how much it counts in thousandths: what
/// stands in texts and times as well counts less. Of equals the first is taken.
const DELIMITERS: [(&str, u64); 27] = [
    ("~|~", 1000),
    ("^|^", 1000),
    ("|~|", 1000),
    ("|^|", 1000),
    ("|#|", 1000),
    ("|@|", 1000),
    ("\t|\t", 1000),
    ("||", 1000),
    ("@@", 980),
    ("<>", 980),
    ("::", 980),
    (",", 1000),
    (";", 1000),
    ("\t", 1000),
    ("|", 1000),
    ("\u{1F}", 1000),
    ("\u{1E}", 1000),
    ("\u{1D}", 1000),
    ("\u{1C}", 1000),
    ("\u{1}", 1000),
    ("~", 950),
    ("^", 950),
    ("§", 900),
    ("¬", 900),
    ("¦", 900),
    (":", 900),
    (" ", 800),
];
/// Delimiters that a file of one column may be given, if they do not occur in it.
const UNUSED: [&str; 5] = [",", ";", "\t", "|", "\u{1F}"];
/// What counts less stands in the first record too, or parts nothing.
const FIRM_WEIGHT: u64 = 950;
/// Below so many thousandths there is one column.
const SCORE_MIN: u64 = 500;
/// Lines before the header that may be skipped.
const PREAMBLE_RECORDS_MAX: usize = 20;

/// What the command line says about the dialect.
#[derive(Debug, Clone, Copy)]
pub(super) struct Given<'a> {
    pub(super) delimiter: Option<&'a Delimiter>,
    pub(super) quote: Option<QuoteChoice>,
}

/// A dialect, and what speaks for it.
pub(super) struct Sniffed {
    pub(super) dialect: Dialect,
    /// Lines before the header.
    pub(super) skip_rows: u32,
    pub(super) field_count: usize,
    pub(super) records: usize,
    pub(super) matching: u64,
    /// The next best delimiter and its records of the same number of fields.
    pub(super) next_best: Option<(Delimiter, u64)>,
}

/// Finds the dialect.
pub(super) fn sniff(sample: Sample<'_>, given: Given<'_>) -> Result<Sniffed, InspectError> {
    let Some((named, line_end)) = named_delimiter(sample.text) else {
        return sniff_records(sample, given);
    };
    let sample = Sample { text: &sample.text[line_end..], ..sample };
    let given = Given { delimiter: given.delimiter.or(Some(&named)), ..given };
    let sniffed = sniff_records(sample, given)?;
    Ok(Sniffed { skip_rows: sniffed.skip_rows + 1, ..sniffed })
}

/// What a first line such as `sep=;` says, which Excel writes and reads, and where it ends.
///
/// Other programs put it in quotes, as they do with every field.
fn named_delimiter(text: &[u8]) -> Option<(Delimiter, usize)> {
    const KEY: &[u8] = b"sep=";
    let end = memchr2(b'\r', b'\n', text)?;
    let line = &text[..end];
    let bare = line.strip_prefix(b"\"").and_then(|line| line.strip_suffix(b"\""));
    let (key, delimiter) = bare.unwrap_or(line).split_at_checked(KEY.len())?;
    if !key.eq_ignore_ascii_case(KEY) {
        return None;
    }
    let delimiter = std::str::from_utf8(delimiter).ok()?.parse().ok()?;
    let line_end = if text[end..].starts_with(b"\r\n") { end + 2 } else { end + 1 };
    Some((delimiter, line_end))
}

fn sniff_records(sample: Sample<'_>, given: Given<'_>) -> Result<Sniffed, InspectError> {
    let mut found = try_delimiters(sample, given)?;
    let mut dialect = found.dialect;
    if has_comments(sample.text, &found.trial) {
        "#".clone_into(&mut dialect.comment);
        found.trial = Trial::run(sample, &dialect);
    }
    if has_trailing_delimiter(&found.trial) {
        dialect.has_trailing_delimiter = true;
        found.trial = Trial::run(sample, &dialect);
    }
    let skip_rows = preamble_lines(sample.text, &found.trial);
    let skipped = if skip_rows > 0 { first_matching(&found.trial).unwrap_or(0) } else { 0 };
    Ok(Sniffed {
        dialect,
        skip_rows,
        field_count: found.trial.field_count,
        records: found.trial.records.len() - skipped,
        matching: found.trial.matching,
        next_best: found.next_best,
    })
}

struct Found {
    dialect: Dialect,
    trial: Trial,
    next_best: Option<(Delimiter, u64)>,
}

fn try_delimiters(sample: Sample<'_>, given: Given<'_>) -> Result<Found, InspectError> {
    let mut best: Option<(u64, Dialect, Trial)> = None;
    let mut next: Option<(u64, Delimiter, u64)> = None;
    for (delimiter, weight) in delimiters(sample.text, given)? {
        let (dialect, trial) = best_of_delimiter(sample, &delimiter, given.quote);
        if weight < FIRM_WEIGHT && !parts_first_record(&trial) {
            continue;
        }
        // What stands between two of its characters would be a field.
        let is_part_of_best = best.as_ref().is_some_and(|(_, known, before)| {
            let known = known.delimiter.as_bytes();
            let is_part = memmem::find(known, delimiter.as_bytes()).is_some();
            is_part && before.field_count > 1 && before.matching >= trial.matching
        });
        if is_part_of_best {
            continue;
        }
        let score = trial.score() * weight / 1000;
        let loser = match &best {
            Some((known, _, _)) if *known >= score => Some((score, delimiter, trial.matching)),
            _ => {
                let before = best.replace((score, dialect, trial));
                before.map(|(score, dialect, trial)| (score, dialect.delimiter, trial.matching))
            }
        };
        if let Some(loser) = loser
            && next.as_ref().is_none_or(|known| loser.0 > known.0)
        {
            next = Some(loser);
        }
    }
    let next_best = next.map(|(_, delimiter, matching)| (delimiter, matching));
    if let Some((score, dialect, trial)) = best
        && (score >= SCORE_MIN || given.delimiter.is_some())
    {
        return Ok(Found { dialect, trial, next_best });
    }
    one_column(sample, given)
}

/// A file of one column, which nothing takes apart.
fn one_column(sample: Sample<'_>, given: Given<'_>) -> Result<Found, InspectError> {
    let is_unused = |text: &&&str| memmem::find(sample.text, text.as_bytes()).is_none();
    let unused = UNUSED.iter().find(is_unused).copied().unwrap_or(",");
    let delimiter: Delimiter = unused.parse().map_err(InspectError::Unexpected)?;
    let (dialect, mut trial) = best_of_delimiter(sample, &delimiter, given.quote);
    trial.field_count = 1;
    trial.matching = trial.records.iter().filter(|seen| trial.is_matching(seen)).count() as u64;
    Ok(Found { dialect, trial, next_best: None })
}

fn delimiters(text: &[u8], given: Given<'_>) -> Result<Vec<(Delimiter, u64)>, InspectError> {
    if let Some(delimiter) = given.delimiter {
        return Ok(vec![(delimiter.clone(), 1000)]);
    }
    let mut candidates = Vec::new();
    for (delimiter, weight) in DELIMITERS {
        if memmem::find(text, delimiter.as_bytes()).is_some()
            && !(delimiter == ":" && has_colons_of_values(text))
        {
            let delimiter: Delimiter = delimiter.parse().map_err(InspectError::Unexpected)?;
            candidates.push((delimiter, weight));
        }
    }
    Ok(candidates)
}

/// Whether most colons stand in times of day or in addresses of the web, and
/// none parts the names of the first line.
fn has_colons_of_values(text: &[u8]) -> bool {
    let first_line = &text[..memchr2(b'\r', b'\n', text).unwrap_or(text.len())];
    let (of_first_line, of_its_values) = count_colons(first_line);
    let parts_names = of_first_line > 0 && of_its_values == 0;
    let (colons, of_values) = count_colons(text);
    !parts_names && of_values * 2 > colons
}

/// Number of colons in a text, and of those in times of day or in addresses of the web.
fn count_colons(text: &[u8]) -> (usize, usize) {
    let (mut colons, mut of_values) = (0, 0);
    for at in memchr_iter(b':', text) {
        let before = text[..at].last().copied();
        let is_of_value = match &text[at + 1..] {
            [b'/', b'/', ..] => true,
            [b'0'..=b'5', b'0'..=b'9', rest @ ..] => {
                let is_end = rest.first().is_none_or(|byte| !byte.is_ascii_digit());
                is_end && before.is_some_and(|byte| byte.is_ascii_digit())
            }
            _ => false,
        };
        colons += 1;
        of_values += usize::from(is_of_value);
    }
    (colons, of_values)
}

/// Whether the first record that is no comment is one of those that fit.
fn parts_first_record(trial: &Trial) -> bool {
    let first = trial.records.iter().find(|seen| !seen.begins_with_hash);
    first.is_some_and(|seen| trial.is_matching(seen))
}

/// The best of the dialects with one delimiter; of equals the plainest.
fn best_of_delimiter(
    sample: Sample<'_>,
    delimiter: &Delimiter,
    given: Option<QuoteChoice>,
) -> (Dialect, Trial) {
    let plain = Dialect { delimiter: delimiter.clone(), ..Dialect::default() };
    let mut best: Option<(Dialect, Trial)> = None;
    let mut are_quotes_sound = false;
    for quote in quotes(sample.text, given) {
        // Quotes that enclose fields everywhere are no text.
        if quote.is_none() && are_quotes_sound {
            continue;
        }
        let escape = if quote.is_some() { Escape::Doubled } else { Escape::None };
        let dialect = Dialect { quote, escape, ..plain.clone() };
        for dialect in variants(sample.text, &dialect) {
            let trial = Trial::run(sample, &dialect);
            are_quotes_sound |= quote == Some(b'"') && !trial.has_damage();
            let is_better = match &best {
                None => true,
                Some((known, before)) if dialect.skips_spaces && known.quote == quote => {
                    let is_equal = trial.score() == before.score();
                    trial.score() > before.score() || (is_equal && before.is_spaced())
                }
                Some((_, before)) => trial.score() > before.score(),
            };
            if is_better {
                best = Some((dialect, trial));
            }
        }
    }
    best.unwrap_or_else(|| {
        let trial = Trial::run(sample, &plain);
        (plain, trial)
    })
}

fn quotes(text: &[u8], given: Option<QuoteChoice>) -> Vec<Option<u8>> {
    if let Some(QuoteChoice(quote)) = given {
        return vec![quote];
    }
    let mut quotes = vec![Some(b'"')];
    if text.contains(&b'\'') {
        quotes.push(Some(b'\''));
    }
    if text.contains(&b'"') {
        quotes.push(None);
    }
    quotes
}

/// The dialect itself, and what the text gives reason to try: escapes, and spaces before fields.
fn variants(text: &[u8], dialect: &Dialect) -> Vec<Dialect> {
    let mut variants = vec![dialect.clone()];
    if let Some(quote) = dialect.quote
        && memmem::find(text, &[b'\\', quote]).is_some()
    {
        variants.push(Dialect { escape: Escape::Byte(b'\\'), ..dialect.clone() });
    }
    let spaced = [dialect.delimiter.as_bytes(), b" "].concat();
    let may_be_spaced = !dialect.delimiter.as_bytes().contains(&b' ');
    if may_be_spaced && memmem::find(text, &spaced).is_some() {
        let skipping: Vec<Dialect> = variants
            .iter()
            .map(|variant| Dialect { skips_spaces: true, ..variant.clone() })
            .collect();
        variants.extend(skipping);
    }
    variants
}

/// Whether lines with a `#` in front are no records.
///
/// By chance some may have as many fields as records have: a file that begins
/// with one that has not, and a space behind the `#` of the others, tell that.
fn has_comments(text: &[u8], trial: &Trial) -> bool {
    let hashed: Vec<_> = trial.records.iter().filter(|seen| seen.begins_with_hash).collect();
    let Some(first) = hashed.first() else {
        return false;
    };
    let begins_the_file = first.byte_start == trial.records[0].byte_start;
    let may_match = begins_the_file && !trial.is_matching(first);
    let is_comment = |seen: &Seen| {
        let is_spaced = || text.get(seen.byte_start..).is_some_and(|line| line.starts_with(b"# "));
        !trial.is_matching(seen) || (may_match && is_spaced())
    };
    trial.field_count > 1 && hashed.into_iter().all(is_comment)
}

/// Whether every record ends with a delimiter, and the header with it or without.
fn has_trailing_delimiter(trial: &Trial) -> bool {
    let Some(first) = trial.records.first() else {
        return false;
    };
    let matching: Vec<_> = trial.records.iter().filter(|seen| trial.is_matching(seen)).collect();
    let all_end_empty = matching.iter().all(|seen| seen.ends_with_empty);
    let is_header_shorter = first.fields + 1 == trial.field_count;
    trial.field_count > 1
        && matching.len() > 1
        && all_end_empty
        && (first.fields == trial.field_count || is_header_shorter)
}

/// Lines before the first record that fits, if they look like no header.
fn preamble_lines(text: &[u8], trial: &Trial) -> u32 {
    let Some(first) = first_matching(trial).filter(|first| *first <= PREAMBLE_RECORDS_MAX) else {
        return 0;
    };
    let is_short = |fields: usize| fields <= 1 || fields * 2 <= trial.field_count;
    let are_short =
        trial.records[..first].iter().all(|seen| seen.is_damaged || is_short(seen.fields));
    if first == 0 || !are_short || trial.field_count < 2 {
        return 0;
    }
    line_count(&text[..trial.records[first].byte_start.min(text.len())])
}

fn first_matching(trial: &Trial) -> Option<usize> {
    trial.records.iter().position(|seen| trial.is_matching(seen))
}

/// Lines that end in a text.
fn line_count(text: &[u8]) -> u32 {
    let mut lines = 0;
    for (index, byte) in text.iter().enumerate() {
        let is_second_half = *byte == b'\n' && index > 0 && text[index - 1] == b'\r';
        lines += u32::from(matches!(byte, b'\r' | b'\n') && !is_second_half);
    }
    lines
}

#[cfg(test)]
mod tests;
