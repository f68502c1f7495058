//! Shows all that is known of one refused row, and how to look at it where it lies.

use serde_json::Value;

use super::{WHOLE_RECORD, open, printable, to_json};
use crate::error::ClientError;
use crate::ledger::quarantine::{self, Entry, Filter};
use crate::output::{self, Style};
use crate::status::Scope;

/// Prints one row.
pub(crate) async fn show(scope: &Scope, id: i64, style: Style) -> Result<(), ClientError> {
    let mut connection = open(scope).await?;
    let filter = Filter { job: scope.job.clone(), ids: vec![id], ..Filter::default() };
    let found = quarantine::list(&mut connection, &filter, 0, 1).await?;
    let entry = found.first().ok_or(ClientError::NotInQuarantine { id })?;
    match style {
        Style::Json => output::line(whole_json(entry).to_string()),
        Style::Table => show_entry(entry),
    }
    Ok(())
}

fn whole_json(entry: &Entry) -> Value {
    let mut document = to_json(entry);
    document["record"] = entry.record.clone().unwrap_or_default();
    document
}

fn show_entry(entry: &Entry) {
    let fields = [
        ("id", entry.id.to_string()),
        ("state", entry.state.as_str().to_owned()),
        ("job", printable(&entry.job)),
        ("run", entry.run_id.to_string()),
        ("file", printable(&entry.file)),
        ("row", entry.row_number.to_string()),
        ("bytes", format!("{} to {}", entry.byte_start, entry.byte_end)),
        ("stage", entry.stage.clone()),
        ("created", entry.created_at.clone()),
        ("settled", entry.settled_at.clone().unwrap_or_else(|| "not yet".to_owned())),
    ];
    for (name, value) in fields {
        output::line(format!("{name:<9}{value}"));
    }
    show_reasons(entry);
    output::heading("record, after pseudonymisation");
    for line in record_lines(entry.record.as_ref()) {
        output::line(line);
    }
    output::heading(if entry.is_page {
        "as the API gave it, in the dataset's folder of the source's spool"
    } else {
        "as it stands at the source, in the dataset's folder"
    });
    output::line(raw_command(entry));
}

fn show_reasons(entry: &Entry) {
    output::heading("reasons");
    let mut table = output::table(["code", "column"], 0..0);
    for reason in entry.reasons.as_array().into_iter().flatten() {
        let word = |name: &str| reason.get(name).and_then(Value::as_str);
        table.add_row([
            word("code").unwrap_or_default().to_owned(),
            word("column").map_or_else(|| WHOLE_RECORD.to_owned(), printable),
        ]);
    }
    output::line(table.to_string());
    if let Some(constraint) = &entry.constraint {
        output::line(format!("constraint of the target: {}", printable(constraint)));
    }
}

fn record_lines(record: Option<&Value>) -> Vec<String> {
    let Some(members) = record.and_then(Value::as_object) else {
        let text = "none: its fields could not be told apart, or none of them may be kept";
        return vec![text.to_owned()];
    };
    let line = |(name, value): (&String, &Value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        format!("{}: {}", printable(name), printable(&text))
    };
    members.iter().map(line).collect()
}

/// The command that prints the record from its file.
///
/// Places count what an archive holds. The source tells archives by their
/// content; here their names must do.
fn raw_command(entry: &Entry) -> String {
    let length = entry.byte_end.saturating_sub(entry.byte_start);
    // In single quotes a shell takes everything as it is, but a single quote.
    let mut file = printable(&entry.file).replace('\'', r"'\''");
    if file.starts_with('-') {
        // No command takes that for an option.
        file.insert_str(0, "./");
    }
    let first = entry.byte_start.saturating_add(1);
    if entry.is_page {
        return format!("tail -c +{first} '{file}' | head -c {length}");
    }
    match file.rsplit_once('.').map(|(_, ending)| ending) {
        Some("csv" | "tsv" | "txt") => format!("tail -c +{first} '{file}' | head -c {length}"),
        Some("zst") => format!("zstd -dc '{file}' | tail -c +{first} | head -c {length}"),
        // With -f gzip gives what is no archive as it is.
        _ => format!("gzip -dcf '{file}' | tail -c +{first} | head -c {length}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::RunId;
    use crate::ledger::quarantine::State;
    use serde_json::json;

    fn entry() -> Entry {
        Entry {
            id: 7,
            run_id: RunId(1),
            job: "orders".to_owned(),
            file: "2024/it's.csv".to_owned(),
            is_page: false,
            row_number: 3,
            byte_start: 20,
            byte_end: 31,
            stage: "read".to_owned(),
            code: "bad_date".to_owned(),
            column: Some("born".to_owned()),
            reasons: json!([{ "code": "bad_date", "column": "born" }]),
            constraint: None,
            record: Some(json!({ "born": "2024-02-30", "note": "two\nlines" })),
            state: State::Open,
            created_at: "2026-01-31 23:59:59 UTC".to_owned(),
            settled_at: None,
        }
    }

    #[test]
    fn the_command_skips_to_the_first_byte_and_takes_the_record() {
        let expected = r"tail -c +21 '2024/it'\''s.csv' | head -c 11";
        assert_eq!(raw_command(&entry()), expected);
    }

    #[test]
    fn a_file_name_is_no_option() {
        let named = |file: &str| raw_command(&Entry { file: file.to_owned(), ..entry() });
        assert_eq!(named("-n.csv"), "tail -c +21 './-n.csv' | head -c 11");
        assert_eq!(named("-n.csv.gz"), "gzip -dcf './-n.csv.gz' | tail -c +21 | head -c 11");
        assert_eq!(named("-n.csv.zst"), "zstd -dc './-n.csv.zst' | tail -c +21 | head -c 11");
    }

    #[test]
    fn a_page_of_an_api_lies_in_the_spool_as_it_is() {
        let page = "page-000002-9c82fcee5abafe053820cea32ae156c7.json";
        let command = raw_command(&Entry { file: page.to_owned(), is_page: true, ..entry() });
        assert_eq!(command, format!("tail -c +21 '{page}' | head -c 11"));
        let file = raw_command(&Entry { file: page.to_owned(), ..entry() });
        assert_eq!(file, format!("gzip -dcf '{page}' | tail -c +21 | head -c 11"));
    }

    #[test]
    fn a_record_has_a_line_for_each_value() {
        let lines = record_lines(entry().record.as_ref());
        assert_eq!(lines, ["born: 2024-02-30", "note: two\\nlines"]);
        assert_eq!(record_lines(None).len(), 1);
    }

    #[test]
    fn machines_get_the_record_too() {
        let document = whole_json(&entry());
        assert_eq!(document["record"]["born"], "2024-02-30");
        assert_eq!(document["row_number"], 3);
        assert_eq!(document.get("constraint"), Some(&Value::Null));
        let refused = Entry { constraint: Some("orders_pkey".to_owned()), ..entry() };
        assert_eq!(whole_json(&refused)["constraint"], "orders_pkey");
        let nothing = whole_json(&Entry { record: None, ..entry() });
        assert_eq!(nothing.get("record"), Some(&Value::Null));
    }
}
