//! Turns bytes that are written in hexadecimal digits or in base64 back into bytes.

use crate::reject::Code;

use super::fields::{hex_bytes, trim};

/// How the fields of a `bytea` column are written, if not as PostgreSQL writes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ByteEncoding {
    /// Hexadecimal digits, with or without `\x` before them.
    Hex,
    /// The standard alphabet of RFC 4648, with or without padding.
    Base64,
}

impl ByteEncoding {
    /// The encoding that settings name.
    pub(super) fn named(name: &str) -> Result<Self, String> {
        match name {
            "hex" => Ok(Self::Hex),
            "base64" => Ok(Self::Base64),
            _ => Err("the format of bytea is \"hex\" or \"base64\"".to_owned()),
        }
    }

    /// Puts the bytes of a field behind `bytes`, which after an error may end
    /// with some of them.
    pub(super) fn read(self, field: &[u8], bytes: &mut Vec<u8>) -> Result<(), Code> {
        let text = trim(field);
        match self {
            Self::Hex => hex_bytes(text.strip_prefix(b"\\x").unwrap_or(text), bytes),
            Self::Base64 => base64_bytes(text, bytes).ok_or(Code::BAD_BYTEA),
        }
    }
}

fn base64_bytes(text: &[u8], bytes: &mut Vec<u8>) -> Option<()> {
    let digits = without_padding(text)?;
    bytes.reserve(digits.len() / 4 * 3 + 2);
    for group in digits.chunks(4) {
        let mut bits: u32 = 0;
        for digit in group {
            bits = (bits << 6) | u32::from(base64_digit(*digit)?);
        }
        let [_, first, second, third] = (bits << (6 * (4 - group.len()))).to_be_bytes();
        // Bits that make no whole byte are 0, or the text is not what an encoder writes.
        match (group.len(), second, third) {
            (4, _, _) => bytes.extend_from_slice(&[first, second, third]),
            (3, _, 0) => bytes.extend_from_slice(&[first, second]),
            (2, 0, 0) => bytes.push(first),
            _ => return None,
        }
    }
    Some(())
}

/// The text without the padding that makes it full groups of four, if there is any.
fn without_padding(text: &[u8]) -> Option<&[u8]> {
    let digits = match text {
        [digits @ .., b'=', b'='] | [digits @ .., b'='] => digits,
        digits => return Some(digits),
    };
    text.len().is_multiple_of(4).then_some(digits)
}

fn base64_digit(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(encoding: ByteEncoding, field: &str) -> Result<Vec<u8>, Code> {
        let mut bytes = vec![9];
        encoding.read(field.as_bytes(), &mut bytes).map(|()| bytes.split_off(1))
    }

    #[test]
    fn hexadecimal_digits_need_no_prefix() {
        for field in ["00fF", "\\x00ff", " 00FF "] {
            assert_eq!(read(ByteEncoding::Hex, field), Ok(vec![0, 255]), "{field}");
        }
        assert_eq!(read(ByteEncoding::Hex, ""), Ok(vec![]));
        for field in ["0", "0g", "0x00", "00 ff", "\\x\\x00"] {
            assert_eq!(read(ByteEncoding::Hex, field), Err(Code::BAD_BYTEA), "{field}");
        }
    }

    #[test]
    fn base64_is_that_of_the_standard() {
        for (field, bytes) in [
            ("", ""),
            ("Zg==", "f"),
            ("Zg", "f"),
            ("Zm8=", "fo"),
            ("Zm8", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYg==", "foob"),
            ("Zm9vYmE", "fooba"),
            (" Zm9vYmFy\t", "foobar"),
        ] {
            let expected = Ok(bytes.as_bytes().to_vec());
            assert_eq!(read(ByteEncoding::Base64, field), expected, "{field}");
        }
        assert_eq!(read(ByteEncoding::Base64, "+/+/"), Ok(vec![0xFB, 0xFF, 0xBF]));
    }

    #[test]
    fn what_no_encoder_writes_is_no_base64() {
        for field in
            ["Z", "Zm9vY", "=", "==", "Zg=", "Zg===", "Zm9v=", "Zm 9v", "Zh==", "Zm9=", "Zm_-", "é"]
        {
            assert_eq!(read(ByteEncoding::Base64, field), Err(Code::BAD_BYTEA), "{field}");
        }
    }

    fn base64(bytes: &[u8]) -> String {
        const DIGITS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut text = String::new();
        for group in bytes.chunks(3) {
            let byte = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
            let bits = (byte(0) << 16) | (byte(1) << 8) | byte(2);
            for place in 0..=group.len() {
                let digit = (bits >> (18 - 6 * place)) & 63;
                text.push(char::from(DIGITS[usize::try_from(digit).expect("a digit")]));
            }
            text.push_str(&"=".repeat(3 - group.len()));
        }
        text
    }

    proptest! {
        #[test]
        fn every_byte_reads_back(bytes: Vec<u8>) {
            let text = base64(&bytes);
            prop_assert_eq!(read(ByteEncoding::Base64, &text), Ok(bytes.clone()));
            prop_assert_eq!(read(ByteEncoding::Base64, text.trim_end_matches('=')), Ok(bytes.clone()));
            prop_assert_eq!(read(ByteEncoding::Hex, &crate::hex::encode(&bytes)), Ok(bytes));
        }
    }
}
