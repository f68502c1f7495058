//! Turns texts into keys and strings of TOML.

use std::fmt::Write as _;

/// A key, in quotes if it needs them.
pub(super) fn key(name: &str) -> String {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if !name.is_empty() && name.bytes().all(is_bare) { name.to_owned() } else { string(name) }
}

/// A string on one line; its escapes keep control characters out of comments too.
pub(crate) fn string(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\t' => quoted.push_str("\\t"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            // Writing to a String cannot fail.
            _ if character.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(character));
            }
            _ => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

/// A list of strings.
pub(crate) fn strings<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = texts.into_iter().map(string).collect();
    format!("[{}]", quoted.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_read_back() {
        for text in ["", "a b", "\"\\\t\r\n\u{1f}\u{7f}\u{85}", "é€", "#"] {
            let line = format!("{} = {}", key(text), string(text));
            let table: toml::Table = toml::from_str(&line).expect("it is TOML");
            let (read, value) = table.iter().next().expect("one key");
            assert_eq!((read.as_str(), value.as_str()), (text, Some(text)));
        }
        assert_eq!(key("a-b_1"), "a-b_1");
        assert_eq!(strings(["a", "\""]), "[\"a\", \"\\\"\"]");
    }
}
