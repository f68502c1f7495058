//! Finds where the next record ends, also where its quotes do not say so.
//!
//! A quote that is missing, or one too many, could turn the rest of a file into
//! one field. So where quotes leave doubt, lines decide: the record ends at the
//! first line end behind which right records begin, ones with as many fields as
//! there are columns.
//!
//! Invariant: where a record ends depends on the text from its start forward,
//! at most one longest record of it, and on nothing that was read before. So
//! whoever begins at a record finds the same ones.

use memchr::{memchr2, memmem};

use super::Dialect;
use super::damage::Damage;
use super::dialect::BlankLines;
use super::fields::Span;
use super::scan::{Doubt, Extent, LineEnd, Scanned, Scanner, Text};

/// Lines that a damaged record may take.
const LINES_MAX: usize = 64;
/// Right records that must follow a damaged one.
const WITNESSES: usize = 3;
/// Right records inside a record that show that it is none.
const INNER_WITNESSES: usize = 2;

/// What was found of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framed {
    Record(Frame),
    /// It is longer than a record may be: skip it.
    TooLong,
    /// There is too little text.
    More,
}

/// Where a record lies, from the place where it was looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    /// Place after its last byte, without terminator.
    pub(super) content_end: usize,
    /// Place after its terminator.
    pub(super) end: usize,
    /// What is wrong with it.
    pub(super) damage: Option<Damage>,
    /// Whether a field must be rewritten to be read.
    pub(super) has_escapes: bool,
    /// Whether more text could move its end.
    pub(super) is_open: bool,
}

/// Finds records.
#[derive(Debug)]
pub(super) struct Framer {
    scanner: Scanner,
    /// Fields of a right record; `None` while that is not known.
    field_count: Option<usize>,
    /// Fields of the record found last; none where they cannot be told apart.
    fields: Vec<Span>,
    /// Fields of records that are only looked at.
    tried: Vec<Span>,
}

/// Whether right records follow.
enum Verdict {
    Yes {
        /// Whether the end of the text helped to tell.
        is_open: bool,
    },
    No,
    More,
}

/// The rest of a line.
enum Line {
    /// It ends before `content_end`, and the next one begins at `next`.
    Ended { content_end: usize, next: usize },
    /// The text ends first.
    Open,
    /// There is too little text.
    More,
}

impl Framer {
    pub(super) fn new(dialect: &Dialect, field_count: Option<usize>) -> Self {
        let scanner = Scanner::new(dialect);
        Self { scanner, field_count, fields: Vec::new(), tried: Vec::new() }
    }

    pub(super) fn dialect(&self) -> &Dialect {
        self.scanner.dialect()
    }

    pub(super) fn fields(&self) -> &[Span] {
        &self.fields
    }

    /// Writes what fields with escapes say behind `rewritten`.
    #[cold]
    pub(super) fn rewrite_fields(&mut self, text: &[u8], rewritten: &mut Vec<u8>) {
        for span in &mut self.fields {
            span.rewrite(text, self.scanner.dialect(), rewritten);
        }
    }

    /// To be told whenever text was moved or added.
    pub(super) fn forget(&mut self) {
        self.scanner.forget();
    }

    /// What the byte at `at` ends.
    #[inline]
    pub(super) fn line_end(&self, text: Text<'_>, at: usize) -> LineEnd {
        self.scanner.line_end(text, at)
    }

    /// Finds the record at `start`, where there is one.
    #[inline]
    pub(super) fn frame(&mut self, text: Text<'_>, start: usize) -> Framed {
        let bytes_max = self.dialect().record_bytes_max;
        let length = text.bytes.len().min(start + bytes_max + 1);
        // What follows the longest record does not count, not even the end.
        let is_cut = length == start + bytes_max + 1;
        let text = Text { bytes: &text.bytes[..length], is_whole: text.is_whole && !is_cut };
        match self.scanner.scan(text, start, &mut self.fields) {
            Scanned::Record(extent) if extent.end - start > bytes_max => Framed::TooLong,
            Scanned::Record(extent) => {
                if extent.spans_lines
                    && self.field_count.is_some_and(|count| count != self.fields.len())
                    && let Some(frame) = self.first_line(text, start, extent)
                {
                    return Framed::Record(frame);
                }
                Framed::Record(whole(text, extent))
            }
            Scanned::Doubtful(doubt) => self.recover(text, start, doubt, is_cut),
            Scanned::More if is_cut => self.recover_too_long(text, start),
            Scanned::More => Framed::More,
        }
    }

    /// The first line of a record over several lines, if those behind it are
    /// right records: then its quote was one too many.
    #[cold]
    fn first_line(&mut self, text: Text<'_>, start: usize, extent: Extent) -> Option<Frame> {
        let count = self.field_count?;
        // Records inside end where it ends, or they are none.
        let inside = Text { bytes: &text.bytes[..extent.end], is_whole: true };
        let Line::Ended { content_end, next } = self.line(inside, start) else {
            return None;
        };
        let mut at = next;
        for _ in 0..INNER_WITNESSES {
            let LineEnd::At(record) = self.next_record(inside, at) else {
                return None;
            };
            at = self.right_record(inside, record, count)?;
        }
        self.fields.clear();
        let is_open = whole(text, extent).is_open;
        Some(damaged(content_end, next, Damage::UnclosedQuote, is_open))
    }

    /// Where a record ends whose quotes leave doubt.
    #[cold]
    fn recover(&mut self, text: Text<'_>, start: usize, doubt: Doubt, is_cut: bool) -> Framed {
        let (damage, is_open) = match doubt {
            Doubt::Unclosed => (Damage::UnclosedQuote, true),
            Doubt::Garbage => (Damage::StrayQuote, false),
        };
        self.fields.clear();
        self.end_of_damaged(text, start, damage, is_open, is_cut)
    }

    /// A record that has not ended where the longest one would.
    #[cold]
    fn recover_too_long(&mut self, text: Text<'_>, start: usize) -> Framed {
        self.fields.clear();
        match self.end_before_right_records(text, start, Damage::UnclosedQuote, false, true) {
            Ok(Framed::Record(frame)) if frame.end < text.bytes.len() => Framed::Record(frame),
            _ => Framed::TooLong,
        }
    }

    /// The first line end behind which right records begin, or else the first of all.
    fn end_of_damaged(
        &mut self,
        text: Text<'_>,
        start: usize,
        damage: Damage,
        is_open: bool,
        is_cut: bool,
    ) -> Framed {
        match self.end_before_right_records(text, start, damage, is_open, is_cut) {
            Ok(framed) => framed,
            Err(Some((content_end, next))) => {
                Framed::Record(damaged(content_end, next, damage, is_open))
            }
            Err(None) => Framed::TooLong,
        }
    }

    /// `Err` with the first line end if there is none that right records follow.
    fn end_before_right_records(
        &mut self,
        text: Text<'_>,
        start: usize,
        damage: Damage,
        is_open: bool,
        is_cut: bool,
    ) -> Result<Framed, Option<(usize, usize)>> {
        let mut first = None;
        let mut at = start;
        for _ in 0..LINES_MAX {
            match self.line(text, at) {
                Line::Ended { content_end, next } => {
                    match self.do_right_records_follow(text, next, is_cut) {
                        Verdict::Yes { is_open: reaches_end } => {
                            let is_open = is_open || reaches_end;
                            let frame = damaged(content_end, next, damage, is_open);
                            return Ok(Framed::Record(frame));
                        }
                        Verdict::No => {}
                        Verdict::More => return Ok(Framed::More),
                    }
                    first.get_or_insert((content_end, next));
                    at = next;
                }
                Line::Open => {
                    let end = text.bytes.len();
                    return Ok(Framed::Record(damaged(end, end, damage, true)));
                }
                Line::More if is_cut => break,
                Line::More => return Ok(Framed::More),
            }
        }
        Err(first)
    }

    fn do_right_records_follow(&mut self, text: Text<'_>, from: usize, is_cut: bool) -> Verdict {
        let Some(count) = self.field_count else {
            return Verdict::Yes { is_open: false };
        };
        let too_little = || if is_cut { Verdict::No } else { Verdict::More };
        let mut at = from;
        for _ in 0..WITNESSES {
            match self.next_record(text, at) {
                LineEnd::At(start) => at = start,
                LineEnd::None => return Verdict::Yes { is_open: true },
                LineEnd::More => return too_little(),
            }
            at = match self.scanner.scan(text, at, &mut self.tried) {
                Scanned::Record(extent) if extent.damage.is_none() && self.tried.len() == count => {
                    extent.end
                }
                Scanned::More => return too_little(),
                // It may be damaged as well: then its line is all that counts.
                _ => match self.line(text, at) {
                    Line::Ended { content_end, next }
                        if self.fields_of_line(&text.bytes[..content_end], at) == count =>
                    {
                        next
                    }
                    Line::Open if self.fields_of_line(text.bytes, at) == count => text.bytes.len(),
                    Line::More => return too_little(),
                    _ => return Verdict::No,
                },
            };
        }
        Verdict::Yes { is_open: text.is_whole && at == text.bytes.len() }
    }

    /// Where the next record begins, behind blank lines and comments; `None` at
    /// the end of the text.
    fn next_record(&self, text: Text<'_>, from: usize) -> LineEnd {
        let mut at = from;
        loop {
            let Some(rest) = text.bytes.get(at..).filter(|rest| !rest.is_empty()) else {
                return if text.is_whole { LineEnd::None } else { LineEnd::More };
            };
            let comment = self.dialect().comment.as_bytes();
            if !comment.is_empty() && rest.starts_with(comment) {
                match self.line(text, at) {
                    Line::Ended { next, .. } => at = next,
                    Line::Open => return LineEnd::None,
                    Line::More => return LineEnd::More,
                }
                continue;
            }
            match self.scanner.line_end(text, at) {
                LineEnd::At(next) if self.dialect().blank_lines == BlankLines::Skip => at = next,
                LineEnd::More => return LineEnd::More,
                LineEnd::At(_) | LineEnd::None => return LineEnd::At(at),
            }
        }
    }

    /// The place behind the record at `at`, if it is right.
    fn right_record(&mut self, text: Text<'_>, at: usize, count: usize) -> Option<usize> {
        match self.scanner.scan(text, at, &mut self.tried) {
            Scanned::Record(extent) if extent.damage.is_none() && self.tried.len() == count => {
                Some(extent.end)
            }
            _ => None,
        }
    }

    /// How many fields a line has, by its quotes or, where they leave doubt, by its delimiters.
    fn fields_of_line(&mut self, line: &[u8], at: usize) -> usize {
        let text = Text { bytes: line, is_whole: true };
        match self.scanner.scan(text, at, &mut self.tried) {
            Scanned::Record(_) => self.tried.len(),
            Scanned::Doubtful(_) | Scanned::More => {
                let dialect = self.dialect();
                let delimiters = memmem::find_iter(&line[at..], dialect.delimiter.as_bytes());
                delimiters.count() + usize::from(!dialect.has_trailing_delimiter)
            }
        }
    }

    /// The line that goes on at `at`, whatever its quotes say.
    fn line(&self, text: Text<'_>, at: usize) -> Line {
        let mut from = at;
        loop {
            let Some(found) = memchr2(b'\n', b'\r', &text.bytes[from..]) else {
                return if text.is_whole { Line::Open } else { Line::More };
            };
            let content_end = from + found;
            match self.scanner.line_end(text, content_end) {
                LineEnd::At(next) => return Line::Ended { content_end, next },
                LineEnd::None => from = content_end + 1,
                LineEnd::More => return Line::More,
            }
        }
    }
}

#[inline]
fn whole(text: Text<'_>, extent: Extent) -> Frame {
    let Extent { content_end, end, damage, has_escapes, .. } = extent;
    // A CR that is the last byte may be half of a CRLF.
    let is_open = text.is_whole
        && end == text.bytes.len()
        && (content_end == end || text.bytes[end - 1] == b'\r');
    Frame { content_end, end, damage, has_escapes, is_open }
}

fn damaged(content_end: usize, end: usize, damage: Damage, is_open: bool) -> Frame {
    Frame { content_end, end, damage: Some(damage), has_escapes: false, is_open }
}
