//! Memory stays flat however large the file: peaks of both programs on a small and on a large one.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::Command;

use crate::hosts::{Process, Source, is_soak, run, wait_for};
use crate::postgres::Database;

const MEGABYTE: u64 = 1_000_000;
const PEAK_KIB_MAX: u64 = 100_000_000 / 1024;
/// What may differ on top of 10 %: pages that the allocator happens to keep.
const SLACK_KIB: u64 = 8 * 1024;

/// Peak resident memory in KiB.
#[derive(Debug, Clone, Copy)]
struct Peaks {
    server: u64,
    client: u64,
}

/// The peak so far of a process; none once it has ended.
fn peak_kib(process: &Process) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}

fn write_file(path: &Path, size: u64) -> u64 {
    let mut file = BufWriter::new(File::create(path).unwrap());
    writeln!(file, "id,name,amount,day,email").unwrap();
    let (mut written, mut id) = (0, 0_u64);
    while written < size {
        let line = format!(
            "{id},a customer with number {id},{}.{:02},2024-01-{:02},someone.{id}@example.org\n",
            id % 9_999,
            id % 100,
            id % 28 + 1
        );
        file.write_all(line.as_bytes()).unwrap();
        written += u64::try_from(line.len()).unwrap();
        id += 1;
    }
    file.flush().unwrap();
    id
}

/// The peak of a client that must succeed, in KiB.
fn run_to_end(command: &mut Command) -> u64 {
    let mut client = Process::spawn(command);
    let mut client_peak = 0;
    wait_for("the run to end", 1800, || {
        // VmHWM only grows, so the last look before the end counts.
        client_peak = peak_kib(&client).unwrap_or(client_peak).max(client_peak);
        client.ended()
    });
    client.finish().expect_code(0);
    client_peak
}

fn measure(size: u64) -> Peaks {
    let types = [("id", "bigint"), ("amount", "numeric(12,2)"), ("day", "date")];
    let source = Source::with_dataset("customers", &types);
    let rows = write_file(&source.path("customers.csv"), size);
    source.write("pii.key", "a key of more than thirty-two bytes for this test");
    let server = source.start();
    let database = Database::create();
    let mut command = run(server.url(), "customers", "public.customers", &database.url);
    command.args(["--create", "--pii", "email"]);
    command.arg("--key-file").arg(source.path("pii.key"));
    let client_peak = run_to_end(&mut command);
    assert_eq!(database.count("customers"), rows);
    let peaks = Peaks { server: peak_kib(&server.process).unwrap(), client: client_peak };
    println!("{} MB: peaks in KiB {peaks:?}", size / MEGABYTE);
    database.execute("DROP TABLE customers");
    peaks
}

#[test]
fn a_larger_file_takes_no_more_memory() {
    let (small, large) = if is_soak() { (200, 2_000) } else { (120, 240) };
    let small = measure(small * MEGABYTE);
    let large = measure(large * MEGABYTE);
    for (program, small, large) in
        [("server", small.server, large.server), ("client", small.client, large.client)]
    {
        assert!(large <= PEAK_KIB_MAX, "{program} took {large} KiB");
        let limit = small + small / 10 + SLACK_KIB;
        assert!(large <= limit, "{program} took {small} KiB, then {large} KiB");
    }
}

#[test]
fn rows_that_are_all_refused_take_no_more_memory_than_good_ones() {
    const ROWS: u64 = 100_000;
    let source = Source::with_dataset("customers", &[("id", "bigint")]);
    let mut file = BufWriter::new(File::create(source.path("customers.csv")).unwrap());
    let note = "n".repeat(600);
    writeln!(file, "id,note").unwrap();
    for row in 0..ROWS {
        writeln!(file, "x{row},{note}").unwrap();
    }
    file.into_inner().unwrap();
    let server = source.start();
    let database = Database::create();
    let mut command = run(server.url(), "customers", "public.customers", &database.url);
    command.args(["--create", "--max-rejects", "100%"]);

    let client_peak = run_to_end(&mut command);

    assert_eq!(database.count("ferry.quarantine"), ROWS);
    println!("all refused: client {client_peak} KiB");
    assert!(client_peak <= PEAK_KIB_MAX, "client took {client_peak} KiB");
}
