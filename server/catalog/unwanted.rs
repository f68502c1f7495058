//! Turns a reader into one that breaks off once nobody waits for what is made of it.

use std::io::{self, Error, Read};

use crate::catalog::IsUnwanted;

/// Why such a reader broke off.
#[derive(Debug, thiserror::Error)]
#[error("nobody waits for what is read")]
pub(crate) struct Unwanted;

/// Reads for as long as somebody waits.
pub(crate) struct WhileWanted<'a, R> {
    reader: R,
    is_unwanted: IsUnwanted<'a>,
}

impl<'a, R: Read> WhileWanted<'a, R> {
    pub(crate) fn new(reader: R, is_unwanted: IsUnwanted<'a>) -> Self {
        Self { reader, is_unwanted }
    }

    pub(crate) fn into_inner(self) -> R {
        self.reader
    }
}

impl<R: Read> Read for WhileWanted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if (self.is_unwanted)() {
            return Err(Error::other(Unwanted));
        }
        self.reader.read(buffer)
    }
}

/// Reads and drops so many bytes; fewer if the content ends before.
pub(crate) fn skip<R: Read>(reader: &mut R, bytes: u64) -> io::Result<()> {
    io::copy(&mut reader.by_ref().take(bytes), &mut io::sink())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::RequestError;
    use std::cell::Cell;

    #[test]
    fn what_is_skipped_is_not_read_again() {
        let mut content = &b"uid\n1\n"[..];
        skip(&mut content, 4).expect("it is read");
        assert_eq!(content, b"1\n");
        skip(&mut content, 100).expect("it is read");
        assert!(content.is_empty());
    }

    #[test]
    fn nothing_is_read_once_nobody_waits() {
        let reads = Cell::new(0);
        let is_unwanted = || {
            reads.set(reads.get() + 1);
            reads.get() > 3
        };
        let mut endless = WhileWanted::new(io::repeat(b'x'), &is_unwanted);
        let error = skip(&mut endless, u64::MAX).expect_err("it breaks off");
        let error = RequestError::of_reading("a.csv", error);
        assert!(matches!(error, RequestError::Stopping), "{error}");
    }
}
