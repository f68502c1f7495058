//! Turns the first bytes of content, and its declared encoding, into the encoding that it has.

use encoding_rs::{Encoding, GB18030, GBK, UTF_8, UTF_16BE, UTF_16LE};

use super::foreign;

/// Bytes of content that are looked at, if there are so many.
pub(in crate::delimited) const BEGINNING_BYTES: usize = 1024;
/// Bytes that tell whether there is a byte order mark.
pub(in crate::delimited) const MARK_BYTES: usize = 4;
/// U+FEFF in GB18030.
const GB18030_MARK: &[u8] = &[0x84, 0x31, 0x95, 0x33];
/// Fewer bytes may be characters of any encoding.
const BYTES_THAT_TELL: usize = 12;
/// If more than one of so many bytes is a LF or a CR, they are halves of characters:
/// in UTF-16, those of some alphabets begin or end with the same byte throughout.
const BYTES_PER_LINE_END: usize = 3;
/// Of ten bytes so many are ASCII in a text of the West, whatever its encoding.
const ASCII_OF_TEN: usize = 9;

/// How content begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Beginning {
    pub(crate) encoding: &'static Encoding,
    /// Bytes of the byte order mark, which is no text.
    pub(crate) mark_bytes: u64,
}

/// What the first bytes of content say, given what is declared.
///
/// # Errors
///
/// A text that says what to do if the content is in another encoding, or no text at all.
pub(crate) fn beginning(content: &[u8], declared: &'static Encoding) -> Result<Beginning, String> {
    if let Some(problem) = foreign::problem(content) {
        return Err(problem);
    }
    let first = &content[..content.len().min(MARK_BYTES)];
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
    if is_declared_utf_16 {
        check_utf_16(&content[..content.len().min(BEGINNING_BYTES)], declared)?;
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

/// Refuses what no line of UTF-16 ends in, if it looks like something else:
/// all of it would be one record.
fn check_utf_16(content: &[u8], declared: &'static Encoding) -> Result<(), String> {
    if has_line_end(content, declared) {
        return Ok(());
    }
    let other = if declared == UTF_16LE { UTF_16BE } else { UTF_16LE };
    if has_line_end(content, other) {
        return Err(other_encoding(&other.name().to_ascii_lowercase(), declared));
    }
    let is_long = content.len() == BEGINNING_BYTES;
    let line_ends = content.iter().filter(|byte| matches!(**byte, b'\n' | b'\r')).count();
    let may_be_lines = line_ends * BYTES_PER_LINE_END <= content.len();
    if may_be_lines && (is_long || (line_ends > 0 && content.len() >= BYTES_THAT_TELL)) {
        if is_utf_8(content) {
            return Err(other_encoding("utf-8", declared));
        }
        if is_mostly_ascii(content) {
            let declared = declared.name().to_ascii_lowercase();
            return Err(format!(
                "it is declared as {declared}, but a character takes one byte in it: set encoding to what it is, such as \"windows-1252\""
            ));
        }
    }
    Ok(())
}

/// Whether a unit is a LF or a CR.
fn has_line_end(content: &[u8], encoding: &'static Encoding) -> bool {
    let (units, _) = content.as_chunks::<2>();
    let is_little = encoding == UTF_16LE;
    units.iter().any(|unit| match unit {
        [b'\n' | b'\r', 0] => is_little,
        [0, b'\n' | b'\r'] => !is_little,
        _ => false,
    })
}

/// Whether content is UTF-8 without NUL; a character may be cut off at the end.
fn is_utf_8(content: &[u8]) -> bool {
    !content.contains(&0)
        && std::str::from_utf8(content).err().is_none_or(|error| error.error_len().is_none())
}

fn is_mostly_ascii(content: &[u8]) -> bool {
    let is_text = |byte: &&u8| matches!(**byte, b' '..=b'~' | b'\t' | b'\r' | b'\n');
    let ascii = content.iter().filter(is_text).count();
    !content.contains(&0) && ascii * 10 >= content.len() * ASCII_OF_TEN
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
    fn content_without_a_line_end_of_utf_16_is_looked_at() {
        let refusal = |content: &[u8], declared| beginning(content, declared).err();
        let utf_16 =
            |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
        let swapped =
            |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_be_bytes).collect() };
        let words = "编号,名称\n1,北京\n2,上海\n";
        for declared in [UTF_16LE, UTF_16BE] {
            for content in ["id,name\n1,x\n".as_bytes(), words.as_bytes(), &b"id;a\r".repeat(300)] {
                let text = refusal(content, declared).expect("it does not fit");
                assert!(text.contains("set encoding = \"utf-8\""), "{text}");
            }
            let text = refusal(b"id;gr\xF6\xDFe\n1;klein\n2;sehr viel mehr\n", declared);
            assert!(text.is_some_and(|text| text.contains("takes one byte")));
        }
        let text = refusal(&swapped(words), UTF_16LE).expect("it does not fit");
        assert!(text.contains("set encoding = \"utf-16be\""), "{text}");
        let text = refusal(&utf_16(words), UTF_16BE).expect("it does not fit");
        assert!(text.contains("set encoding = \"utf-16le\""), "{text}");

        // A byte of a character may be that of a line end.
        for text in [
            words,
            "上海",
            "上海北京天津",
            "上上上上上上上上",
            "ഷഹഠഡഢണധന",
            "ਠਡਢਣਤਥਦਧ",
            &"编号上海".repeat(200),
            &"ഹഠ".repeat(600),
            "a,b",
            "",
        ] {
            assert_eq!(refusal(&utf_16(text), UTF_16LE), None, "{text}");
            assert_eq!(refusal(&swapped(text), UTF_16BE), None, "{text}");
        }
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
