//! A PostgreSQL of the test run's own: one cluster for all tests, one database for each.
//!
//! SQL goes through `psql`, which shares no code with ferry: what a test sees
//! is what any other client would see.
//!
//! Invariant: no cluster outlives the test run, however that ends. Statics are
//! not dropped and a killed process drops nothing, so each cluster gets a
//! watchdog: a shell that waits for the end of a pipe which only this process
//! holds open, and then stops the cluster and removes its folder.

use std::fs::{self, Permissions};
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::cluster::Cluster;

/// Commits must survive a crash, and each statement with its parameters goes
/// to the log, so that the tests on personal data can look for them there.
const SETTINGS: [(&str, &str); 4] =
    [("fsync", "on"), ("log_statement", "all"), ("max_wal_size", "512MB"), ("timezone", "UTC")];
/// How `psql` shows NULL here: a text that no test stores.
pub(crate) const NULL: &str = "∅";

const WATCHDOG: &str = r#"
cat >/dev/null
folder=$1
pid=$(head -n 1 "$folder/data/postmaster.pid" 2>/dev/null)
if [ -n "$pid" ] && grep -q -- "$folder" "/proc/$pid/cmdline" 2>/dev/null; then
    kill -s INT "$pid"
    tries=0
    while [ -d "/proc/$pid" ] && [ "$tries" -lt 100 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
fi
rm -rf -- "$folder"
"#;

static SHARED: LazyLock<OwnCluster> = LazyLock::new(OwnCluster::start);
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// A cluster that goes when this process goes.
pub(crate) struct OwnCluster {
    // Dropped in this order: the watchdog removes the folder last.
    pub(crate) cluster: Cluster,
    _watchdog: Child,
}

impl OwnCluster {
    /// Starts a cluster that a test may crash.
    pub(crate) fn start() -> Self {
        Self::start_in(&own_folder(), &[])
    }

    /// Starts a cluster that other hosts reach at this address of ours; it trusts
    /// all of their network, such as `198.18.0.0/24`.
    pub(crate) fn start_for(address: Ipv4Addr, network: &str) -> Self {
        let folder = own_folder();
        let rules = folder.join("pg_hba.conf");
        let trust = format!("host all all 127.0.0.1/32 trust\nhost all all {network} trust\n");
        fs::write(&rules, trust).unwrap();
        // The owner of the cluster is another user than that of the test.
        fs::set_permissions(&rules, Permissions::from_mode(0o644)).unwrap();
        let (addresses, rules) = (format!("127.0.0.1,{address}"), rules.display().to_string());
        // What comes later on the command line goes before what the cluster says itself.
        Self::start_in(
            &folder,
            &[("listen_addresses", addresses.as_str()), ("hba_file", rules.as_str())],
        )
    }

    fn start_in(folder: &Path, more: &[(&str, &str)]) -> Self {
        let watchdog = watch(folder);
        let mut settings = SETTINGS.to_vec();
        settings.extend_from_slice(more);
        let cluster = Cluster::start(folder, &settings)
            .unwrap_or_else(|error| panic!("cannot start PostgreSQL: {error}"));
        Self { cluster, _watchdog: watchdog }
    }

    /// An empty database in this cluster.
    pub(crate) fn database(&self) -> Database {
        let number = DATABASES.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{number}");
        let url = self.cluster.url(&name);
        psql(&self.cluster.url("postgres"), &format!("CREATE DATABASE {name}"));
        Database { url, name, port: self.cluster.port() }
    }
}

/// Log of the cluster that the tests share.
pub(crate) fn shared_log() -> String {
    String::from_utf8_lossy(&std::fs::read(SHARED.cluster.log_path()).unwrap()).into_owned()
}

/// A folder that the watchdog of its cluster removes.
fn own_folder() -> PathBuf {
    tempfile::Builder::new().prefix("ferry-e2e-").tempdir().unwrap().keep()
}

fn watch(folder: &Path) -> Child {
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(WATCHDOG).arg("watchdog").arg(folder);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    // Its own process group: an interrupt from the keyboard must not reach it.
    command.process_group(0).spawn().unwrap()
}

/// One database, and what can be asked of it.
pub(crate) struct Database {
    pub(crate) url: String,
    pub(crate) name: String,
    pub(crate) port: u16,
}

impl Database {
    /// An empty database in the cluster that the tests share.
    pub(crate) fn create() -> Self {
        SHARED.database()
    }

    /// Runs SQL.
    #[track_caller]
    pub(crate) fn execute(&self, sql: &str) {
        psql(&self.url, sql);
    }

    /// Rows of a query as text, NULL as [`NULL`].
    #[track_caller]
    pub(crate) fn rows(&self, sql: &str) -> Vec<Vec<String>> {
        let output = psql(&self.url, sql);
        if output.is_empty() {
            return Vec::new();
        }
        let output = output.strip_suffix('\n').unwrap_or(&output);
        let fields = |row: &str| row.split('\x1f').map(str::to_owned).collect();
        output.split('\x1e').map(fields).collect()
    }

    /// The one value of a query.
    #[track_caller]
    pub(crate) fn value(&self, sql: &str) -> String {
        let mut rows = self.rows(sql);
        assert_eq!(rows.len(), 1, "rows of: {sql}");
        rows.remove(0).remove(0)
    }

    /// The one number of a query.
    #[track_caller]
    pub(crate) fn number(&self, sql: &str) -> u64 {
        let value = self.value(sql);
        value.parse().unwrap_or_else(|_| panic!("not a number: {value}, from: {sql}"))
    }

    /// Rows of a table; 0 while it does not exist.
    pub(crate) fn count(&self, table: &str) -> u64 {
        if self.value(&format!("SELECT to_regclass('{table}') IS NULL")) == "t" {
            return 0;
        }
        self.number(&format!("SELECT count(*) FROM {table}"))
    }

    /// Loads a CSV file as `psql` does: the oracle.
    #[track_caller]
    pub(crate) fn copy(&self, table: &str, file: &Path) {
        let file = file.display();
        psql(&self.url, &format!("\\copy {table} FROM '{file}' WITH (FORMAT csv, HEADER)"));
    }

    /// Makes each statement that inserts into a table take longer: up to so many milliseconds.
    pub(crate) fn slow_inserts(&self, table: &str, milliseconds_max: u32) {
        self.execute(&format!(
            "CREATE OR REPLACE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN PERFORM pg_sleep(random() * {milliseconds_max} / 1000); RETURN NULL; END $$;
             CREATE OR REPLACE TRIGGER dawdle BEFORE INSERT ON {table}
             FOR EACH STATEMENT EXECUTE FUNCTION dawdle()"
        ));
    }

    /// Checks that two queries give the same multiset of rows, as text, to the last digit.
    #[track_caller]
    pub(crate) fn assert_same_rows(&self, one: &str, other: &str) {
        let text = |query: &str| format!("SELECT r::text FROM ({query}) AS r");
        for (left, right) in [(one, other), (other, one)] {
            let difference = format!("{} EXCEPT ALL {}", text(left), text(right));
            let rows = self.rows(&format!("SELECT * FROM ({difference}) AS difference LIMIT 5"));
            assert!(rows.is_empty(), "rows of {left}\nthat {right}\nlacks: {rows:#?}");
        }
    }

    /// Columns of a table with their types, in order.
    pub(crate) fn columns(&self, table: &str) -> Vec<(String, String)> {
        let sql = format!(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute \
             WHERE attrelid = '{table}'::regclass AND attnum > 0 AND NOT attisdropped \
             ORDER BY attnum"
        );
        let pairs = self.rows(&sql).into_iter().map(|mut row| {
            let column_type = row.remove(1);
            (row.remove(0), column_type)
        });
        pairs.collect()
    }

    /// Every row of every table, ledger included, as text.
    pub(crate) fn dump(&self) -> String {
        // A session that is about to end may still have temporary tables.
        let tables = self.rows(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables \
             WHERE schemaname NOT IN ('pg_catalog', 'information_schema') \
             AND schemaname NOT LIKE 'pg\\_temp\\_%'",
        );
        let mut dump = String::new();
        for table in tables {
            let table = &table[0];
            dump.push_str(&psql(&self.url, &format!("SELECT r::text FROM {table} AS r")));
        }
        dump
    }
}

/// Runs one command of `psql` and gives its output; fails with its message.
#[track_caller]
fn psql(url: &str, command: &str) -> String {
    match try_psql(url, command) {
        Ok(output) => output,
        Err(message) => panic!("psql: {message}\nin: {command}"),
    }
}

/// Runs one command of `psql`, which may fail.
pub(crate) fn try_psql(url: &str, command: &str) -> Result<String, String> {
    let null = format!("null={NULL}");
    let output = Command::new(psql_path())
        .args(["-X", "-q", "-A", "-t", "-F", "\x1f", "-R", "\x1e", "-P", &null])
        .args(["-v", "ON_ERROR_STOP=1", "-d", url, "-c", command])
        .env("PGTZ", "UTC")
        .env("PGCLIENTENCODING", "UTF8")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("cannot start psql: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// `psql` beside the server's programs, else the one on the `PATH`.
fn psql_path() -> PathBuf {
    let beside = SHARED.cluster.bin_dir().join("psql");
    if beside.is_file() { beside } else { PathBuf::from("psql") }
}
