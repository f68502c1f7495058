//! Shows rows as they come in beside what would be loaded of them; touches no table.
//!
//! Invariant: what came in of a personal column is never shown.

use std::collections::BTreeMap;

use comfy_table::Table;
use ferry::position::{Place, Split};
use ferry::reject::Reason;
use ferry::values::text_of;

use crate::columns::{ColumnPlan, columns_json};
use crate::database;
use crate::error::ClientError;
use crate::job::{ColumnRule, Job};
use crate::key::PseudonymKey;
use crate::ledger::{SplitId, migrate, runs};
use crate::output;
use crate::pipeline::Stages;
use crate::receive::{self, Raw, Receiver};
use crate::run::{APPLICATION_NAME, Destination, RunOptions, Survey, stages, survey};
use crate::stage::{Batch, Origin};

/// Longest text that is shown of one value, in characters.
const SHOWN_CHARACTERS_MAX: usize = 60;
/// Stands for what came in of a personal column.
const HIDDEN: &str = "(personal data)";
/// Stands for NULL.
const NULL: &str = "NULL";

/// Prints the first rows of a job's source and what becomes of them.
pub(crate) async fn show(job: &Job, rows_max: usize) -> Result<(), ClientError> {
    let key = job.pii_key_file.as_deref().map(PseudonymKey::read).transpose()?;
    let mut connection = database::connect(&job.database_url, APPLICATION_NAME).await?;
    let mut source = receive::connect(&job.source).await?;
    let options = RunOptions::default();
    let surveying = survey(job, &options, &mut source, &mut connection, key.as_ref());
    let Survey { mut plan, columns, drift, .. } = surveying.await?;
    drift.judge(job.load.drift)?;
    let stages = stages(job, &columns, drift.misfit(job), Destination::Live)?;
    if migrate::is_current(&mut connection).await? {
        // What earlier runs hid is not shown either.
        let key_id = key.as_ref().map(PseudonymKey::id);
        let now = columns_json(&columns);
        runs::refuse_unsafe_change(&mut connection, &job.name, &now, key_id.as_deref()).await?;
    }
    if plan.splits.is_empty() {
        // Nothing is new: show what was loaded already.
        plan = source.plan(&job.source.dataset, &[], job.load.split_bytes, &[], None).await?;
    }
    let mut preview = Preview { job, columns: &columns, stages: &stages, rows_left: rows_max };
    let mut counts = Counts::default();
    // No split of the ledger is meant, but unique values must know them apart.
    for (split_id, split) in (1..).map(SplitId).zip(&plan.splits) {
        if preview.rows_left == 0 {
            break;
        }
        let origin = Origin { file: split.file.clone(), split: split_id };
        let header = plan.header(&split.file);
        let misfit = &stages.misfit;
        let columns = &stages.source_columns;
        let reading = source.read(split, split.start, columns, header.as_deref(), misfit);
        preview.show_split(reading.await?, split, &origin, &mut counts).await?;
    }
    output::line(format!(
        "\n{} would be loaded, {} quarantined, {} filtered; nothing was written",
        counts.loaded, counts.refused, counts.filtered
    ));
    Ok(())
}

/// Rows by what would become of them.
#[derive(Debug, Default)]
struct Counts {
    loaded: usize,
    refused: usize,
    filtered: usize,
}

/// What would become of one row.
enum Fate {
    Loaded(Vec<Option<String>>),
    Refused(Vec<Reason>),
    Filtered,
}

struct Preview<'a> {
    job: &'a Job,
    columns: &'a ColumnPlan,
    stages: &'a Stages,
    rows_left: usize,
}

impl Preview<'_> {
    async fn show_split(
        &mut self,
        mut receiver: Receiver,
        split: &Split,
        origin: &Origin,
        counts: &mut Counts,
    ) -> Result<(), ClientError> {
        while self.rows_left > 0 {
            let Some(batch) = receiver.next().await? else {
                return Ok(());
            };
            let came_in = came_in(&batch);
            let loadable = self.stages.prepare(batch, origin)?;
            let mut fates = BTreeMap::new();
            for (row, place) in loadable.rows.places.iter().enumerate() {
                let columns = loadable.rows.records.columns().iter();
                let texts = columns.map(|column| text_of(column, row)).collect();
                fates.insert(place.row_number, Fate::Loaded(texts));
            }
            for row in loadable.quarantined {
                fates.insert(row.place.row_number, Fate::Refused(row.reasons));
            }
            self.show_rows(split, came_in, fates, counts);
        }
        Ok(())
    }

    fn show_rows(
        &mut self,
        split: &Split,
        came_in: BTreeMap<u64, CameIn>,
        mut fates: BTreeMap<u64, Fate>,
        counts: &mut Counts,
    ) {
        for (row_number, row) in came_in.into_iter().take(self.rows_left) {
            self.rows_left -= 1;
            let fate = fates.remove(&row_number).unwrap_or(Fate::Filtered);
            let word = match &fate {
                Fate::Loaded(_) => {
                    counts.loaded += 1;
                    "loaded"
                }
                Fate::Refused(_) => {
                    counts.refused += 1;
                    "quarantined"
                }
                Fate::Filtered => {
                    counts.filtered += 1;
                    "filtered"
                }
            };
            output::heading(format!("row {row_number} of {}: {word}", split.file));
            output::line(self.table(&row, &fate).to_string());
        }
    }

    /// What came in on the left, what would be loaded on the right.
    fn table(&self, row: &CameIn, fate: &Fate) -> Table {
        let outcome = match fate {
            Fate::Loaded(_) => "would be loaded",
            Fate::Refused(_) => "refused for",
            Fate::Filtered => "",
        };
        let mut table = output::table(["column", "came in", "column", outcome], 0..0);
        let left = self.left_side(row);
        let right = self.right_side(fate);
        for index in 0..left.len().max(right.len()) {
            let cell = |side: &[(String, String)]| side.get(index).cloned().unwrap_or_default();
            let ((name, value), (target, loaded)) = (cell(&left), cell(&right));
            table.add_row([name, value, target, loaded]);
        }
        table
    }

    fn left_side(&self, row: &CameIn) -> Vec<(String, String)> {
        let mut side = Vec::new();
        for (index, column) in self.stages.source_columns.iter().enumerate() {
            let is_personal = self
                .job
                .columns
                .iter()
                .any(|rule| rule.name == column.name && ColumnRule::is_personal(rule));
            let value = match row.get(index) {
                None => continue,
                Some(Some(_)) if is_personal => HIDDEN.to_owned(),
                Some(value) => shown(value.as_deref()),
            };
            side.push((column.name.clone(), value));
        }
        side
    }

    fn right_side(&self, fate: &Fate) -> Vec<(String, String)> {
        match fate {
            Fate::Filtered => Vec::new(),
            Fate::Refused(reasons) => {
                let of_reason = |reason: &Reason| {
                    (reason.column.clone().unwrap_or_default(), reason.code.to_string())
                };
                reasons.iter().map(of_reason).collect()
            }
            Fate::Loaded(texts) => {
                let is_several = self.columns.targets.len() > 1;
                let mut side = Vec::new();
                for target in &self.columns.targets {
                    for column in &target.columns {
                        let name = &column.column.name;
                        let name = if is_several {
                            format!("{}.{name}", target.table)
                        } else {
                            name.clone()
                        };
                        side.push((name, shown(texts[column.output].as_deref())));
                    }
                }
                side
            }
        }
    }
}

/// Texts of a row as it came in, in the order of the source's columns.
type CameIn = Vec<Option<String>>;

/// Every record of a batch by its number, those that the source refused included.
fn came_in(batch: &Batch<Raw>) -> BTreeMap<u64, CameIn> {
    let mut rows = BTreeMap::new();
    for (row, Place { row_number, .. }) in batch.rows.places.iter().enumerate() {
        let columns = batch.rows.records.columns().iter();
        rows.insert(*row_number, columns.map(|column| text_of(column, row)).collect());
    }
    for staged in &batch.rejects {
        rows.insert(staged.reject.place.row_number, staged.reject.fields.clone());
    }
    rows
}

/// A value on one line, cut off where it gets long, without what a terminal would obey.
fn shown(value: Option<&str>) -> String {
    let Some(value) = value else {
        return NULL.to_owned();
    };
    let mut text = String::new();
    for (index, character) in value.chars().enumerate() {
        if index == SHOWN_CHARACTERS_MAX {
            text.push('…');
            break;
        }
        if character.is_control() {
            text.extend(character.escape_default());
        } else {
            text.push(character);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_hostile_values_are_tamed() {
        assert_eq!(shown(None), "NULL");
        assert_eq!(shown(Some("a\u{1b}[2J")), "a\\u{1b}[2J");
        assert_eq!(shown(Some(&"x".repeat(100))).chars().count(), SHOWN_CHARACTERS_MAX + 1);
    }
}
