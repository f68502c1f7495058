//! Turns each `[[column]]` into the rule of one column.

use ferry::schema::ColumnType;

use super::checks::{CheckRule, OnFail, check_rules};
use super::cleaning::{CleanRule, clean_rules};
use super::pii::{Pii, pii_of};
use super::raw::RawColumn;
use super::{JobError, refuse_repeats};

/// What the job says of one column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ColumnRule {
    /// Name in the source.
    pub(crate) name: String,
    /// Type in the job's own words, after cleaning.
    pub(crate) column_type: Option<ColumnType>,
    /// How its text is cleaned, in this order.
    pub(crate) clean: Vec<CleanRule>,
    /// What its values must be.
    pub(crate) checks: Vec<CheckRule>,
    /// What becomes of a value that fails a check.
    pub(crate) on_fail: OnFail,
    /// What becomes of its values; `None` if the job does not say.
    pub(crate) pii: Option<Pii>,
}

impl ColumnRule {
    /// Whether the values are personal data, whatever becomes of them.
    pub(crate) fn is_personal(&self) -> bool {
        !matches!(self.pii, None | Some(Pii::Public))
    }

    /// Whether the column cannot be treated without the key of the pseudonyms.
    pub(super) fn needs_key(&self) -> bool {
        match self.pii {
            None | Some(Pii::Public) => false,
            Some(Pii::Hash { .. } | Pii::Salted { .. }) => true,
            // The ledger keeps a keyed digest of each value that must be unique.
            Some(Pii::Mask { .. } | Pii::Drop) => self.checks.contains(&CheckRule::Unique),
        }
    }
}

/// Reads the rules of all columns.
pub(super) fn column_rules(raw: &[RawColumn]) -> Result<Vec<ColumnRule>, JobError> {
    refuse_repeats("[[column]]", raw.iter().map(|column| &column.name))?;
    let mut rules = Vec::with_capacity(raw.len());
    for column in raw {
        let invalid =
            |text: String| JobError::Invalid(format!("column \"{}\": {text}", column.name));
        rules.push(column_rule(column).map_err(invalid)?);
    }
    Ok(rules)
}

fn column_rule(raw: &RawColumn) -> Result<ColumnRule, String> {
    let column_type = match &raw.column_type {
        Some(name) => Some(name.parse::<ColumnType>().map_err(|error| error.to_string())?),
        None => None,
    };
    let pii = pii_of(raw)?;
    if let Some(treatment) = pii.as_ref().and_then(Pii::treatment)
        && column_type.is_some_and(|kind| kind != ColumnType::Text)
    {
        return Err(format!("a column that is {treatment} is read as text: leave its type out"));
    }
    let checks = check_rules(&raw.check)?;
    let on_fail = OnFail::of_word(raw.on_fail.as_deref())?;
    if on_fail == OnFail::Null && checks.contains(&CheckRule::Required) {
        let text = "on_fail = \"null\" cannot mend a value that is \"required\": use \"quarantine\" or \"fail\"";
        return Err(text.to_owned());
    }
    Ok(ColumnRule {
        name: raw.name.clone(),
        column_type,
        clean: clean_rules(&raw.clean)?,
        checks,
        on_fail,
        pii,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::tests::{column, column_refusal, refusal};

    #[test]
    fn what_is_not_said_is_left_open() {
        let expected = ColumnRule {
            name: "email".to_owned(),
            column_type: None,
            clean: Vec::new(),
            checks: Vec::new(),
            on_fail: OnFail::Quarantine,
            pii: None,
        };
        assert_eq!(column("").expect("a valid column"), expected);
    }

    #[test]
    fn personal_is_what_is_treated() {
        let is_personal = |keys: &str| column(keys).expect("a valid column").is_personal();
        for mode in ["hash", "salted", "mask", "drop"] {
            assert!(is_personal(&format!("pii = '{mode}'")), "{mode}");
        }
        assert!(!is_personal("pii = 'none'"));
        assert!(!is_personal(""));
    }

    #[test]
    fn pseudonyms_and_unique_personal_values_need_a_key() {
        let needs_key = |keys: &str| column(keys).expect("a valid column").needs_key();
        for mode in ["hash", "salted"] {
            assert!(needs_key(&format!("pii = '{mode}'")), "{mode}");
        }
        for mode in ["mask", "drop"] {
            assert!(!needs_key(&format!("pii = '{mode}'")), "{mode}");
            assert!(needs_key(&format!("pii = '{mode}'\ncheck = ['unique']")), "{mode}");
        }
        assert!(!needs_key("pii = 'none'\ncheck = ['unique']"));
        assert!(!needs_key("check = ['unique']"));
    }

    #[test]
    fn a_required_value_cannot_become_null() {
        let error = column_refusal("check = ['required']\non_fail = 'null'");
        assert!(error.contains("cannot mend"), "{error}");
        let rule = column("check = ['unique']\non_fail = 'null'").expect("a valid column");
        assert_eq!(rule.on_fail, OnFail::Null);
    }

    #[test]
    fn mistyped_words_are_refused() {
        let error = column_refusal("on_fail = 'nul'");
        assert!(error.ends_with("on_fail \"nul\" is not known: did you mean \"null\"?"), "{error}");
        let error = column_refusal("type = 'txt'");
        assert!(error.starts_with("column \"email\": unknown type \"txt\""), "{error}");
    }

    #[test]
    fn a_column_is_named_once() {
        let error = refusal("[[column]]\nname = 'a'\n[[column]]\nname = 'a'");
        assert_eq!(error, "[[column]] names \"a\" twice");
    }
}
