//! The rules that a job can name, made executable, and what each makes of one text.
//!
//! Invariant: a rule carried out twice gives what it gives once.

use ferry::reject::Code;
use unicode_normalization::{UnicodeNormalization as _, is_nfc};

use crate::address::is_email;
use crate::job::CleanRule;

use super::phone::{PhoneError, PhoneLibrary, PhoneReader};

/// One rule with all that it needs.
pub(super) enum Step {
    /// White space at both ends goes.
    Trim,
    /// A run of white space becomes one space.
    CollapseSpaces,
    /// Letters change their case.
    Case(Case),
    /// Letters and their marks are composed.
    Nfc,
    /// These texts, trimmed and in lower case, stand for NULL.
    NullWords(Vec<String>),
    /// NULL becomes this text.
    Default(String),
    /// All but the digits 0 to 9 goes.
    Digits,
    /// A phone number becomes E.164.
    Phone(PhoneReader),
    /// An e-mail address becomes its usual form.
    Email,
}

/// What a step makes of a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The same text.
    Unchanged,
    /// Another text.
    Changed,
    /// Nothing: the text stood for NULL.
    Null,
    /// The text cannot be what the column holds.
    Bad(Code),
}

/// A case of letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Case {
    /// Small letters.
    Lower,
    /// Capital letters.
    Upper,
}

impl Step {
    /// Prepares the rules of a column, in their order.
    pub(super) fn compile_all(
        rules: &[CleanRule],
        phones: &mut PhoneLibrary,
    ) -> Result<Vec<Self>, PhoneError> {
        rules.iter().map(|rule| Self::compile(rule, phones)).collect()
    }

    fn compile(rule: &CleanRule, phones: &mut PhoneLibrary) -> Result<Self, PhoneError> {
        Ok(match rule {
            CleanRule::Trim => Self::Trim,
            CleanRule::CollapseSpaces => Self::CollapseSpaces,
            CleanRule::Lowercase => Self::Case(Case::Lower),
            CleanRule::Uppercase => Self::Case(Case::Upper),
            CleanRule::Nfc => Self::Nfc,
            CleanRule::NullWords(words) => {
                Self::NullWords(words.iter().map(|word| word.trim().to_lowercase()).collect())
            }
            CleanRule::Default(text) => Self::Default(text.clone()),
            CleanRule::Digits => Self::Digits,
            CleanRule::Phone { region } => Self::Phone(phones.reader(region)?),
            CleanRule::Email => Self::Email,
        })
    }

    /// The text that takes the place of NULL, if the step puts one there.
    pub(super) fn filler(&self) -> Option<&str> {
        match self {
            Self::Default(text) => Some(text),
            _ => None,
        }
    }

    /// Writes what a text becomes behind `cleaned`; nothing unless that is another text.
    pub(super) fn clean(&self, text: &str, cleaned: &mut String) -> Verdict {
        if text.is_ascii() && self.leaves(text) {
            return Verdict::Unchanged;
        }
        match self {
            Self::Trim => trim(text, cleaned),
            Self::CollapseSpaces => collapse_spaces(text, cleaned),
            Self::Case(case) => recase(*case, text, cleaned),
            Self::Nfc => compose(text, cleaned),
            Self::NullWords(words) if is_among(words, text) => Verdict::Null,
            Self::NullWords(_) | Self::Default(_) => Verdict::Unchanged,
            Self::Digits => digits(text, cleaned),
            Self::Phone(reader) => reader.read(text, cleaned),
            Self::Email => email(text, cleaned),
        }
    }

    /// Whether an ASCII text, and so each part of it, is sure to stay as it is.
    ///
    /// `false` says nothing: a closer look is needed.
    pub(super) fn leaves(&self, ascii: &str) -> bool {
        let bytes = ascii.as_bytes();
        match self {
            Self::Nfc => true,
            Self::Case(case) => !has_any(bytes, |byte| case.changes(byte)),
            Self::CollapseSpaces => is_collapsed(bytes),
            Self::Digits => !has_any(bytes, |byte| !byte.is_ascii_digit()),
            _ => false,
        }
    }
}

impl Case {
    /// Changes the letters of ASCII.
    pub(super) fn make_ascii(self, text: &mut str) {
        match self {
            Self::Lower => text.make_ascii_lowercase(),
            Self::Upper => text.make_ascii_uppercase(),
        }
    }

    fn changes(self, ascii: u8) -> bool {
        match self {
            Self::Lower => ascii.is_ascii_uppercase(),
            Self::Upper => ascii.is_ascii_lowercase(),
        }
    }

    fn of(self, text: &str) -> String {
        match self {
            Self::Lower => text.to_lowercase(),
            Self::Upper => text.to_uppercase(),
        }
    }
}

/// Carries steps out on one value, in their order; `None` is NULL.
pub(super) fn clean_value(steps: &[Step], value: Option<&str>) -> Result<Option<String>, Code> {
    let mut value = value.map(str::to_owned);
    for step in steps {
        let Some(text) = value else {
            value = step.filler().map(str::to_owned);
            continue;
        };
        let mut cleaned = String::new();
        value = match step.clean(&text, &mut cleaned) {
            Verdict::Unchanged => Some(text),
            Verdict::Changed => Some(cleaned),
            Verdict::Null => None,
            Verdict::Bad(code) => return Err(code),
        };
    }
    Ok(value)
}

fn trim(text: &str, cleaned: &mut String) -> Verdict {
    let is_bare = |end: Option<&u8>| end.is_some_and(u8::is_ascii_graphic);
    let bytes = text.as_bytes();
    if is_bare(bytes.first()) && is_bare(bytes.last()) {
        return Verdict::Unchanged;
    }
    replace(text, text.trim(), cleaned)
}

fn collapse_spaces(text: &str, cleaned: &mut String) -> Verdict {
    let start = cleaned.len();
    let mut is_in_run = false;
    for letter in text.chars() {
        let is_space = letter.is_whitespace();
        if !is_space {
            cleaned.push(letter);
        } else if !is_in_run {
            cleaned.push(' ');
        }
        is_in_run = is_space;
    }
    settle(text, cleaned, start)
}

fn recase(case: Case, text: &str, cleaned: &mut String) -> Verdict {
    if !text.is_ascii() {
        return replace(text, &case.of(text), cleaned);
    }
    let start = cleaned.len();
    cleaned.push_str(text);
    case.make_ascii(&mut cleaned[start..]);
    settle(text, cleaned, start)
}

fn compose(text: &str, cleaned: &mut String) -> Verdict {
    if is_nfc(text) {
        return Verdict::Unchanged;
    }
    cleaned.extend(text.nfc());
    Verdict::Changed
}

/// Whether the text is one of the words, whatever its case and the white space around it.
fn is_among(words: &[String], text: &str) -> bool {
    let text = text.trim();
    if text.is_ascii() {
        return words.iter().any(|word| word.eq_ignore_ascii_case(text));
    }
    words.contains(&text.to_lowercase())
}

fn digits(text: &str, cleaned: &mut String) -> Verdict {
    let start = cleaned.len();
    cleaned.extend(text.chars().filter(char::is_ascii_digit));
    settle(text, cleaned, start)
}

/// In lower case as a whole: no provider tells `Ann@` from `ann@`, although RFC 5321 would let it.
fn email(text: &str, cleaned: &mut String) -> Verdict {
    let address = text.trim();
    if address.is_empty() {
        return Verdict::Null;
    }
    let start = cleaned.len();
    if address.is_ascii() {
        cleaned.push_str(address);
        cleaned[start..].make_ascii_lowercase();
    } else {
        cleaned.extend(address.to_lowercase().nfc());
    }
    if !is_email(&cleaned[start..]) {
        cleaned.truncate(start);
        return Verdict::Bad(Code::BAD_EMAIL);
    }
    settle(text, cleaned, start)
}

/// Writes what takes the place of the text, if it is another one.
fn replace(text: &str, with: &str, cleaned: &mut String) -> Verdict {
    if with == text {
        return Verdict::Unchanged;
    }
    cleaned.push_str(with);
    Verdict::Changed
}

/// Takes back what was written from `start` on if it is the text itself.
fn settle(text: &str, cleaned: &mut String, start: usize) -> Verdict {
    if cleaned[start..] == *text {
        cleaned.truncate(start);
        return Verdict::Unchanged;
    }
    Verdict::Changed
}

/// Looks at every byte, because a loop without a way out runs on many bytes at once.
fn has_any(bytes: &[u8], is_meant: impl Fn(u8) -> bool) -> bool {
    let mut found = false;
    for byte in bytes {
        found |= is_meant(*byte);
    }
    found
}

/// Whether ASCII has no white space but single spaces.
fn is_collapsed(bytes: &[u8]) -> bool {
    let mut has_pair = false;
    for (byte, next) in bytes.iter().zip(bytes.get(1..).unwrap_or_default()) {
        has_pair |= *byte == b' ' && *next == b' ';
    }
    !has_pair && !has_any(bytes, |byte| matches!(byte, b'\t'..=b'\r'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(rule: &CleanRule) -> Step {
        Step::compile(rule, &mut PhoneLibrary::default()).expect("a usable rule")
    }

    #[track_caller]
    fn assert_becomes(rule: &CleanRule, text: &str, expected: &str) {
        let cleaned = clean_value(&[step(rule)], Some(text));
        assert_eq!(cleaned, Ok(Some(expected.to_owned())), "{text:?}");
    }

    #[test]
    fn white_space_of_every_script_is_white_space() {
        assert_becomes(&CleanRule::Trim, "\u{2003}\t Ann  Lee\u{a0}\r\n", "Ann  Lee");
        assert_becomes(&CleanRule::Trim, "\u{200b}x", "\u{200b}x");
        assert_becomes(&CleanRule::CollapseSpaces, " \u{2003}Ann\t\u{a0} Lee\u{a0}", " Ann Lee ");
        assert_becomes(&CleanRule::CollapseSpaces, "a\u{a0}b", "a b");
    }

    #[test]
    fn digits_of_other_scripts_are_dropped() {
        assert_becomes(&CleanRule::Digits, "+1 (202) 555-0123", "12025550123");
        assert_becomes(&CleanRule::Digits, "٣4", "4");
    }

    #[test]
    fn null_words_disregard_case_and_white_space_around() {
        let rule = CleanRule::NullWords(vec!["N/A".to_owned(), "ÉTÉ".to_owned(), String::new()]);
        for text in ["n/a", " N/a\t", "été", "\u{a0}", ""] {
            assert_eq!(clean_value(&[step(&rule)], Some(text)), Ok(None), "{text:?}");
        }
        assert_becomes(&rule, "n/a.", "n/a.");
    }

    #[test]
    fn null_stays_null_but_for_a_default() {
        let rules = [
            CleanRule::Trim,
            CleanRule::Lowercase,
            CleanRule::NullWords(vec![String::new()]),
            CleanRule::Phone { region: "US".to_owned() },
            CleanRule::Email,
        ];
        for rule in &rules {
            assert_eq!(clean_value(&[step(rule)], None), Ok(None), "{rule:?}");
        }
        let filled = clean_value(&[step(&CleanRule::Default("x".to_owned()))], None);
        assert_eq!(filled, Ok(Some("x".to_owned())));
    }

    #[test]
    fn steps_after_a_refusal_are_not_carried_out() {
        let steps = [step(&CleanRule::Email), step(&CleanRule::Default("x".to_owned()))];
        assert_eq!(clean_value(&steps, Some("ann")), Err(Code::BAD_EMAIL));
        assert_eq!(clean_value(&steps, Some(" ")), Ok(Some("x".to_owned())));
    }

    #[test]
    fn what_is_written_lies_behind_what_is_there() {
        let rules = [CleanRule::Trim, CleanRule::CollapseSpaces, CleanRule::Uppercase];
        for (rule, text) in rules.iter().zip([" a", "a  b", "ä"]) {
            let mut cleaned = "before ".to_owned();
            assert_eq!(step(rule).clean(text, &mut cleaned), Verdict::Changed);
            assert!(cleaned.len() > "before ".len() && cleaned.starts_with("before "));
        }
        let mut cleaned = "before ".to_owned();
        let refused = step(&CleanRule::Email).clean("ann", &mut cleaned);
        assert_eq!((refused, cleaned.as_str()), (Verdict::Bad(Code::BAD_EMAIL), "before "));
    }
}
