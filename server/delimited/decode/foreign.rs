//! Tells by its first bytes that content is no text, but what people often take for a table.

/// How other content begins, and what it is. Each has bytes that begin no text.
const SIGNATURES: [(&[u8], &str); 7] = [
    (b"PK\x03\x04", "a zip archive, as spreadsheets are"),
    (b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", "an old spreadsheet (xls)"),
    (b"\xFD7zXZ\0", "an xz archive"),
    (b"7z\xBC\xAF\x27\x1C", "a 7z archive"),
    (b"PAR1\x15", "a Parquet file"),
    // What is compressed is unpacked already, but only once.
    (b"\x1F\x8B\x08", "a gzip archive in another archive"),
    (b"SQLite format 3\0", "a database of SQLite"),
];
/// What stands behind `BZh` and a digit; all of that may begin a text.
const BZIP2_BLOCK: &[u8] = b"1AY&SY";
/// Then come a checksum, and a byte that holds a flag, which is off, and the first
/// seven bits of a number of 24 that is less than 2^20.
const BZIP2_CHECKSUM_BYTES: usize = 4;
const BZIP2_FLAG_BYTE_MAX: u8 = 7;

/// What to do if content that begins so is no text.
pub(super) fn problem(content: &[u8]) -> Option<String> {
    let known = SIGNATURES.iter().find(|(signature, _)| content.starts_with(signature));
    let kind = match known {
        Some((_, kind)) => *kind,
        None if is_bzip2(content) => "a bzip2 archive",
        None => return None,
    };
    Some(format!(
        "it is no text, but {kind}: export it as CSV, compressed with gzip or zstd or not"
    ))
}

fn is_bzip2(content: &[u8]) -> bool {
    let level_and_block = content.strip_prefix(b"BZh").and_then(<[u8]>::split_first);
    let Some((b'1'..=b'9', block)) = level_and_block else {
        return false;
    };
    block
        .strip_prefix(BZIP2_BLOCK)
        .and_then(|behind| behind.get(BZIP2_CHECKSUM_BYTES))
        .is_some_and(|flag| *flag <= BZIP2_FLAG_BYTE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_is_named() {
        for (content, kind) in [
            (&b"PK\x03\x04\x14\0"[..], "a zip archive"),
            (b"BZh91AY&SY\x191e=\0\0\0\x81", "a bzip2 archive"),
            (b"\xFD7zXZ\0\0", "an xz archive"),
            (b"\x1F\x8B\x08\0", "a gzip archive in another"),
            (b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1\0", "xls"),
            (b"7z\xBC\xAF\x27\x1C\0", "a 7z archive"),
            (b"PAR1\x15\x04", "a Parquet file"),
            (b"SQLite format 3\0\x10", "a database of SQLite"),
        ] {
            assert!(problem(content).is_some_and(|text| text.contains(kind)), "{kind}");
        }
    }

    #[test]
    fn words_that_begin_alike_are_text() {
        for content in [
            &b"PK,name\n"[..],
            b"PK\x03",
            b"BZh9,x\n",
            b"BZh91AY&SY,name\n1,x\n",
            b"BZh91AY&SY",
            b"PAR1,x\n",
            b"7z,\xBC\xAF\n",
            b"SQLite format 3,x\n",
            b"%PDF,x\n",
            b"",
        ] {
            assert_eq!(problem(content), None, "{content:?}");
        }
    }
}
