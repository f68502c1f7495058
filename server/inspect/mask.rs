//! Turns values into their shapes, which show how they are written and not what they say.

/// Longest shape, in characters.
const SHAPE_CHARACTERS_MAX: usize = 24;

/// The shape of a value: `Ada-17` is `Aaa-99`.
///
/// Letters and digits give way; marks of ASCII stay, for they are the form.
pub(super) fn mask(value: &str) -> String {
    value.chars().take(SHAPE_CHARACTERS_MAX).map(mask_character).collect()
}

fn mask_character(character: char) -> char {
    if character.is_numeric() {
        '9'
    } else if character.is_uppercase() {
        'A'
    } else if character.is_alphabetic() {
        'a'
    } else if character.is_ascii_graphic() || character == ' ' {
        character
    } else {
        '?'
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_hold_no_letter_and_no_digit_of_a_value() {
        assert_eq!(mask("Zoë.97@mail.example"), "Aaa.99@aaaa.aaaaaaa");
        assert_eq!(mask("美咲 €5\t\u{7}"), "aa ?9??");
        assert_eq!(mask(&"x".repeat(30)), "a".repeat(24));
        assert_eq!(mask(""), "");
    }
}
