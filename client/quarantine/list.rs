//! Lists refused rows, the oldest first: a table for people, a JSON object a line for machines.

use comfy_table::Table;

use super::{PAGE_ROWS, Selection, WHOLE_RECORD, open, printable, to_json};
use crate::error::ClientError;
use crate::ledger::quarantine::{self, Entry};
use crate::output::{self, Style};
use crate::status::Scope;

/// Prints the first rows of a selection, at most `limit`.
pub(crate) async fn list(
    scope: &Scope,
    selection: &Selection,
    limit: i64,
    style: Style,
) -> Result<(), ClientError> {
    let mut connection = open(scope).await?;
    let filter = selection.filter(scope.job.as_deref());
    let mut table = empty_table();
    let (mut left, mut after_id, mut shown) = (limit, 0, 0);
    while left > 0 {
        let page_rows = left.min(PAGE_ROWS);
        let page = quarantine::list(&mut connection, &filter, after_id, page_rows).await?;
        let Some(last) = page.last() else {
            break;
        };
        after_id = last.id;
        left -= page_rows;
        shown += page.len() as u64;
        for entry in &page {
            match style {
                Style::Json => output::line(to_json(entry).to_string()),
                Style::Table => {
                    table.add_row(table_row(entry));
                }
            }
        }
    }
    if style == Style::Table {
        let total = quarantine::count(&mut connection, &filter).await?;
        show_table(&table, shown, total);
    }
    Ok(())
}

fn empty_table() -> Table {
    let header =
        ["id", "run", "file", "row", "stage", "code", "column", "constraint", "state", "created"];
    output::table(header, 0..2)
}

fn table_row(entry: &Entry) -> [String; 10] {
    [
        entry.id.to_string(),
        entry.run_id.to_string(),
        printable(&entry.file),
        entry.row_number.to_string(),
        entry.stage.clone(),
        entry.code.clone(),
        entry.column.as_deref().map_or_else(|| WHOLE_RECORD.to_owned(), printable),
        entry.constraint.as_deref().map(printable).unwrap_or_default(),
        entry.state.as_str().to_owned(),
        entry.created_at.clone(),
    ]
}

fn show_table(table: &Table, shown: u64, total: u64) {
    if total == 0 {
        output::line("no such row in quarantine");
        return;
    }
    if shown > 0 {
        output::line(table.to_string());
    }
    let more = total.saturating_sub(shown);
    if more > 0 {
        output::line(format!("and {more} more: raise --limit, or narrow the filters"));
    }
}
