//! Turns the bytes of a file on disk into its content, decompressed where the file is an archive.
//!
//! Invariants: memory does not grow with the file; what lies before a damage is
//! given before its error; no error holds bytes of the file.

mod gzip;
#[cfg(test)]
mod tests;
mod zstandard;

use std::fmt;
use std::io::{self, ErrorKind, Read};

use self::gzip::GzipDecoder;
use self::zstandard::{WINDOW_MEBIBYTES, ZstdDecoder};

/// First bytes by which a file is told, at most.
pub(super) const MAGIC_BYTES: usize = 4;
/// Content that every archive may have.
const CONTENT_BYTES_MIN: u64 = 1024 * 1024 * 1024;
/// Magic number of RFC 1952, and its only method.
const GZIP_MAGIC: [u8; 3] = [0x1F, 0x8B, 8];
/// Magic number of a frame of RFC 8878.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];

/// How a file is compressed, as its first bytes tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Compression {
    /// Tells it from the first [`MAGIC_BYTES`] of a file, or from all if it is shorter.
    pub(crate) fn of(first: &[u8]) -> Self {
        // A file that breaks off in its magic number is an archive as well.
        let is_cut = |magic: &[u8]| first.len() >= 2 && magic.starts_with(first);
        // Frames that a reader skips may stand first.
        let is_skippable = matches!(first, [0x50..=0x5F, 0x2A, 0x4D, 0x18]);
        if first.starts_with(&GZIP_MAGIC) || is_cut(&GZIP_MAGIC) {
            Self::Gzip
        } else if first.starts_with(&ZSTD_MAGIC) || is_cut(&ZSTD_MAGIC) || is_skippable {
            Self::Zstd
        } else {
            Self::None
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        })
    }
}

/// What is wrong with an archive.
///
/// It travels inside an [`io::Error`]: see [`archive_error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ArchiveError {
    /// All content before its end is sound as far as can be told.
    #[error("the {0} archive ends early: copy the file again")]
    EndsEarly(Compression),
    /// The content before it may be wrong already: a checksum stands behind what it is of.
    #[error("the {0} archive is damaged: copy the file again")]
    Damaged(Compression),
    #[error(
        "the {compression} archive holds more than {bytes_max} bytes: raise max_expansion if it may"
    )]
    TooLarge { compression: Compression, bytes_max: u64 },
    #[error(
        "reading the zstd archive takes more than {WINDOW_MEBIBYTES} MiB of memory: compress it without --long"
    )]
    WindowTooLarge,
}

impl ArchiveError {
    /// Whether it goes beyond a bound, rather than being broken.
    pub(crate) fn is_too_large(self) -> bool {
        matches!(self, Self::TooLarge { .. } | Self::WindowTooLarge)
    }

    /// Whether content that was given before it may be wrong.
    pub(crate) fn is_of_content(&self) -> bool {
        matches!(self, Self::Damaged(_))
    }
}

impl From<ArchiveError> for io::Error {
    fn from(error: ArchiveError) -> Self {
        Self::new(ErrorKind::InvalidData, error)
    }
}

/// What is wrong with the archive, if it is not the disk that failed.
pub(crate) fn archive_error(error: &io::Error) -> Option<&ArchiveError> {
    error.get_ref()?.downcast_ref()
}

/// Most bytes of content of so many bytes on disk.
pub(super) fn content_bytes_max(disk_bytes: u64, expansion_max: u64) -> u64 {
    disk_bytes.saturating_mul(expansion_max).max(CONTENT_BYTES_MIN)
}

/// Reads the content of a file whose bytes on disk `input` gives.
pub(super) struct Decompressed<R> {
    decoder: Decoder<R>,
    compression: Compression,
    /// Bytes that an archive may give, and those of them that are left.
    bytes_max: u64,
    bytes_left: u64,
    /// What ended it.
    failure: Option<ArchiveError>,
}

enum Decoder<R> {
    Plain(R),
    Gzip(Box<GzipDecoder<R>>),
    Zstd(Box<ZstdDecoder<R>>),
}

impl<R: Read> Decompressed<R> {
    /// `input` stands at the beginning of the file if that is an archive.
    pub(super) fn new(input: R, compression: Compression, bytes_max: u64) -> io::Result<Self> {
        let decoder = match compression {
            Compression::None => Decoder::Plain(input),
            Compression::Gzip => Decoder::Gzip(Box::new(GzipDecoder::new(input))),
            Compression::Zstd => Decoder::Zstd(Box::new(ZstdDecoder::new(input)?)),
        };
        Ok(Self { decoder, compression, bytes_max, bytes_left: bytes_max, failure: None })
    }

    /// The input, from which more may be read than was decompressed.
    pub(super) fn into_input(self) -> R {
        match self.decoder {
            Decoder::Plain(input) => input,
            Decoder::Gzip(decoder) => decoder.into_input(),
            Decoder::Zstd(decoder) => decoder.into_input(),
        }
    }

    fn read_bounded(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = usize::try_from(self.bytes_left).map_or(buffer.len(), |n| n.min(buffer.len()));
        if room == 0 && !buffer.is_empty() {
            // The content may end just here.
            return match self.decoder.read(&mut [0])? {
                0 => Ok(0),
                _ => Err(ArchiveError::TooLarge {
                    compression: self.compression,
                    bytes_max: self.bytes_max,
                }
                .into()),
            };
        }
        let length = self.decoder.read(&mut buffer[..room])?;
        self.bytes_left -= length as u64;
        Ok(length)
    }
}

impl<R: Read> Read for Decompressed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Decoder::Plain(input) = &mut self.decoder {
            return input.read(buffer);
        }
        if let Some(failure) = self.failure {
            return Err(failure.into());
        }
        let outcome = self.read_bounded(buffer);
        if let Err(error) = &outcome {
            self.failure = archive_error(error).copied();
        }
        outcome
    }
}

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(input) => input.read(buffer),
            Self::Gzip(decoder) => decoder.read(buffer),
            Self::Zstd(decoder) => decoder.read(buffer),
        }
    }
}
