//! Takes one record apart, strictly: where its fields lie, where it ends, and what is wrong with it.
//!
//! Invariant: what is said of a record depends on the text from its start
//! forward alone; where the text at hand is not enough, more is asked for.

use super::Dialect;
use super::damage::Damage;
use super::dialect::{Escape, StrayQuotes};
use super::fields::{Form, Span, span};
use super::lines::{LineEnd, Text, is_line_end_byte, line_end};
use super::specials::Specials;

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scanned {
    /// It ends here.
    Record(Extent),
    /// Where it ends cannot be told from the record alone.
    Doubtful(Doubt),
    /// There is too little text.
    More,
}

/// How far a record goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    /// Place after its last byte, without terminator.
    pub(super) content_end: usize,
    /// Place after its terminator.
    pub(super) end: usize,
    /// What is wrong with it, if that does not move its end.
    pub(super) damage: Option<Damage>,
    /// Whether a field holds a line end.
    pub(super) spans_lines: bool,
    /// Whether something follows a closing quote on its line.
    pub(super) is_glued: bool,
    /// Whether a field must be rewritten to be read.
    pub(super) has_escapes: bool,
}

/// Why the end of a record cannot be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doubt {
    /// A quote is open at the end of the text.
    Unclosed,
    /// A quote stands where none should be, and its record may span lines.
    Garbage,
}

/// Takes records apart.
#[derive(Debug)]
pub(super) struct Scanner {
    dialect: Dialect,
    specials: Specials,
    first_of_delimiter: u8,
    has_long_delimiter: bool,
}

impl Scanner {
    pub(super) fn new(dialect: &Dialect) -> Self {
        Self {
            specials: Specials::new(dialect),
            first_of_delimiter: dialect.delimiter.as_bytes()[0],
            has_long_delimiter: dialect.delimiter.single().is_none(),
            dialect: dialect.clone(),
        }
    }

    pub(super) fn dialect(&self) -> &Dialect {
        &self.dialect
    }

    /// To be told whenever text was moved or added.
    pub(super) fn forget(&mut self) {
        self.specials.forget();
    }

    /// Takes the record at `start` apart into `fields`, which are emptied first.
    #[inline]
    pub(super) fn scan(&mut self, text: Text<'_>, start: usize, fields: &mut Vec<Span>) -> Scanned {
        fields.clear();
        let mut run = Run { start, ..Run::default() };
        let mut at = start;
        self.specials.seek(text.bytes, start);
        loop {
            at = self.dialect.behind_spaces(text.bytes, at);
            if at == text.bytes.len() && !text.is_whole {
                return Scanned::More;
            }
            let is_quoted =
                self.dialect.quote.is_some() && text.bytes.get(at).copied() == self.dialect.quote;
            let step = if is_quoted {
                self.quoted_field(text, at, &mut run, fields)
            } else {
                self.bare_field(text, at, Form::Bare, at, &mut run, fields)
            };
            match step {
                Step::Field(next) => at = next,
                Step::End { content_end, end } => {
                    return self.finish(text.bytes, content_end, end, run, fields);
                }
                Step::Doubt(doubt) => return Scanned::Doubtful(doubt),
                Step::More => return Scanned::More,
            }
        }
    }

    /// A field without quotes from `at` on; what is scanned of it already begins at `begin`.
    #[inline]
    fn bare_field(
        &mut self,
        text: Text<'_>,
        begin: usize,
        mut form: Form,
        mut at: usize,
        run: &mut Run,
        fields: &mut Vec<Span>,
    ) -> Step {
        loop {
            let Some(found) = self.specials.next(text.bytes) else {
                if !text.is_whole {
                    return Step::More;
                }
                let length = text.bytes.len();
                fields.push(span(begin, length, form));
                return Step::End { content_end: length, end: length };
            };
            if found < at {
                continue;
            }
            let byte = text.bytes[found];
            if byte == self.first_of_delimiter {
                match self.behind_delimiter(text, found) {
                    LineEnd::At(next) => {
                        fields.push(span(begin, found, form));
                        return Step::Field(next);
                    }
                    LineEnd::None => {}
                    LineEnd::More => return Step::More,
                }
            } else if is_line_end_byte(byte) {
                match line_end(self.dialect.terminator, text, found) {
                    LineEnd::At(end) => {
                        fields.push(span(begin, found, form));
                        return Step::End { content_end: found, end };
                    }
                    LineEnd::None => {}
                    LineEnd::More => return Step::More,
                }
            } else if Some(byte) == self.dialect.quote {
                // The field of several lines before it may have closed too early.
                if run.spans_lines && self.dialect.stray_quotes == StrayQuotes::Refuse {
                    return Step::Doubt(Doubt::Garbage);
                }
                run.quotes += 1;
                if run.stray == Stray::None {
                    run.stray = Stray::Inside;
                }
            } else if self.dialect.quote.is_none() {
                match self.behind_escaped(text, found) {
                    LineEnd::At(next) => {
                        (form, at) = (Form::BareEscaped, next);
                        run.has_escapes = true;
                        run.spans_lines |= is_line_end_byte(text.bytes[found + 1]);
                    }
                    LineEnd::None => {}
                    LineEnd::More => return Step::More,
                }
            }
        }
    }

    /// A field whose opening quote is at `open`.
    fn quoted_field(
        &mut self,
        text: Text<'_>,
        open: usize,
        run: &mut Run,
        fields: &mut Vec<Span>,
    ) -> Step {
        let begin = open + 1;
        let mut form = Form::Quoted;
        let mut at = begin;
        run.quotes += 1;
        let close = loop {
            let Some(found) = self.specials.next(text.bytes) else {
                return if text.is_whole { Step::Doubt(Doubt::Unclosed) } else { Step::More };
            };
            if found < at {
                continue;
            }
            let byte = text.bytes[found];
            let next = text.bytes.get(found + 1).copied();
            let (is_quote, is_escape) =
                (Some(byte) == self.dialect.quote, Some(byte) == self.dialect.escape_byte());
            if is_quote || is_escape {
                if next.is_none() && !text.is_whole {
                    return Step::More;
                }
                run.quotes += usize::from(is_quote);
                let doubles = is_quote && self.dialect.escape == Escape::Doubled;
                let is_escaping = (doubles && next == Some(byte))
                    || (is_escape && (next == self.dialect.quote || next == Some(byte)));
                if is_escaping {
                    run.quotes += usize::from(next == self.dialect.quote);
                    (form, at) = (Form::QuotedEscaped, found + 2);
                    run.has_escapes = true;
                } else if is_quote {
                    break found;
                }
            } else if is_line_end_byte(byte) {
                run.spans_lines = true;
            }
        };
        self.behind_quotes(text, begin, close, form, run, fields)
    }

    /// What follows a closing quote.
    #[inline]
    fn behind_quotes(
        &mut self,
        text: Text<'_>,
        begin: usize,
        close: usize,
        form: Form,
        run: &mut Run,
        fields: &mut Vec<Span>,
    ) -> Step {
        let behind = self.dialect.behind_spaces(text.bytes, close + 1);
        let Some(byte) = text.bytes.get(behind).copied() else {
            if !text.is_whole {
                return Step::More;
            }
            fields.push(span(begin, close, form));
            return Step::End { content_end: behind, end: behind };
        };
        if byte == self.first_of_delimiter {
            match self.behind_delimiter(text, behind) {
                LineEnd::At(next) => {
                    fields.push(span(begin, close, form));
                    return Step::Field(next);
                }
                LineEnd::None => {}
                LineEnd::More => return Step::More,
            }
        } else if is_line_end_byte(byte) {
            match line_end(self.dialect.terminator, text, behind) {
                LineEnd::At(end) => {
                    fields.push(span(begin, close, form));
                    return Step::End { content_end: behind, end };
                }
                LineEnd::None => {}
                LineEnd::More => return Step::More,
            }
        }
        if self.dialect.stray_quotes == StrayQuotes::Refuse {
            if run.spans_lines {
                return Step::Doubt(Doubt::Garbage);
            }
            run.stray = Stray::Glued;
        }
        run.has_escapes = true;
        self.bare_field(text, begin - 1, Form::Glued, behind, run, fields)
    }

    fn finish(
        &self,
        bytes: &[u8],
        content_end: usize,
        end: usize,
        run: Run,
        fields: &mut Vec<Span>,
    ) -> Scanned {
        let refuses = self.dialect.stray_quotes == StrayQuotes::Refuse;
        // The field that seemed to close on its line may go on behind it.
        if run.stray == Stray::Glued && run.quotes % 2 == 1 {
            return Scanned::Doubtful(Doubt::Garbage);
        }
        if self.dialect.has_trailing_delimiter
            && fields.len() > 1
            && fields.last().is_some_and(|last| last.form == Form::Bare && last.start == last.end)
        {
            fields.pop();
        }
        let damage = if run.stray != Stray::None && refuses {
            Some(Damage::StrayQuote)
        } else if content_end - run.start > self.dialect.field_bytes_max
            && fields.iter().any(|field| field.length() > self.dialect.field_bytes_max)
        {
            Some(Damage::FieldTooLarge)
        } else {
            None
        };
        debug_assert!(end <= bytes.len(), "a record ends inside its text");
        let Run { stray, spans_lines, has_escapes, .. } = run;
        let is_glued = stray == Stray::Glued;
        Scanned::Record(Extent { content_end, end, damage, spans_lines, is_glued, has_escapes })
    }

    /// The place behind a delimiter that begins at `at`, if one does.
    #[inline]
    fn behind_delimiter(&self, text: Text<'_>, at: usize) -> LineEnd {
        if !self.has_long_delimiter {
            return LineEnd::At(at + 1);
        }
        let delimiter = self.dialect.delimiter.as_bytes();
        let rest = &text.bytes[at..];
        if rest.starts_with(delimiter) {
            LineEnd::At(at + delimiter.len())
        } else if !text.is_whole && delimiter.starts_with(rest) {
            LineEnd::More
        } else {
            LineEnd::None
        }
    }

    /// The place behind what the escape at `at` makes text, where quoting is off.
    fn behind_escaped(&self, text: Text<'_>, at: usize) -> LineEnd {
        let Some(next) = text.bytes.get(at + 1).copied() else {
            return if text.is_whole { LineEnd::None } else { LineEnd::More };
        };
        if Some(next) == self.dialect.escape_byte() {
            return LineEnd::At(at + 2);
        }
        if next == self.first_of_delimiter {
            return self.behind_delimiter(text, at + 1);
        }
        if is_line_end_byte(next) {
            return line_end(self.dialect.terminator, text, at + 1);
        }
        LineEnd::None
    }

    /// What ends with the byte at `at`, which is in the text.
    #[inline]
    pub(super) fn line_end(&self, text: Text<'_>, at: usize) -> LineEnd {
        if is_line_end_byte(text.bytes[at]) {
            line_end(self.dialect.terminator, text, at)
        } else {
            LineEnd::None
        }
    }
}

/// What is met on the way through a record.
#[derive(Debug, Default, Clone, Copy)]
struct Run {
    start: usize,
    quotes: usize,
    stray: Stray,
    spans_lines: bool,
    has_escapes: bool,
}

/// Quotes where none should be.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Stray {
    #[default]
    None,
    /// Inside a field without quotes.
    Inside,
    /// Before more of their field, on its line.
    Glued,
}

enum Step {
    /// The next field begins here.
    Field(usize),
    End {
        content_end: usize,
        end: usize,
    },
    Doubt(Doubt),
    More,
}
