//! Turns a whole small document and a pointer into the value there, as text.

use ferry::values::utf8;

use super::envelope::{find_value, skip_value};
use super::text::unescape;
use super::window::Window;
use super::{JsonError, Pointer};

/// Most objects and arrays in one another that are passed over.
const DEPTH_MAX: usize = 128;
/// Documents lie in memory as a whole: what is held beside them is little.
const WINDOW_BYTES: usize = 4096;

/// The value at a pointer of a document; `None` if it is null or not there.
///
/// Texts come without their escapes, numbers as they are written, booleans as
/// words. What stands behind the value is not looked at.
pub(crate) fn scalar_at(document: &[u8], pointer: &Pointer) -> Result<Option<String>, JsonError> {
    let mut window = Window::new(document, 0, WINDOW_BYTES);
    window.skip_mark()?;
    if find_value(&mut window, pointer, DEPTH_MAX)?.is_none() {
        return Ok(None);
    }
    let start = window.offset();
    skip_value(&mut window, DEPTH_MAX)?;
    let raw = part(document, start, window.offset());
    match raw {
        b"null" => return Ok(None),
        [b'{' | b'[', ..] => return Err(JsonError::NotAScalar { pointer: pointer.clone() }),
        _ => {}
    }
    let mut unescaped = Vec::new();
    let text = match raw {
        [b'"', inner @ .., b'"'] => unescape(inner, &mut unescaped).ok(),
        word => Some(word),
    };
    match text.and_then(|text| utf8(text).ok()) {
        Some(text) => Ok(Some(text.to_owned())),
        None => Err(JsonError::Broken { byte_offset: start }),
    }
}

fn part(document: &[u8], start: u64, end: u64) -> &[u8] {
    let index = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX);
    document.get(index(start)..index(end)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(document: &str, pointer: &str) -> Result<Option<String>, JsonError> {
        scalar_at(document.as_bytes(), &pointer.parse().expect("a pointer"))
    }

    #[test]
    fn values_are_given_as_text() {
        let document = "\u{FEFF}{\"meta\":{\"next\":\"a\\u00e9\\/b\",\"n\":1.50,\"t\":true,\"z\":null},\
             \"list\":[7]}";
        for (pointer, expected) in [
            ("/meta/next", Some("aé/b")),
            ("/meta/n", Some("1.50")),
            ("/meta/t", Some("true")),
            ("/meta/z", None),
            ("/meta/x", None),
            ("/list/0", Some("7")),
            ("/list/1", None),
            ("/x/y", None),
        ] {
            assert_eq!(
                at(document, pointer).expect("it is valid").as_deref(),
                expected,
                "{pointer}"
            );
        }
        assert_eq!(at("\"\"", "").expect("it is valid").as_deref(), Some(""));
    }

    #[test]
    fn what_is_no_scalar_is_refused() {
        for pointer in ["", "/a", "/b"] {
            let outcome = at(r#"{"a":{},"b":[1]}"#, pointer);
            assert!(matches!(outcome, Err(JsonError::NotAScalar { .. })), "{pointer}");
        }
        assert!(matches!(at(r#"{"a":1"#, "/b"), Err(JsonError::EndsEarly { byte_offset: 6 })));
        for document in [r#"{"a":"\ud800"}"#, r#"{"a":"\u0000"}"#] {
            let outcome = at(document, "/a");
            assert!(matches!(outcome, Err(JsonError::Broken { byte_offset: 5 })), "{document}");
        }
    }
}
