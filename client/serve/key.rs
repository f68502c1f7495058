//! The key of a row as it stands in a path, and the place between two pages as it stands in a query.
//!
//! A key in a path is its parts, percent-encoded, with a comma between each two:
//! `7,Ann%2C%20Lee`. So it is read from the path as it was sent: decoded as a
//! whole, a comma of a part could not be told from one between parts.
//!
//! Bounds: 32 parts, as PostgreSQL has it for keys; paths are bounded by hyper.

use ferry::hex;
use sha2::{Digest as _, Sha256};

const PARTS_MAX: usize = 32;
const CHECKSUM_BYTES: usize = 8;
const LENGTH_BYTES: usize = 4;

/// The key as a part of a path.
pub(super) fn to_path(key: &[String]) -> String {
    let parts: Vec<String> = key.iter().map(|part| encode(part)).collect();
    parts.join(",")
}

/// Reads a key from a part of a path as it was sent; `None` if no row can have it.
pub(super) fn from_path(sent: &str) -> Option<Vec<String>> {
    let parts: Vec<String> = sent.split(',').map(decode).collect::<Option<_>>()?;
    (parts.len() <= PARTS_MAX).then_some(parts)
}

/// Escapes all but what RFC 3986 calls unreserved.
fn encode(part: &str) -> String {
    let mut encoded = String::with_capacity(part.len());
    for byte in part.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push_str(&hex::encode(&[byte]).to_ascii_uppercase());
        }
    }
    encoded
}

/// A `%` before anything but two digits stands for itself. PostgreSQL holds no NUL.
fn decode(part: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part;
    while let Some((before, after)) = rest.split_once('%') {
        bytes.extend_from_slice(before.as_bytes());
        if let Some(byte) = after.get(..2).and_then(hex::decode) {
            bytes.extend_from_slice(&byte);
            rest = &after[2..];
        } else {
            bytes.push(b'%');
            rest = after;
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))
}

/// Where the next page of a table begins: after this key.
///
/// Hexadecimal digits of a checksum, and of each part with its length before it.
/// The checksum tells a mistyped cursor, or that of another table, from a right one.
pub(super) fn to_cursor(table: &str, key: &[String]) -> Option<String> {
    let mut parts = Vec::new();
    for part in key {
        let length = u32::try_from(part.len()).ok()?;
        parts.extend_from_slice(&length.to_be_bytes());
        parts.extend_from_slice(part.as_bytes());
    }
    let mut bytes = checksum(table, &parts).to_vec();
    bytes.append(&mut parts);
    Some(hex::encode(&bytes))
}

/// Reads a cursor; `None` if it is none of a page of this table.
pub(super) fn from_cursor(table: &str, cursor: &str) -> Option<Vec<String>> {
    let bytes = hex::decode(cursor)?;
    let (sum, mut rest) = bytes.split_at_checked(CHECKSUM_BYTES)?;
    if sum != checksum(table, rest) {
        return None;
    }
    let mut key = Vec::new();
    while !rest.is_empty() && key.len() < PARTS_MAX {
        let (length, after) = rest.split_at_checked(LENGTH_BYTES)?;
        let length = u32::from_be_bytes(length.try_into().ok()?);
        let (part, after) = after.split_at_checked(usize::try_from(length).ok()?)?;
        key.push(String::from_utf8(part.to_vec()).ok()?);
        rest = after;
    }
    (rest.is_empty() && !key.is_empty()).then_some(key)
}

fn checksum(table: &str, parts: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let digest = Sha256::new().chain_update(table).chain_update([0]).chain_update(parts).finalize();
    let mut sum = [0; CHECKSUM_BYTES];
    sum.copy_from_slice(&digest[..CHECKSUM_BYTES]);
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn key(parts: &[&str]) -> Vec<String> {
        parts.iter().map(|part| (*part).to_owned()).collect()
    }

    #[test]
    fn a_key_stands_in_a_path_as_it_is_documented() {
        for (parts, path) in [
            (&["7"][..], "7"),
            (&["7", "Ann, Lee"], "7,Ann%2C%20Lee"),
            (&["a/b?c#d%e"], "a%2Fb%3Fc%23d%25e"),
            (&["ü"], "%C3%BC"),
            (&["", ""], ","),
            (&["-_.~"], "-_.~"),
        ] {
            assert_eq!(to_path(&key(parts)), path);
            assert_eq!(from_path(path), Some(key(parts)), "{path}");
        }
    }

    #[test]
    fn what_a_client_leaves_unescaped_is_read_as_it_is_meant() {
        assert_eq!(from_path("a@b:c+d"), Some(key(&["a@b:c+d"])));
        assert_eq!(from_path("100%"), Some(key(&["100%"])));
        assert_eq!(from_path("100%zz"), Some(key(&["100%zz"])));
        assert_eq!(from_path("%2c"), Some(key(&[","])));
        assert_eq!(from_path("%é"), Some(key(&["%é"])));
    }

    #[test]
    fn no_row_has_a_key_that_postgresql_cannot_hold() {
        assert_eq!(from_path("%00"), None);
        assert_eq!(from_path("%ff"), None);
        assert_eq!(from_path(&",".repeat(PARTS_MAX)), None);
    }

    #[test]
    fn a_cursor_is_of_one_table_and_whole() {
        let cursor = to_cursor("public.users", &key(&["7", "x"])).expect("short parts");
        assert_eq!(from_cursor("public.users", &cursor), Some(key(&["7", "x"])));
        assert_eq!(from_cursor("public.orders", &cursor), None);
        for broken in ["", "00", "zz", &cursor[2..], &cursor[..cursor.len() - 2], &"00".repeat(8)] {
            assert_eq!(from_cursor("public.users", broken), None, "{broken}");
        }
    }

    proptest! {
        #[test]
        fn keys_come_back_from_paths_and_cursors(parts in vec("[^\0]{0,8}", 1..4)) {
            prop_assert_eq!(from_path(&to_path(&parts)), Some(parts.clone()));
            let cursor = to_cursor("t", &parts).expect("short parts");
            prop_assert_eq!(from_cursor("t", &cursor), Some(parts));
        }

        #[test]
        fn any_text_is_a_cursor_or_none(text in "[0-9a-f]{0,64}") {
            prop_assert_eq!(from_cursor("t", &text), None);
        }
    }
}
