//! Finds the end of a record that is too long to be held, byte by byte.
//!
//! Quotes inside an unquoted field, and what follows a closing quote, are taken
//! as text: nothing better can be told of such a record.

use super::Dialect;
use super::dialect::{Escape, Terminator};

/// Where the way through a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    FieldStart,
    Bare,
    Quoted,
    /// Behind a quote that closes, unless another one follows.
    Closed,
    /// Behind an escape: the next byte is text.
    Escaped,
    /// Behind a CR outside quotes.
    Returned,
}

/// Passes over one record.
#[derive(Debug)]
pub(super) struct Skimmer<'a> {
    dialect: &'a Dialect,
    state: State,
    /// Bytes of a delimiter that were met.
    met: usize,
}

impl<'a> Skimmer<'a> {
    /// Stands at the start of a record.
    pub(super) fn new(dialect: &'a Dialect) -> Self {
        Self { dialect, state: State::FieldStart, met: 0 }
    }

    /// Takes the next bytes: how many of them belong to the record, if it ends there.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Option<usize> {
        for (index, byte) in bytes.iter().copied().enumerate() {
            if self.state == State::Returned {
                if byte == b'\n' {
                    return Some(index + 1);
                }
                if self.dialect.terminator == Terminator::Any {
                    return Some(index);
                }
                self.state = State::Bare;
            }
            if self.ends_record(byte) {
                return Some(index + 1);
            }
        }
        None
    }

    fn ends_record(&mut self, byte: u8) -> bool {
        let is_quote = Some(byte) == self.dialect.quote;
        match self.state {
            State::Escaped => {
                let is_quoted = self.dialect.quote.is_some();
                self.state = if is_quoted { State::Quoted } else { State::Bare };
            }
            State::Quoted if is_quote => self.state = State::Closed,
            State::Quoted if Some(byte) == self.dialect.escape_byte() => {
                self.state = State::Escaped;
            }
            State::Quoted => {}
            State::Closed if is_quote && self.dialect.escape == Escape::Doubled => {
                self.state = State::Quoted;
            }
            State::FieldStart if is_quote => (self.state, self.met) = (State::Quoted, 0),
            State::FieldStart | State::Bare if self.escapes_bare(byte) => {
                (self.state, self.met) = (State::Escaped, 0);
            }
            State::FieldStart if self.dialect.is_skipped_space(byte) => {}
            State::FieldStart | State::Closed | State::Bare | State::Returned => {
                return self.pass_outside(byte);
            }
        }
        false
    }

    /// Whether a byte makes the next one text where quoting is off.
    fn escapes_bare(&self, byte: u8) -> bool {
        self.dialect.quote.is_none() && Some(byte) == self.dialect.escape_byte()
    }

    /// A byte outside quotes; whether it ends the record.
    fn pass_outside(&mut self, byte: u8) -> bool {
        self.state = State::Bare;
        match (byte, self.dialect.terminator) {
            (b'\n', Terminator::Any | Terminator::Lf) | (b'\r', Terminator::Cr) => return true,
            (b'\r', Terminator::Any | Terminator::Crlf) => {
                self.state = State::Returned;
                return false;
            }
            _ => {}
        }
        let delimiter = self.dialect.delimiter.as_bytes();
        if byte != delimiter[self.met] {
            self.met = 0;
        }
        if byte == delimiter[self.met] {
            self.met += 1;
            if self.met == delimiter.len() {
                (self.state, self.met) = (State::FieldStart, 0);
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn length(dialect: &Dialect, text: &[u8], step: usize) -> Option<usize> {
        let mut skimmer = Skimmer::new(dialect);
        let mut passed = 0;
        for bytes in text.chunks(step) {
            if let Some(taken) = skimmer.take(bytes) {
                return Some(passed + taken);
            }
            passed += bytes.len();
        }
        None
    }

    #[test]
    fn a_record_ends_at_a_line_end_outside_quotes() {
        let dialect = Dialect::default();
        for step in 1..5 {
            assert_eq!(length(&dialect, b"a,\"b\n\"\"\n\",c\r\nd", step), Some(13));
            assert_eq!(length(&dialect, b"a\"b,c\nd", step), Some(6));
            assert_eq!(length(&dialect, b"\"a\"b\"\nd", step), Some(6));
            assert_eq!(length(&dialect, b"a\rd", step), Some(2));
            assert_eq!(length(&dialect, b"\"a\n", step), None);
        }
    }

    #[test]
    fn long_delimiters_and_escapes_are_known() {
        let escape = Escape::Byte(b'\\');
        let delimiter = "||".parse().expect("it is allowed");
        let dialect = Dialect { delimiter, escape, ..Dialect::default() };
        for step in 1..5 {
            assert_eq!(length(&dialect, b"a||\"b\\\"\n\"||c\nd", step), Some(13));
            assert_eq!(length(&dialect, b"a|\"b\n", step), Some(5));
            let unquoted = Dialect { quote: None, ..dialect.clone() };
            assert_eq!(length(&unquoted, b"a\\\nb\\\\\nc", step), Some(7));
        }
    }
}
