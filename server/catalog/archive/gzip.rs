//! Turns the members of a gzip archive (RFC 1952), one after the other, into their content.
//!
//! The members are driven here, and not by flate2's reader, because that one
//! drops what it decompressed in the call in which it meets a damage, and
//! takes zeros behind the last member for a damage.

use std::io::{self, BufRead as _, BufReader, Read};

use flate2::{Decompress, FlushDecompress, Status};

use super::{ArchiveError, Compression};

/// Bytes of the archive that are held.
const INPUT_BYTES: usize = 64 * 1024;
/// Binary logarithm of the largest window of DEFLATE.
const WINDOW_BITS: u8 = 15;

/// Decompresses a gzip archive, and checks the sums of its members.
pub(super) struct GzipDecoder<R> {
    input: BufReader<R>,
    /// Reads the member's header and its trailer too.
    inflate: Decompress,
    place: Place,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    BetweenMembers,
    InMember,
    /// All before the damage was given.
    AtDamage,
}

impl<R: Read> GzipDecoder<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            input: BufReader::with_capacity(INPUT_BYTES, input),
            inflate: Decompress::new_gzip(WINDOW_BITS),
            place: Place::BetweenMembers,
        }
    }

    pub(super) fn into_input(self) -> R {
        self.input.into_inner()
    }

    /// Goes to the next member, over zeros that fill up a block; `false` if there is none.
    fn begin_member(&mut self) -> io::Result<bool> {
        loop {
            let bytes = self.input.fill_buf()?;
            if bytes.is_empty() {
                return Ok(false);
            }
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            let is_member = zeros < bytes.len();
            self.input.consume(zeros);
            if is_member {
                self.inflate = Decompress::new_gzip(WINDOW_BITS);
                self.place = Place::InMember;
                return Ok(true);
            }
        }
    }
}

impl<R: Read> Read for GzipDecoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if self.place == Place::AtDamage {
                return Err(ArchiveError::Damaged(Compression::Gzip).into());
            }
            if self.place == Place::BetweenMembers && !self.begin_member()? {
                return Ok(0);
            }
            let bytes = self.input.fill_buf()?;
            let is_at_end = bytes.is_empty();
            let (read_before, written_before) = (self.inflate.total_in(), self.inflate.total_out());
            let outcome = self.inflate.decompress(bytes, buffer, FlushDecompress::None);
            // They count what was done before an error too.
            let read = difference(self.inflate.total_in(), read_before);
            let written = difference(self.inflate.total_out(), written_before);
            self.input.consume(read);
            let is_stuck = read == 0 && written == 0 && !is_at_end;
            match outcome {
                Ok(Status::StreamEnd) => self.place = Place::BetweenMembers,
                Ok(_) if !is_stuck => {}
                Ok(_) | Err(_) => self.place = Place::AtDamage,
            }
            if written > 0 {
                return Ok(written);
            }
            if is_at_end && self.place == Place::InMember {
                return Err(ArchiveError::EndsEarly(Compression::Gzip).into());
            }
        }
    }
}

/// Bytes of one call, which are no more than its buffers have.
fn difference(now: u64, before: u64) -> usize {
    usize::try_from(now - before).unwrap_or(usize::MAX)
}
