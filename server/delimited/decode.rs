//! Turns content in some encoding into text, and places in the text back into places in the content.
//!
//! Invariants: the line ends of the content are the line ends of the text, one
//! for one; every line is decoded for itself, so that reading from the start
//! of any line gives the same text.

mod byte_order_mark;
mod foreign;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read};

use encoding_rs::{Decoder, DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE};
use memchr::{memchr2, memchr2_iter};

use super::Layout;
use super::footer::Footer;

pub(crate) use byte_order_mark::beginning;
pub(super) use byte_order_mark::{BEGINNING_BYTES, MARK_BYTES};

/// Content that is held to be decoded.
const CONTENT_BYTES: usize = 64 * 1024;
/// Stands for a sequence that cannot be decoded; no UTF-8 holds it.
const UNDECODABLE: u8 = 0xFF;
/// Room in a buffer below which no more is decoded into it.
const ROOM_BYTES_MIN: usize = 32;

/// Text of content in some encoding, and where its lines lie in the content.
pub(crate) struct TextInput<R> {
    input: R,
    way: Way,
    footer: Option<Box<Footer>>,
}

enum Way {
    /// UTF-8 is text already; its records are checked when they are read.
    AsItIs {
        offset: u64,
    },
    Decoded(Box<LineDecoder>),
}

impl<R: Read> TextInput<R> {
    /// `input` stands at content offset `offset`, the start of a line, behind a byte order mark.
    pub(crate) fn new(input: R, encoding: &'static Encoding, offset: u64) -> Self {
        let way = if encoding == UTF_8 {
            Way::AsItIs { offset }
        } else {
            Way::Decoded(Box::new(LineDecoder::new(encoding, offset)))
        };
        Self { input, way, footer: None }
    }

    /// The same without the last lines of the content that are a footer.
    pub(crate) fn without_footer(self, layout: &Layout) -> Self {
        let lines = usize::try_from(layout.skip_footer).unwrap_or(usize::MAX);
        let footer = || Box::new(Footer::new(lines, layout.dialect.terminator));
        Self { footer: (lines > 0).then(footer), ..self }
    }

    /// The same of content that may still be written: half a unit at its end
    /// waits for its other half.
    pub(super) fn of_growing(mut self) -> Self {
        if let Way::Decoded(decoder) = &mut self.way {
            decoder.last_unit_bytes = decoder.unit_bytes();
        }
        self
    }

    /// Bytes of the content that were read and are no text yet: at its end, half a unit.
    pub(super) fn waiting_bytes(&self) -> u64 {
        match &self.way {
            Way::AsItIs { .. } => 0,
            Way::Decoded(decoder) => (decoder.end - decoder.start) as u64,
        }
    }

    /// Bytes of the content that an ASCII character takes, such as a line end.
    pub(crate) fn unit_bytes(&self) -> u64 {
        match &self.way {
            Way::Decoded(decoder) if [UTF_16LE, UTF_16BE].contains(&decoder.encoding) => 2,
            Way::AsItIs { .. } | Way::Decoded(_) => 1,
        }
    }

    /// More text: at least one byte, or none if the content ends.
    ///
    /// `buffer` has at least 32 bytes. An error of the input comes after all
    /// text that was decoded before it; asking again asks the input again.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(mut footer) = self.footer.take() else {
            return self.read_all(buffer);
        };
        let outcome = self.read_before(&mut footer, buffer);
        self.footer = Some(footer);
        outcome
    }

    fn read_before(&mut self, footer: &mut Footer, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let given = footer.give(buffer);
            if given > 0 {
                return Ok(given);
            }
            match self.read_all(buffer)? {
                0 => return Ok(0),
                read => footer.take(&buffer[..read])?,
            }
        }
    }

    fn read_all(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.way {
            Way::AsItIs { .. } => read_uninterrupted(&mut self.input, buffer),
            Way::Decoded(decoder) => loop {
                let written = decoder.decode(buffer);
                if written > 0 || !decoder.fill(&mut self.input)? {
                    return Ok(written);
                }
            },
        }
    }

    /// Content offset of a place in the text: its start, its end, or just behind a LF or CR.
    ///
    /// Text offsets count from the first byte that `read` gave, and do not
    /// decrease from call to call.
    pub(crate) fn content_offset(&mut self, text_offset: u64) -> u64 {
        match &mut self.way {
            Way::AsItIs { offset } => *offset + text_offset,
            Way::Decoded(decoder) => decoder.content_offset_at(text_offset),
        }
    }
}

fn read_uninterrupted(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match input.read(buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

/// Start of a line, in the text and in the content.
struct LineStart {
    text_offset: u64,
    content_offset: u64,
}

/// Content of one line that is to be decoded, up to what is held of it.
struct Piece {
    bytes: usize,
    /// The line end behind it.
    line_end: Option<u8>,
}

/// Decodes content line by line.
struct LineDecoder {
    encoding: &'static Encoding,
    /// Of the line that is being decoded.
    decoder: Decoder,
    /// Whether the decoder has seen a byte of the line, and may hold some.
    is_within_line: bool,
    /// Held content; what is not decoded yet lies from `start` to `end`.
    content: Vec<u8>,
    start: usize,
    end: usize,
    piece: Option<Piece>,
    /// Content that is decoded.
    content_offset: u64,
    /// Text that was given.
    text_offset: u64,
    /// Those that may still be asked for.
    line_starts: VecDeque<LineStart>,
    is_at_end: bool,
    /// Fewer bytes at the end are no text yet.
    last_unit_bytes: usize,
    /// Whether the input failed: what the decoder holds is then not the end of the content.
    has_failed: bool,
}

impl LineDecoder {
    fn new(encoding: &'static Encoding, offset: u64) -> Self {
        Self {
            encoding,
            decoder: encoding.new_decoder_without_bom_handling(),
            is_within_line: false,
            content: vec![0; CONTENT_BYTES],
            start: 0,
            end: 0,
            piece: None,
            content_offset: offset,
            text_offset: 0,
            line_starts: VecDeque::from([LineStart { text_offset: 0, content_offset: offset }]),
            is_at_end: false,
            last_unit_bytes: 1,
            has_failed: false,
        }
    }

    /// Takes more content; `false` if there is none.
    fn fill(&mut self, input: &mut impl Read) -> io::Result<bool> {
        if self.is_at_end {
            return Ok(false);
        }
        self.content.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        match read_uninterrupted(input, &mut self.content[self.end..]) {
            Ok(0) if self.has_failed => Ok(false),
            Ok(length) => {
                self.end += length;
                self.is_at_end = length == 0;
                Ok(true)
            }
            Err(error) => {
                self.has_failed = true;
                Err(error)
            }
        }
    }

    /// Decodes what is held, as far as there is room; gives the bytes of text.
    fn decode(&mut self, buffer: &mut [u8]) -> usize {
        debug_assert!(buffer.len() >= ROOM_BYTES_MIN, "no room for any text");
        let mut written = 0;
        while buffer.len() - written >= ROOM_BYTES_MIN {
            let Some(piece) = self.piece.take().or_else(|| self.next_piece()) else { break };
            let text_bytes = self.decode_piece(piece, &mut buffer[written..]);
            self.text_offset += text_bytes as u64;
            written += text_bytes;
        }
        written
    }

    /// The rest of a line, as far as it is held; `None` if more content is needed.
    fn next_piece(&self) -> Option<Piece> {
        let held = &self.content[self.start..self.end];
        if let Some((bytes, line_end)) = self.find_line_end(held) {
            return Some(Piece { bytes, line_end: Some(line_end) });
        }
        // Half a unit waits for its other half, so that units begin where pieces do.
        let unit_bytes = if self.is_at_end { self.last_unit_bytes } else { self.unit_bytes() };
        let half = held.len() % unit_bytes;
        let bytes = held.len() - half;
        let is_rest_of_text = self.is_at_end && self.is_within_line;
        (bytes > 0 || is_rest_of_text).then_some(Piece { bytes, line_end: None })
    }

    /// Decodes a piece, as far as there is room; what is left of it is kept.
    fn decode_piece(&mut self, mut piece: Piece, buffer: &mut [u8]) -> usize {
        let ends_line = piece.line_end.is_some() || self.is_at_end;
        let mut written = 0;
        if piece.bytes > 0 || (ends_line && self.is_within_line) {
            self.is_within_line = true;
            let source = &self.content[self.start..self.start + piece.bytes];
            // What follows the text always has room: a byte for what cannot be
            // decoded, or the line end.
            let room = buffer.len() - 1;
            let (result, read, text_bytes) = self.decoder.decode_to_utf8_without_replacement(
                source,
                &mut buffer[..room],
                ends_line,
            );
            self.advance(read);
            piece.bytes -= read;
            written = text_bytes;
            match result {
                DecoderResult::InputEmpty => {}
                DecoderResult::OutputFull => {
                    self.piece = Some(piece);
                    return written;
                }
                DecoderResult::Malformed(..) => {
                    buffer[written] = UNDECODABLE;
                    self.piece = Some(piece);
                    return written + 1;
                }
            }
        }
        if ends_line && self.is_within_line {
            self.decoder = self.encoding.new_decoder_without_bom_handling();
            self.is_within_line = false;
        }
        if let Some(line_end) = piece.line_end {
            buffer[written] = line_end;
            written += 1;
            self.advance(self.unit_bytes());
            self.line_starts.push_back(LineStart {
                text_offset: self.text_offset + written as u64,
                content_offset: self.content_offset,
            });
        }
        written
    }

    fn advance(&mut self, bytes: usize) {
        self.start += bytes;
        self.content_offset += bytes as u64;
    }

    fn unit_bytes(&self) -> usize {
        if self.encoding == UTF_16LE || self.encoding == UTF_16BE { 2 } else { 1 }
    }

    /// The place and the byte of the first LF or CR in content that begins with a whole unit.
    ///
    /// Outside UTF-16, no character of an encoding has one of them as its second byte.
    fn find_line_end(&self, content: &[u8]) -> Option<(usize, u8)> {
        if self.encoding == UTF_16LE {
            let mut found = memchr2_iter(b'\n', b'\r', content);
            let is_unit = |at: &usize| at.is_multiple_of(2) && content.get(at + 1) == Some(&0);
            return found.find(is_unit).map(|at| (at, content[at]));
        }
        if self.encoding == UTF_16BE {
            let mut found = memchr2_iter(b'\n', b'\r', content);
            let is_unit = |at: &usize| at % 2 == 1 && content[at - 1] == 0;
            return found.find(is_unit).map(|at| (at - 1, content[at]));
        }
        memchr2(b'\n', b'\r', content).map(|at| (at, content[at]))
    }

    fn content_offset_at(&mut self, text_offset: u64) -> u64 {
        while self.line_starts.front().is_some_and(|line| line.text_offset < text_offset) {
            self.line_starts.pop_front();
        }
        if let Some(line) = self.line_starts.front()
            && line.text_offset == text_offset
        {
            return line.content_offset;
        }
        debug_assert_eq!(text_offset, self.text_offset, "no line starts there");
        self.content_offset
    }
}
