//! Decides which columns are asked of the source, as what type, and what becomes of personal ones.

use std::collections::HashSet;

use ferry::schema::{Column, ColumnType};

use super::error::NoKey;
use super::names::{Origin, hint};
use super::targets::Choice;
use super::{ColumnError, rule_of};
use crate::expression::column_names;
use crate::job::{CheckRule, CleanRule, ColumnRule, Form, Job, OnFail, Pii};
use crate::key::{DomainHash, PseudonymKey};
use crate::pseudonym::{Treatment, salt_name};
use crate::suspect::looks_like_value;

/// Hexadecimal digits of a pseudonym.
pub(super) const HEX_DIGITS: u32 = 64;

/// A column on its way from the source to the transform stage.
#[derive(Debug)]
pub(crate) struct SourceColumn {
    /// What is asked of the source.
    pub(crate) column: Column,
    /// Type after cleaning.
    pub(crate) clean_type: ColumnType,
    /// How its text is cleaned.
    pub(crate) clean: Vec<CleanRule>,
    /// What its values must be.
    pub(crate) checks: Vec<CheckRule>,
    /// What becomes of a value that fails a check.
    pub(crate) on_fail: OnFail,
    /// What the job says of personal data in it.
    pub(crate) pii: Option<Pii>,
    /// What becomes of its values.
    pub(crate) treatment: Treatment,
    /// Tells the values of a column that must be unique apart.
    pub(crate) claims: DomainHash,
}

impl SourceColumn {
    /// The column as the check stage sees it.
    pub(crate) fn clean_column(&self) -> Column {
        Column { name: self.column.name.clone(), column_type: self.clean_type }
    }

    /// Whether its values must be unique and are told apart under the key.
    pub(crate) fn has_keyed_claims(&self) -> bool {
        let is_personal = !matches!(self.pii, None | Some(Pii::Public));
        is_personal && self.checks.contains(&CheckRule::Unique)
    }

    /// Whether its values become pseudonyms.
    pub(crate) fn is_pseudonym(&self) -> bool {
        matches!(self.treatment, Treatment::Hash(..) | Treatment::Salted(..))
    }
}

/// The columns of the dataset that the job speaks of.
pub(super) fn wanted<'a>(
    job: &Job,
    dataset_columns: &'a [Column],
) -> Result<Vec<&'a Column>, ColumnError> {
    if dataset_columns.is_empty() {
        return Err(ColumnError::EmptyDataset(job.source.dataset.clone()));
    }
    if dataset_columns.iter().any(|column| looks_like_value(&column.name)) {
        // Its names are not told: they may be personal data.
        return Err(ColumnError::HeaderLooksLikeData(job.source.dataset.clone()));
    }
    let find = |name: &String| {
        let column = dataset_columns.iter().find(|column| column.name == *name);
        column.ok_or_else(|| not_in_dataset(job, name, dataset_columns))
    };
    let wanted: Vec<&Column> = if job.source.columns.is_empty() {
        dataset_columns.iter().collect()
    } else {
        job.source.columns.iter().map(find).collect::<Result<_, _>>()?
    };
    for rule in &job.columns {
        if wanted.iter().any(|column| column.name == rule.name) {
            continue;
        }
        // A mistyped name here would load personal data as it is.
        find(&rule.name)?;
        return Err(ColumnError::NotLoaded(rule.name.clone()));
    }
    Ok(wanted)
}

fn not_in_dataset(job: &Job, name: &str, columns: &[Column]) -> ColumnError {
    let names = columns.iter().map(|column| column.name.as_str());
    let dataset = job.source.dataset.clone();
    ColumnError::NotInDataset { dataset, column: name.to_owned(), hint: hint(name, names) }
}

/// What is asked of the source, and what is not.
pub(super) struct Sources {
    pub(super) columns: Vec<SourceColumn>,
    /// Personal columns that are neither loaded nor needed.
    pub(super) left: Vec<String>,
}

/// Plans the columns that the targets or an expression need.
pub(super) fn plan(
    job: &Job,
    wanted: &[&Column],
    choices: &[Choice<'_>],
    key: Option<&PseudonymKey>,
) -> Result<Sources, ColumnError> {
    let needed = needed_names(job, choices)?;
    let mut sources = Sources { columns: Vec::new(), left: Vec::new() };
    for column in wanted {
        let rule = rule_of(job, &column.name);
        let has_rules = rule.is_some_and(|rule| !rule.checks.is_empty() || !rule.clean.is_empty());
        if has_rules || needed.contains(column.name.as_str()) {
            sources.columns.push(plan_column(column, rule, choices, key)?);
        } else if rule.is_some_and(ColumnRule::is_personal) {
            sources.left.push(column.name.clone());
        }
    }
    if sources.columns.is_empty() {
        // The source sends rows of at least one column; this one only counts them.
        let is_open =
            |column: &&&Column| !rule_of(job, &column.name).is_some_and(ColumnRule::is_personal);
        if let Some(column) = wanted.iter().find(is_open).or(wanted.first()) {
            sources.columns.push(plan_column(column, rule_of(job, &column.name), choices, key)?);
        }
    }
    Ok(sources)
}

/// Names of columns that are loaded or that an expression reads.
fn needed_names(job: &Job, choices: &[Choice<'_>]) -> Result<HashSet<String>, ColumnError> {
    let mut needed = HashSet::new();
    for chosen in choices.iter().flat_map(|choice| &choice.columns) {
        match &chosen.column.origin {
            Origin::Source(name) | Origin::Salt(name) => {
                needed.insert(name.clone());
            }
            Origin::Set(setting, text) => needed.extend(column_names(setting, text)?),
            Origin::Derived(_) => {}
        }
    }
    if let Some(filter) = &job.transform.filter {
        needed.extend(column_names("transform.filter", filter)?);
    }
    for (name, text) in &job.transform.derive_before_hash {
        needed.extend(column_names(&format!("transform.derive_before_hash.{name}"), text)?);
    }
    for check in &job.row_checks {
        needed.extend(column_names("check.expr", &check.expr)?);
    }
    for rule in &job.columns {
        for check in &rule.checks {
            if let CheckRule::Expr(text) = check {
                needed.extend(column_names(&format!("check of column \"{}\"", rule.name), text)?);
            }
        }
    }
    // An expression may use the salts of a column.
    for rule in &job.columns {
        if needed.contains(&salt_name(&rule.name)) && matches!(rule.pii, Some(Pii::Salted { .. })) {
            needed.insert(rule.name.clone());
        }
    }
    Ok(needed)
}

fn plan_column(
    column: &Column,
    rule: Option<&ColumnRule>,
    choices: &[Choice<'_>],
    key: Option<&PseudonymKey>,
) -> Result<SourceColumn, ColumnError> {
    let name = &column.name;
    let pii = rule.and_then(|rule| rule.pii.clone());
    let in_table = table_type(name, choices);
    let treatment = treatment(pii.as_ref(), in_table, key)?;
    let clean_type = match &treatment {
        // What is hashed or masked is the text as it stands in the file.
        Treatment::Hash(..) | Treatment::Salted(..) | Treatment::Mask { .. } => ColumnType::Text,
        Treatment::Keep | Treatment::Drop => {
            let own = rule.and_then(|rule| rule.column_type);
            own.or(in_table).unwrap_or(column.column_type)
        }
    };
    let clean = rule.map(|rule| rule.clean.clone()).unwrap_or_default();
    let read_type = if clean.is_empty() { clean_type } else { ColumnType::Text };
    Ok(SourceColumn {
        column: Column { name: name.clone(), column_type: read_type },
        clean_type,
        clean,
        checks: rule.map(|rule| rule.checks.clone()).unwrap_or_default(),
        on_fail: rule.map(|rule| rule.on_fail).unwrap_or_default(),
        pii,
        treatment,
        claims: claims(name, rule, key)?,
    })
}

/// The type of the column in the first existing table that takes it.
fn table_type(name: &str, choices: &[Choice<'_>]) -> Option<ColumnType> {
    let mut chosen = choices.iter().flat_map(|choice| &choice.columns);
    chosen.find_map(|chosen| {
        let is_it = chosen.column.origin == Origin::Source(name.to_owned());
        chosen.table_column.filter(|_| is_it).and_then(|column| column.column_type)
    })
}

fn treatment(
    pii: Option<&Pii>,
    in_table: Option<ColumnType>,
    key: Option<&PseudonymKey>,
) -> Result<Treatment, ColumnError> {
    let form = |form: &Option<Form>| {
        form.unwrap_or(match in_table {
            Some(ColumnType::Text | ColumnType::Varchar(HEX_DIGITS..)) => Form::Hex,
            _ => Form::Bytea,
        })
    };
    Ok(match pii {
        None | Some(Pii::Public) => Treatment::Keep,
        Some(Pii::Drop) => Treatment::Drop,
        Some(Pii::Mask { keep_last }) => Treatment::Mask { keep_last: *keep_last },
        Some(Pii::Hash { domain, form: own }) => {
            Treatment::Hash(key.ok_or(NoKey)?.domain(domain), form(own))
        }
        Some(Pii::Salted { domain, form: own }) => {
            Treatment::Salted(key.ok_or(NoKey)?.domain(domain), form(own))
        }
    })
}

/// Digests of values that must be unique: keyed where they are personal.
///
/// Those of a hashed column are the beginnings of its pseudonyms, so that
/// whoever deletes a person finds both.
fn claims(
    name: &str,
    rule: Option<&ColumnRule>,
    key: Option<&PseudonymKey>,
) -> Result<DomainHash, ColumnError> {
    let own_domain = format!("unique/{name}");
    let rule = rule.filter(|rule| rule.checks.contains(&CheckRule::Unique));
    match rule.and_then(|rule| rule.pii.as_ref()) {
        None | Some(Pii::Public) => Ok(DomainHash::public(&own_domain)),
        Some(Pii::Hash { domain, .. }) => Ok(key.ok_or(NoKey)?.domain(domain)),
        Some(Pii::Salted { .. } | Pii::Mask { .. } | Pii::Drop) => {
            Ok(key.ok_or(NoKey)?.domain(&own_domain))
        }
    }
}
