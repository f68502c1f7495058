//! Refuses a job that lets columns be looked up which its tables will not have.
//!
//! Without it, a mistyped name in `serve_columns` would hide a column from all who look, and nobody would say so.

use std::collections::HashSet;

use ferry::host::settings::nearest;

use crate::columns::{ColumnError, ColumnPlan};
use crate::job::{Job, ServePolicy, Target};
use crate::load::catalogue::TargetTable;

/// Refuses names that stand in `serve_columns` alone. `tables` are those of the
/// targets, `None` where one is to be made.
pub(super) fn refuse_unknown(
    job: &Job,
    tables: &[Option<TargetTable>],
    plan: &ColumnPlan,
) -> Result<(), ColumnError> {
    for ((target, table), planned) in job.targets.iter().zip(tables).zip(&plan.targets) {
        let there = table.iter().flat_map(|table| &table.columns);
        let there = there.map(|column| column.name.as_str());
        let loaded = planned.columns.iter().map(|column| column.column.name.as_str());
        refuse_others(target, &there.chain(loaded).collect::<Vec<_>>())?;
    }
    Ok(())
}

/// Refuses names of a target that are not among those of its columns.
fn refuse_others(target: &Target, columns: &[&str]) -> Result<(), ColumnError> {
    let ServePolicy::Columns(shown) = &target.serve else {
        return Ok(());
    };
    let there: HashSet<&str> = columns.iter().copied().collect();
    let Some(other) = shown.iter().find(|name| !there.contains(name.as_str())) else {
        return Ok(());
    };
    let near = nearest(other, columns.iter().copied());
    Err(ColumnError::Unknown {
        setting: format!("target.serve_columns of {}", target.table),
        column: other.clone(),
        hint: near.map(|near| format!(": did you mean \"{near}\"?")).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{CachePolicy, Mode};

    fn target(serve: ServePolicy) -> Target {
        Target {
            table: "public.users".parse().expect("a table name"),
            create: true,
            mode: Mode::Append,
            key: vec!["uid".to_owned()],
            columns: Vec::new(),
            cache: CachePolicy::Off,
            serve,
        }
    }

    fn refused(serve: &[&str], columns: &[&str]) -> Option<String> {
        let names = serve.iter().map(|name| (*name).to_owned()).collect();
        let refused = refuse_others(&target(ServePolicy::Columns(names)), columns).err();
        refused.map(|error| error.to_string())
    }

    #[test]
    fn a_column_that_no_table_has_is_not_shown_in_silence() {
        let columns = ["uid", "email", "made_at"];
        assert_eq!(refused(&["uid", "made_at"], &columns), None);
        assert_eq!(
            refused(&["uid", "emial"], &columns).as_deref(),
            Some(
                "target.serve_columns of public.users names \"emial\", which is not there: did you mean \"email\"?"
            )
        );
        let other = refused(&["uid", "UID"], &["uid"]);
        assert!(other.is_some_and(|text| text.contains("\"UID\", which is not there")));
    }

    #[test]
    fn who_names_no_columns_names_no_wrong_ones() {
        for serve in [ServePolicy::Hidden, ServePolicy::Loaded] {
            assert_eq!(refuse_others(&target(serve), &[]), Ok(()));
        }
    }
}
