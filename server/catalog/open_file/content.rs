//! Reads the content of an open file, from an offset on, or while its bytes on disk are hashed.
//!
//! Invariants: of a file that grows, no more is read than was asked for at
//! first; one that has become shorter is an error, and not the end.

use std::fs::File;
use std::io::{self, Error, ErrorKind, Read};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use crate::catalog::archive::{Compression, Decompressed, content_bytes_max};
use crate::catalog::fingerprint::ContentHasher;

/// Bytes that are read at once where nobody takes them.
const CHUNK_BYTES: usize = 256 * 1024;

/// Content of a file from an offset on.
pub(crate) struct Content {
    input: Decompressed<Section>,
    /// Content before the offset that is still to be decompressed.
    bytes_before: u64,
}

impl Content {
    /// See [`OpenFile::content`](super::OpenFile::content).
    pub(super) fn new(
        file: Arc<File>,
        compression: Compression,
        offset: u64,
        disk_bytes: u64,
        expansion_max: u64,
    ) -> io::Result<Self> {
        let is_archive = compression != Compression::None;
        let (disk_offset, bytes_before) = if is_archive { (0, offset) } else { (offset, 0) };
        let section = Section { file, offset: disk_offset, end: disk_bytes };
        let bytes_max = content_bytes_max(disk_bytes, expansion_max);
        Ok(Self { input: Decompressed::new(section, compression, bytes_max)?, bytes_before })
    }

    /// Goes to the offset; what was passed before an error stays passed.
    fn skip(&mut self) -> io::Result<()> {
        let mut chunk = vec![0; CHUNK_BYTES];
        while self.bytes_before > 0 {
            let wanted =
                usize::try_from(self.bytes_before).map_or(CHUNK_BYTES, |n| n.min(CHUNK_BYTES));
            let length = self.input.read(&mut chunk[..wanted])?;
            if length == 0 {
                break;
            }
            self.bytes_before -= length as u64;
        }
        Ok(())
    }
}

impl Read for Content {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.bytes_before > 0 {
            self.skip()?;
        }
        self.input.read(buffer)
    }
}

/// Content of a file from its beginning; each byte on disk is hashed as it passes.
pub(crate) struct HashedContent {
    input: Decompressed<HashedSection>,
}

/// Hashes of the bytes of a file on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hashes {
    /// Of all of them.
    pub(crate) whole: [u8; 16],
    /// Of those that were known before, or of all if there are fewer.
    pub(crate) known: [u8; 16],
}

impl HashedContent {
    /// See [`OpenFile::hashed_content`](super::OpenFile::hashed_content).
    pub(super) fn new(
        file: Arc<File>,
        compression: Compression,
        disk_bytes: u64,
        known_bytes: u64,
        expansion_max: u64,
    ) -> io::Result<Self> {
        let section = HashedSection {
            section: Section { file, offset: 0, end: disk_bytes },
            hasher: ContentHasher::new(),
            unknown_from: known_bytes.min(disk_bytes),
            known: None,
        };
        let bytes_max = content_bytes_max(disk_bytes, expansion_max);
        Ok(Self { input: Decompressed::new(section, compression, bytes_max)? })
    }

    /// Reads what is left on disk, even behind a damage, and gives the hashes.
    pub(crate) fn finish(self) -> io::Result<Hashes> {
        let mut section = self.input.into_input();
        let mut chunk = vec![0; CHUNK_BYTES];
        while section.read(&mut chunk)? > 0 {}
        let whole = section.hasher.hash();
        Ok(Hashes { whole, known: section.known.unwrap_or(whole) })
    }
}

impl Read for HashedContent {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.input.read(buffer)
    }
}

/// Bytes of a file on disk.
struct Section {
    file: Arc<File>,
    offset: u64,
    end: u64,
}

impl Read for Section {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.end.saturating_sub(self.offset);
        let room = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        if room == 0 {
            return Ok(0);
        }
        loop {
            match self.file.read_at(&mut buffer[..room], self.offset) {
                Ok(0) => {
                    let text = "the file has become shorter: plan the transfer again";
                    return Err(Error::new(ErrorKind::UnexpectedEof, text));
                }
                Ok(length) => {
                    self.offset += length as u64;
                    return Ok(length);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Bytes of a file on disk that are hashed as they pass.
struct HashedSection {
    section: Section,
    hasher: ContentHasher,
    /// Offset at which the hash of the known bytes is taken.
    unknown_from: u64,
    known: Option<[u8; 16]>,
}

impl Read for HashedSection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let offset = self.section.offset;
        let length = self.section.read(buffer)?;
        let mut bytes = &buffer[..length];
        if self.known.is_none() {
            let known_bytes = usize::try_from(self.unknown_from - offset).unwrap_or(usize::MAX);
            if known_bytes <= bytes.len() {
                let (known, unknown) = bytes.split_at(known_bytes);
                self.hasher.update(known);
                self.known = Some(self.hasher.hash());
                bytes = unknown;
            }
        }
        self.hasher.update(bytes);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::open_file::OpenFile;
    use std::io::Write as _;
    use std::path::PathBuf;
    use tempfile::TempDir;

    fn content() -> Vec<u8> {
        let mut content = Vec::new();
        for number in 0..50_000 {
            writeln!(content, "{number}").expect("memory takes it");
        }
        content
    }

    /// The same content, as it is and as archives.
    fn written() -> Vec<Vec<u8>> {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&content()).expect("it is compressed");
        let zstd = zstd::stream::encode_all(&content()[..], 1).expect("it is compressed");
        vec![content(), gzip.finish().expect("it is compressed"), zstd]
    }

    fn file(bytes: &[u8]) -> (TempDir, PathBuf, OpenFile) {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("a.csv");
        std::fs::write(&path, bytes).expect("file is written");
        let file = OpenFile::open("a.csv", &path).expect("file is there");
        (folder, path, file)
    }

    fn hash(bytes: &[u8]) -> [u8; 16] {
        let mut hasher = ContentHasher::new();
        hasher.update(bytes);
        hasher.hash()
    }

    #[test]
    fn content_is_read_from_any_offset() {
        let content = content();
        let length = content.len() as u64;
        for bytes in written() {
            let (_folder, _path, file) = file(&bytes);
            let disk_bytes = bytes.len() as u64;
            for offset in [0, 1, 70_000, length - 1, length, length + 10] {
                let mut found = Vec::new();
                let mut input = file.content(offset, disk_bytes, 200).expect("it is opened");
                input.read_to_end(&mut found).expect("it is read");
                let from = usize::try_from(offset.min(length)).expect("it is short");
                assert_eq!(found, content[from..], "{} from {offset}", file.compression());
            }
        }
    }

    #[test]
    fn two_contents_of_a_file_do_not_disturb_each_other() {
        let (_folder, _path, file) = file(b"abcd");
        let mut one = file.content(0, 4, 200).expect("it is opened");
        let mut other = file.content(2, 3, 200).expect("it is opened");
        let (mut first, mut second) = ([0; 2], Vec::new());
        one.read_exact(&mut first).expect("it is read");
        other.read_to_end(&mut second).expect("it is read");
        assert_eq!((&first, &second[..]), (b"ab", &b"c"[..]));
        one.read_exact(&mut first).expect("it is read");
        assert_eq!(&first, b"cd");
    }

    #[test]
    fn bytes_on_disk_are_hashed_as_they_pass() {
        for bytes in written() {
            let (_folder, _path, file) = file(&bytes);
            let disk_bytes = bytes.len() as u64;
            for known_bytes in [0, 1, 100, disk_bytes - 1, disk_bytes, disk_bytes + 1] {
                for content_bytes in [0, 10, u64::MAX] {
                    let mut input =
                        file.hashed_content(disk_bytes, known_bytes, 200).expect("it is opened");
                    let mut found = Vec::new();
                    let mut first = input.by_ref().take(content_bytes);
                    first.read_to_end(&mut found).expect("it is read");
                    assert!(content().starts_with(&found));
                    let known = usize::try_from(known_bytes.min(disk_bytes)).expect("it is short");
                    let expected = Hashes { whole: hash(&bytes), known: hash(&bytes[..known]) };
                    assert_eq!(input.finish().expect("it is read"), expected);
                }
            }
        }
    }

    #[test]
    fn a_damaged_archive_is_hashed_to_its_end() {
        let mut bytes = written().swap_remove(1);
        bytes.truncate(bytes.len() / 2);
        let (_folder, _path, file) = file(&bytes);
        let mut input = file.hashed_content(bytes.len() as u64, 5, 200).expect("it is opened");
        let mut found = Vec::new();
        input.read_to_end(&mut found).expect_err("it ends early");
        assert!(found.len() > 1000 && content().starts_with(&found));
        let expected = Hashes { whole: hash(&bytes), known: hash(&bytes[..5]) };
        assert_eq!(input.finish().expect("it is read"), expected);
    }

    #[test]
    fn what_is_added_is_not_read_and_what_is_missing_is_an_error() {
        let (_folder, path, file) = file(b"a\n1\n");
        std::fs::write(&path, b"a\n1\n2\n").expect("file is written");
        let mut found = Vec::new();
        let mut input = file.content(0, 4, 200).expect("it is opened");
        input.read_to_end(&mut found).expect("it is read");
        assert_eq!(found, b"a\n1\n");
        std::fs::write(&path, b"a\n").expect("file is written");
        let mut input = file.content(0, 4, 200).expect("it is opened");
        input.read_to_end(&mut found).expect_err("it is shorter");
        let input = file.hashed_content(4, 0, 200).expect("it is opened");
        input.finish().expect_err("it is shorter");
    }
}
