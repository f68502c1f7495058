//! Turns the bytes of a field into booleans, texts, identifiers, documents and bytes, as PostgreSQL reads them.
//!
//! Invariant: what passes here is taken by PostgreSQL; no field is copied on the way.

use crate::reject::Code;
use memchr::{memchr, memchr_iter};
use serde::de::IgnoredAny;

use super::numeric::is_storable;

/// The field without the white space that PostgreSQL ignores around most values.
#[inline]
pub(super) fn trim(field: &[u8]) -> &[u8] {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
    let start = field.iter().position(|byte| !is_space(byte)).unwrap_or(field.len());
    let end = field.iter().rposition(|byte| !is_space(byte)).map_or(start, |last| last + 1);
    &field[start..end]
}

/// `true`, `yes`, `on`, `1`, their opposites, and prefixes of these words that
/// mean only one of them; case does not matter.
pub(super) fn boolean(field: &[u8]) -> Result<bool, Code> {
    let word = trim(field);
    let is_prefix_of = |whole: &[u8], length_min: usize| {
        word.len() >= length_min
            && whole.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
    };
    if word == b"1" || is_prefix_of(b"true", 1) || is_prefix_of(b"yes", 1) || is_prefix_of(b"on", 2)
    {
        Ok(true)
    } else if word == b"0"
        || is_prefix_of(b"false", 1)
        || is_prefix_of(b"no", 1)
        || is_prefix_of(b"off", 2)
    {
        Ok(false)
    } else {
        Err(Code::BAD_BOOLEAN)
    }
}

/// UTF-8 without NUL.
#[inline]
pub fn text(field: &[u8]) -> Result<&str, Code> {
    let text = std::str::from_utf8(field).map_err(|_| Code::BAD_UTF8)?;
    if memchr(0, field).is_some() { Err(Code::NUL_BYTE) } else { Ok(text) }
}

/// Text of at most so many characters; spaces beyond them are cut off.
pub(super) fn varchar(field: &[u8], length_max: usize) -> Result<&str, Code> {
    let text = text(field)?;
    if text.len() <= length_max {
        return Ok(text);
    }
    let Some((end, _)) = text.char_indices().nth(length_max) else {
        return Ok(text);
    };
    let (kept, excess) = text.split_at(end);
    if excess.bytes().all(|byte| byte == b' ') { Ok(kept) } else { Err(Code::TOO_LONG) }
}

/// 32 hexadecimal digits, a hyphen allowed after every fourth, braces around allowed.
pub(super) fn uuid(field: &[u8]) -> Result<[u8; 16], Code> {
    parse_uuid(field).ok_or(Code::BAD_UUID)
}

fn parse_uuid(field: &[u8]) -> Option<[u8; 16]> {
    let mut rest = match field {
        [b'{', inner @ .., b'}'] => inner,
        bare => bare,
    };
    let mut uuid = [0; 16];
    for (index, byte) in uuid.iter_mut().enumerate() {
        if index > 0 && index % 2 == 0 {
            rest = rest.strip_prefix(b"-").unwrap_or(rest);
        }
        let (pair, behind) = rest.split_first_chunk::<2>()?;
        *byte = hex_pair(*pair)?;
        rest = behind;
    }
    rest.is_empty().then_some(uuid)
}

/// `\x` and pairs of hexadecimal digits, whose bytes are put behind `bytes`.
///
/// After an error `bytes` may end with some of them.
pub(super) fn bytea(field: &[u8], bytes: &mut Vec<u8>) -> Result<(), Code> {
    hex_bytes(field.strip_prefix(b"\\x").ok_or(Code::BAD_BYTEA)?, bytes)
}

/// Pairs of hexadecimal digits, whose bytes are put behind `bytes`.
pub(super) fn hex_bytes(digits: &[u8], bytes: &mut Vec<u8>) -> Result<(), Code> {
    let (pairs, odd) = digits.as_chunks::<2>();
    if !odd.is_empty() {
        return Err(Code::BAD_BYTEA);
    }
    bytes.reserve(pairs.len());
    for pair in pairs {
        bytes.push(hex_pair(*pair).ok_or(Code::BAD_BYTEA)?);
    }
    Ok(())
}

fn hex_pair([high, low]: [u8; 2]) -> Option<u8> {
    Some((hex_digit(high)? << 4) | hex_digit(low)?)
}

fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// A JSON document that `jsonb` can hold: no `\u0000`, no half of a surrogate pair.
pub(super) fn jsonb(field: &[u8]) -> Result<&str, Code> {
    let document = text(field)?;
    serde_json::from_str::<IgnoredAny>(document).map_err(|_| Code::BAD_JSON)?;
    check_escapes(field)?;
    check_numbers(field)?;
    Ok(document)
}

/// Looks at the numbers of a document, which is otherwise known to be valid.
fn check_numbers(document: &[u8]) -> Result<(), Code> {
    let mut rest = document;
    while let Some(index) = rest.iter().position(|byte| matches!(byte, b'"' | b'-' | b'0'..=b'9')) {
        let token = &rest[index..];
        let length = if token[0] == b'"' { string_length(token) } else { number_length(token) };
        if token[0] != b'"' && !is_storable(&token[..length]) {
            return Err(Code::OUT_OF_RANGE);
        }
        rest = &token[length..];
    }
    Ok(())
}

/// Bytes of the string that a text begins with, quotes included.
fn string_length(text: &[u8]) -> usize {
    let mut index = 1;
    while index < text.len() && text[index] != b'"' {
        index += if text[index] == b'\\' { 2 } else { 1 };
    }
    (index + 1).min(text.len())
}

/// Bytes of the number that a text begins with.
fn number_length(text: &[u8]) -> usize {
    let is_number = |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
    text.iter().take_while(|byte| is_number(byte)).count()
}

/// Looks at the `\u` escapes of a document, which is otherwise known to be valid.
fn check_escapes(document: &[u8]) -> Result<(), Code> {
    /// First halves of surrogate pairs, and the second ones.
    const HIGH: std::ops::Range<u16> = 0xD800..0xDC00;
    const LOW: std::ops::Range<u16> = 0xDC00..0xE000;

    let mut handled = 0;
    for index in memchr_iter(b'\\', document) {
        if index < handled {
            continue;
        }
        handled = index + 2;
        match unicode_escape(&document[index..]) {
            Some(0) => return Err(Code::NUL_BYTE),
            Some(unit) if HIGH.contains(&unit) => {
                let low = document.get(index + 6..).and_then(unicode_escape);
                if !low.is_some_and(|unit| LOW.contains(&unit)) {
                    return Err(Code::BAD_JSON);
                }
                handled = index + 12;
            }
            Some(unit) if LOW.contains(&unit) => return Err(Code::BAD_JSON),
            _ => {}
        }
    }
    Ok(())
}

/// The UTF-16 unit of a `\uXXXX` at the front.
fn unicode_escape(text: &[u8]) -> Option<u16> {
    let digits: &[u8; 4] = text.strip_prefix(b"\\u")?.first_chunk::<4>()?;
    let [a, b, c, d] = *digits;
    Some(u16::from_be_bytes([hex_pair([a, b])?, hex_pair([c, d])?]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_are_postgresqls_words() {
        for word in ["t", "tr", "TRUE", "y", "Yes", "on", "ON", "1", " true\t"] {
            assert_eq!(boolean(word.as_bytes()), Ok(true), "{word}");
        }
        for word in ["f", "FALSE", "fa", "n", "no", "of", "off", "0"] {
            assert_eq!(boolean(word.as_bytes()), Ok(false), "{word}");
        }
        for word in ["", " ", "o", "2", "10", "truer", "nope", "t f"] {
            assert_eq!(boolean(word.as_bytes()), Err(Code::BAD_BOOLEAN), "{word}");
        }
    }

    #[test]
    fn text_is_utf8_without_nul() {
        assert_eq!(text("é ".as_bytes()), Ok("é "));
        assert_eq!(text(b""), Ok(""));
        assert_eq!(text(b"a\0"), Err(Code::NUL_BYTE));
        assert_eq!(text(b"\xE9"), Err(Code::BAD_UTF8));
    }

    #[test]
    fn varchar_counts_characters_and_cuts_only_spaces() {
        assert_eq!(varchar("ééé".as_bytes(), 3), Ok("ééé"));
        assert_eq!(varchar("éé  ".as_bytes(), 3), Ok("éé "));
        assert_eq!(varchar(b"abcd", 3), Err(Code::TOO_LONG));
        assert_eq!(varchar(b"abc d", 3), Err(Code::TOO_LONG));
    }

    #[test]
    fn uuids_take_postgresqls_forms() {
        let expected = Ok(*b"\xA0\xEE\xBC\x99\x9C\x0B\x4E\xF8\xBB\x6D\x6B\xB9\xBD\x38\x0A\x11");
        for form in [
            "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
            "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}",
            "a0eebc999c0b4ef8bb6d6bb9bd380a11",
            "a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11",
            "{a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11}",
        ] {
            assert_eq!(uuid(form.as_bytes()), expected, "{form}");
        }
        for form in [
            "",
            "{}",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a111",
            "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "a0-eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "a0eebc99--9c0b-4ef8-bb6d-6bb9bd380a11",
            "g0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        ] {
            assert_eq!(uuid(form.as_bytes()), Err(Code::BAD_UUID), "{form}");
        }
    }

    #[test]
    fn bytea_is_hexadecimal() {
        let parse = |field: &[u8]| {
            let mut bytes = vec![9];
            bytea(field, &mut bytes).map(|()| bytes)
        };
        assert_eq!(parse(b"\\x00fF"), Ok(vec![9, 0, 255]));
        assert_eq!(parse(b"\\x"), Ok(vec![9]));
        for field in ["", "00", "\\x0", "\\x0g", "\\X00"] {
            assert_eq!(parse(field.as_bytes()), Err(Code::BAD_BYTEA), "{field}");
        }
    }

    #[test]
    fn jsonb_refuses_what_it_cannot_hold() {
        for document in [
            r#"{"a": [1, -2.5e3, "é\n", null]}"#,
            r" true ",
            r#""\ud83d\ude00""#,
            r#""\\u0000""#,
            r#""\\\\ud800""#,
        ] {
            assert_eq!(jsonb(document.as_bytes()), Ok(document));
        }
        for document in ["", "{", "{} {}", "{'a': 1}", "[1,]", "01", "NaN", "\"\n\"", r#""\x""#] {
            assert_eq!(jsonb(document.as_bytes()), Err(Code::BAD_JSON), "{document}");
        }
        for half in [r#""\ud800""#, r#""\udc00""#, r#""\ud800a""#, r#""\ud800\ud800""#] {
            assert_eq!(jsonb(half.as_bytes()), Err(Code::BAD_JSON), "{half}");
        }
        assert_eq!(jsonb(br#"["\u0000"]"#), Err(Code::NUL_BYTE));
        assert_eq!(jsonb(br#""\\\u0000""#), Err(Code::NUL_BYTE));
        assert_eq!(jsonb(b"\"\0\""), Err(Code::NUL_BYTE));
    }
}
