//! Finds where a JSON value ends, by its quotes and brackets alone, piece by piece.
//!
//! Invariant: no memory is taken, however long or deep the value.

use memchr::memchr2;

use super::space::is_space;

/// A value of which the beginning was seen.
#[derive(Debug, Default)]
pub(super) struct Extent {
    part: Part,
    /// Objects and arrays that are open.
    open: u64,
    /// The most that were open at a time.
    depth: u64,
}

/// What the next byte belongs to.
#[derive(Debug, Clone, Copy, Default)]
enum Part {
    /// It is the first.
    #[default]
    Start,
    /// What stands between the strings of an object or an array.
    Structure,
    String,
    /// What stands behind a backslash.
    Escape,
    /// A number, or a word such as `true`.
    Word,
}

impl Extent {
    /// How many objects and arrays lay in one another so far.
    #[inline]
    pub(super) fn depth(&self) -> u64 {
        self.depth
    }

    /// Takes the next bytes of the value and what follows it; returns how many
    /// of them belong to the value if it ends there, 0 included.
    ///
    /// Only the byte behind a number tells that it has ended.
    #[inline]
    pub(super) fn end_in(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        loop {
            let rest = &bytes[at..];
            match self.part {
                Part::Start => {
                    self.start(*rest.first()?);
                    at += 1;
                }
                Part::Structure => {
                    let found = rest.iter().position(|byte| is_structural(*byte))?;
                    at += found + 1;
                    match rest[found] {
                        b'"' => self.part = Part::String,
                        b'{' | b'[' => {
                            self.open += 1;
                            self.depth = self.depth.max(self.open);
                        }
                        _ => self.open -= 1,
                    }
                    if self.open == 0 {
                        return Some(at);
                    }
                }
                Part::String => {
                    let found = memchr2(b'"', b'\\', rest)?;
                    at += found + 1;
                    if rest[found] == b'\\' {
                        self.part = Part::Escape;
                    } else if self.open == 0 {
                        return Some(at);
                    } else {
                        self.part = Part::Structure;
                    }
                }
                Part::Escape => {
                    if rest.is_empty() {
                        return None;
                    }
                    at += 1;
                    self.part = Part::String;
                }
                Part::Word => {
                    let found = rest.iter().position(|byte| ends_word(*byte))?;
                    return Some(at + found);
                }
            }
        }
    }

    fn start(&mut self, first: u8) {
        self.part = match first {
            b'"' => Part::String,
            b'{' | b'[' => {
                self.open = 1;
                self.depth = 1;
                Part::Structure
            }
            _ => Part::Word,
        };
    }
}

#[inline]
fn is_structural(byte: u8) -> bool {
    matches!(byte, b'"' | b'{' | b'}' | b'[' | b']')
}

#[inline]
fn ends_word(byte: u8) -> bool {
    is_space(byte) || is_structural(byte) || matches!(byte, b',' | b':')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of the value that a text begins with, given so many bytes a time.
    fn length(text: &str, step: usize) -> Option<usize> {
        let mut extent = Extent::default();
        let mut before = 0;
        for piece in text.as_bytes().chunks(step) {
            if let Some(found) = extent.end_in(piece) {
                return Some(before + found);
            }
            before += piece.len();
        }
        None
    }

    #[test]
    fn values_end_where_they_end() {
        for (value, behind) in [
            ("1", ","),
            ("-1.5e+7", " "),
            ("true", "]"),
            ("null", "}"),
            ("\"\"", "x"),
            ("\"a\\\"b\"", "\""),
            ("\"\\\\\"", ","),
            ("\"]}\"", ","),
            ("{}", "}"),
            ("[[],{\"]\":[\"}\"]}]", "]"),
            ("{\"a\" : [1, 2] }", ","),
        ] {
            let text = format!("{value}{behind}");
            for step in 1..=text.len() {
                assert_eq!(length(&text, step), Some(value.len()), "{text} by {step}");
            }
            let open = &text[..value.len() - 1];
            assert_eq!(length(open, 3), None, "{open}");
        }
    }

    #[test]
    fn the_depth_is_that_of_the_deepest_part() {
        let depth = |text: &str| {
            let mut extent = Extent::default();
            extent.end_in(text.as_bytes());
            extent.depth()
        };
        assert_eq!(depth("1,"), 0);
        assert_eq!(depth("\"[[\""), 0);
        assert_eq!(depth("[[],[[]],{}]"), 3);
    }
}
