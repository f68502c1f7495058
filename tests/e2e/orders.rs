//! Files of orders, the table that they go to, and the proof that each row went there once.

use std::fmt::Write as _;
use std::fs;
use std::ops::Range;
use std::process::Command;

use crate::hosts::{Source, client, wait_for, write_job};
use crate::postgres::Database;

/// With a key: two transactions that hold the same row stand in each other's way.
const DEFINITION: &str = "(id bigint PRIMARY KEY, name text, amount numeric(12,2), day date, \
     at timestamptz, note text)";
/// A host on a network of its own is trusted.
const SETTINGS: &str =
    "insecure = true\n[[dataset]]\nname = \"orders\"\nfiles = [\"*.csv\"]\n[dataset.columns]\n";
/// What most rows carry along, so that few of them fill a transaction.
const LONG_NOTE: &str = concat!(
    "\"a note of two hundred and fifty-six characters, which says nothing at all, and says ",
    "it at some length, so that some thousand rows are enough for several transactions, and ",
    "whatever befalls a run in the middle of a file has a good chance to hit one of them..\""
);
/// Commits of one split that do not follow from each other, and splits that lack some.
const BROKEN_CHAINS: &str = "
WITH chained AS (
    SELECT c.split_id, c.from_byte, c.from_row, c.to_byte, c.to_row, c.epoch,
           c.loaded + c.quarantined + c.filtered AS accounted,
           s.start_byte, s.start_row, s.end_byte, s.end_row, s.epoch AS last_epoch,
           lag(c.to_byte) OVER chain AS before_byte, lag(c.to_row) OVER chain AS before_row,
           lag(c.epoch) OVER chain AS before_epoch, lead(c.from_byte) OVER chain AS after_byte
    FROM ferry.commit AS c JOIN ferry.split AS s USING (split_id)
    WINDOW chain AS (PARTITION BY c.split_id ORDER BY c.from_byte)
)
SELECT split_id, from_byte, to_byte, epoch, 'does not follow' FROM chained
WHERE (from_byte, from_row) IS DISTINCT FROM
          (coalesce(before_byte, start_byte), coalesce(before_row, start_row))
   OR (after_byte IS NULL AND (to_byte, to_row) IS DISTINCT FROM (end_byte, end_row))
   OR epoch < before_epoch OR epoch > last_epoch OR accounted <> to_row - from_row
UNION ALL
SELECT split_id, start_byte, end_byte, epoch, 'without commits' FROM ferry.split AS s
WHERE start_byte < end_byte
  AND NOT EXISTS (SELECT FROM ferry.commit AS c WHERE c.split_id = s.split_id)
UNION ALL
SELECT split_id, NULL, NULL, epoch, 'several workers' FROM ferry.commit
GROUP BY split_id, epoch HAVING count(DISTINCT worker_id) > 1";

/// A source of orders, and the database that they are loaded into.
pub(crate) struct Orders {
    pub(crate) source: Source,
    pub(crate) database: Database,
    rows: u64,
    /// Settings of the target beside its table.
    target: &'static str,
}

impl Orders {
    /// Writes so many files, and loads them with `psql` into a table of its own: the oracle.
    pub(crate) fn new(database: Database, files: u64, rows_per_file: u64) -> Self {
        let source = Source::new(&format!("{SETTINGS}id = \"bigint\"\n"));
        for table in ["orders", "oracle"] {
            database.execute(&format!("CREATE TABLE {table} {DEFINITION}"));
        }
        let mut orders = Self { source, database, rows: 0, target: "" };
        for number in 0..files {
            orders.add(&format!("part_{number:02}.csv"), rows_per_file);
        }
        orders.write_job(&orders.database.url, "");
        orders
    }

    /// The same, to take the place of so many rows that are called `old`.
    pub(crate) fn replacing(database: Database, files: u64, rows_per_file: u64, old: u64) -> Self {
        let mut orders = Self::new(database, files, rows_per_file);
        orders.target = "mode = \"replace\"\n";
        orders.write_job(&orders.database.url, "");
        orders.database.execute(&format!(
            "INSERT INTO orders (id, name) SELECT -n, 'old' FROM generate_series(1, {old}) AS n"
        ));
        orders
    }

    /// Writes a further file, and loads it into the oracle too.
    pub(crate) fn add(&mut self, file: &str, rows: u64) {
        let path = self.source.path(file);
        // A source that looks now sees all of it or nothing.
        self.source.write("unfinished", records(self.rows..self.rows + rows));
        fs::rename(self.source.path("unfinished"), &path).unwrap();
        self.database.copy("oracle", &path);
        self.rows += rows;
    }

    /// Writes the job; `load` adds to its limits, which make for many transactions.
    pub(crate) fn write_job(&self, database_url: &str, load: &str) {
        let text = format!(
            "name = \"orders\"\n[database]\nurl = \"{database_url}\"\n\
             [source]\ndataset = \"orders\"\n[[target]]\ntable = \"public.orders\"\n{}\
             [load]\ncommit_bytes = \"64KiB\"\ncommit_interval = \"1s\"\n\
             split_bytes = \"1MiB\"\n{load}",
            self.target
        );
        write_job(&self.source.path(""), &text);
    }

    /// `ferry-client run` of the job, with its summary as JSON.
    pub(crate) fn run(&self, source_url: &str) -> Command {
        let mut command = client(["run", "--json", "--source", source_url]);
        command.arg(self.source.path("job.toml"));
        command
    }

    /// Number of all rows.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// Waits until a run has committed so often.
    #[track_caller]
    pub(crate) fn wait_for_commits(&self, count: u64) {
        let commits = || self.database.count("ferry.commit");
        wait_for("commits", 60, || (commits() >= count).then_some(()));
    }

    /// Checks that every row is in the table once, and that the ledger tells the same story.
    #[track_caller]
    pub(crate) fn assert_loaded_once(&self) {
        assert_eq!(self.database.count("orders"), self.rows);
        self.database.assert_same_rows("TABLE orders", "TABLE oracle");
        let broken = self.database.rows(BROKEN_CHAINS);
        assert!(broken.is_empty(), "split, from, to, epoch: {broken:#?}");
        let loaded = |table: &str, column: &str| {
            self.database.number(&format!("SELECT coalesce(sum({column}), 0) FROM {table}"))
        };
        assert_eq!(loaded("ferry.commit", "loaded"), self.rows);
        assert_eq!(loaded("ferry.split", "loaded_rows"), self.rows);
        assert_eq!(self.database.number("SELECT count(*) FROM ferry.split WHERE NOT done"), 0);
        assert_eq!(self.database.count("ferry.quarantine"), 0);
    }

    /// States of the runs that had something to load, in their order.
    pub(crate) fn states(&self) -> Vec<String> {
        let states = self.database.rows(
            "SELECT state FROM ferry.run AS r
             WHERE EXISTS (SELECT FROM ferry.split AS s WHERE s.run_id = r.run_id)
             ORDER BY run_id",
        );
        states.into_iter().flatten().collect()
    }
}

/// Records with NULLs, empty texts, and such of several lines.
pub(crate) fn records(ids: Range<u64>) -> String {
    let mut file = String::from("id,name,amount,day,at,note\n");
    for id in ids {
        let (cents, day) = (id % 100, id % 28 + 1);
        let note = match id % 7 {
            0 => "\"\"",
            1 => "",
            2 => "\"two\nlines, \"\"quoted\"\"\"",
            _ => LONG_NOTE,
        };
        writeln!(
            file,
            "{id},customer {},{id}.{cents:02},2024-01-{day:02},2024-02-{day:02}T10:00:00Z,{note}",
            id / 3
        )
        .unwrap();
    }
    file
}
