//! Turns text into a mask of itself: a fixed number of stars and the last characters.
//!
//! Invariant: at most half of the characters of a value are shown, however
//! short it is, and the stars do not tell how many are hidden.

use std::sync::Arc;

use arrow_array::{ArrayRef, StringArray};

use super::person;

const STARS: &str = "********";

/// The masks of a column; NULL and the empty string give NULL.
pub(super) fn masked_column(values: &StringArray, keep_last: usize) -> ArrayRef {
    let mask = |value| person(value).map(|value| masked(value, keep_last));
    let masks: StringArray = values.iter().map(mask).collect();
    Arc::new(masks)
}

/// Stars and the last `keep_last` characters, or the last half of a short value.
pub(super) fn masked(value: &str, keep_last: usize) -> String {
    let character_count = value.chars().count();
    let shown_count = keep_last.min(character_count / 2);
    let first_shown = value.char_indices().nth(character_count - shown_count);
    let shown = first_shown.map_or("", |(start, _)| &value[start..]);
    format!("{STARS}{shown}")
}

#[cfg(test)]
mod tests {
    use arrow_array::Array as _;
    use arrow_array::cast::AsArray as _;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_last_characters_stay() {
        assert_eq!(masked("+1 202 555 0123", 4), "********0123");
        assert_eq!(masked("+1 202 555 0123", 0), "********");
        assert_eq!(masked("Łódź Zoë", 3), "********Zoë");
    }

    #[test]
    fn short_values_show_half_at_most() {
        assert_eq!(masked("abcdef", 4), "********def");
        assert_eq!(masked("abcde", 4), "********de");
        assert_eq!(masked("ab", 4), "********b");
        assert_eq!(masked("a", 4), "********");
        assert_eq!(masked("abcdef", usize::MAX), "********def");
    }

    #[test]
    fn null_and_the_empty_string_are_null() {
        let values = StringArray::from(vec![Some("abcdefgh"), None, Some("")]);
        let masks = masked_column(&values, 2);
        assert_eq!(masks.as_string::<i32>().value(0), "********gh");
        assert!(masks.is_null(1) && masks.is_null(2));
    }

    proptest! {
        #[test]
        fn never_more_than_half_is_shown(value in "\\PC{0,40}", keep_last in 0_usize..50) {
            let mask = masked(&value, keep_last);
            let shown = mask.strip_prefix(STARS).expect("stars come first");
            prop_assert!(value.ends_with(shown));
            prop_assert!(shown.chars().count() <= keep_last);
            prop_assert!(2 * shown.chars().count() <= value.chars().count());
        }
    }
}
