//! An open file whose size was taken when it was opened: what is added later is not read.

mod content;

use std::fs::{File, Metadata};
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use encoding_rs::{Encoding, UTF_16BE, UTF_16LE};
use ferry::position::Fingerprint;
use rustix::fs::OFlags;

use crate::catalog::IsUnwanted;
use crate::catalog::archive::{Compression, MAGIC_BYTES};
use crate::error::RequestError;

use self::content::HashedContent;
pub(crate) use self::content::{Content, Hashes};

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

/// What lies around a place in a file: a byte each, or in UTF-16 two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Edge {
    before: Side,
    after: Side,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    /// The file begins or ends there.
    Nothing,
    LineFeed,
    CarriageReturn,
    Other,
}

impl Edge {
    /// Whether a record ends just here, its terminator included.
    ///
    /// As far as two characters can tell: a line end inside quotes looks the same.
    pub(crate) fn is_between_records(self) -> bool {
        let splits_crlf = self.before == Side::CarriageReturn && self.after == Side::LineFeed;
        self.before.is_line_end() && !splits_crlf
    }

    /// Whether a record ends here that was the file's last when it was planned.
    ///
    /// Such a record may have had no line end, or half of one; the rest of it
    /// then reads as a blank line, which holds no record.
    pub(crate) fn may_end_range(self) -> bool {
        self.before.is_line_end() || self.after.is_line_end() || self.after == Side::Nothing
    }
}

impl Side {
    fn is_line_end(self) -> bool {
        matches!(self, Self::LineFeed | Self::CarriageReturn)
    }

    /// `unit` is a byte, two bytes of UTF-16, or what is left of them at the file's end.
    fn of(unit: &[u8], encoding: &'static Encoding) -> Self {
        let character = match *unit {
            [] => return Self::Nothing,
            [byte] if unit_bytes(encoding) == 1 => u16::from(byte),
            [first, second] if encoding == UTF_16LE => u16::from_le_bytes([first, second]),
            [first, second] if encoding == UTF_16BE => u16::from_be_bytes([first, second]),
            _ => return Self::Other,
        };
        match character {
            0x0A => Self::LineFeed,
            0x0D => Self::CarriageReturn,
            _ => Self::Other,
        }
    }
}

/// Bytes of a line end's character.
fn unit_bytes(encoding: &'static Encoding) -> u64 {
    if encoding == UTF_16LE || encoding == UTF_16BE { 2 } else { 1 }
}

/// An open file of a dataset.
#[derive(Debug)]
pub(crate) struct OpenFile {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    /// Taken when the file was opened.
    pub(crate) stamp: Stamp,
    compression: Compression,
    file: Arc<File>,
}

impl OpenFile {
    pub(crate) fn open(name: &str, path: &Path) -> Result<Self, RequestError> {
        let open = || -> io::Result<_> {
            // A FIFO that has taken the file's place would be waited on for ever.
            let flags = OFlags::NONBLOCK.bits().cast_signed();
            let file = File::options().read(true).custom_flags(flags).open(path)?;
            let metadata = file.metadata()?;
            if !metadata.is_file() {
                return Err(io::Error::other("it is no regular file"));
            }
            let compression = compression(&file)?;
            Ok((file, Stamp::of(&metadata), compression))
        };
        let (file, stamp, compression) = open()
            .map_err(|source| RequestError::FileUnreadable { file: name.to_owned(), source })?;
        let (name, path, file) = (name.to_owned(), path.to_owned(), Arc::new(file));
        Ok(Self { name, path, stamp, compression, file })
    }

    /// How it is compressed, as its first bytes tell.
    pub(crate) fn compression(&self) -> Compression {
        self.compression
    }

    /// Size and time of the last write as they are now.
    pub(crate) fn stamp_now(&self) -> Result<Stamp, RequestError> {
        let metadata = self.file.metadata().map_err(|source| self.unreadable(source))?;
        Ok(Stamp::of(&metadata))
    }

    /// Content from an offset on, of the first `disk_bytes` of the file.
    ///
    /// In an archive, the content before the offset is decompressed too, at the first read.
    pub(crate) fn content(
        &self,
        offset: u64,
        disk_bytes: u64,
        expansion_max: u64,
    ) -> Result<Content, RequestError> {
        let file = Arc::clone(&self.file);
        Content::new(file, self.compression, offset, disk_bytes, expansion_max)
            .map_err(|source| self.unreadable(source))
    }

    /// Content from the beginning, of the first `disk_bytes` of the file, which are hashed.
    pub(crate) fn hashed_content(
        &self,
        disk_bytes: u64,
        known_bytes: u64,
        expansion_max: u64,
    ) -> Result<HashedContent, RequestError> {
        let file = Arc::clone(&self.file);
        HashedContent::new(file, self.compression, disk_bytes, known_bytes, expansion_max)
            .map_err(|source| self.unreadable(source))
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

    /// Looks at what lies around a place; `None` in an archive, whose content cannot be looked at.
    pub(crate) fn edge(
        &self,
        offset: u64,
        encoding: &'static Encoding,
    ) -> Result<Option<Edge>, RequestError> {
        if self.compression != Compression::None {
            return Ok(None);
        }
        let unit_bytes = unit_bytes(encoding);
        let size_bytes = self.stamp.size_bytes;
        let side = |range: Range<u64>| -> Result<Side, RequestError> {
            let mut unit = Vec::new();
            self.read_range(range, &|| false, |bytes| unit.extend_from_slice(bytes))?;
            Ok(Side::of(&unit, encoding))
        };
        let before = offset.saturating_sub(unit_bytes)..offset;
        let after = offset..offset.saturating_add(unit_bytes).min(size_bytes).max(offset);
        let mut edge = Edge { before: side(before)?, after: side(after)? };
        if !offset.is_multiple_of(unit_bytes) {
            // Inside a character of UTF-16 no line ends, whatever its bytes are.
            edge.before = Side::Other;
            edge.after = if offset < size_bytes { Side::Other } else { Side::Nothing };
        }
        Ok(Some(edge))
    }

    fn unreadable(&self, source: io::Error) -> RequestError {
        RequestError::FileUnreadable { file: self.name.clone(), source }
    }
}

/// Looks at the first bytes of a file.
fn compression(file: &File) -> io::Result<Compression> {
    let mut first = [0; MAGIC_BYTES];
    let mut length = 0;
    while length < MAGIC_BYTES {
        match file.read_at(&mut first[length..], length as u64) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Compression::of(&first[..length]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use encoding_rs::{UTF_8, WINDOWS_1252};

    /// A file with this content, and the places in it where something holds.
    fn places(
        content: &[u8],
        encoding: &'static Encoding,
        holds: impl Fn(Edge) -> bool,
    ) -> Vec<u64> {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("a.csv");
        std::fs::write(&path, content).expect("file is written");
        let file = OpenFile::open("a.csv", &path).expect("file is there");
        let edge = |offset| file.edge(offset, encoding).expect("it is read").expect("no archive");
        (0..=content.len() as u64).filter(|&offset| holds(edge(offset))).collect()
    }

    #[test]
    fn edges_tell_where_records_end() {
        for encoding in [UTF_8, WINDOWS_1252] {
            let content = b"a\r\nb\nc";
            assert_eq!(places(content, encoding, Edge::is_between_records), [3, 5]);
            assert_eq!(places(content, encoding, Edge::may_end_range), [1, 2, 3, 4, 5, 6]);
        }
    }

    #[test]
    fn edges_of_utf_16_are_whole_characters() {
        // The fourth character holds the bytes of a line feed.
        let content = b"a\0\r\0\n\0\x0A\x01b\0\n\0c\0";
        assert_eq!(places(content, UTF_16LE, Edge::is_between_records), [6, 12]);
        assert_eq!(places(content, UTF_16LE, Edge::may_end_range), [2, 4, 6, 10, 12, 14]);
        let content = b"\0a\0\n\x0A\0\0b\0";
        assert_eq!(places(content, UTF_16BE, Edge::is_between_records), [4]);
        assert_eq!(places(content, UTF_16BE, Edge::may_end_range), [2, 4, 9]);
    }

    #[test]
    fn an_archive_has_no_edges() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("a.csv");
        std::fs::write(&path, b"\x1F\x8B\x08\0").expect("file is written");
        let file = OpenFile::open("a.csv", &path).expect("file is there");
        assert_eq!(file.compression(), Compression::Gzip);
        assert_eq!(file.edge(2, UTF_8).expect("it is not read"), None);
    }

    #[test]
    fn a_fifo_is_not_waited_on() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("a.csv");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR).expect("it is made");
        let outcome = OpenFile::open("a.csv", &path);
        assert!(matches!(outcome, Err(RequestError::FileUnreadable { .. })), "{outcome:?}");
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
