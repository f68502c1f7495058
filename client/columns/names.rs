//! Turns columns of the source and what `[transform]` makes of them into the columns that can be loaded.

use ferry::host::settings::nearest;
use ferry::schema::Column;

use super::{ColumnError, rule_of};
use crate::job::{Job, Pii};
use crate::pseudonym::salt_name;

/// A column that a target can take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Final {
    /// Name under which targets know it.
    pub(crate) name: String,
    /// Where its values come from.
    pub(crate) origin: Origin,
}

/// Where the values of a column come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A column of the source.
    Source(String),
    /// The salts of such a column.
    Salt(String),
    /// An expression over raw values.
    Derived(String),
    /// An expression: its setting and its text.
    Set(String, String),
}

impl Origin {
    /// Name that the transform stage sees; `None` for what it makes itself.
    pub(super) fn visible_name(&self) -> Option<String> {
        match self {
            Self::Source(name) | Self::Derived(name) => Some(name.clone()),
            Self::Salt(name) => Some(salt_name(name)),
            Self::Set(..) => None,
        }
    }

    /// What people read.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Source(name) => name.clone(),
            Self::Salt(name) => format!("salts of {name}"),
            Self::Derived(_) => "derived before the hash".to_owned(),
            Self::Set(_, text) => format!("= {text}"),
        }
    }
}

/// The columns that can be loaded, in the order of the source, made ones last.
pub(crate) fn finals(job: &Job, wanted: &[&Column]) -> Result<Vec<Final>, ColumnError> {
    let mut finals = Vec::new();
    for column in wanted {
        let pii = rule_of(job, &column.name).and_then(|rule| rule.pii.as_ref());
        if pii == Some(&Pii::Drop) {
            continue;
        }
        add(&mut finals, &column.name, Origin::Source(column.name.clone()), "the dataset")?;
        if matches!(pii, Some(Pii::Salted { .. })) {
            let setting = format!("pii = \"salted\" of column \"{}\"", column.name);
            let origin = Origin::Salt(column.name.clone());
            add(&mut finals, &salt_name(&column.name), origin, &setting)?;
        }
    }
    for (name, _) in &job.transform.derive_before_hash {
        let setting = format!("transform.derive_before_hash.{name}");
        add(&mut finals, name, Origin::Derived(name.clone()), &setting)?;
    }
    for (name, text) in &job.transform.set {
        let origin = Origin::Set(format!("transform.set.{name}"), text.clone());
        match finals.iter_mut().find(|column| column.name == *name) {
            Some(column) => column.origin = origin,
            None => finals.push(Final { name: name.clone(), origin }),
        }
    }
    for name in &job.transform.drop {
        let index = find(&finals, "transform.drop", name)?;
        finals.remove(index);
    }
    rename(job, &mut finals)?;
    Ok(finals)
}

fn add(
    finals: &mut Vec<Final>,
    name: &str,
    origin: Origin,
    setting: &str,
) -> Result<(), ColumnError> {
    if finals.iter().any(|column| column.name == name) {
        return Err(ColumnError::Clash { setting: setting.to_owned(), column: name.to_owned() });
    }
    finals.push(Final { name: name.to_owned(), origin });
    Ok(())
}

/// All at once, so that two columns can change names.
fn rename(job: &Job, finals: &mut [Final]) -> Result<(), ColumnError> {
    let mut renamed = Vec::new();
    for (old, new) in &job.transform.rename {
        renamed.push((find(finals, "transform.rename", old)?, new));
    }
    for (index, new) in renamed {
        finals[index].name.clone_from(new);
    }
    for (old, new) in &job.transform.rename {
        if finals.iter().filter(|column| column.name == *new).count() > 1 {
            let setting = format!("transform.rename.{old}");
            return Err(ColumnError::Clash { setting, column: new.clone() });
        }
    }
    Ok(())
}

/// The place of a column.
pub(super) fn find(finals: &[Final], setting: &str, name: &str) -> Result<usize, ColumnError> {
    let found = finals.iter().position(|column| column.name == name);
    found.ok_or_else(|| {
        let names = finals.iter().map(|column| column.name.as_str());
        ColumnError::Unknown {
            setting: setting.to_owned(),
            column: name.to_owned(),
            hint: hint(name, names),
        }
    })
}

/// What else there is: the nearest name, or all of them.
pub(super) fn hint<'a>(name: &str, names: impl Iterator<Item = &'a str> + Clone) -> String {
    match nearest(name, names.clone()) {
        Some(near) => format!(": did you mean \"{near}\"?"),
        None => format!(": there are {}", names.collect::<Vec<_>>().join(", ")),
    }
}
