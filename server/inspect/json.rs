//! Tells text that is JSON, a document or a record a line, from text that is delimited.

use serde_json::Deserializer;
use serde_json::value::RawValue;

/// Whether an object or an array of objects begins the text, and ends with its
/// line or goes on beyond the text.
pub(super) fn looks_like_json(text: &[u8]) -> bool {
    let text = text.trim_ascii_start();
    let is_candidate = match text.split_first() {
        Some((b'{', _)) => true,
        Some((b'[', rest)) => rest.trim_ascii_start().starts_with(b"{"),
        _ => false,
    };
    if !is_candidate {
        return false;
    }
    let mut values = Deserializer::from_slice(text).into_iter::<&RawValue>();
    match values.next() {
        Some(Ok(_)) => ends_line(&text[values.byte_offset()..]),
        Some(Err(error)) => error.is_eof(),
        None => false,
    }
}

/// Whether the line ends there, spaces aside.
fn ends_line(behind: &[u8]) -> bool {
    let next = behind.iter().find(|byte| **byte != b' ');
    next.is_none_or(|byte| matches!(byte, b'\r' | b'\n'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_and_documents_are_told_from_delimited_text() {
        for text in [
            "{\"a\": 1}\n{\"a\": 2}\n",
            "{\r\n  \"a\": [1]\r\n}",
            "[{\"a\": 1}]",
            " \n[\n  {\"a\": 1},\n",
        ] {
            assert!(looks_like_json(text.as_bytes()), "{text}");
        }
        for text in [
            "",
            "id,document\n1,\"{}\"\n",
            "{\"a\": 1}\t5\n",
            "[{\"a\": 1}, {\"a\": 2}]\t5\n",
            "[{id}],name\n1,2\n",
            "[{id,name\n1,2\n",
            "{id},{name}\n1,2\n",
            "[id],[name]\n1,2\n",
            "{\n1\n",
            "1\n2\n",
        ] {
            assert!(!looks_like_json(text.as_bytes()), "{text}");
        }
    }
}
