//! Turns a JSON pointer (RFC 6901) into the names and indexes on the way to a value, and back.
//!
//! Bounds: at most 32 parts.

use std::fmt;
use std::str::FromStr;

const PARTS_MAX: usize = 32;

/// The way to a value of a document; empty for the document itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Pointer(Vec<String>);

impl Pointer {
    /// Names of members and indexes of elements, from the outside to the inside.
    pub(super) fn parts(&self) -> &[String] {
        &self.0
    }
}

impl FromStr for Pointer {
    /// What to do.
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let Some(parts) = text.strip_prefix('/') else {
            return Err(format!("\"{text}\" is no JSON pointer: write \"/{text}\""));
        };
        let parts: Vec<String> = parts.split('/').map(parse_part).collect::<Result<_, _>>()?;
        if parts.len() > PARTS_MAX {
            return Err(format!("a JSON pointer has at most {PARTS_MAX} parts: shorten it"));
        }
        Ok(Self(parts))
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.0 {
            write!(f, "/{}", part.replace('~', "~0").replace('/', "~1"))?;
        }
        Ok(())
    }
}

/// Which element a part names if it stands for an array.
pub(super) fn index_of(part: &str) -> Option<u64> {
    let is_number = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let is_padded = part.len() > 1 && part.starts_with('0');
    if is_number && !is_padded { part.parse().ok() } else { None }
}

fn parse_part(part: &str) -> Result<String, String> {
    let mut pieces = part.split('~');
    let mut name = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (character, rest) = if let Some(rest) = piece.strip_prefix('0') {
            ('~', rest)
        } else if let Some(rest) = piece.strip_prefix('1') {
            ('/', rest)
        } else {
            return Err(
                "in a JSON pointer \"~\" is written \"~0\", and \"/\" in a name \"~1\"".to_owned()
            );
        };
        name.push(character);
        name.push_str(rest);
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_read_back() {
        for text in ["", "/", "/data/items", "/a~1b/c~0d", "/0/x", "/~01", "//"] {
            let pointer: Pointer = text.parse().expect("a pointer");
            assert_eq!(pointer.to_string(), text);
        }
        let pointer: Pointer = "/a~1b/~01".parse().expect("a pointer");
        assert_eq!(pointer.parts(), ["a/b", "~1"]);
    }

    #[test]
    fn what_is_no_pointer_is_refused() {
        for text in ["data", "data/items", "/a~", "/a~2"] {
            assert!(text.parse::<Pointer>().is_err(), "{text}");
        }
        assert!("/a".repeat(33).parse::<Pointer>().is_err());
    }

    #[test]
    fn indexes_have_one_form() {
        assert_eq!(index_of("0"), Some(0));
        assert_eq!(index_of("12"), Some(12));
        for part in ["", "00", "01", "-1", "+1", "x", "99999999999999999999999"] {
            assert_eq!(index_of(part), None, "{part}");
        }
    }
}
