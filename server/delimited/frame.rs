//! Finds where the next record ends, also where its quotes do not say so.
//!
//! Invariant: where a record ends depends on the text from its start forward,
//! at most one longest record of it, and on nothing that was read before. So
//! whoever begins at a record finds the same ones. One that is too long to be
//! held is the exception to the limit: it is passed over to its end, however
//! far behind that lies.

mod recover;

use std::ops::Range;

use super::Dialect;
use super::damage::Damage;
use super::fields::Span;
use super::lines::{LineEnd, Text};
use super::scan::{Extent, Scanned, Scanner};

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
    /// No line that begins in here is followed by right records: the lines that
    /// one damaged record looks at are mostly those of the next one.
    refuted: Range<usize>,
}

impl Framer {
    pub(super) fn new(dialect: &Dialect, field_count: Option<usize>) -> Self {
        let scanner = Scanner::new(dialect);
        Self { scanner, field_count, fields: Vec::new(), tried: Vec::new(), refuted: 0..0 }
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
        self.refuted = 0..0;
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
                let is_misshapen = self.field_count.is_some_and(|count| count != self.fields.len());
                if is_misshapen && (extent.spans_lines || extent.is_glued) {
                    return self.doubt(text, start, extent, is_cut);
                }
                Framed::Record(whole(text, extent))
            }
            Scanned::Doubtful(doubt) => self.recover(text, start, doubt, is_cut),
            Scanned::More if is_cut => self.recover_too_long(text, start),
            Scanned::More => Framed::More,
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
