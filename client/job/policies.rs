//! Turns the words of `[load]` into what becomes of a source that is not what it was.

use super::rule::unknown;
use super::targets::Target;

/// Words of [`DriftPolicy`], as a job file and `--drift` take them.
pub(crate) const DRIFT_POLICIES: [&str; 3] = ["evolve", "freeze", "quarantine"];
/// Words of [`RewrittenPolicy`], as a job file and `--rewritten` take them.
pub(crate) const REWRITTEN_POLICIES: [&str; 3] = ["refuse", "reload", "ignore"];
const FILE_ORDERS: [&str; 3] = ["name", "time", "any"];

/// What becomes of columns of the source that differ from those of the last run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DriftPolicy {
    /// The tables follow: columns are added and widened, what is gone becomes NULL.
    Evolve,
    /// The run stops before it moves a row.
    Freeze,
    /// Rows that do not fit are refused, the others are loaded.
    Quarantine,
}

/// What becomes of a file whose loaded part changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RewrittenPolicy {
    /// The run stops before it moves a row.
    Refuse,
    /// It is loaded from its start again.
    Reload,
    /// It is left alone.
    Ignore,
}

/// In which order files are loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileOrder {
    /// As workers come to them.
    Any,
    /// One after the other, by their names.
    Name,
    /// One after the other, by their last changes.
    Time,
}

impl DriftPolicy {
    /// The word of the policy.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Evolve => "evolve",
            Self::Freeze => "freeze",
            Self::Quarantine => "quarantine",
        }
    }

    /// The policy that a word means.
    pub(super) fn of_word(word: Option<&str>) -> Result<Self, String> {
        match word {
            Some("evolve") => Ok(Self::Evolve),
            None | Some("freeze") => Ok(Self::Freeze),
            Some("quarantine") => Ok(Self::Quarantine),
            Some(word) => Err(unknown("load.drift", word, &DRIFT_POLICIES)),
        }
    }
}

impl RewrittenPolicy {
    /// The policy that a word means.
    pub(super) fn of_word(word: Option<&str>) -> Result<Self, String> {
        match word {
            None | Some("refuse") => Ok(Self::Refuse),
            Some("reload") => Ok(Self::Reload),
            Some("ignore") => Ok(Self::Ignore),
            Some(word) => Err(unknown("load.rewritten", word, &REWRITTEN_POLICIES)),
        }
    }
}

impl FileOrder {
    /// The order that a word means; without one, files wait for each other
    /// only where the outcome depends on it.
    pub(super) fn of_word(word: Option<&str>, targets: &[Target]) -> Result<Self, String> {
        match word {
            Some("name") => Ok(Self::Name),
            Some("time") => Ok(Self::Time),
            Some("any") => Ok(Self::Any),
            Some(word) => Err(unknown("load.file_order", word, &FILE_ORDERS)),
            None if targets.iter().any(|target| target.mode.depends_on_order()) => Ok(Self::Name),
            None => Ok(Self::Any),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::tests::{job, refusal};

    #[test]
    fn every_word_has_its_meaning() {
        let drift = DRIFT_POLICIES.map(|word| DriftPolicy::of_word(Some(word)));
        let expected = [DriftPolicy::Evolve, DriftPolicy::Freeze, DriftPolicy::Quarantine];
        assert_eq!(drift, expected.map(Ok));
        assert_eq!(expected.map(DriftPolicy::word), DRIFT_POLICIES);
        let rewritten = REWRITTEN_POLICIES.map(|word| RewrittenPolicy::of_word(Some(word)));
        let expected = [RewrittenPolicy::Refuse, RewrittenPolicy::Reload, RewrittenPolicy::Ignore];
        assert_eq!(rewritten, expected.map(Ok));
    }

    #[test]
    fn mistyped_words_are_refused() {
        for (key, word, near) in [
            ("drift", "evovle", "evolve"),
            ("rewritten", "relaod", "reload"),
            ("file_order", "nmae", "name"),
        ] {
            let error = refusal(&format!("[load]\n{key} = '{word}'"));
            let expected = format!("load.{key} \"{word}\" is not known: did you mean \"{near}\"?");
            assert_eq!(error, expected);
        }
    }

    #[test]
    fn files_wait_for_each_other_only_where_it_matters() {
        let order = |keys: &str| job(keys).expect("a valid job").load.file_order;
        for mode in ["append", "replace"] {
            assert_eq!(order(&format!("mode = '{mode}'")), FileOrder::Any, "{mode}");
        }
        for mode in ["upsert", "insert_new"] {
            let keys = format!("mode = '{mode}'\nkey = ['uid']\n");
            assert_eq!(order(&keys), FileOrder::Name, "{mode}");
            assert_eq!(order(&format!("{keys}[load]\nfile_order = 'any'")), FileOrder::Any);
        }
        assert_eq!(order("[load]\nfile_order = 'name'"), FileOrder::Name);
        assert_eq!(order("[load]\nfile_order = 'time'"), FileOrder::Time);
        let second = "[[target]]\ntable = 'other'\nmode = 'insert_new'";
        assert_eq!(order(second), FileOrder::Name, "one such target is enough");
    }
}
