//! White space as JSON has it: what stands between values, and says nothing.

/// Whether JSON allows the byte between values.
#[inline]
pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}

/// Number of bytes of white space that a text begins with.
#[inline]
pub(super) fn count_spaces(text: &[u8]) -> usize {
    text.iter().take_while(|byte| is_space(**byte)).count()
}

/// A text without the white space at its end.
pub(super) fn trim_end(text: &[u8]) -> &[u8] {
    let length = text.iter().rposition(|byte| !is_space(*byte)).map_or(0, |last| last + 1);
    &text[..length]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_white_space_of_json_counts() {
        assert_eq!(count_spaces(b" \t\r\n1 "), 4);
        assert_eq!(count_spaces(b"\x0B"), 0);
        assert_eq!(trim_end(b"a b\t\r"), b"a b");
        assert_eq!(trim_end(b" \r"), b"");
        assert_eq!(trim_end(b""), b"");
    }
}
