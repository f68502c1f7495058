//! Finds where a damaged record ends, by the lines behind it.
//!
//! A quote that is missing, or one too many, could turn the rest of a file into
//! one field. So where quotes leave doubt, lines decide: the record ends at the
//! first line end behind which right records begin, ones with as many fields as
//! there are columns.
//!
//! Invariant: a record that its quotes and its number of fields leave without
//! doubt is not taken apart.

use memchr::{memchr2, memmem};

use super::{Frame, Framed, Framer, damaged, whole};
use crate::delimited::damage::Damage;
use crate::delimited::dialect::BlankLines;
use crate::delimited::lines::{LineEnd, Text};
use crate::delimited::scan::{Doubt, Extent, Scanned};

/// Lines that a damaged record may take.
const LINES_MAX: usize = 64;
/// Records behind a damaged one that are looked at.
const WITNESSES: usize = 3;
/// From so many fields on, one right record is enough: few lines of prose look like it.
const FIELDS_WIDE: usize = 4;
/// Right records inside a record that show that it is none.
const INNER_WITNESSES: usize = 2;

/// What the records behind a line look like.
#[derive(Debug, Default, Clone, Copy)]
struct Outlook {
    /// Those that are right, or whose line is but for a quote.
    right: usize,
    /// Those that have another number of fields, and no doubtful quote.
    ragged: usize,
    /// Whether the first one is right, quotes and all.
    begins_right: bool,
    ending: Ending,
}

/// Why no more records are looked at.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// There were enough.
    #[default]
    Enough,
    /// The text has ended.
    AtEnd,
    /// One has doubtful quotes.
    Trouble,
    /// One does not end where the longest record that began here would.
    TooLong,
}

impl Outlook {
    /// Whether a damaged record of a file with so many columns can end here.
    fn is_clear(self, columns: Option<usize>) -> bool {
        let is_wide = columns.is_some_and(|columns| columns >= FIELDS_WIDE);
        (!self.is_troubled() && self.ragged == 0) || (is_wide && self.begins_right)
    }

    /// The same of a record whose first line alone has the right number of
    /// fields: then other damage may follow, if no quote goes on in it.
    fn is_fair(self) -> bool {
        let is_last = self.ending == Ending::AtEnd && self.ragged == 0;
        !self.is_troubled() && (self.right > 0 || is_last)
    }

    fn is_troubled(self) -> bool {
        matches!(self.ending, Ending::Trouble | Ending::TooLong)
    }

    /// Whether more text cannot change it.
    fn is_final(self) -> bool {
        matches!(self.ending, Ending::Enough | Ending::Trouble)
    }
}

/// What one record behind a damaged one looks like.
enum Witness {
    Right(usize),
    /// Right but for a quote, as far as its line goes.
    Plausible(usize),
    Ragged(usize),
    Trouble,
    TooLittle,
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
    /// A record with the wrong number of fields that spans lines, or may go on
    /// behind its own.
    #[cold]
    pub(super) fn doubt(
        &mut self,
        text: Text<'_>,
        start: usize,
        extent: Extent,
        is_cut: bool,
    ) -> Framed {
        if extent.is_glued || extent.damage == Some(Damage::StrayQuote) {
            return self.recover(text, start, Doubt::Garbage, is_cut);
        }
        if let Some(framed) = self.first_line(text, start, extent, is_cut) {
            return framed;
        }
        let frame = whole(text, extent);
        // The end of the text may have helped to tell.
        Framed::Record(Frame { is_open: frame.is_open || text.is_whole, ..frame })
    }

    /// The first line of a record over several lines, if those behind it are
    /// right records: then its quote was one too many.
    fn first_line(
        &mut self,
        text: Text<'_>,
        start: usize,
        extent: Extent,
        is_cut: bool,
    ) -> Option<Framed> {
        let count = self.field_count?;
        let Line::Ended { content_end, next } = self.line(text, start) else {
            return None;
        };
        // The end of the text may have helped to tell.
        let is_open = text.is_whole;
        if self.holds_right_records(text, next, extent, count) {
            self.fields.clear();
            let frame = damaged(content_end, next, Damage::UnclosedQuote, is_open);
            return Some(Framed::Record(frame));
        }
        // Its last quote may open a field of the record behind its first line.
        if !self.is_complete(text, start, content_end) {
            return None;
        }
        match self.witness(text, next, count) {
            Witness::Right(end) if end > extent.end => {}
            Witness::TooLittle if !is_cut => return Some(Framed::More),
            _ => return None,
        }
        match self.outlook(text, next, is_cut) {
            None => Some(Framed::More),
            Some(outlook) if outlook.is_clear(self.field_count) => {
                self.fields.clear();
                let frame = damaged(content_end, next, Damage::UnclosedQuote, is_open);
                Some(Framed::Record(frame))
            }
            Some(_) => None,
        }
    }

    /// Whether a record over several lines holds right records behind its first line.
    fn holds_right_records(
        &mut self,
        text: Text<'_>,
        from: usize,
        extent: Extent,
        count: usize,
    ) -> bool {
        // Records inside end where it ends, or they are none.
        let inside = Text { bytes: &text.bytes[..extent.end], is_whole: true };
        let mut at = from;
        for _ in 0..INNER_WITNESSES {
            let LineEnd::At(record) = self.next_record(inside, at) else {
                return false;
            };
            match self.witness(inside, record, count) {
                Witness::Right(end) => at = end,
                _ => return false,
            }
        }
        true
    }

    /// A record whose quotes leave doubt.
    #[cold]
    pub(super) fn recover(
        &mut self,
        text: Text<'_>,
        start: usize,
        doubt: Doubt,
        is_cut: bool,
    ) -> Framed {
        let damage = match doubt {
            Doubt::Unclosed => Damage::UnclosedQuote,
            Doubt::Garbage => Damage::StrayQuote,
        };
        self.fields.clear();
        let frame = match self.end_before_right_records(text, start, damage, is_cut) {
            Ok(Framed::Record(frame)) => frame,
            Ok(framed) => return framed,
            Err(Some((content_end, next))) => damaged(content_end, next, damage, text.is_whole),
            Err(None) => return Framed::TooLong,
        };
        // What is wrong with it is told by the record alone, whatever follows.
        let alone = Text { bytes: &text.bytes[..frame.content_end], is_whole: true };
        let damage = match self.scanner.scan(alone, start, &mut self.tried) {
            Scanned::Doubtful(Doubt::Unclosed) => Damage::UnclosedQuote,
            _ => Damage::StrayQuote,
        };
        Framed::Record(Frame { damage: Some(damage), ..frame })
    }

    /// A record that has not ended where the longest one would.
    #[cold]
    pub(super) fn recover_too_long(&mut self, text: Text<'_>, start: usize) -> Framed {
        self.fields.clear();
        match self.end_before_right_records(text, start, Damage::UnclosedQuote, true) {
            Ok(Framed::Record(frame)) if frame.end < text.bytes.len() => Framed::Record(frame),
            _ => Framed::TooLong,
        }
    }

    /// `Err` with the first line end if there is none that right records follow.
    fn end_before_right_records(
        &mut self,
        text: Text<'_>,
        start: usize,
        damage: Damage,
        is_cut: bool,
    ) -> Result<Framed, Option<(usize, usize)>> {
        let mut first = None;
        let mut at = start;
        for _ in 0..LINES_MAX {
            let (content_end, next) = match self.line(text, at) {
                Line::Ended { content_end, next } => (content_end, next),
                Line::Open => {
                    let end = text.bytes.len();
                    return Ok(Framed::Record(damaged(end, end, damage, true)));
                }
                Line::More if is_cut => break,
                Line::More => return Ok(Framed::More),
            };
            let is_complete = first.is_none() && self.is_complete(text, start, content_end);
            if is_complete || !self.refuted.contains(&next) {
                let Some(outlook) = self.outlook(text, next, is_cut) else {
                    return Ok(Framed::More);
                };
                if outlook.is_clear(self.field_count) || (is_complete && outlook.is_fair()) {
                    // The end of the text may have helped to tell.
                    let is_open = text.is_whole;
                    return Ok(Framed::Record(damaged(content_end, next, damage, is_open)));
                }
                if outlook.is_final() {
                    self.refute(at, next);
                }
            }
            first.get_or_insert((content_end, next));
            at = next;
        }
        Err(first)
    }

    /// Takes note that no right records follow `line`, which was looked at after the one at `before`.
    fn refute(&mut self, before: usize, line: usize) {
        if self.refuted.contains(&before) {
            self.refuted.end = self.refuted.end.max(line + 1);
        } else if !self.refuted.contains(&line) {
            self.refuted = line..line + 1;
        }
    }

    /// What follows a line; `None` if there is too little text to tell.
    fn outlook(&mut self, text: Text<'_>, from: usize, is_cut: bool) -> Option<Outlook> {
        let mut outlook = Outlook::default();
        let Some(count) = self.field_count else {
            return Some(outlook);
        };
        let too_long = |outlook| is_cut.then_some(Outlook { ending: Ending::TooLong, ..outlook });
        let mut at = from;
        for _ in 0..WITNESSES {
            match self.next_record(text, at) {
                LineEnd::At(start) => at = start,
                LineEnd::None => return Some(Outlook { ending: Ending::AtEnd, ..outlook }),
                LineEnd::More => return too_long(outlook),
            }
            at = match self.witness(text, at, count) {
                Witness::Right(end) => {
                    outlook.begins_right |= outlook.right + outlook.ragged == 0;
                    outlook.right += 1;
                    end
                }
                Witness::Plausible(end) => {
                    outlook.right += 1;
                    end
                }
                Witness::Ragged(end) => {
                    outlook.ragged += 1;
                    end
                }
                Witness::Trouble => return Some(Outlook { ending: Ending::Trouble, ..outlook }),
                Witness::TooLittle => return too_long(outlook),
            };
        }
        if text.is_whole && at == text.bytes.len() {
            outlook.ending = Ending::AtEnd;
        }
        Some(outlook)
    }

    fn witness(&mut self, text: Text<'_>, at: usize, count: usize) -> Witness {
        match self.scanner.scan(text, at, &mut self.tried) {
            Scanned::More => return Witness::TooLittle,
            Scanned::Record(extent) if extent.damage.is_none() => {
                if self.tried.len() == count {
                    return Witness::Right(extent.end);
                }
                if !extent.spans_lines {
                    return Witness::Ragged(extent.end);
                }
            }
            Scanned::Record(extent) if self.tried.len() == count => {
                return Witness::Plausible(extent.end);
            }
            Scanned::Record(_) | Scanned::Doubtful(_) => {}
        }
        // It may be damaged as well: then its line is all that counts.
        let (content_end, next) = match self.line(text, at) {
            Line::Ended { content_end, next } => (content_end, next),
            Line::Open => (text.bytes.len(), text.bytes.len()),
            Line::More => return Witness::TooLittle,
        };
        if self.is_complete(text, at, content_end) {
            Witness::Plausible(next)
        } else {
            Witness::Trouble
        }
    }

    /// Whether a line by itself has the right number of fields.
    fn is_complete(&mut self, text: Text<'_>, at: usize, content_end: usize) -> bool {
        let line = Text { bytes: &text.bytes[..content_end], is_whole: true };
        let fields = match self.scanner.scan(line, at, &mut self.tried) {
            Scanned::Record(_) => self.tried.len(),
            // The delimiters count of the field whose quotes leave doubt.
            Scanned::Doubtful(_) | Scanned::More => {
                let dialect = self.dialect();
                let delimiter = dialect.delimiter.as_bytes();
                let behind = self.tried.last().map_or(at, |last| last.end as usize);
                let delimiters = memmem::find_iter(&line.bytes[behind..], delimiter).count();
                let closed = self.tried.len().saturating_sub(1);
                closed + delimiters + usize::from(!dialect.has_trailing_delimiter)
            }
        };
        self.field_count == Some(fields)
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
