//! Finds records by their quotes and line ends alone, as long as these leave no doubt.
//!
//! That is enough for most of most files, and several times as fast as to look
//! at the fields: a quote opens a field if it is the first byte of a record or
//! follows a delimiter outside quotes, and one right behind a closing quote was
//! a literal and opens again.

use memchr::{memchr2_iter, memchr3_iter};

use super::Dialect;
use super::dialect::{BlankLines, Escape, StrayQuotes, Terminator};

/// What must be known of a dialect.
#[derive(Debug)]
pub(super) struct Glance {
    delimiter: u8,
    quote: Option<u8>,
    comment: Vec<u8>,
    blank_lines: BlankLines,
    stray_quotes: StrayQuotes,
    record_bytes_max: usize,
}

/// A record that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) start: usize,
    /// Place before its terminator.
    pub(super) content_end: usize,
    pub(super) end: usize,
}

impl Glance {
    /// `None` for dialects whose records are not found that way.
    pub(super) fn new(dialect: &Dialect) -> Option<Self> {
        let is_plain = match dialect.quote {
            Some(_) => dialect.escape == Escape::Doubled,
            None => !matches!(dialect.escape, Escape::Byte(_)),
        };
        if !is_plain || dialect.skips_spaces || dialect.terminator != Terminator::Any {
            return None;
        }
        Some(Self {
            delimiter: dialect.delimiter.single()?,
            quote: dialect.quote,
            comment: dialect.comment.as_bytes().to_vec(),
            blank_lines: dialect.blank_lines,
            stray_quotes: dialect.stray_quotes,
            record_bytes_max: dialect.record_bytes_max,
        })
    }

    /// Hands over the records of a text from `start` on, up to one that leaves
    /// doubt, spans lines, or is not whole; returns where that one begins.
    pub(super) fn pass(&self, text: &[u8], start: usize, mut take: impl FnMut(Seen)) -> usize {
        if self.may_be_comment(text, start) {
            return start;
        }
        let rest = &text[start..];
        match self.quote {
            Some(quote) => self.walk(text, start, memchr3_iter(quote, b'\n', b'\r', rest), take),
            None => self.walk(text, start, memchr2_iter(b'\n', b'\r', rest), &mut take),
        }
    }

    #[inline]
    fn walk(
        &self,
        text: &[u8],
        start: usize,
        found: impl Iterator<Item = usize>,
        mut take: impl FnMut(Seen),
    ) -> usize {
        let mut record_start = start;
        let mut is_quoted = false;
        let mut closed_at = usize::MAX;
        for index in found {
            let at = start + index;
            // The second half of a CRLF.
            if at < record_start {
                continue;
            }
            if Some(text[at]) == self.quote {
                if is_quoted {
                    if !self.may_close(text, at) {
                        return record_start;
                    }
                    closed_at = at + 1;
                    is_quoted = false;
                } else {
                    let begins_field = at == record_start || text[at - 1] == self.delimiter;
                    is_quoted = begins_field || at == closed_at;
                }
                continue;
            }
            let end = match (text[at], text.get(at + 1)) {
                (b'\r', None) => return record_start,
                (b'\r', Some(b'\n')) => at + 2,
                _ => at + 1,
            };
            if is_quoted || end - record_start > self.record_bytes_max {
                return record_start;
            }
            if at > record_start {
                take(Seen { start: record_start, content_end: at, end });
            } else if self.blank_lines == BlankLines::Row {
                return record_start;
            }
            record_start = end;
            if self.may_be_comment(text, record_start) {
                return record_start;
            }
        }
        record_start
    }

    /// Whether what follows a quote lets it be the end of its field, or half of a literal one.
    #[inline]
    fn may_close(&self, text: &[u8], at: usize) -> bool {
        match text.get(at + 1).copied() {
            None => false,
            Some(b'\n' | b'\r') => true,
            Some(next) => {
                next == self.delimiter
                    || Some(next) == self.quote
                    || self.stray_quotes == StrayQuotes::Keep
            }
        }
    }

    #[inline]
    fn may_be_comment(&self, text: &[u8], at: usize) -> bool {
        !self.comment.is_empty() && {
            let rest = &text[at..];
            rest.starts_with(&self.comment) || self.comment.starts_with(rest)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pass(dialect: &Dialect, text: &[u8]) -> (Vec<(usize, usize)>, usize) {
        let glance = Glance::new(dialect).expect("it is known");
        let mut seen = Vec::new();
        let end = glance.pass(text, 0, |record| seen.push((record.start, record.end)));
        (seen, end)
    }

    #[test]
    fn records_end_at_line_ends_outside_quotes() {
        let dialect = Dialect::default();
        assert_eq!(pass(&dialect, b"a,\"b\"\r\n\nc\"d\ne"), (vec![(0, 7), (8, 12)], 12));
        assert_eq!(pass(&dialect, b"\"\",\"\"\"\"\na"), (vec![(0, 8)], 8));
        assert_eq!(pass(&dialect, b"a\r"), (vec![], 0));
    }

    #[test]
    fn what_leaves_doubt_is_left() {
        let dialect = Dialect::default();
        assert_eq!(pass(&dialect, b"a\n\"b\nc\"\nd\n"), (vec![(0, 2)], 2));
        assert_eq!(pass(&dialect, b"a\n\"b\"c\nd\n"), (vec![(0, 2)], 2));
        let comment = Dialect { comment: "#".to_owned(), ..Dialect::default() };
        assert_eq!(pass(&comment, b"a\n#b\nc\n"), (vec![(0, 2)], 2));
    }
}
