//! The table at the end of a run, whose accounts close.

use comfy_table::Table;
use ferry::host::settings::ByteSize;

use super::{ReportState, Rows, RunReport, TargetReport};
use crate::cache::CacheReport;
use crate::output;

/// Of this mode every loaded row is a new row of the table.
const PLAIN_MODE: &str = "append";

/// Prints a report for people.
pub(super) fn print(report: &RunReport) {
    if report.state == ReportState::NothingNew {
        output::line(format!("{}: nothing new to load", report.job));
        print_problems(report);
        return;
    }
    output::line(accounts_table(report).to_string());
    if report.targets.iter().any(|target| target.mode != PLAIN_MODE) {
        output::line(targets_table(report).to_string());
    }
    if !report.rejects.is_empty() {
        output::line(rejects_table(report).to_string());
        output::line("the rows in quarantine are in ferry.quarantine, with their positions");
    }
    print_problems(report);
    if let Some(cache) = report.cache {
        output::line(cache_line(cache));
    }
    output::line(closing_line(report));
}

/// Prints which files could not be read; what is wrong with each the error tells.
fn print_problems(report: &RunReport) {
    if !report.problems.is_empty() {
        output::line(problems_table(report).to_string());
    }
}

/// Prints a report for machines.
pub(super) fn print_json(report: &RunReport) {
    match serde_json::to_string(report) {
        Ok(json) => output::line(json),
        Err(error) => tracing::error!(%error, "the report cannot be written as JSON"),
    }
}

fn accounts_table(report: &RunReport) -> Table {
    let header = ["file", "", "read", "loaded", "quarantined", "filtered"];
    let mut table = output::table(header, 2..6);
    for file in &report.files {
        table.add_row(accounts_row(&file.name, file.state, file.rows));
    }
    if report.files.len() != 1 {
        table.add_row(accounts_row("all files", "", report.rows));
    }
    table
}

fn accounts_row(name: &str, state: &str, rows: Rows) -> [String; 6] {
    let Rows { read, loaded, quarantined, filtered } = rows;
    [
        name.to_owned(),
        state.to_owned(),
        grouped(read),
        grouped(loaded),
        grouped(quarantined),
        grouped(filtered),
    ]
}

fn targets_table(report: &RunReport) -> Table {
    let header = ["table", "mode", "inserted or updated", "left as they were"];
    let mut table = output::table(header, 2..4);
    for target in &report.targets {
        table.add_row(target_row(target, report.rows.loaded));
    }
    table
}

fn target_row(target: &TargetReport, loaded: u64) -> [String; 4] {
    let TargetReport { table, mode, written } = target;
    // A row that another one of the same key overtook was not written either.
    let left = loaded.saturating_sub(*written);
    [table.clone(), (*mode).to_owned(), grouped(*written), grouped(left)]
}

fn rejects_table(report: &RunReport) -> Table {
    let mut table = output::table(["reason", "column", "rows"], 2..3);
    for reject in &report.rejects {
        let column = reject.column.clone().unwrap_or_else(|| "(whole record)".to_owned());
        table.add_row([reject.code.clone(), column, grouped(reject.count)]);
    }
    table
}

fn problems_table(report: &RunReport) -> Table {
    let mut table = output::table(["could not be read to its end", "reason"], 0..0);
    for problem in &report.problems {
        table.add_row([&problem.file, &problem.reason]);
    }
    table
}

fn closing_line(report: &RunReport) -> String {
    let state = match report.state {
        ReportState::Finished | ReportState::NothingNew => "finished",
        ReportState::Stopped => "stopped",
        ReportState::Failed => "failed",
    };
    let Rows { read, loaded, quarantined, filtered } = report.rows;
    let sign = if report.rows.is_closed() { "=" } else { "≠" };
    format!(
        "{}: run {} {state} in {:.1} s ({}/s){}: read {} {sign} loaded {} + quarantined {} + filtered {}",
        report.job,
        report.run_id.map_or_else(|| "?".to_owned(), |id| id.to_string()),
        report.seconds,
        per_second(report.bytes, report.seconds),
        effort(report),
        grouped(read),
        grouped(loaded),
        grouped(quarantined),
        grouped(filtered),
    )
}

/// What became of the cache.
fn cache_line(cache: CacheReport) -> String {
    let CacheReport { written, removed, errors, dropped } = cache;
    let mut parts =
        vec![format!("{} written", grouped(written)), format!("{} removed", grouped(removed))];
    if errors > 0 {
        parts.push(format!("{} failed", grouped(errors)));
    }
    if dropped > 0 {
        parts.push(format!("{} left out for lack of time", grouped(dropped)));
    }
    format!("cache: {}", parts.join(", "))
}

/// What it took, if that is worth a word.
fn effort(report: &RunReport) -> String {
    let workers = match report.workers {
        0 | 1 => String::new(),
        workers => format!(", {workers} workers"),
    };
    match report.retries {
        0 => workers,
        1 => format!("{workers}, 1 retry"),
        retries => format!("{workers}, {retries} retries"),
    }
}

fn per_second(bytes: u64, seconds: f64) -> ByteSize {
    let millis = std::time::Duration::from_secs_f64(seconds.max(0.001)).as_millis();
    let rate = u128::from(bytes) * 1000 / millis.max(1);
    ByteSize(u64::try_from(rate).unwrap_or(u64::MAX))
}

/// A number with a space between its thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::files::FileProblem;

    fn report() -> RunReport {
        let mut report = RunReport::new("customers");
        report.run_id = Some(7);
        report.state = ReportState::Finished;
        report.rows = Rows { read: 1200, loaded: 1100, quarantined: 60, filtered: 40 };
        report.seconds = 2.0;
        report.bytes = 4_000_000;
        report
    }

    #[test]
    fn the_closing_line_tells_of_more_than_one_worker_and_of_retries() {
        let mut report = report();
        let accounts = "read 1 200 = loaded 1 100 + quarantined 60 + filtered 40";
        let expected = format!("customers: run 7 finished in 2.0 s (2.0 MB/s): {accounts}");
        assert_eq!(closing_line(&report), expected);
        report.workers = 4;
        report.retries = 1;
        let expected = format!(
            "customers: run 7 finished in 2.0 s (2.0 MB/s), 4 workers, 1 retry: {accounts}"
        );
        assert_eq!(closing_line(&report), expected);
        report.workers = 1;
        report.retries = 3;
        assert_eq!(effort(&report), ", 3 retries");
    }

    #[test]
    fn trouble_with_the_cache_is_told_if_there_was_any() {
        let mut cache = CacheReport { written: 1200, removed: 3, errors: 0, dropped: 0 };
        assert_eq!(cache_line(cache), "cache: 1 200 written, 3 removed");
        (cache.errors, cache.dropped) = (2, 1000);
        assert_eq!(
            cache_line(cache),
            "cache: 1 200 written, 3 removed, 2 failed, 1 000 left out for lack of time"
        );
    }

    #[test]
    fn a_table_tells_how_many_rows_it_left_alone() {
        let target = |written| TargetReport { table: "users".to_owned(), mode: "upsert", written };
        assert_eq!(target_row(&target(1000), 1100), ["users", "upsert", "1 000", "100"]);
        assert_eq!(target_row(&target(1200), 1100)[3], "0", "never below nothing");
    }

    #[test]
    fn files_that_could_not_be_read_are_listed() {
        let mut report = report();
        report.problems.push(FileProblem {
            file: "a.csv.gz".to_owned(),
            reason: "ARCHIVE_DAMAGED".to_owned(),
            message: "it ends early".to_owned(),
        });
        let table = problems_table(&report).to_string();
        assert!(table.contains("a.csv.gz") && table.contains("ARCHIVE_DAMAGED"), "{table}");
    }

    #[test]
    fn accounts_that_do_not_close_are_seen() {
        let mut report = report();
        report.rows.loaded -= 1;
        assert!(closing_line(&report).contains("read 1 200 ≠ loaded 1 099"));
    }

    #[test]
    fn thousands_are_grouped() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1 234 567");
    }
}
