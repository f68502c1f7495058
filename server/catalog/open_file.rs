//! An open file whose size was taken when it was opened: what is added later is not read.

use std::fs::{File, Metadata};
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom, Take};
use std::ops::Range;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use ferry::position::Fingerprint;

use crate::catalog::IsUnwanted;
use crate::delimited::{Dialect, Header, read_header};
use crate::error::RequestError;

const CHUNK_BYTES: usize = 1024 * 1024;
const SECOND_NANOS: i64 = 1_000_000_000;

/// Size and time of the last write: as long as both stay, the content is taken to stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Stamp {
    pub(crate) size_bytes: u64,
    pub(crate) modified_unix_nanos: i64,
}

impl Stamp {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        let seconds = metadata.mtime().saturating_mul(SECOND_NANOS);
        Self {
            size_bytes: metadata.len(),
            modified_unix_nanos: seconds.saturating_add(metadata.mtime_nsec()),
        }
    }

    /// Whether the file has not been written since the fingerprint was taken.
    pub(crate) fn is_of(self, fingerprint: &Fingerprint) -> bool {
        self.size_bytes == fingerprint.size_bytes
            && self.modified_unix_nanos == fingerprint.modified_unix_nanos
    }
}

/// The bytes around a place in a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Edge {
    before: Option<u8>,
    after: Option<u8>,
}

impl Edge {
    /// Whether a record ends just here, its terminator included.
    ///
    /// As far as two bytes can tell: a line end inside quotes looks the same.
    pub(crate) fn is_between_records(self) -> bool {
        let splits_crlf = self.before == Some(b'\r') && self.after == Some(b'\n');
        self.before.is_some_and(is_line_end) && !splits_crlf
    }

    /// Whether a record ends here that was the file's last when it was planned.
    ///
    /// Such a record may have had no line end, or half of one; the rest of it
    /// then reads as a blank line, which holds no record.
    pub(crate) fn may_end_range(self) -> bool {
        self.before.is_some_and(is_line_end) || self.after.is_none_or(is_line_end)
    }
}

fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

/// An open file of a dataset.
#[derive(Debug)]
pub(crate) struct OpenFile {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    /// Taken when the file was opened.
    pub(crate) stamp: Stamp,
    file: File,
}

impl OpenFile {
    pub(crate) fn open(name: &str, path: &Path) -> Result<Self, RequestError> {
        let open = || -> std::io::Result<_> {
            let file = File::open(path)?;
            let stamp = Stamp::of(&file.metadata()?);
            Ok((file, stamp))
        };
        let (file, stamp) = open()
            .map_err(|source| RequestError::FileUnreadable { file: name.to_owned(), source })?;
        Ok(Self { name: name.to_owned(), path: path.to_owned(), stamp, file })
    }

    /// Size and time of the last write as they are now.
    pub(crate) fn stamp_now(&self) -> Result<Stamp, RequestError> {
        let metadata = self.file.metadata().map_err(|source| self.unreadable(source))?;
        Ok(Stamp::of(&metadata))
    }

    /// Reads the header; an empty file has none.
    pub(crate) fn read_header(&self, dialect: Dialect) -> Result<Option<Header>, RequestError> {
        read_header(self.section(0..self.stamp.size_bytes)?, dialect)
            .map_err(|error| RequestError::of_file(&self.name, error))
    }

    /// A reader of these bytes; only the section taken last may be read.
    pub(crate) fn section(&self, range: Range<u64>) -> Result<Take<File>, RequestError> {
        let open = || -> std::io::Result<_> {
            let mut file = self.file.try_clone()?;
            file.seek(SeekFrom::Start(range.start))?;
            Ok(file.take(range.end.saturating_sub(range.start)))
        };
        open().map_err(|source| self.unreadable(source))
    }

    /// Hands these bytes to `take`, chunk by chunk.
    pub(crate) fn read_range(
        &self,
        range: Range<u64>,
        is_unwanted: IsUnwanted<'_>,
        mut take: impl FnMut(&[u8]),
    ) -> Result<(), RequestError> {
        let mut offset = range.start;
        let chunk_bytes = |offset: u64| {
            usize::try_from(range.end - offset).map_or(CHUNK_BYTES, |rest| rest.min(CHUNK_BYTES))
        };
        let mut buffer = Vec::new();
        while offset < range.end {
            if is_unwanted() {
                return Err(RequestError::Stopping);
            }
            buffer.resize(chunk_bytes(offset), 0);
            let length = match self.file.read_at(&mut buffer, offset) {
                Ok(0) => return Err(RequestError::FileChanged { file: self.name.clone() }),
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(source) => return Err(self.unreadable(source)),
            };
            take(&buffer[..length]);
            offset += length as u64;
        }
        Ok(())
    }

    /// Looks at the bytes around a place that is not beyond the end.
    pub(crate) fn edge(&self, offset: u64) -> Result<Edge, RequestError> {
        let mut edge = Edge { before: None, after: None };
        if offset > 0 {
            edge.before = self.byte(offset - 1)?;
        }
        if offset < self.stamp.size_bytes {
            edge.after = self.byte(offset)?;
        }
        Ok(edge)
    }

    fn byte(&self, offset: u64) -> Result<Option<u8>, RequestError> {
        let mut byte = None;
        self.read_range(offset..offset + 1, &|| false, |bytes| byte = bytes.first().copied())?;
        Ok(byte)
    }

    fn unreadable(&self, source: std::io::Error) -> RequestError {
        RequestError::FileUnreadable { file: self.name.clone(), source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_tell_where_records_end() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("a.csv");
        std::fs::write(&path, "a\r\nb\nc").expect("file is written");
        let file = OpenFile::open("a.csv", &path).expect("file is there");
        let edge = |offset| file.edge(offset).expect("file is read");
        let between: Vec<u64> = (0..=6).filter(|&at| edge(at).is_between_records()).collect();
        assert_eq!(between, [3, 5]);
        let ends: Vec<u64> = (0..=6).filter(|&at| edge(at).may_end_range()).collect();
        assert_eq!(ends, [1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn a_file_that_shrank_has_changed() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("a.csv");
        std::fs::write(&path, "a\n1\n").expect("file is written");
        let file = OpenFile::open("a.csv", &path).expect("file is there");
        std::fs::write(&path, "a\n").expect("file is written");
        let outcome = file.read_range(0..4, &|| false, |_| {});
        assert!(matches!(outcome, Err(RequestError::FileChanged { .. })));
        assert_eq!(file.stamp_now().expect("file is there").size_bytes, 2);
    }
}
