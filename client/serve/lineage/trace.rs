//! Traces each column of a table back through the stages of its job to the columns of the source. Pure: no I/O.
//!
//! Invariant: a column of the source is a source of a column of the table, or
//! is told as dropped, never both.

use ferry::schema::{Column, ColumnType};

use super::words::{check_words, clean_words, pii_words};
use super::{
    ColumnLineage, DropReason, DroppedColumn, Lineage, LineagePii, LineageStage, StageName,
};
use crate::columns::{ColumnError, Origin, finals};
use crate::expression::column_names;
use crate::job::{ColumnRule, Job, Pii, Target};
use crate::pseudonym::salt_name;

/// A column of a table, as the catalogue has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TableColumn<'a> {
    pub(super) name: &'a str,
    pub(super) type_name: &'a str,
}

/// Traces the columns of a table that `target` of the job loads.
///
/// `offered` are the columns that the source offered to the last run; empty if
/// there was none. Then those are taken for offered that the job speaks of.
pub(super) fn trace(
    job: &Job,
    target: &Target,
    offered: &[Column],
    table: &[TableColumn<'_>],
) -> Result<Lineage, ColumnError> {
    let known = known_columns(job, target, offered);
    let tracer = Tracer { job, wanted: wanted(job, &known) };
    let is_loaded = |name: &str| {
        target.columns.is_empty() || target.columns.iter().any(|column| column == name)
    };
    let mut loaded = Vec::new();
    for column in finals(job, &tracer.wanted)? {
        if is_loaded(&column.name) {
            loaded.push(tracer.loaded(column.name, &column.origin)?);
        }
    }
    let columns = table.iter().map(|column| told(column, &loaded)).collect();
    let is_used =
        |column: &&Column| loaded.iter().any(|loaded| loaded.sources.contains(&column.name));
    let left = known.iter().filter(|column| !is_used(column));
    let dropped = left.map(|column| tracer.dropped(&column.name)).collect();
    Ok(Lineage { columns, dropped })
}

/// A column that the job makes for the table.
struct Loaded {
    name: String,
    sources: Vec<String>,
    stages: Vec<LineageStage>,
    pii: Option<LineagePii>,
}

/// What is told of a column of the table; one that the job does not make has no source.
fn told(column: &TableColumn<'_>, loaded: &[Loaded]) -> ColumnLineage {
    let made = loaded.iter().find(|loaded| loaded.name == column.name);
    ColumnLineage {
        target: column.name.to_owned(),
        type_name: column.type_name.to_owned(),
        sources: made.map(|made| made.sources.clone()).unwrap_or_default(),
        stages: made.map(|made| made.stages.clone()).unwrap_or_default(),
        pii: made.and_then(|made| made.pii),
    }
}

/// The columns of the source: those that it offered, and those that the job takes for there.
fn known_columns(job: &Job, target: &Target, offered: &[Column]) -> Vec<Column> {
    let mut known = offered.to_vec();
    let mut add = |name: &String| {
        if !known.iter().any(|column| column.name == *name) {
            known.push(Column { name: name.clone(), column_type: ColumnType::Text });
        }
    };
    job.source.columns.iter().for_each(&mut add);
    job.columns.iter().for_each(|rule| add(&rule.name));
    let transform = &job.transform;
    let is_made = |name: &String| {
        let mut makers = transform.set.iter().chain(&transform.derive_before_hash);
        makers.any(|(made, _)| made == name) || is_salt(job, name)
    };
    let mut mentioned: Vec<String> = transform.drop.clone();
    mentioned.extend(transform.rename.iter().map(|(old, _)| old.clone()));
    if offered.is_empty() && job.source.columns.is_empty() {
        let expressions = transform.set.iter().chain(&transform.derive_before_hash);
        for (name, text) in expressions {
            mentioned.extend(column_names(name, text).unwrap_or_default());
        }
        let renamed = |name: &&String| transform.rename.iter().any(|(_, new)| new == *name);
        mentioned.extend(target.columns.iter().filter(|name| !renamed(name)).cloned());
    }
    mentioned.iter().filter(|name| !is_made(name)).for_each(add);
    known
}

/// Whether a column holds the salts of another one.
fn is_salt(job: &Job, name: &str) -> bool {
    let is_salted = |rule: &&ColumnRule| matches!(rule.pii, Some(Pii::Salted { .. }));
    job.columns.iter().filter(is_salted).any(|rule| salt_name(&rule.name) == name)
}

/// Of the known columns those that the job asks for, in its order.
fn wanted<'a>(job: &Job, known: &'a [Column]) -> Vec<&'a Column> {
    if job.source.columns.is_empty() {
        return known.iter().collect();
    }
    let find = |name: &String| known.iter().find(|column| column.name == *name);
    job.source.columns.iter().filter_map(find).collect()
}

/// Follows columns back.
struct Tracer<'a> {
    job: &'a Job,
    /// What is asked of the source.
    wanted: Vec<&'a Column>,
}

/// What an expression reads.
#[derive(Default)]
struct Reads {
    /// Columns of the source, after their treatment.
    direct: Vec<String>,
    /// Columns whose salts it reads.
    salts: Vec<String>,
    /// Columns that are made before the pseudonyms, and their expressions.
    derived: Vec<(String, String)>,
}

impl Tracer<'_> {
    /// How the job makes a column.
    fn loaded(&self, name: String, origin: &Origin) -> Result<Loaded, ColumnError> {
        let mut reads = Reads::default();
        let mut last = Vec::new();
        let (visible, expression) = match origin {
            Origin::Source(source) => {
                reads.direct.push(source.clone());
                (source.clone(), None)
            }
            Origin::Salt(source) => {
                reads.salts.push(source.clone());
                (salt_name(source), None)
            }
            Origin::Derived(made) => {
                reads.derived.push((made.clone(), self.derivation(made)));
                (made.clone(), None)
            }
            Origin::Set(setting, text) => {
                reads = self.reads(setting, text)?;
                let made = setting.strip_prefix("transform.set.").unwrap_or(setting);
                (made.to_owned(), Some(text))
            }
        };
        last.extend(expression.map(|text| stage(StageName::Transform, text.clone())));
        if visible != name {
            last.push(stage(StageName::Transform, format!("renamed from {visible}")));
        }
        let sources = self.sources(&reads)?;
        let mut stages = self.stages(&sources, &reads);
        stages.extend(last);
        let pii = reads.direct.iter().find_map(|source| pii_word(self.pii(source)));
        Ok(Loaded { name, sources, stages, pii })
    }

    /// What an expression over treated columns reads, each thing once.
    fn reads(&self, setting: &str, text: &str) -> Result<Reads, ColumnError> {
        let mut reads = Reads::default();
        for name in column_names(setting, text)? {
            let mut derivations = self.job.transform.derive_before_hash.iter();
            let salted = self
                .wanted
                .iter()
                .find(|column| salt_name(&column.name) == name && is_salt(self.job, &name));
            if let Some(derived) = derivations.find(|(made, _)| *made == name) {
                push_once(&mut reads.derived, derived.clone());
            } else if let Some(salted) = salted {
                push_once(&mut reads.salts, salted.name.clone());
            } else if self.is_wanted(&name) {
                push_once(&mut reads.direct, name);
            }
        }
        Ok(reads)
    }

    /// All columns of the source behind what is read, in the order of the source.
    fn sources(&self, reads: &Reads) -> Result<Vec<String>, ColumnError> {
        let mut behind: Vec<String> = reads.direct.clone();
        behind.extend(reads.salts.iter().cloned());
        for (name, text) in &reads.derived {
            let setting = format!("transform.derive_before_hash.{name}");
            behind.extend(column_names(&setting, text)?);
        }
        let in_order = self.wanted.iter().filter(|column| behind.contains(&column.name));
        Ok(in_order.map(|column| column.name.clone()).collect())
    }

    /// The stages up to the pseudonyms; of several sources, each is named.
    fn stages(&self, sources: &[String], reads: &Reads) -> Vec<LineageStage> {
        let is_one = sources.len() <= 1;
        let named =
            |name: &str, what: String| if is_one { what } else { format!("{name}: {what}") };
        let mut stages = Vec::new();
        for source in sources {
            let words = self.rule(source).and_then(clean_words);
            stages.extend(words.map(|what| stage(StageName::Clean, named(source, what))));
        }
        for source in sources {
            let words = self.rule(source).and_then(check_words);
            stages.extend(words.map(|what| stage(StageName::Check, named(source, what))));
        }
        for (_, text) in &reads.derived {
            stages.push(stage(StageName::Derive, text.clone()));
        }
        for source in &reads.direct {
            let words = self.pii(source).and_then(pii_words);
            stages.extend(words.map(|what| stage(StageName::Pseudonymise, named(source, what))));
        }
        for source in &reads.salts {
            let what = format!("the salts of {source}");
            stages.push(stage(StageName::Pseudonymise, what));
        }
        stages
    }

    fn dropped(&self, name: &str) -> DroppedColumn {
        let why = if !self.is_wanted(name) {
            DropReason::NotAskedFor
        } else if self.pii(name) == Some(&Pii::Drop) {
            DropReason::PiiDrop
        } else if self.job.transform.drop.iter().any(|dropped| dropped == name) {
            DropReason::Drop
        } else {
            DropReason::NotAskedFor
        };
        DroppedColumn { column: name.to_owned(), why }
    }

    /// The expression that makes a column before the pseudonyms.
    fn derivation(&self, name: &str) -> String {
        let mut made = self.job.transform.derive_before_hash.iter();
        made.find(|(made, _)| made == name).map(|(_, text)| text.clone()).unwrap_or_default()
    }

    fn is_wanted(&self, name: &str) -> bool {
        self.wanted.iter().any(|column| column.name == name)
    }

    fn rule(&self, name: &str) -> Option<&ColumnRule> {
        self.job.columns.iter().find(|rule| rule.name == name)
    }

    fn pii(&self, name: &str) -> Option<&Pii> {
        self.rule(name)?.pii.as_ref()
    }
}

/// How values of a column are hidden in the table; a column that is made of
/// such values is marked as they are.
fn pii_word(pii: Option<&Pii>) -> Option<LineagePii> {
    match pii? {
        Pii::Hash { .. } => Some(LineagePii::Hash),
        Pii::Salted { .. } => Some(LineagePii::Salted),
        Pii::Mask { .. } => Some(LineagePii::Mask),
        Pii::Public | Pii::Drop => None,
    }
}

fn stage(stage: StageName, what: String) -> LineageStage {
    LineageStage { stage, what }
}

fn push_once<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if !list.contains(&item) {
        list.push(item);
    }
}
