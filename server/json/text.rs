//! Finds its way through the text of one JSON value that is known to be valid.

use std::ops::Range;

use memchr::{memchr, memchr2};
use serde_json::value::RawValue;

use super::scan::Extent;
use super::space::count_spaces;

const HIGH_SURROGATES: Range<u32> = 0xD800..0xDC00;
const LOW_SURROGATES: Range<u32> = 0xDC00..0xE000;

/// An escape that stands for no character: half of a surrogate pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadEscape;

/// Whether a text is one JSON value, in UTF-8.
///
/// An escape may still stand for no character.
#[inline]
pub(super) fn is_valid(text: &[u8]) -> bool {
    serde_json::from_slice::<&RawValue>(text).is_ok()
}

/// A member of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member<'a> {
    /// Between the quotes, with its escapes.
    pub(super) key: &'a [u8],
    /// Where its value lies in the text.
    pub(super) value: Range<usize>,
    /// How many objects and arrays lie in one another in the value.
    pub(super) depth: u64,
}

/// The members of the object that begins at a place of a text.
pub(super) struct Members<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Members<'a> {
    pub(super) fn new(text: &'a [u8], object_start: usize) -> Self {
        Self { text, at: object_start + 1 }
    }

    /// Moves behind white space, and gives the byte there.
    #[inline]
    fn next_byte(&mut self) -> Option<u8> {
        self.at += count_spaces(self.text.get(self.at..)?);
        self.text.get(self.at).copied()
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = Member<'a>;

    #[inline]
    fn next(&mut self) -> Option<Member<'a>> {
        let mut byte = self.next_byte()?;
        if byte == b',' {
            self.at += 1;
            byte = self.next_byte()?;
        }
        if byte != b'"' {
            return None;
        }
        let key_start = self.at + 1;
        self.at = string_end(self.text, self.at);
        let key = self.text.get(key_start..self.at - 1)?;
        // Behind it stands a colon.
        self.next_byte()?;
        self.at += 1;
        self.next_byte()?;
        let start = self.at;
        let mut extent = Extent::default();
        let rest = &self.text[start..];
        self.at = start + extent.end_in(rest).unwrap_or(rest.len());
        Some(Member { key, value: start..self.at, depth: extent.depth() })
    }
}

/// Where the string ends whose first quote stands at `start`.
fn string_end(text: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(found) = text.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        at += found + 1;
        if text[at - 1] == b'"' {
            return at;
        }
        at += 1;
    }
    text.len()
}

/// What a string is, whose text with escapes is `raw`; `unescaped` gives room for it.
#[inline]
pub(super) fn unescape<'a>(
    raw: &'a [u8],
    unescaped: &'a mut Vec<u8>,
) -> Result<&'a [u8], BadEscape> {
    if memchr(b'\\', raw).is_none() {
        return Ok(raw);
    }
    unescaped.clear();
    let mut rest = raw;
    while let Some(found) = memchr(b'\\', rest) {
        unescaped.extend_from_slice(&rest[..found]);
        let escape = &rest[found + 1..];
        rest = &escape[push_escaped(escape, unescaped)?..];
    }
    unescaped.extend_from_slice(rest);
    Ok(unescaped.as_slice())
}

/// Appends what the escape behind a backslash stands for; returns its length.
fn push_escaped(escape: &[u8], unescaped: &mut Vec<u8>) -> Result<usize, BadEscape> {
    let byte = match escape.first() {
        Some(b'u') => return push_unicode(escape, unescaped),
        Some(b'b') => 0x08,
        Some(b'f') => 0x0C,
        Some(b'n') => b'\n',
        Some(b'r') => b'\r',
        Some(b't') => b'\t',
        Some(byte) => *byte,
        None => return Err(BadEscape),
    };
    unescaped.push(byte);
    Ok(1)
}

/// The same for `u` and its digits, which may be the first half of a pair.
fn push_unicode(escape: &[u8], unescaped: &mut Vec<u8>) -> Result<usize, BadEscape> {
    let mut scalar = code_unit(escape.get(1..5))?;
    let mut length = 5;
    if HIGH_SURROGATES.contains(&scalar) {
        let low = match escape.get(5..7) {
            Some(b"\\u") => code_unit(escape.get(7..11))?,
            _ => return Err(BadEscape),
        };
        if !LOW_SURROGATES.contains(&low) {
            return Err(BadEscape);
        }
        scalar = 0x1_0000 + ((scalar - HIGH_SURROGATES.start) << 10) + (low - LOW_SURROGATES.start);
        length = 11;
    }
    let character = char::from_u32(scalar).ok_or(BadEscape)?;
    unescaped.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    Ok(length)
}

/// What four hexadecimal digits say.
fn code_unit(digits: Option<&[u8]>) -> Result<u32, BadEscape> {
    let mut unit = 0;
    for digit in digits.ok_or(BadEscape)? {
        unit = unit * 16 + char::from(*digit).to_digit(16).ok_or(BadEscape)?;
    }
    Ok(unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn members_are_found() {
        let text = br#"{ "a" : 1,"b\"":"x,}\"" , "":[{"c":2}], "d":null}"#;
        let members: Vec<(&[u8], &[u8], u64)> = Members::new(text, 0)
            .map(|member| (member.key, &text[member.value.clone()], member.depth))
            .collect();
        let expected: [(&[u8], &[u8], u64); 4] = [
            (b"a", b"1", 0),
            (b"b\\\"", br#""x,}\"""#, 0),
            (b"", br#"[{"c":2}]"#, 2),
            (b"d", b"null", 0),
        ];
        assert_eq!(members, expected);
        assert_eq!(Members::new(b"{ }", 0).next(), None);
    }

    #[test]
    fn half_a_pair_is_no_character() {
        let mut room = Vec::new();
        for raw in [r"\ud83d", r"\ud83dx", r"\ud83d\n", r"\udc00", r"\ud83d\ud83d", r"\u12"] {
            assert_eq!(unescape(raw.as_bytes(), &mut room), Err(BadEscape), "{raw}");
        }
    }

    proptest! {
        #[test]
        fn strings_are_those_of_serde_json(text in any::<String>(), with_escapes in any::<bool>()) {
            let written = if with_escapes {
                let units = text.encode_utf16().map(|unit| format!("\\u{unit:04X}"));
                format!("\"{}\"", units.collect::<Vec<String>>().concat())
            } else {
                serde_json::to_string(&text).unwrap()
            };
            let raw = &written.as_bytes()[1..written.len() - 1];
            let mut room = Vec::new();
            prop_assert_eq!(unescape(raw, &mut room), Ok(text.as_bytes()));
            prop_assert!(is_valid(written.as_bytes()));
        }
    }
}
