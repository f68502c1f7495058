//! Turns the first bytes of content, and its declared encoding, into the encoding that it has.

use encoding_rs::{Encoding, GB18030, GBK, UTF_8, UTF_16BE, UTF_16LE};

/// U+FEFF in GB18030.
const GB18030_MARK: &[u8] = &[0x84, 0x31, 0x95, 0x33];

/// How content begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Beginning {
    pub(crate) encoding: &'static Encoding,
    /// Bytes of the byte order mark, which is no text.
    pub(crate) mark_bytes: u64,
}

/// What the first bytes of content say, up to four, given what is declared.
///
/// # Errors
///
/// A text that says what to do if the content is in another encoding.
pub(crate) fn beginning(first: &[u8], declared: &'static Encoding) -> Result<Beginning, String> {
    if matches!(first, [0xFF, 0xFE, 0, 0] | [0, 0, 0xFE, 0xFF]) {
        return Err("it is UTF-32, which is not read: write the file as UTF-8".to_owned());
    }
    let is_declared_utf_16 = declared == UTF_16LE || declared == UTF_16BE;
    if let Some((marked, mark_bytes)) = Encoding::for_bom(first) {
        let is_utf_16 = marked != UTF_8;
        if marked == declared || (is_utf_16 && is_declared_utf_16) {
            return Ok(Beginning { encoding: marked, mark_bytes: mark_bytes as u64 });
        }
        // Where each byte is a character, those two may begin a text, but not with a NUL behind.
        if !is_utf_16 || declared == UTF_8 || first[mark_bytes..].contains(&0) {
            return Err(other_encoding(if is_utf_16 { "utf-16" } else { "utf-8" }, declared));
        }
    }
    if let Some(found) = unmarked_utf_16(first)
        && found != declared
        && (declared == UTF_8 || is_declared_utf_16)
    {
        return Err(other_encoding(&found.name().to_ascii_lowercase(), declared));
    }
    let is_gb = declared == GB18030 || declared == GBK;
    let mark: &[u8] = if is_gb && first.starts_with(GB18030_MARK) { GB18030_MARK } else { &[] };
    Ok(Beginning { encoding: declared, mark_bytes: mark.len() as u64 })
}

/// UTF-16 whose first two characters are ASCII, which nothing else looks like.
fn unmarked_utf_16(first: &[u8]) -> Option<&'static Encoding> {
    let is_text = |byte: &u8| byte.is_ascii() && *byte != 0;
    match first {
        [one, 0, two, 0] if is_text(one) && is_text(two) => Some(UTF_16LE),
        [0, one, 0, two] if is_text(one) && is_text(two) => Some(UTF_16BE),
        _ => None,
    }
}

fn other_encoding(label: &str, declared: &'static Encoding) -> String {
    format!(
        "it begins as {label} does, and is declared as {}: set encoding = \"{label}\" for the dataset",
        declared.name().to_ascii_lowercase()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use encoding_rs::{KOI8_R, SHIFT_JIS, WINDOWS_1252};

    fn found(first: &[u8], declared: &'static Encoding) -> (&'static str, u64) {
        let beginning = beginning(first, declared).expect("it fits");
        (beginning.encoding.name(), beginning.mark_bytes)
    }

    #[test]
    fn a_mark_is_no_text() {
        assert_eq!(found(b"\xEF\xBB\xBFa", UTF_8), ("UTF-8", 3));
        assert_eq!(found(b"\xFF\xFEa\0", UTF_16LE), ("UTF-16LE", 2));
        assert_eq!(found(b"\xFE\xFF\0a", UTF_16BE), ("UTF-16BE", 2));
        assert_eq!(found(GB18030_MARK, GB18030), ("gb18030", 4));
    }

    #[test]
    fn a_mark_tells_the_order_of_the_bytes() {
        assert_eq!(found(b"\xFE\xFF\0a", UTF_16LE), ("UTF-16BE", 2));
        assert_eq!(found(b"\xFF\xFEa\0", UTF_16BE), ("UTF-16LE", 2));
    }

    #[test]
    fn content_without_a_mark_is_what_it_is_declared_as() {
        for first in [&b"uid\n"[..], b"u", b"", b"\0\0\0\0", b"a\0"] {
            for declared in [UTF_8, UTF_16LE, UTF_16BE, WINDOWS_1252, SHIFT_JIS, GB18030] {
                assert_eq!(found(first, declared), (declared.name(), 0));
            }
        }
        assert_eq!(found(b"u\0i\0", UTF_16LE), ("UTF-16LE", 0));
        assert_eq!(found(b"\0u\0i", UTF_16BE), ("UTF-16BE", 0));
        // In KOI8-R these are two letters.
        assert_eq!(found(b"\xFF\xFE\xC1\xC2", KOI8_R), ("KOI8-R", 0));
    }

    #[test]
    fn other_encodings_are_told() {
        let cases: [(&[u8], &'static Encoding, &str); 8] = [
            (b"\xFF\xFEu\0", UTF_8, "utf-16"),
            (b"\xFE\xFF", UTF_8, "utf-16"),
            (b"\xFF\xFEu\0", WINDOWS_1252, "utf-16"),
            (b"\xEF\xBB\xBF", WINDOWS_1252, "utf-8"),
            (b"\xEF\xBB\xBFu", UTF_16LE, "utf-8"),
            (b"u\0i\0", UTF_8, "utf-16le"),
            (b"\0u\0i", UTF_16LE, "utf-16be"),
            (b"u\0i\0", UTF_16BE, "utf-16le"),
        ];
        for (first, declared, label) in cases {
            let text = beginning(first, declared).expect_err("it does not fit");
            assert!(text.contains(&format!("set encoding = \"{label}\"")), "{text}");
        }
        for first in [[0xFF, 0xFE, 0, 0], [0, 0, 0xFE, 0xFF]] {
            let text = beginning(&first, UTF_16LE).expect_err("it is UTF-32");
            assert!(text.contains("UTF-32"), "{text}");
        }
    }
}
