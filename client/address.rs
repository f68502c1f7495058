//! Tells an e-mail address from other text by its form alone, as RFC 5321, 5322 and 6531 draw it.
//!
//! Taken are the addresses that people write: dots between words, an `@`, a
//! domain name, all of it with letters beyond ASCII too. Not taken, though RFC
//! 5322 has them, are quoted local parts, comments and address literals such as
//! `[192.0.2.1]`.

use unicode_normalization::char::is_combining_mark;

/// RFC 5321 allows a path of 256 bytes, of which two are angle brackets.
const ADDRESS_BYTES_MAX: usize = 254;
/// Bytes before the `@`.
const LOCAL_BYTES_MAX: usize = 64;
/// Bytes of one label of the domain.
const LABEL_BYTES_MAX: usize = 63;
/// What RFC 5322 allows in a word besides letters and digits.
const ATEXT_SIGNS: &str = "!#$%&'*+-/=?^_`{|}~";

/// Whether a text has the form of an e-mail address.
pub(crate) fn is_email(text: &str) -> bool {
    if text.len() > ADDRESS_BYTES_MAX {
        return false;
    }
    // A second `@` is refused with the domain, in which it cannot stand.
    match text.split_once('@') {
        Some((local, domain)) => is_local_part(local) && is_domain(domain),
        None => false,
    }
}

/// Words of RFC 5322's `atext`, a dot between each two.
fn is_local_part(local: &str) -> bool {
    let mut is_after_word = false;
    for letter in local.chars() {
        if letter == '.' {
            if !is_after_word {
                return false;
            }
            is_after_word = false;
        } else if is_atext(letter) {
            is_after_word = true;
        } else {
            return false;
        }
    }
    is_after_word && local.len() <= LOCAL_BYTES_MAX
}

fn is_atext(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || ATEXT_SIGNS.contains(letter) || is_letter_beyond_ascii(letter)
}

/// At least two labels; a host name of one label is not reached by mail.
fn is_domain(domain: &str) -> bool {
    let mut label_count = 0_usize;
    for label in domain.split('.') {
        if !is_label(label) {
            return false;
        }
        label_count += 1;
    }
    label_count >= 2
}

fn is_label(label: &str) -> bool {
    !label.is_empty()
        && label.len() <= LABEL_BYTES_MAX
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.chars().all(|letter| {
            letter.is_ascii_alphanumeric() || letter == '-' || is_letter_beyond_ascii(letter)
        })
}

/// Marks belong to letters: many scripts cannot write a word without them.
fn is_letter_beyond_ascii(letter: char) -> bool {
    !letter.is_ascii() && (letter.is_alphanumeric() || is_combining_mark(letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_people_write_are_taken() {
        let addresses = [
            "ann@example.org",
            "Ann.Lee+news@mail.example.org",
            "o'hara@example.co.uk",
            "!#$%&'*+-/=?^_`{|}~@example.org",
            "1@2.example",
            "a@x-y--z.example",
            "jörg@müller.example",
            "用户@例子.广告",
            "अजय@उदाहरण.परीक्षा",
        ];
        for address in addresses {
            assert!(is_email(address), "{address}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let texts = [
            "",
            "@",
            "ann",
            "ann@",
            "@example.org",
            "ann@example",
            "ann@@example.org",
            "ann@lee@example.org",
            ".ann@example.org",
            "ann.@example.org",
            "ann..lee@example.org",
            "ann lee@example.org",
            "\"ann lee\"@example.org",
            "ann@[192.0.2.1]",
            "ann@.example.org",
            "ann@example.org.",
            "ann@example..org",
            "ann@-x.example",
            "ann@x-.example",
            "ann@exam_ple.org",
            "ann@exam ple.org",
            "ann@example.org\n",
            "ann\0@example.org",
            "Ann <ann@example.org>",
            "ann@example.org,bob@example.org",
            "ann(work)@example.org",
            "ann\u{a0}@example.org",
            "ann😀@example.org",
        ];
        for text in texts {
            assert!(!is_email(text), "{text:?}");
        }
    }

    #[test]
    fn each_part_has_its_length() {
        let local = |bytes: usize| format!("{}@example.org", "a".repeat(bytes));
        assert!(is_email(&local(64)));
        assert!(!is_email(&local(65)));
        let label = |bytes: usize| format!("a@{}.org", "b".repeat(bytes));
        assert!(is_email(&label(63)));
        assert!(!is_email(&label(64)));
        let labels = format!("{}.", "c".repeat(61)).repeat(4);
        let whole = |local_bytes: usize| format!("{}@{labels}org", "a".repeat(local_bytes));
        assert_eq!(whole(2).len(), 254);
        assert!(is_email(&whole(2)));
        assert!(!is_email(&whole(3)));
    }
}
