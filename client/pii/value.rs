//! Turns lines of standard input into the values that a load would have hashed.
//!
//! Invariant: a value is wiped before the next one is read, and no error holds one.

use std::io::{BufRead, Read as _};

use zeroize::{Zeroize as _, Zeroizing};

use super::PiiError;
use crate::clean::clean_text;
use crate::job::CleanRule;

const LINE_BYTES_MAX: usize = 1 << 20;
/// A line of the greatest length and its end.
const READ_BYTES_MAX: usize = LINE_BYTES_MAX + "\r\n".len();

/// Lines of an input, one at a time.
pub(super) struct Lines<R> {
    input: R,
    buffer: Zeroizing<Vec<u8>>,
    number: u64,
}

/// A line without its end.
#[derive(Clone, Copy)]
pub(super) struct Line<'a> {
    number: u64,
    text: &'a str,
}

impl<R: BufRead> Lines<R> {
    /// Begins before the first line.
    pub(super) fn new(input: R) -> Self {
        // It never grows, which would leave a copy of a value behind.
        let buffer = Zeroizing::new(Vec::with_capacity(READ_BYTES_MAX));
        Self { input, buffer, number: 0 }
    }

    /// Reads the next line; `None` after the last.
    pub(super) fn read(&mut self) -> Result<Option<Line<'_>>, PiiError> {
        self.buffer.as_mut_slice().zeroize();
        self.buffer.clear();
        let mut limited = self.input.by_ref().take(READ_BYTES_MAX as u64);
        let bytes = limited.read_until(b'\n', &mut self.buffer).map_err(PiiError::Input)?;
        if bytes == 0 {
            return Ok(None);
        }
        self.number += 1;
        let line = without_end(&self.buffer);
        if line.len() > LINE_BYTES_MAX {
            return Err(PiiError::LineTooLong { line: self.number, bytes_max: LINE_BYTES_MAX });
        }
        let text =
            std::str::from_utf8(line).map_err(|_| PiiError::NotText { line: self.number })?;
        Ok(Some(Line { number: self.number, text }))
    }
}

/// The value of a line as the load would hash it: cleaned by the rules of its column.
pub(super) fn cleaned(rules: &[CleanRule], line: Line<'_>) -> Result<Zeroizing<String>, PiiError> {
    let Line { number: line, text } = line;
    let value = clean_text(rules, Some(text))
        .map_err(|error| PiiError::NotClean { line, reason: error.to_string() })?;
    let value = value.filter(|value| !value.is_empty()).map(Zeroizing::new);
    value.ok_or(PiiError::EmptyValue { line })
}

/// The one value of an input.
pub(super) fn only_value(
    input: impl BufRead,
    rules: &[CleanRule],
) -> Result<Zeroizing<String>, PiiError> {
    let mut lines = Lines::new(input);
    let value = match lines.read()? {
        Some(line) => cleaned(rules, line)?,
        None => return Err(PiiError::NoValue),
    };
    match lines.read()? {
        None => Ok(value),
        Some(_) => Err(PiiError::ManyValues),
    }
}

fn without_end(line: &[u8]) -> &[u8] {
    match line.strip_suffix(b"\n") {
        Some(line) => line.strip_suffix(b"\r").unwrap_or(line),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(input: &[u8]) -> Result<String, PiiError> {
        let rules = [CleanRule::Trim, CleanRule::Lowercase];
        only_value(input, &rules).map(|value| value.as_str().to_owned())
    }

    fn all(input: &[u8]) -> Vec<String> {
        let mut lines = Lines::new(input);
        let mut texts = Vec::new();
        while let Some(line) = lines.read().expect("readable lines") {
            texts.push(format!("{}:{}", line.number, line.text));
        }
        texts
    }

    #[test]
    fn line_ends_are_removed_and_nothing_else() {
        assert_eq!(all(b" a \nb\r\n\nc\r"), ["1: a ", "2:b", "3:", "4:c\r"]);
        assert!(all(b"").is_empty());
    }

    #[test]
    fn a_value_is_cleaned_as_the_load_does() {
        assert_eq!(only(b" Ann@X.example \r\n").ok().as_deref(), Some("ann@x.example"));
        assert_eq!(only("Zo\u{eb}".as_bytes()).ok().as_deref(), Some("zo\u{eb}"));
    }

    #[test]
    fn one_value_means_one() {
        assert!(matches!(only(b""), Err(PiiError::NoValue)));
        assert!(matches!(only(b"a\nb\n"), Err(PiiError::ManyValues)));
        assert!(matches!(only(b"  \n"), Err(PiiError::EmptyValue { line: 1 })));
    }

    #[test]
    fn a_line_has_a_greatest_length() {
        let longest = vec![b'x'; LINE_BYTES_MAX];
        for end in ["", "\n", "\r\n"] {
            let line = [longest.as_slice(), end.as_bytes()].concat();
            assert_eq!(only(&line).map(|value| value.len()).ok(), Some(LINE_BYTES_MAX), "{end:?}");
            let longer = [b"x".as_slice(), line.as_slice()].concat();
            assert!(matches!(only(&longer), Err(PiiError::LineTooLong { line: 1, .. })), "{end:?}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_refused_without_showing_them() {
        let error = only(b"hunter2\xff\n").expect_err("not UTF-8");
        assert!(matches!(error, PiiError::NotText { line: 1 }));
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
}
