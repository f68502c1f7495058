//! Turns what a column says of personal data into what becomes of its values.

use serde::Serialize;

use super::raw::RawColumn;
use super::rule::unknown;

const MODES: [&str; 5] = ["hash", "salted", "mask", "drop", "none"];
const KEEP_LAST_DEFAULT: usize = 4;
/// A mask that keeps more hides nothing.
const KEEP_LAST_MAX: usize = 32;

/// What becomes of the values of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pii {
    /// They are declared not to be personal data, and stay.
    Public,
    /// Equal values of a domain become equal pseudonyms.
    Hash {
        /// Columns of one domain can be joined.
        domain: String,
        /// How the pseudonym is stored; `None` for what suits the target.
        form: Option<Form>,
    },
    /// Each value becomes a pseudonym of its own, under a random salt.
    Salted {
        /// Names the subkey.
        domain: String,
        /// How the pseudonym is stored; `None` for what suits the target.
        form: Option<Form>,
    },
    /// All characters are hidden but the last ones.
    Mask {
        /// So many characters stay.
        keep_last: usize,
    },
    /// They are not loaded.
    Drop,
}

/// How a pseudonym is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Form {
    /// As bytes.
    Bytea,
    /// As hexadecimal digits.
    Hex,
}

impl Pii {
    /// What is done to the text of a value, in a word; `None` if nothing is.
    pub(super) fn treatment(&self) -> Option<&'static str> {
        match self {
            Self::Hash { .. } => Some("hashed"),
            Self::Salted { .. } => Some("salted"),
            Self::Mask { .. } => Some("masked"),
            Self::Public | Self::Drop => None,
        }
    }
}

/// Reads the keys `pii`, `domain`, `form` and `keep_last`; an error does not name the column.
pub(super) fn pii_of(column: &RawColumn) -> Result<Option<Pii>, String> {
    let domain = || column.domain.clone().unwrap_or_else(|| column.name.clone());
    let form = column.form.as_deref().map(form_of).transpose()?;
    let pii = match column.pii.as_deref() {
        None => None,
        Some("none") => Some(Pii::Public),
        Some("hash") => Some(Pii::Hash { domain: domain(), form }),
        Some("salted") => Some(Pii::Salted { domain: domain(), form }),
        Some("mask") => Some(Pii::Mask { keep_last: keep_last_of(column)? }),
        Some("drop") => Some(Pii::Drop),
        Some(word) => return Err(unknown("pii", word, &MODES)),
    };
    let is_pseudonym = matches!(pii, Some(Pii::Hash { .. } | Pii::Salted { .. }));
    if column.domain.is_some() && !is_pseudonym {
        return Err("domain needs pii = \"hash\" or \"salted\"".to_owned());
    }
    if form.is_some() && !is_pseudonym {
        return Err("form needs pii = \"hash\" or \"salted\"".to_owned());
    }
    if column.keep_last.is_some() && !matches!(pii, Some(Pii::Mask { .. })) {
        return Err("keep_last needs pii = \"mask\"".to_owned());
    }
    Ok(pii)
}

fn form_of(word: &str) -> Result<Form, String> {
    match word {
        "bytea" => Ok(Form::Bytea),
        "hex" => Ok(Form::Hex),
        _ => Err(unknown("form", word, &["bytea", "hex"])),
    }
}

fn keep_last_of(column: &RawColumn) -> Result<usize, String> {
    let keep_last = column.keep_last.unwrap_or(KEEP_LAST_DEFAULT);
    if keep_last > KEEP_LAST_MAX {
        return Err(format!("keep_last must be 0 to {KEEP_LAST_MAX}"));
    }
    Ok(keep_last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::tests::{column, column_refusal};

    fn pii(keys: &str) -> Option<Pii> {
        column(keys).expect("a valid column").pii
    }

    #[track_caller]
    fn assert_refused(keys: &str, hint: &str) {
        let error = column_refusal(keys);
        assert!(error.starts_with("column \"email\": ") && error.contains(hint), "{error}");
    }

    #[test]
    fn every_word_has_its_meaning() {
        let domain = "email".to_owned();
        assert_eq!(pii(""), None);
        assert_eq!(pii("pii = 'none'"), Some(Pii::Public));
        assert_eq!(pii("pii = 'drop'"), Some(Pii::Drop));
        assert_eq!(pii("pii = 'hash'"), Some(Pii::Hash { domain: domain.clone(), form: None }));
        assert_eq!(pii("pii = 'salted'"), Some(Pii::Salted { domain, form: None }));
        assert_eq!(pii("pii = 'mask'"), Some(Pii::Mask { keep_last: 4 }));
    }

    #[test]
    fn settings_go_before_what_is_usual() {
        let domain = "person".to_owned();
        let hash = pii("pii = 'hash'\ndomain = 'person'\nform = 'hex'");
        assert_eq!(hash, Some(Pii::Hash { domain: domain.clone(), form: Some(Form::Hex) }));
        let salted = pii("pii = 'salted'\ndomain = 'person'\nform = 'bytea'");
        assert_eq!(salted, Some(Pii::Salted { domain, form: Some(Form::Bytea) }));
        for keep_last in [0, 32] {
            let mask = pii(&format!("pii = 'mask'\nkeep_last = {keep_last}"));
            assert_eq!(mask, Some(Pii::Mask { keep_last }));
        }
    }

    #[test]
    fn a_mistyped_word_gets_the_nearest_one() {
        assert_refused("pii = 'hahs'", "pii \"hahs\" is not known: did you mean \"hash\"?");
        assert_refused("pii = 'hash'\nform = 'hexx'", "did you mean \"hex\"?");
    }

    #[test]
    fn settings_of_another_treatment_are_refused() {
        for mode in ["mask", "drop", "none"] {
            assert_refused(&format!("pii = '{mode}'\ndomain = 'x'"), "domain needs pii");
            assert_refused(&format!("pii = '{mode}'\nform = 'hex'"), "form needs pii");
        }
        assert_refused("domain = 'x'", "domain needs pii = \"hash\" or \"salted\"");
        assert_refused("form = 'hex'", "form needs pii = \"hash\" or \"salted\"");
        assert_refused("pii = 'hash'\nkeep_last = 4", "keep_last needs pii = \"mask\"");
        assert_refused("keep_last = 4", "keep_last needs pii = \"mask\"");
        assert_refused("pii = 'mask'\nkeep_last = 33", "keep_last must be 0 to 32");
    }

    #[test]
    fn what_is_treated_as_text_has_no_other_type() {
        for (mode, treatment) in [("hash", "hashed"), ("salted", "salted"), ("mask", "masked")] {
            let hint = format!("a column that is {treatment} is read as text");
            assert_refused(&format!("pii = '{mode}'\ntype = 'date'"), &hint);
            assert!(column(&format!("pii = '{mode}'\ntype = 'text'")).is_ok());
        }
        for mode in ["drop", "none"] {
            assert!(column(&format!("pii = '{mode}'\ntype = 'date'")).is_ok());
        }
    }
}
