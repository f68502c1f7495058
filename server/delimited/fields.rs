//! Where the fields of a record lie in its text, and what they say without quotes and escapes.

use super::Dialect;
use super::dialect::Escape;

/// Where a field lies, without quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) form: Form,
}

/// How a field is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As it is.
    Bare,
    /// Between quotes, as it is.
    Quoted,
    /// Between quotes, with escapes.
    QuotedEscaped,
    /// Without quotes, with escapes.
    BareEscaped,
    /// With an opening quote, a closing one, and more behind that.
    Glued,
}

impl Span {
    #[inline]
    pub(super) fn length(self) -> usize {
        (self.end - self.start) as usize
    }

    /// The bytes of the field in the text that it lies in.
    #[inline]
    pub(super) fn of(self, text: &[u8]) -> &[u8] {
        &text[self.start as usize..self.end as usize]
    }

    /// Writes what a field with escapes says behind `rewritten`, and lies there from then on.
    pub(super) fn rewrite(&mut self, text: &[u8], dialect: &Dialect, rewritten: &mut Vec<u8>) {
        let start = rewritten.len();
        let bytes = self.of(text);
        match self.form {
            Form::Bare | Form::Quoted => return,
            Form::QuotedEscaped => unescape(bytes, dialect, rewritten),
            Form::BareEscaped => unescape_bare(bytes, dialect, rewritten),
            Form::Glued => unglue(bytes, dialect, rewritten),
        }
        *self = span(start, rewritten.len(), self.form);
    }
}

impl Form {
    /// Whether the field begins with a quote.
    pub(super) fn is_quoted(self) -> bool {
        matches!(self, Self::Quoted | Self::QuotedEscaped | Self::Glued)
    }

    /// Whether the field says something else than its bytes.
    #[inline]
    pub(super) fn is_rewritten(self) -> bool {
        !matches!(self, Self::Bare | Self::Quoted)
    }
}

/// A text at hand is a window, far shorter than 4 GiB.
#[inline]
pub(super) fn span(start: usize, end: usize, form: Form) -> Span {
    let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    Span { start: place(start), end: place(end), form }
}

/// What stands between two quotes.
fn unescape(bytes: &[u8], dialect: &Dialect, out: &mut Vec<u8>) {
    let quote = dialect.quote.unwrap_or_default();
    let escape = dialect.escape_byte().unwrap_or(quote);
    let mut rest = bytes;
    while let Some(at) = memchr::memchr(escape, rest) {
        let (before, behind) = rest.split_at(at);
        out.extend_from_slice(before);
        // An escape in front of anything else is a byte like any other.
        match behind.get(1) {
            Some(next) if *next == quote || *next == escape => {
                out.push(*next);
                rest = &behind[2..];
            }
            _ => {
                out.push(escape);
                rest = &behind[1..];
            }
        }
    }
    out.extend_from_slice(rest);
}

/// A field where quoting is off.
fn unescape_bare(bytes: &[u8], dialect: &Dialect, out: &mut Vec<u8>) {
    let Escape::Byte(escape) = dialect.escape else {
        out.extend_from_slice(bytes);
        return;
    };
    let delimiter = dialect.delimiter.as_bytes();
    let mut rest = bytes;
    while let Some(at) = memchr::memchr(escape, rest) {
        let (before, behind) = rest.split_at(at);
        out.extend_from_slice(before);
        let text = &behind[1..];
        let is_escaping = text.first() == Some(&escape)
            || text.starts_with(delimiter)
            || text.first().is_some_and(|byte| matches!(byte, b'\n' | b'\r'));
        if !is_escaping {
            out.push(escape);
        }
        // What is escaped is no escape itself.
        let taken = usize::from(is_escaping).min(text.len());
        out.extend_from_slice(&text[..taken]);
        rest = &text[taken..];
    }
    out.extend_from_slice(rest);
}

/// A field with an opening quote, a closing one, and more behind that.
fn unglue(bytes: &[u8], dialect: &Dialect, out: &mut Vec<u8>) {
    let quote = dialect.quote.unwrap_or_default();
    let escape = dialect.escape_byte();
    let doubles = dialect.escape == Escape::Doubled;
    let mut at = 1;
    while let Some(byte) = bytes.get(at).copied() {
        let next = bytes.get(at + 1).copied();
        let is_escaping = (doubles && byte == quote && next == Some(quote))
            || (Some(byte) == escape && (next == Some(quote) || next == escape));
        if byte == quote && !is_escaping {
            break;
        }
        out.push(if is_escaping { next.unwrap_or(byte) } else { byte });
        at += 1 + usize::from(is_escaping);
    }
    out.extend_from_slice(bytes.get(at + 1..).unwrap_or_default());
}
