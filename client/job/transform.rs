//! Turns `[transform]` into what becomes of the pseudonymised columns.
//!
//! Expressions are kept as text: they are compiled once the columns of the source are known.

use std::collections::BTreeMap;

use super::raw::RawTransform;
use super::rule::expression;
use super::{JobError, refuse_repeats};
use crate::names::{InvalidColumnName, check_column_name};

/// What becomes of the columns before they are loaded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Transform {
    /// Rows for which it is not true are left out.
    pub(crate) filter: Option<String>,
    /// Columns and the expressions that make them, in the order of their names.
    pub(crate) set: Vec<(String, String)>,
    /// Old names and new ones, in the order of the old names.
    pub(crate) rename: Vec<(String, String)>,
    /// Columns that are not loaded.
    pub(crate) drop: Vec<String>,
    /// Columns made of what personal data was before its pseudonym, in the order of their names.
    pub(crate) derive_before_hash: Vec<(String, String)>,
}

/// Reads what becomes of the columns.
pub(super) fn transform_of(raw: RawTransform) -> Result<Transform, JobError> {
    let filter = raw.filter.map(|filter| expression("transform.filter", filter));
    let filter = filter.transpose().map_err(JobError::Invalid)?;
    refuse_unusable_names(&raw.rename)?;
    refuse_repeats("transform.drop", raw.drop.iter())?;
    if let Some(name) = raw.drop.iter().find(|name| raw.rename.contains_key(*name)) {
        let text = format!("transform.drop and transform.rename both name \"{name}\": keep one");
        return Err(JobError::Invalid(text));
    }
    Ok(Transform {
        filter,
        set: expressions("transform.set", raw.set)?,
        rename: raw.rename.into_iter().collect(),
        drop: raw.drop,
        derive_before_hash: expressions("transform.derive_before_hash", raw.derive_before_hash)?,
    })
}

fn refuse_unusable_names(rename: &BTreeMap<String, String>) -> Result<(), JobError> {
    for (old, new) in rename {
        let setting = format!("transform.rename.{old}");
        check_column_name(new).map_err(|error| unusable(&setting, &error))?;
    }
    refuse_repeats("transform.rename", rename.values())
}

fn unusable(setting: &str, error: &InvalidColumnName) -> JobError {
    JobError::Invalid(format!("{setting}: {error}"))
}

/// Columns that expressions make; their names must be usable.
fn expressions(
    setting: &str,
    raw: BTreeMap<String, String>,
) -> Result<Vec<(String, String)>, JobError> {
    let mut made = Vec::with_capacity(raw.len());
    for (name, text) in raw {
        check_column_name(&name).map_err(|error| unusable(setting, &error))?;
        let text = expression(&format!("{setting}.{name}"), text).map_err(JobError::Invalid)?;
        made.push((name, text));
    }
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::tests::{job, refusal};

    fn refused(keys: &str) -> String {
        refusal(&format!("[transform]\n{keys}"))
    }

    #[test]
    fn tables_become_lists_in_the_order_of_names() {
        let text = "[transform]\nfilter = 'a > 0'\nset.b = '1'\nset.a = '2'\nrename.old = 'new'\n\
                    drop = ['note']\nderive_before_hash.domain = \"split_part(email, '@', 2)\"";
        let pair = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        let expected = Transform {
            filter: Some("a > 0".to_owned()),
            set: vec![pair("a", "2"), pair("b", "1")],
            rename: vec![pair("old", "new")],
            drop: vec!["note".to_owned()],
            derive_before_hash: vec![pair("domain", "split_part(email, '@', 2)")],
        };
        assert_eq!(job(text).expect("a valid job").transform, expected);
        assert_eq!(job("").expect("a valid job").transform, Transform::default());
    }

    #[test]
    fn an_empty_expression_is_refused() {
        for key in ["filter", "set.a", "derive_before_hash.a"] {
            let error = refused(&format!("{key} = ' '"));
            assert!(error.starts_with(&format!("transform.{key} is empty")), "{error}");
        }
    }

    #[test]
    fn a_new_name_is_usable_and_there_once() {
        let error = refused("rename.a = ''");
        assert!(error.starts_with("transform.rename.a: \"\" cannot name a column"), "{error}");
        assert_eq!(refused("rename.a = 'x'\nrename.b = 'x'"), "transform.rename names \"x\" twice");
        let long = "x".repeat(64);
        let settings = [
            format!("rename.a = '{long}'"),
            format!("set.{long} = '1'"),
            format!("derive_before_hash.{long} = '1'"),
            "set.'' = '1'".to_owned(),
        ];
        for keys in settings {
            let error = refused(&keys);
            assert!(error.contains("cannot name a column"), "{error}");
        }
    }

    #[test]
    fn two_columns_may_change_names() {
        let job = job("[transform]\nrename.a = 'b'\nrename.b = 'a'").expect("a valid job");
        assert_eq!(job.transform.rename.len(), 2);
    }

    #[test]
    fn what_is_dropped_is_named_once() {
        assert_eq!(refused("drop = ['a', 'a']"), "transform.drop names \"a\" twice");
        let error = refused("drop = ['a']\nrename.a = 'b'");
        assert!(error.contains("both name \"a\""), "{error}");
    }
}
