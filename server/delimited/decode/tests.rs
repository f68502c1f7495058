//! Texts in many encodings, read in small pieces: each line lies where it lies in the content.

use std::io::{self, Error, ErrorKind, Read};

use encoding_rs::{
    BIG5, EUC_JP, EUC_KR, Encoding, GB18030, ISO_2022_JP, KOI8_R, SHIFT_JIS, UTF_8, UTF_16BE,
    UTF_16LE, WINDOWS_1252,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::TextInput;

const LINE_ENDS: [&str; 3] = ["\n", "\r\n", "\r"];
/// Where the content begins in its file.
const OFFSET: u64 = 1000;

/// Gives content a few bytes at a time, interrupted now and then.
struct Drip<'a> {
    content: &'a [u8],
    sizes: &'a [usize],
    turn: usize,
}

impl<'a> Drip<'a> {
    fn new(content: &'a [u8], sizes: &'a [usize]) -> Self {
        Self { content, sizes, turn: 0 }
    }
}

impl Read for Drip<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.turn += 1;
        if self.turn.is_multiple_of(5) {
            return Err(Error::from(ErrorKind::Interrupted));
        }
        let size = self.sizes[self.turn % self.sizes.len()].min(buffer.len());
        self.content.read(&mut buffer[..size])
    }
}

/// All text, and the content offsets of its lines and of its end.
fn read_all(
    input: impl Read,
    encoding: &'static Encoding,
    offset: u64,
    buffer_bytes: usize,
) -> (Vec<u8>, Vec<u64>) {
    let mut input = TextInput::new(input, encoding, offset);
    let mut buffer = vec![0; buffer_bytes];
    let mut text = Vec::new();
    let mut offsets = vec![input.content_offset(0)];
    loop {
        let length = input.read(&mut buffer).expect("it is read");
        for byte in &buffer[..length] {
            text.push(*byte);
            if matches!(byte, b'\n' | b'\r') {
                offsets.push(input.content_offset(text.len() as u64));
            }
        }
        if length == 0 {
            offsets.push(input.content_offset(text.len() as u64));
            assert_eq!(input.read(&mut buffer).expect("it has ended"), 0);
            return (text, offsets);
        }
    }
}

/// Content offsets just behind each LF and CR.
fn line_starts(content: &[u8], encoding: &'static Encoding) -> Vec<u64> {
    let is_line_end = |unit: &[u8]| match unit {
        [b'\n' | b'\r'] => true,
        [b'\n' | b'\r', 0] => encoding == UTF_16LE,
        [0, b'\n' | b'\r'] => encoding == UTF_16BE,
        _ => false,
    };
    let is_wide = encoding == UTF_16LE || encoding == UTF_16BE;
    let unit_bytes = if is_wide { 2 } else { 1 };
    let units = content.chunks(unit_bytes).enumerate();
    let found = units.filter(|(_, unit)| unit.len() == unit_bytes && is_line_end(unit));
    found.map(|(index, _)| OFFSET + ((index + 1) * unit_bytes) as u64).collect()
}

/// Text in an encoding, if it is the same text again when it is decoded.
fn encode(text: &str, encoding: &'static Encoding) -> Option<Vec<u8>> {
    let units = text.encode_utf16();
    let bytes = if encoding == UTF_16LE {
        units.flat_map(u16::to_le_bytes).collect()
    } else if encoding == UTF_16BE {
        units.flat_map(u16::to_be_bytes).collect()
    } else {
        encoding.encode(text).0.into_owned()
    };
    let (again, is_damaged) = encoding.decode_without_bom_handling(&bytes);
    (!is_damaged && again == text).then_some(bytes)
}

/// A line, of those of its characters that the encoding has.
fn encode_line(line: &str, encoding: &'static Encoding) -> (String, Vec<u8>) {
    let mut known = String::new();
    for character in line.chars() {
        if encode(character.encode_utf8(&mut [0; 4]), encoding).is_some() {
            known.push(character);
        }
    }
    let bytes = encode(&known, encoding).expect("each character is known");
    (known, bytes)
}

fn encodings() -> impl Strategy<Value = &'static Encoding> {
    select(vec![
        UTF_8,
        UTF_16LE,
        UTF_16BE,
        WINDOWS_1252,
        KOI8_R,
        SHIFT_JIS,
        GB18030,
        EUC_JP,
        EUC_KR,
        BIG5,
        ISO_2022_JP,
    ])
}

fn character() -> impl Strategy<Value = char> {
    prop_oneof![
        4 => proptest::char::range(' ', '~'),
        1 => proptest::char::range('\u{a0}', '\u{ff}'),
        2 => proptest::char::range('ぁ', 'ヶ'),
        2 => proptest::char::range('一', '龥'),
        2 => proptest::char::range('가', '힣'),
        1 => proptest::char::range('А', 'я'),
        1 => proptest::char::range('\u{1f300}', '\u{1f5ff}'),
        // Their UTF-16 holds the bytes of line ends.
        1 => select(vec!['\u{a0a}', '\u{d0d}', '\u{a00}', '\u{d00}', '\u{10a}', '\u{d0a}']),
    ]
}

fn lines() -> impl Strategy<Value = Vec<(Vec<char>, &'static str)>> {
    vec((vec(character(), 0..30), select(LINE_ENDS.to_vec())), 0..12)
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    vec(1..=9_usize, 1..7)
}

/// Bytes with which encodings begin characters, shift, or end lines.
fn byte() -> impl Strategy<Value = u8> {
    let special = b"\n\r\n\r\0\x1b$B(JI@\x0e\x0f\x81\x30\x8f\x8e\xd8\xdc\xff\xfe\x80".to_vec();
    prop_oneof![1 => any::<u8>(), 2 => select(special)]
}

proptest! {
    #[test]
    fn text_is_decoded_and_its_lines_are_found(
        encoding in encodings(),
        lines in lines(),
        last in vec(character(), 0..200),
        sizes in sizes(),
        buffer_bytes in 64..200_usize,
    ) {
        let mut content = Vec::new();
        let mut text = String::new();
        for (characters, line_end) in lines.into_iter().chain([(last, "")]) {
            let line: String = characters.into_iter().collect();
            let (line, bytes) = encode_line(&line, encoding);
            content.extend(bytes);
            content.extend(encode(line_end, encoding).expect("it is ASCII"));
            text.push_str(&line);
            text.push_str(line_end);
        }
        let mut expected = vec![OFFSET];
        expected.extend(line_starts(&content, encoding));
        let drip = Drip::new(&content, &sizes);
        let (found, offsets) = read_all(drip, encoding, OFFSET, buffer_bytes);
        prop_assert_eq!(String::from_utf8_lossy(&found), &text[..]);
        let end = offsets.last().copied();
        prop_assert_eq!(end, Some(OFFSET + content.len() as u64));
        prop_assert_eq!(&offsets[..offsets.len() - 1], &expected[..]);
    }

    #[test]
    fn any_bytes_have_lines_that_can_be_read_alone(
        encoding in encodings(),
        content in vec(byte(), 0..120),
        sizes in sizes(),
    ) {
        let mut expected = vec![OFFSET];
        expected.extend(line_starts(&content, encoding));
        let drip = Drip::new(&content, &sizes);
        let (text, offsets) = read_all(drip, encoding, OFFSET, 64);
        prop_assert_eq!(&offsets[..offsets.len() - 1], &expected[..]);
        if encoding != UTF_8 {
            let decoded: Vec<u8> = text.iter().copied().filter(|byte| *byte != 0xFF).collect();
            prop_assert!(String::from_utf8(decoded).is_ok());
        }

        let mut line_text = 0;
        for offset in expected {
            let index = usize::try_from(offset - OFFSET).expect("it is short");
            let (rest, _) = read_all(&content[index..], encoding, offset, 4096);
            prop_assert_eq!(&rest[..], &text[line_text..], "from {}", offset);
            let line_end = text[line_text..].iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            line_text += line_end.map_or(0, |at| at + 1);
        }
    }
}

fn decoded(content: &[u8], encoding: &'static Encoding) -> Vec<u8> {
    read_all(content, encoding, 0, 64).0
}

#[test]
fn what_cannot_be_decoded_is_marked_and_keeps_its_line_end() {
    assert_eq!(decoded(b"a\x81\nb", SHIFT_JIS), b"a\xFF\nb");
    assert_eq!(decoded(b"a\x81\x30\x81\r\nb", GB18030).last(), Some(&b'b'));
    assert_eq!(decoded(b"a\0\x3d\xd8\n\0b\0\n", UTF_16LE), b"a\xFF\nb\xFF");
    assert_eq!(decoded(b"\xd8\x3d\0\n\0b\xd8", UTF_16BE), b"\xFF\nb\xFF");
    // The line end stands where the second byte of a character should.
    assert_eq!(decoded(b"\x1b$B$\nb\n", ISO_2022_JP), b"\xFF\nb\n");
    // A line that begins in two-byte mode because the one before ended so.
    assert_eq!(decoded(b"\x1b$B$\x22\n$\x22\n", ISO_2022_JP), "あ\n$\"\n".as_bytes());
    assert_eq!(decoded(b"\x80\x81\x9f", WINDOWS_1252), "€\u{81}Ÿ".as_bytes());
}

#[test]
fn lines_longer_than_what_is_held_are_decoded() {
    let line = "一二三four😀".repeat(40_000);
    for encoding in [UTF_16LE, GB18030] {
        let text = format!("{line}\r\n{line}");
        let content = encode(&text, encoding).expect("it has all of them");
        let (found, offsets) = read_all(&content[..], encoding, 0, 777);
        assert_eq!(String::from_utf8(found).expect("it is UTF-8"), text);
        assert_eq!(offsets.len(), 4);
        assert_eq!(offsets[3], content.len() as u64);
    }
}

/// Gives its content, then the same error again and again.
struct Broken<'a>(&'a [u8]);

impl Read for Broken<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer) {
            Ok(0) => Err(Error::other("broken")),
            outcome => outcome,
        }
    }
}

#[test]
fn an_error_comes_after_all_text_before_it() {
    let cases: [(&'static Encoding, &[u8]); 3] =
        [(UTF_8, b"a\nb"), (UTF_16LE, b"a\0\n\0b\0\x3d"), (SHIFT_JIS, b"a\nb\x81")];
    for (encoding, content) in cases {
        let mut input = TextInput::new(Broken(content), encoding, 0);
        let mut buffer = [0; 64];
        let mut text: Vec<u8> = Vec::new();
        let error = loop {
            match input.read(&mut buffer) {
                Ok(length) => text.extend_from_slice(&buffer[..length]),
                Err(error) => break error,
            }
        };
        assert_eq!(error.to_string(), "broken");
        assert_eq!(text, b"a\nb", "{}", encoding.name());
        assert!(input.read(&mut buffer).is_err());
        let unit_bytes = if encoding == UTF_16LE { 2 } else { 1 };
        assert_eq!(input.content_offset(2), 2 * unit_bytes);
    }
}

#[test]
fn an_input_that_ends_after_an_error_has_no_rest() {
    let parts = [Ok(b"a\x81"), Err(())].into_iter();
    let mut input = TextInput::new(Parts(parts), SHIFT_JIS, 0);
    let mut buffer = [0; 64];
    assert_eq!(input.read(&mut buffer).expect("it is read"), 1);
    assert!(input.read(&mut buffer).is_err());
    assert_eq!(input.read(&mut buffer).expect("it has ended"), 0);
}

/// Gives parts and errors in turn, then nothing.
struct Parts<I>(I);

impl<I: Iterator<Item = Result<&'static [u8; 2], ()>>> Read for Parts<I> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.next() {
            Some(Ok(part)) => (&part[..]).read(buffer),
            Some(Err(())) => Err(Error::other("broken")),
            None => Ok(0),
        }
    }
}
