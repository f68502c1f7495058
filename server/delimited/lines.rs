//! Tells where lines end in a text, by what ends them in its dialect.

use super::dialect::Terminator;

/// A text with a record in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text<'a> {
    pub(super) bytes: &'a [u8],
    /// Whether nothing follows these bytes.
    pub(super) is_whole: bool,
}

/// What a byte ends: a line, or a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LineEnd {
    /// It does, and what follows begins here.
    At(usize),
    /// Nothing.
    None,
    /// The next byte tells.
    More,
}

#[inline]
pub(super) fn is_line_end_byte(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

/// What the line end byte at `at` ends.
#[inline]
pub(super) fn line_end(terminator: Terminator, text: Text<'_>, at: usize) -> LineEnd {
    let is_return = text.bytes[at] == b'\r';
    match (terminator, is_return) {
        (Terminator::Any | Terminator::Lf, false) | (Terminator::Cr, true) => LineEnd::At(at + 1),
        (Terminator::Any | Terminator::Crlf, true) => match text.bytes.get(at + 1) {
            Some(b'\n') => LineEnd::At(at + 2),
            None if !text.is_whole => LineEnd::More,
            _ if terminator == Terminator::Any => LineEnd::At(at + 1),
            _ => LineEnd::None,
        },
        (Terminator::Crlf | Terminator::Cr, false) | (Terminator::Lf, true) => LineEnd::None,
    }
}
