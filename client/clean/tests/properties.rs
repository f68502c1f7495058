//! What holds of every text: a rule carried out twice is a rule carried out once, and a column is cleaned as each of its values alone.

use std::sync::{Arc, LazyLock};

use arrow_array::cast::AsArray as _;
use arrow_array::{Array as _, ArrayRef, StringArray};
use arrow_buffer::NullBuffer;
use proptest::prelude::*;

use crate::clean::arrays::{self, Failures};
use crate::clean::phone::PhoneLibrary;
use crate::clean::rules::{Step, clean_value};
use crate::job::CleanRule;

/// Letters that cases, marks and rules treat in ways of their own.
const LETTERS: &[char] = &[
    'a', 'A', 'z', 'n', '/', '0', '7', '+', '-', '(', ';', '.', '@', ' ', '\t', '\n', '\u{b}',
    '\u{a0}', '\u{2000}', '\u{2003}', '\u{3000}', '\u{200b}', 'e', 'é', 'É', '\u{301}', '\u{308}',
    '\u{323}', '\u{345}', 'Σ', 'σ', 'ς', 'Α', 'İ', 'ı', 'ß', 'ẞ', 'ŉ', 'ǰ', 'J', '\u{30c}', 'ﬁ',
    '\u{212a}', '\u{212b}', '\u{2126}', 'ΐ', 'ᾳ', 'ᾼ', 'Ǆ', 'ǅ', '٣', '７', '가', '\u{1100}',
    '\u{1161}', '用', '😀',
];

/// Each rule alone.
static SINGLE: LazyLock<Vec<Vec<Step>>> = LazyLock::new(|| {
    let rules = [
        CleanRule::Trim,
        CleanRule::CollapseSpaces,
        CleanRule::Lowercase,
        CleanRule::Uppercase,
        CleanRule::Nfc,
        null_words(),
        CleanRule::Default("x".to_owned()),
        CleanRule::Digits,
        phone("US"),
        phone("DE"),
        CleanRule::Email,
    ];
    compile(rules.map(|rule| vec![rule]))
});

/// Lists as jobs have them.
static LISTS: LazyLock<Vec<Vec<Step>>> = LazyLock::new(|| {
    let default = || CleanRule::Default("none".to_owned());
    compile([
        vec![CleanRule::Trim, CleanRule::CollapseSpaces, CleanRule::Lowercase, CleanRule::Nfc],
        vec![CleanRule::Trim, CleanRule::CollapseSpaces, null_words(), default()],
        vec![CleanRule::Trim, CleanRule::Uppercase, CleanRule::Nfc, null_words()],
        vec![CleanRule::Trim, null_words(), CleanRule::Email],
        vec![CleanRule::Trim, null_words(), phone("US")],
        vec![CleanRule::Digits, null_words(), CleanRule::Default("0".to_owned())],
    ])
});

fn compile<const N: usize>(lists: [Vec<CleanRule>; N]) -> Vec<Vec<Step>> {
    let mut phones = PhoneLibrary::default();
    let mut steps = |rules: Vec<CleanRule>| Step::compile_all(&rules, &mut phones);
    lists.into_iter().map(|rules| steps(rules).expect("usable rules")).collect()
}

fn null_words() -> CleanRule {
    CleanRule::NullWords(vec!["n/a".to_owned(), String::new(), "É".to_owned()])
}

fn phone(region: &str) -> CleanRule {
    CleanRule::Phone { region: region.to_owned() }
}

fn odd_texts() -> impl Strategy<Value = String> {
    let letters = prop_oneof![3 => prop::sample::select(LETTERS), 1 => any::<char>()];
    prop::collection::vec(letters, 0..12)
        .prop_map(|letters| letters.into_iter().collect::<String>())
}

fn plain_texts() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~\t]{0,8}", "[a-z ]{0,8}", "[0-9]{0,4}", " ?[Nn]/[aA] ?"]
}

/// Texts of which the phone rules and the e-mail rule take some.
fn numbers_and_addresses() -> impl Strategy<Value = String> {
    prop_oneof![
        "[+]?(1|49|44|39|54|52|7|81)[ -]?[0-9]{2,4}[ -]?[0-9]{5,9}",
        "0?[1-9][0-9]{2}[ .-]?[2-9][0-9]{2}[ .-]?[0-9]{4}",
        " ?[A-Za-zÄäΣ.+]{1,4}@[a-zÉé-]{1,4}[.][a-zA-Z]{2}",
    ]
}

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![odd_texts(), plain_texts(), numbers_and_addresses()]
}

/// Values and whether they are there; what is not there has bytes all the same.
fn columns() -> impl Strategy<Value = Vec<(String, bool)>> {
    let is_there = || prop::bool::weighted(0.8);
    prop_oneof![
        prop::collection::vec((plain_texts(), is_there()), 0..16),
        prop::collection::vec((texts(), is_there()), 0..16),
    ]
}

fn column_of(values: &[(String, bool)]) -> ArrayRef {
    let (texts, are_there): (Vec<&str>, Vec<bool>) =
        values.iter().map(|(text, is_there)| (text.as_str(), *is_there)).unzip();
    let (offsets, bytes, _) = StringArray::from(texts).into_parts();
    let nulls = Some(NullBuffer::from(are_there));
    Arc::new(StringArray::try_new(offsets, bytes, nulls).expect("an array"))
}

#[track_caller]
fn assert_twice_is_once(steps: &[Step], text: &str) {
    if let Ok(once) = clean_value(steps, Some(text)) {
        assert_eq!(clean_value(steps, once.as_deref()), Ok(once), "{text:?}");
    }
}

#[test]
fn the_case_of_each_letter_is_settled_at_once() {
    let lower_and_nfc = compile([vec![CleanRule::Lowercase, CleanRule::Nfc]]);
    let upper_and_nfc = compile([vec![CleanRule::Uppercase, CleanRule::Nfc]]);
    let mut text = String::new();
    // No plane above these has letters with a case.
    for letter in '\u{80}'..'\u{30000}' {
        text.clear();
        text.push(letter);
        assert_twice_is_once(&lower_and_nfc[0], &text);
        assert_twice_is_once(&upper_and_nfc[0], &text);
    }
}

#[test]
fn the_last_sigma_of_a_word_is_settled_at_once() {
    for text in ["ΟΔΟΣ", "ΟΔΟΣ ΟΔΟΣ.", "Σ", "ΑΣ\u{301}", "ΑΣ'", "Σ@ΑΣ.ΑΣ"] {
        for steps in SINGLE.iter() {
            assert_twice_is_once(steps, text);
        }
    }
}

proptest! {
    #[test]
    fn twice_is_once(text in texts()) {
        for steps in SINGLE.iter().chain(LISTS.iter()) {
            assert_twice_is_once(steps, &text);
        }
    }

    #[test]
    fn a_column_is_cleaned_as_its_values_alone(
        values in columns(),
        start in 0..16_usize,
        length in 0..16_usize,
    ) {
        let start = start.min(values.len());
        let length = length.min(values.len() - start);
        let column = column_of(&values).slice(start, length);
        for steps in SINGLE.iter().chain(LISTS.iter()) {
            let mut failures = Failures::new();
            let cleaned = arrays::clean(steps, &column, &mut failures).expect("it cleans");
            let cleaned = cleaned.as_string::<i32>();
            prop_assert_eq!(cleaned.len(), length);
            for (row, (text, is_there)) in values[start..start + length].iter().enumerate() {
                let alone = clean_value(steps, is_there.then_some(text.as_str()));
                let found = match failures.get(&row) {
                    Some(code) => Err(code.clone()),
                    None => Ok(cleaned.is_valid(row).then(|| cleaned.value(row).to_owned())),
                };
                prop_assert_eq!(found, alone);
            }
        }
    }
}
