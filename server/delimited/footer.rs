//! Withholds the last lines of a text: a footer is no data, and has no say in where records end.

use std::collections::VecDeque;
use std::io::{Error, ErrorKind};

use super::Terminator;

/// Longest footer, in bytes; the line before it counts as long as it goes on.
const HELD_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Text on its way, without its last lines; blank ones do not count.
#[derive(Debug)]
pub(super) struct Footer {
    lines: usize,
    terminator: Terminator,
    /// Text that may be the footer, or is still to be given.
    held: Vec<u8>,
    /// Where the last lines begin in it.
    line_starts: VecDeque<usize>,
    last_byte: u8,
    is_within_line: bool,
}

impl Footer {
    /// Of so many lines, at least one.
    pub(super) fn new(lines: usize, terminator: Terminator) -> Self {
        Self {
            lines,
            terminator,
            held: Vec::new(),
            line_starts: VecDeque::with_capacity(lines + 1),
            last_byte: b'\n',
            is_within_line: false,
        }
    }

    /// Takes the next text.
    pub(super) fn take(&mut self, text: &[u8]) -> Result<(), Error> {
        for (index, byte) in text.iter().enumerate() {
            let is_line_end = self.ends_line(*byte);
            // A line that holds nothing but a CR is blank too.
            if !is_line_end && !self.is_within_line && !matches!(byte, b'\n' | b'\r') {
                self.line_starts.push_back(self.held.len() + index);
                if self.line_starts.len() > self.lines {
                    self.line_starts.pop_front();
                }
            }
            self.is_within_line =
                !is_line_end && (self.is_within_line || !matches!(byte, b'\n' | b'\r'));
            self.last_byte = *byte;
        }
        self.held.extend_from_slice(text);
        if self.held.len() - self.sure() > HELD_BYTES_MAX {
            return Err(Error::new(
                ErrorKind::InvalidData,
                format!(
                    "{} lines are longer than {HELD_BYTES_MAX} bytes: look at skip_footer",
                    self.lines
                ),
            ));
        }
        Ok(())
    }

    /// Gives text that is not the footer; 0 if there is none yet.
    pub(super) fn give(&mut self, buffer: &mut [u8]) -> usize {
        let given = self.sure().min(buffer.len());
        buffer[..given].copy_from_slice(&self.held[..given]);
        self.held.drain(..given);
        for start in &mut self.line_starts {
            *start -= given;
        }
        given
    }

    fn ends_line(&self, byte: u8) -> bool {
        match self.terminator {
            Terminator::Any => matches!(byte, b'\n' | b'\r'),
            Terminator::Lf => byte == b'\n',
            Terminator::Cr => byte == b'\r',
            Terminator::Crlf => byte == b'\n' && self.last_byte == b'\r',
        }
    }

    /// Bytes that enough lines follow.
    fn sure(&self) -> usize {
        match self.line_starts.front() {
            Some(start) if self.line_starts.len() == self.lines => *start,
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All that is given of a text that comes in pieces of so many bytes.
    fn given(text: &str, lines: usize, step: usize) -> String {
        given_of(Terminator::Any, text, lines, step)
    }

    fn given_of(terminator: Terminator, text: &str, lines: usize, step: usize) -> String {
        let mut footer = Footer::new(lines, terminator);
        let mut all = Vec::new();
        for piece in text.as_bytes().chunks(step) {
            footer.take(piece).expect("it is short");
            let mut buffer = [0; 3];
            loop {
                match footer.give(&mut buffer) {
                    0 => break,
                    length => all.extend_from_slice(&buffer[..length]),
                }
            }
        }
        String::from_utf8(all).expect("it is text")
    }

    #[test]
    fn the_last_lines_are_withheld() {
        for step in 1..6 {
            assert_eq!(given("a\nbc\r\nd\n\ne", 2, step), "a\nbc\r\n");
            assert_eq!(given("a\rb\rc\r\r", 1, step), "a\rb\r");
            assert_eq!(given("a\n\"b\nc\n", 1, step), "a\n\"b\n");
            assert_eq!(given("a\nb", 2, step), "");
            assert_eq!(given("a\nb", 3, step), "");
        }
    }

    #[test]
    fn lines_end_as_the_terminator_says() {
        for step in 1..6 {
            assert_eq!(given_of(Terminator::Lf, "a\nb\rc\n", 1, step), "a\n");
            assert_eq!(given_of(Terminator::Cr, "a\rb\nc\r\n", 1, step), "a\r");
            assert_eq!(given_of(Terminator::Crlf, "a\r\nb\nc\rd\r\n\r\n", 1, step), "a\r\n");
        }
    }

    #[test]
    fn a_footer_has_a_limit() {
        let mut footer = Footer::new(1, Terminator::Any);
        footer.take(b"a\n").expect("it is short");
        let line = vec![b'x'; HELD_BYTES_MAX];
        assert!(footer.take(&line).and_then(|()| footer.take(b"x")).is_err());
    }
}
