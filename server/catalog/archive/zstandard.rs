//! Turns the frames of a zstd archive (RFC 8878), one after the other, into their content.
//!
//! The frames are driven here, and not by the crate's reader, because a call
//! that fails does not tell what it wrote before. So no call gets more than
//! one block, and a block is decompressed as a whole before any of it is given.

use std::io::{self, BufRead as _, BufReader, ErrorKind, Read};

use zstd::stream::raw::{DParameter, Decoder, Operation as _};

use super::{ArchiveError, Compression};

/// Bytes of the archive that are held: a block and more.
const INPUT_BYTES: usize = 256 * 1024;
/// Most memory of one frame, which is what `zstd` itself takes without being asked.
pub(super) const WINDOW_MEBIBYTES: u32 = 128;
/// Binary logarithm of the same in bytes.
const WINDOW_LOG_MAX: u32 = 27;
/// Bytes before a block, which tell its length.
const BLOCK_HEADER_BYTES: usize = 3;
/// Text of the library's error for a frame with a larger window.
const WINDOW_ERROR: &str = "Frame requires too much memory for decoding";
/// Text of the library's error if memory is not to be had.
const MEMORY_ERROR: &str = "Allocation error : not enough memory";

/// Decompresses a zstd archive, and checks the sums of its frames where they have some.
pub(super) struct ZstdDecoder<R> {
    input: BufReader<R>,
    frames: Decoder<'static>,
    /// Bytes that would bring the frame on, the header of the next block
    /// included; 0 between frames.
    wanted_bytes: usize,
    /// Whether there may be content that did not fit.
    holds_content: bool,
}

impl<R: Read> ZstdDecoder<R> {
    pub(super) fn new(input: R) -> io::Result<Self> {
        let mut frames = Decoder::new()?;
        frames.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX))?;
        let input = BufReader::with_capacity(INPUT_BYTES, input);
        Ok(Self { input, frames, wanted_bytes: 0, holds_content: false })
    }

    pub(super) fn into_input(self) -> R {
        self.input.into_inner()
    }

    /// Most bytes for one call: the rest of a block, but not the next one's header.
    fn step_bytes(&self) -> usize {
        if self.wanted_bytes > BLOCK_HEADER_BYTES {
            self.wanted_bytes - BLOCK_HEADER_BYTES
        } else {
            self.wanted_bytes.max(1)
        }
    }
}

impl<R: Read> Read for ZstdDecoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let step_bytes = self.step_bytes();
            let bytes: &[u8] = if self.holds_content { &[] } else { self.input.fill_buf()? };
            if bytes.is_empty() && !self.holds_content {
                if self.wanted_bytes == 0 {
                    return Ok(0);
                }
                return Err(ArchiveError::EndsEarly(Compression::Zstd).into());
            }
            let step = &bytes[..bytes.len().min(step_bytes)];
            let status =
                self.frames.run_on_buffers(step, buffer).map_err(|error| failure(&error))?;
            self.input.consume(status.bytes_read);
            self.wanted_bytes = status.remaining;
            // A frame is done only after all of it was given.
            self.holds_content = status.remaining > 0 && status.bytes_written == buffer.len();
            if status.bytes_written > 0 {
                return Ok(status.bytes_written);
            }
        }
    }
}

/// The library tells its errors apart by their texts alone.
fn failure(error: &io::Error) -> io::Error {
    match error.to_string().as_str() {
        WINDOW_ERROR => ArchiveError::WindowTooLarge.into(),
        MEMORY_ERROR => ErrorKind::OutOfMemory.into(),
        _ => ArchiveError::Damaged(Compression::Zstd).into(),
    }
}
