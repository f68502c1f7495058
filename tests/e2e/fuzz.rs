//! Files that were damaged at random are loaded through both programs: no process dies, and all accounts close.

use std::fs;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::hosts::{Outcome, Random, Server, Source, finish, is_soak, run};
use crate::postgres::Database;

const DATASET: &str = "damaged";
const COLUMNS: [&str; 2] = [
    "id = \"bigint\"\nday = \"date\"\namount = \"numeric(12,2)\"\n",
    "id = \"integer\"\nday = { type = \"date\", format = \"%d.%m.%Y\" }\n\
     amount = { type = \"double precision\", decimal = \",\", thousands = \".\" }\n",
];
/// Delimiter, line end and encoding of a file.
const DIALECTS: [(&str, &str, &str); 5] = [
    (",", "\n", "utf-8"),
    (";", "\r\n", "windows-1252"),
    ("||", "\n", "utf-8"),
    (",", "\r", "gb18030"),
    ("|", "\n", "shift_jis"),
];
const MORE: [&str; 6] = [
    "stray_quotes = \"keep\"\n",
    "blank_lines = \"row\"\n",
    "ragged = \"pad\"\n",
    "skip_initial_space = true\n",
    "skip_footer = 2\n",
    "null = [\"NA\"]\n",
];
const FIELDS: [&str; 12] = [
    "1",
    "42",
    "x",
    "",
    "Ada",
    "1.5",
    "1.234,50",
    "2024-01-31",
    "31.01.2024",
    "NA",
    "\"\"",
    "\"q\"",
];
const SPLICES: [&[u8]; 16] = [
    b"\"",
    b"\"\"",
    b",",
    b";",
    b"|",
    b"\n",
    b"\r",
    b"\r\n",
    b"\n\n",
    b"\"\n",
    b"\n\"",
    b"\0",
    b"\xFF",
    b"\xC3",
    b"\xEF\xBB\xBF",
    b" \"",
];
/// What both programs log of a panic.
const PANIC: &str = "a step ended unexpectedly";
const RECORDS_MAX: u64 = 4000;
const SERVER_PEAK_KIB_MAX: u64 = 100_000_000 / 1024;
/// Accounts of all splits, none of which may be open.
const ACCOUNTS: &str = "SELECT coalesce(sum(end_row - start_row), 0), \
    coalesce(sum(loaded_rows), 0), coalesce(sum(quarantined_rows), 0), \
    count(*) FILTER (WHERE next_byte <> end_byte OR next_row <> end_row \
    OR end_row - start_row <> loaded_rows + quarantined_rows + filtered_rows) FROM ferry.split";

fn index(random: &mut Random, bound: usize) -> usize {
    usize::try_from(random.below(bound as u64)).unwrap()
}

fn pick<T: Copy>(random: &mut Random, choices: &[T]) -> T {
    choices[index(random, choices.len())]
}

/// Settings of a dataset, and a file that fits them but for what is damaged in it.
fn random_file(random: &mut Random) -> (String, Vec<u8>) {
    let (delimiter, line_end, encoding) = pick(random, &DIALECTS);
    let mut settings = format!(
        "[[dataset]]\nname = \"{DATASET}\"\nfiles = [\"*.csv\"]\nmin_age = \"0s\"\n\
         delimiter = \"{delimiter}\"\nencoding = \"{encoding}\"\n"
    );
    for line in MORE {
        if random.below(4) == 0 {
            settings.push_str(line);
        }
    }
    settings.push_str("[dataset.columns]\n");
    settings.push_str(pick(random, &COLUMNS));
    let header = ["id", "day", "amount", "note"].join(delimiter) + line_end;
    let mut text = String::new();
    for _ in 0..random.below(RECORDS_MAX) {
        let fields: Vec<&str> = (0..4).map(|_| pick(random, &FIELDS)).collect();
        text.push_str(&fields.join(delimiter));
        text.push_str(line_end);
    }
    // A header that is damaged too may name columns that no table can have.
    let mut records = text.into_bytes();
    mutate(&mut records, random);
    (settings, [header.into_bytes(), records].concat())
}

fn mutate(content: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..random.below(20) {
        let at = index(random, content.len() + 1);
        let end = (at + 1 + index(random, 200)).min(content.len());
        match random.below(6) {
            0 => {
                content.drain(at..end);
            }
            1 => {
                let copy = content[at..end].to_vec();
                content.extend_from_slice(&copy);
            }
            2 => {
                let many = pick(random, &SPLICES).repeat(1 + index(random, 20_000));
                content.splice(at..at, many);
            }
            _ => {
                content.splice(at..at, pick(random, &SPLICES).iter().copied());
            }
        }
    }
}

fn compress(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// The peak of a server that lives.
fn peak_kib(server: &Server) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.process.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().trim().parse().unwrap()
}

fn load(server: &Server, database: &Database) -> Outcome {
    let mut command = run(server.url(), DATASET, "public.damaged", &database.url);
    command.args(["--create", "--max-rejects", "100%", "--split-bytes", "64KiB"]);
    finish(&mut command)
}

/// What is in the database is what the source counted.
fn check_accounts(database: &Database) {
    if database.value("SELECT to_regclass('ferry.split') IS NULL") == "t" {
        return;
    }
    let row = database.rows(ACCOUNTS).remove(0);
    let numbers: Vec<u64> = row.iter().map(|number| number.parse().unwrap()).collect();
    assert_eq!(numbers[3], 0, "splits whose accounts do not close: {numbers:?}");
    assert_eq!(numbers[0], numbers[1] + numbers[2], "records, loaded and refused");
    assert_eq!(database.count("damaged"), numbers[1], "rows of the table");
    assert_eq!(database.count("ferry.quarantine"), numbers[2], "rows in quarantine");
}

/// Loads a damaged file, and loads again once it has grown.
fn try_one(random: &mut Random) {
    let (settings, mut content) = random_file(random);
    if random.below(4) == 0 {
        content = compress(&content);
        if random.below(2) == 0 {
            content.truncate(index(random, content.len()));
        }
    }
    let source = Source::new(&settings);
    source.write("a.csv", &content);
    let mut server = source.start();
    let database = Database::create();

    for more in ["", "\n1,2024-01-31,1.5,x\n"] {
        source.append("a.csv", more);
        let outcome = load(&server, &database);
        // Bytes that do not tell the columns, a broken archive, or a file that
        // was rewritten are the only faults that it can find.
        let code = outcome.code;
        assert!(matches!(code, Some(0 | 7)), "exit code {code:?}; it said:\n{}", outcome.text());
        let summary = outcome.summary();
        let state = summary["state"].as_str().unwrap();
        assert!(matches!(state, "finished" | "nothing_new" | "failed"), "{summary}");
        assert!(!outcome.text().contains(PANIC), "{}", outcome.text());
        check_accounts(&database);
    }
    assert!(server.process.ended().is_none(), "the server died:\n{}", server.process.stderr());
    let said = server.process.stderr();
    assert!(!said.contains(PANIC), "{said}");
    let peak = peak_kib(&server);
    assert!(peak <= SERVER_PEAK_KIB_MAX, "the server took {peak} KiB");
}

#[test]
fn damaged_files_are_loaded_or_refused_with_accounts_that_close() {
    let mut random = Random::from_environment("fuzz");
    let rounds = if is_soak() { 200 } else { 12 };
    for round in 0..rounds {
        println!("round {round}");
        try_one(&mut random);
    }
}
