//! Turns `mode` and the keys that belong to it into how rows meet those that are there already.

use super::raw::RawTarget;
use super::refuse_repeats;
use super::rule::unknown;

/// Words of the modes, as a job file and `--mode` take them.
pub(crate) const MODES: [&str; 4] = ["append", "replace", "upsert", "insert_new"];

/// How rows meet those that are in the table already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mode {
    /// They are added.
    Append,
    /// They take the place of all of them.
    Replace {
        /// Whether the old rows stay in a table beside it.
        keep_old: bool,
    },
    /// They update the row of the same key, or are added.
    Upsert {
        /// Columns that an existing row takes over; empty for all but the key.
        update: Vec<String>,
        /// Column whose value must be greater than that of the existing row.
        only_if_newer: Option<String>,
    },
    /// They are added unless there is such a row.
    InsertNew,
}

impl Mode {
    /// The word of the mode.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Append => "append",
            Self::Replace { .. } => "replace",
            Self::Upsert { .. } => "upsert",
            Self::InsertNew => "insert_new",
        }
    }

    /// Whether the outcome depends on which of two rows comes first.
    pub(super) fn depends_on_order(&self) -> bool {
        matches!(self, Self::Upsert { .. } | Self::InsertNew)
    }
}

/// Reads the keys `mode`, `update`, `only_if_newer` and `keep_old`; an error does not name the table.
pub(super) fn mode_of(target: &RawTarget) -> Result<Mode, String> {
    let mode = match target.mode.as_deref() {
        None | Some("append") => Mode::Append,
        Some("replace") => Mode::Replace { keep_old: target.keep_old },
        Some("upsert") => upsert(target)?,
        Some("insert_new") => Mode::InsertNew,
        Some(word) => return Err(unknown("mode", word, &MODES)),
    };
    if !matches!(mode, Mode::Upsert { .. }) {
        refuse_of_upsert(target)?;
    }
    if target.keep_old && !matches!(mode, Mode::Replace { .. }) {
        return Err("keep_old needs mode = \"replace\"".to_owned());
    }
    Ok(mode)
}

fn refuse_of_upsert(target: &RawTarget) -> Result<(), String> {
    if target.update.is_some() {
        return Err("update needs mode = \"upsert\"".to_owned());
    }
    if target.only_if_newer.is_some() {
        return Err("only_if_newer needs mode = \"upsert\"".to_owned());
    }
    Ok(())
}

fn upsert(target: &RawTarget) -> Result<Mode, String> {
    if target.key.is_empty() {
        let text = "mode = \"upsert\" needs a key: name the columns that tell the rows apart, such as key = [\"id\"] (--key id)";
        return Err(text.to_owned());
    }
    let update = match &target.update {
        None => Vec::new(),
        Some(names) if names.is_empty() => {
            let text = "update names no column: leave it out to update all but the key, or use mode = \"insert_new\"";
            return Err(text.to_owned());
        }
        Some(names) => names.clone(),
    };
    refuse_repeats("update", update.iter()).map_err(|error| error.to_string())?;
    for name in &update {
        refuse_key_or_left_out(target, "update", name)?;
    }
    if let Some(name) = &target.only_if_newer {
        refuse_key_or_left_out(target, "only_if_newer", name)?;
        // The row would keep its old time, and older ones would win over what it took over.
        if !update.is_empty() && !update.contains(name) {
            return Err(format!("only_if_newer \"{name}\" is not in update: add it there"));
        }
    }
    Ok(Mode::Upsert { update, only_if_newer: target.only_if_newer.clone() })
}

fn refuse_key_or_left_out(target: &RawTarget, setting: &str, name: &str) -> Result<(), String> {
    if target.key.iter().any(|key| key == name) {
        return Err(format!(
            "{setting} names \"{name}\", which is in key and never changes: take it out of one of them"
        ));
    }
    if !target.columns.is_empty() && !target.columns.iter().any(|column| column == name) {
        return Err(format!("{setting} \"{name}\" is not in columns: add it there"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::tests::{job, refusal};

    fn mode(keys: &str) -> Mode {
        let mut targets = job(keys).expect("a valid job").targets;
        targets.remove(0).mode
    }

    #[track_caller]
    fn assert_refused(keys: &str, hint: &str) {
        let error = refusal(keys);
        assert!(error.starts_with("target public.users: ") && error.contains(hint), "{error}");
    }

    #[test]
    fn every_mode_reads_back() {
        assert_eq!(mode(""), Mode::Append);
        for word in MODES {
            assert_eq!(mode(&format!("mode = '{word}'\nkey = ['uid']")).word(), word);
        }
    }

    #[test]
    fn a_mistyped_mode_gets_the_nearest_one() {
        assert_refused("mode = 'upsret'", "mode \"upsret\" is not known: did you mean \"upsert\"?");
        assert_refused("mode = 'Append'", "did you mean \"append\"?");
    }

    #[test]
    fn an_upsert_takes_over_what_it_names() {
        let upsert = "mode = 'upsert'\nkey = ['uid']\n";
        let all = Mode::Upsert { update: Vec::new(), only_if_newer: None };
        assert_eq!(mode(upsert), all);
        let named = mode(&format!("{upsert}update = ['email', 'at']\nonly_if_newer = 'at'"));
        let update = vec!["email".to_owned(), "at".to_owned()];
        assert_eq!(named, Mode::Upsert { update, only_if_newer: Some("at".to_owned()) });
        let newer = mode(&format!("{upsert}only_if_newer = 'at'"));
        assert_eq!(
            newer,
            Mode::Upsert { update: Vec::new(), only_if_newer: Some("at".to_owned()) }
        );
    }

    #[test]
    fn an_upsert_needs_a_key() {
        assert_refused("mode = 'upsert'", "mode = \"upsert\" needs a key");
        for word in ["append", "replace", "insert_new"] {
            assert_eq!(mode(&format!("mode = '{word}'")).word(), word);
        }
    }

    #[test]
    fn what_an_upsert_takes_over_can_change() {
        let refused = |keys: &str, hint: &str| {
            assert_refused(&format!("mode = 'upsert'\nkey = ['uid']\n{keys}"), hint);
        };
        refused("update = []", "update names no column");
        refused("update = ['a', 'a']", "update names \"a\" twice");
        refused("update = ['uid']", "update names \"uid\", which is in key");
        refused("only_if_newer = 'uid'", "only_if_newer names \"uid\", which is in key");
        refused("columns = ['uid']\nupdate = ['a']", "update \"a\" is not in columns");
        refused("columns = ['uid']\nonly_if_newer = 'a'", "only_if_newer \"a\" is not in columns");
        refused("update = ['a']\nonly_if_newer = 'at'", "only_if_newer \"at\" is not in update");
    }

    #[test]
    fn the_old_rows_are_kept_if_the_job_says_so() {
        assert_eq!(mode("mode = 'replace'"), Mode::Replace { keep_old: false });
        let kept = mode("mode = 'replace'\nkeep_old = true");
        assert_eq!(kept, Mode::Replace { keep_old: true });
        assert_eq!(mode("keep_old = false"), Mode::Append);
    }

    #[test]
    fn a_key_of_another_mode_is_refused() {
        for word in ["append", "replace", "insert_new"] {
            let refused = |keys: &str, hint: &str| {
                assert_refused(&format!("mode = '{word}'\nkey = ['uid']\n{keys}"), hint);
            };
            refused("update = ['a']", "update needs mode = \"upsert\"");
            refused("only_if_newer = 'a'", "only_if_newer needs mode = \"upsert\"");
        }
        for word in ["append", "upsert", "insert_new"] {
            let keys = format!("mode = '{word}'\nkey = ['uid']\nkeep_old = true");
            assert_refused(&keys, "keep_old needs mode = \"replace\"");
        }
    }
}
