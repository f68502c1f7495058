//! Turns the first bytes of content into the encoding that they are written in, and how sure that is.

use std::fmt;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, ISO_2022_JP, UTF_8, UTF_16BE, UTF_16LE};

use crate::delimited::{TextInput, beginning};

/// A sequence that is not UTF-8 is damage, not another encoding, where so many more are.
const GOOD_PER_DAMAGED: usize = 10;
/// Control characters are frequent if one of so many bytes is one; those that
/// stand between fields are not counted.
const ODD_BYTES_ONE_IN: usize = 50;
/// Begins what is no letter of ASCII in ISO-2022-JP, whose bytes are all ASCII.
const ESCAPE: u8 = 0x1B;
/// Of a hundred units of UTF-16 so many are ASCII, even in text of the East.
const ZEROS_PERCENT_MIN: usize = 30;
/// Of a hundred the other byte is zero in so many at most.
const OTHER_ZEROS_PERCENT_MAX: usize = 2;

/// An encoding, and why it is taken for that.
#[derive(Debug, Clone, Copy)]
pub(super) struct FoundEncoding {
    pub(super) encoding: &'static Encoding,
    /// Bytes of the mark before the text.
    pub(super) mark_bytes: u64,
    pub(super) evidence: EncodingEvidence,
}

/// What speaks for an encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EncodingEvidence {
    /// The command line says so.
    Given,
    Mark,
    Ascii,
    Utf8 {
        characters: usize,
    },
    MostlyUtf8 {
        characters: usize,
        damaged: usize,
    },
    ZeroBytes,
    Guessed,
}

impl fmt::Display for EncodingEvidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given => f.write_str("as given"),
            Self::Mark => f.write_str("certain, a byte order mark says so"),
            Self::Ascii => f.write_str("certain for what was looked at, which is all ASCII"),
            Self::Utf8 { characters: 1 } => {
                f.write_str("certain, the one character beyond ASCII is right")
            }
            Self::Utf8 { characters } => {
                write!(f, "certain, {characters} characters beyond ASCII are right")
            }
            Self::MostlyUtf8 { characters, damaged } => {
                write!(
                    f,
                    "likely: beyond ASCII, {characters} characters are right, {damaged} wrong"
                )
            }
            Self::ZeroBytes => f.write_str("likely, by its zero bytes"),
            Self::Guessed => {
                f.write_str("guessed by its letters: if you know better, say --encoding")
            }
        }
    }
}

/// Finds the encoding of content that begins with `head`; `given` goes before what is found.
pub(super) fn detect(
    head: &[u8],
    given: Option<&'static Encoding>,
) -> Result<FoundEncoding, String> {
    let (encoding, evidence) = match given {
        Some(encoding) => (encoding, EncodingEvidence::Given),
        None => guess(head),
    };
    let found = beginning(head, encoding)?;
    Ok(FoundEncoding { encoding: found.encoding, mark_bytes: found.mark_bytes, evidence })
}

/// Whether bytes that no text holds are so frequent that this is none, such as a spreadsheet or an image.
pub(super) fn is_no_text(text: &[u8]) -> bool {
    let odd = text.iter().filter(|byte| matches!(**byte, 0 | 3..=8 | 11 | 14..=26)).count();
    odd > 1 && odd * ODD_BYTES_ONE_IN > text.len()
}

/// The text of the first bytes of content.
pub(super) fn text_of(head: &[u8], found: &FoundEncoding) -> Vec<u8> {
    let mark_bytes = usize::try_from(found.mark_bytes).unwrap_or(0).min(head.len());
    let mut input = TextInput::new(&head[mark_bytes..], found.encoding, found.mark_bytes);
    let mut text = Vec::with_capacity(head.len());
    let mut buffer = [0; 16 * 1024];
    // Bytes in memory can always be read.
    while let Ok(length) = input.read(&mut buffer) {
        if length == 0 {
            break;
        }
        text.extend_from_slice(&buffer[..length]);
    }
    text
}

fn guess(head: &[u8]) -> (&'static Encoding, EncodingEvidence) {
    if let Some((encoding, _)) = Encoding::for_bom(head) {
        return (encoding, EncodingEvidence::Mark);
    }
    if let Some(encoding) = utf16_by_zeros(head) {
        return (encoding, EncodingEvidence::ZeroBytes);
    }
    let (characters, damaged) = count_utf8(head);
    if damaged == 0 && characters == 0 {
        return match head.contains(&ESCAPE).then(|| guess_by_letters(head)) {
            Some(encoding) if encoding == ISO_2022_JP => (encoding, EncodingEvidence::Guessed),
            _ => (UTF_8, EncodingEvidence::Ascii),
        };
    }
    if damaged == 0 {
        return (UTF_8, EncodingEvidence::Utf8 { characters });
    }
    if characters >= damaged * GOOD_PER_DAMAGED {
        return (UTF_8, EncodingEvidence::MostlyUtf8 { characters, damaged });
    }
    (guess_by_letters(head), EncodingEvidence::Guessed)
}

fn guess_by_letters(head: &[u8]) -> &'static Encoding {
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    // Not the last bytes: they may end in the middle of a character.
    detector.feed(head, false);
    detector.guess(None, Utf8Detection::Deny)
}

/// UTF-16 without a mark: the high byte of an ASCII character is zero.
fn utf16_by_zeros(head: &[u8]) -> Option<&'static Encoding> {
    let (units, _) = head.as_chunks::<2>();
    if units.is_empty() {
        return None;
    }
    let first = units.iter().filter(|unit| unit[0] == 0).count() * 100;
    let second = units.iter().filter(|unit| unit[1] == 0).count() * 100;
    let (many, few) = (ZEROS_PERCENT_MIN * units.len(), OTHER_ZEROS_PERCENT_MAX * units.len());
    if second >= many && first <= few {
        Some(UTF_16LE)
    } else if first >= many && second <= few {
        Some(UTF_16BE)
    } else {
        None
    }
}

/// Characters beyond ASCII, and sequences that are none; half of one at the end is not counted.
fn count_utf8(head: &[u8]) -> (usize, usize) {
    let (mut characters, mut damaged) = (0, 0);
    let mut passed = 0;
    for chunk in head.utf8_chunks() {
        characters += chunk.valid().chars().filter(|character| !character.is_ascii()).count();
        passed += chunk.valid().len() + chunk.invalid().len();
        let is_cut_off = passed == head.len()
            && std::str::from_utf8(chunk.invalid()).is_err_and(|error| error.error_len().is_none());
        damaged += usize::from(!chunk.invalid().is_empty() && !is_cut_off);
    }
    (characters, damaged)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(head: &[u8]) -> (&'static str, EncodingEvidence) {
        let (encoding, evidence) = guess(head);
        (encoding.name(), evidence)
    }

    #[test]
    fn utf8_is_told_by_its_sequences() {
        assert_eq!(found(b"a,b\n1,2\n"), ("UTF-8", EncodingEvidence::Ascii));
        let utf8 = EncodingEvidence::Utf8 { characters: 2 };
        assert_eq!(found("a,é\n1,ü\n".as_bytes()), ("UTF-8", utf8));
        // Cut in the middle of a character.
        assert_eq!(found(b"\xC3\xA9\xC3\xBC\xC3"), ("UTF-8", utf8));
    }

    #[test]
    fn a_damaged_row_does_not_change_the_encoding() {
        let text = [&"é".repeat(40).into_bytes()[..], b"\nSan Jos\xE9\n"].concat();
        let mostly = EncodingEvidence::MostlyUtf8 { characters: 40, damaged: 1 };
        assert_eq!(found(&text), ("UTF-8", mostly));
    }

    #[test]
    fn utf16_is_told_with_and_without_a_mark() {
        let little: Vec<u8> = "name,city\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = "name,city\n".encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(found(&little), ("UTF-16LE", EncodingEvidence::ZeroBytes));
        assert_eq!(found(&big), ("UTF-16BE", EncodingEvidence::ZeroBytes));
        assert_eq!(found(b"\xFF\xFEa\0"), ("UTF-16LE", EncodingEvidence::Mark));
        assert_eq!(found(b"\xEF\xBB\xBFa"), ("UTF-8", EncodingEvidence::Mark));
    }

    #[test]
    fn what_is_no_text_is_told() {
        assert!(is_no_text(b"PK\x03\x04\x14\x00\x06\x00\x08\x00"));
        assert!(!is_no_text(
            &[b"id,name\n1,a\x00b\n2,\x00\n".to_vec(), b"3,x\n".repeat(50)].concat()
        ));
        assert!(!is_no_text(b"a\x1Fb\x1E1\x1F2\x1E"));
    }

    #[test]
    fn other_encodings_are_guessed() {
        let text = b"name;stadt\nM\xFCller;K\xF6ln\nSch\xE4fer;M\xFCnchen\nGro\xDF;D\xFCsseldorf\n";
        assert_eq!(found(text), ("windows-1252", EncodingEvidence::Guessed));
        let japanese = b"id,name\n1,\x1B$B;3ED\x1B(B\n";
        assert_eq!(found(japanese), ("ISO-2022-JP", EncodingEvidence::Guessed));
        assert_eq!(found(b"\x1B[1mbold\x1B[0m\n").1, EncodingEvidence::Ascii);
        let found = detect(text, None).expect("it is readable");
        assert!(text_of(text, &found).starts_with("name;stadt\nMüller".as_bytes()));
    }
}
