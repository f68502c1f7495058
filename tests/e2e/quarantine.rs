//! Refused rows wait in quarantine with place, reasons and nothing of a person, and verbs list, show, export and discard them.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::hosts::{Outcome, Source, client, finish, write_job};
use crate::postgres::{Database, NULL};

const KEY: &str = "a key of more than thirty-two bytes for refused rows\n";
/// Rows 2 to 6 are refused, each for another reason.
const A_FILE: &str = "id,email,day,status,note\n\
    1,Ann@heron.example ,2024-01-02,new,fine\n\
    2, ANN@heron.example,2024-02-30,new,\"say \"\"hi\"\", Zoë\"\n\
    3,bob@heron.example,2024-01-02\n\
    4,carl@heron.example,2024-01-02,lost,d\n\
    5,carl-at-heron,2024-01-02,new,e\n\
    6,,never,lost,f\n";
/// Rows 2 and 3 are refused.
const B_FILE: &[u8] = b"id,email,day,status,note\n\
    11,carl@heron.example,2024-01-02,new,fine\n\
    12,dora@heron.example,2024-01-02,new,g,extra\n\
    13,do\xffra@heron.example,2024-01-02,new,h\n";
/// What the two files have in quarantine.
const ALL: [&str; 7] =
    ["a.csv 2", "a.csv 3", "a.csv 4", "a.csv 5", "a.csv 6", "b.csv 2", "b.csv 3"];
const COUNTS: &str = "SELECT state, count(*) FROM ferry.quarantine GROUP BY state ORDER BY state";

/// Two files of orders after a run that loaded two rows of them and refused seven.
struct Orders {
    source: Source,
    database: Database,
    job: PathBuf,
}

impl Orders {
    fn after_a_run() -> Self {
        let source = Source::with_dataset("orders", &[("id", "integer"), ("day", "date")]);
        source.write("a.csv", A_FILE);
        source.write("b.csv", B_FILE);
        source.write("pii.key", KEY);
        let server = source.start();
        let database = Database::create();
        let text = format!(
            "name = \"orders\"\n[database]\nurl = \"{}\"\n\
             [source]\nurl = \"{}\"\ndataset = \"orders\"\n\
             [pii]\nkey_file = \"pii.key\"\n\
             [[column]]\nname = \"email\"\nclean = [\"email\"]\npii = \"hash\"\n\
             [[column]]\nname = \"status\"\ncheck = [{{ one_of = [\"new\", \"gone\"] }}]\n\
             [[target]]\ntable = \"public.orders\"\ncreate = true\n\
             [load]\nmax_rejects = \"100%\"\n",
            database.url,
            server.url()
        );
        let job = write_job(&source.path(""), &text);
        let summary = finish(client(["run", "--json"]).arg(&job)).expect_code(0).summary();
        let rows = json!({ "read": 9, "loaded": 2, "quarantined": 7, "filtered": 0 });
        assert_eq!(summary["rows"], rows);
        Self { source, database, job }
    }

    /// A verb on quarantine, carried out without the source.
    fn verb(&self, arguments: &[&str]) -> Outcome {
        let mut command = client(["quarantine"]);
        finish(command.args(arguments).args(["--database", &self.database.url]))
    }

    /// The rows that `list` finds, as file and row number.
    fn listed(&self, flags: &[&str]) -> Vec<String> {
        let outcome = self.verb(&[&["list", "--json"][..], flags].concat()).expect_code(0);
        let place = |line: &str| {
            let row: Value = serde_json::from_str(line).unwrap();
            format!("{} {}", row["file"].as_str().unwrap(), row["row_number"])
        };
        let mut places: Vec<String> = outcome.stdout.lines().map(place).collect();
        places.sort();
        places
    }

    /// Number of a row in quarantine.
    fn id_of(&self, file: &str, row_number: u64) -> String {
        self.database.value(&format!(
            "SELECT quarantine_id FROM ferry.quarantine JOIN ferry.file USING (file_id) \
             WHERE name = '{file}' AND row_number = {row_number}"
        ))
    }

    /// What quarantine keeps of the record of a row.
    fn record_of(&self, file: &str, row_number: u64) -> Value {
        let id = self.id_of(file, row_number);
        let sql = format!("SELECT record FROM ferry.quarantine WHERE quarantine_id = {id}");
        let text = self.database.value(&sql);
        if text == NULL { Value::Null } else { serde_json::from_str(&text).unwrap() }
    }

    /// The pseudonym that was loaded with a row.
    fn loaded_hash(&self, id: u64) -> String {
        self.database.value(&format!("SELECT encode(email, 'hex') FROM orders WHERE id = {id}"))
    }
}

#[test]
fn each_filter_finds_its_rows() {
    let orders = Orders::after_a_run();
    let job = orders.job.to_str().unwrap();
    let not_listed: &[&str] = &["a.csv 4", "a.csv 6"];
    let found: [(&[&str], &[&str]); 16] = [
        (&[], &ALL),
        (&["--code", "not_listed"], not_listed),
        (&["--code", "not_listed", "--column", "status"], not_listed),
        (&["--code", "not_listed", "--column", "day"], &[]),
        (&["--column", "day"], &["a.csv 2", "a.csv 6"]),
        (&["--column", "email"], &["a.csv 5", "b.csv 3"]),
        (&["--file", "b.csv"], &["b.csv 2", "b.csv 3"]),
        (&["--file", "b.csv", "--code", "bad_date"], &[]),
        (&["--run", "1"], &ALL),
        (&["--run", "2"], &[]),
        (&["--state", "open"], &ALL),
        (&["--state", "replayed"], &[]),
        (&["--state", "discarded"], &[]),
        (&["--name", "orders"], &ALL),
        (&["--name", "another"], &[]),
        (&[job, "--code", "too_few_fields"], &["a.csv 3"]),
    ];
    for (flags, expected) in found {
        assert_eq!(orders.listed(flags), expected, "{flags:?}");
    }
    assert_eq!(orders.listed(&["--limit", "2"]).len(), 2);
    orders.verb(&["list", "--state", "opened"]).expect_code(2).expect_text("discarded");
}

#[test]
fn a_listed_row_is_told_as_the_ledger_has_it_but_without_its_record() {
    let orders = Orders::after_a_run();
    let outcome = orders.verb(&["list", "--json", "--file", "a.csv", "--column", "day"]);
    let rows = outcome.expect_code(0).stdout;

    let row: Value = serde_json::from_str(rows.lines().next_back().unwrap()).unwrap();
    let (start, end) = (A_FILE.find("6,,").unwrap(), A_FILE.len());
    let reasons = json!([
        { "code": "bad_date", "column": "day" },
        { "code": "not_listed", "column": "status" },
    ]);
    let created = orders.database.value(
        "SELECT to_char(created_at, 'YYYY-MM-DD HH24:MI:SS') || ' UTC' FROM ferry.quarantine \
         WHERE row_number = 6",
    );
    let expected = json!({
        "quarantine_id": orders.id_of("a.csv", 6).parse::<u64>().unwrap(),
        "run_id": 1, "job": "orders", "file": "a.csv", "row_number": 6,
        "byte_start": start, "byte_end": end, "stage": "read", "code": "bad_date",
        "column": "day", "reasons": reasons, "state": "open", "created_at": created,
        "settled_at": null, "constraint": null,
    });
    assert_eq!(row, expected);
}

#[test]
fn the_list_for_people_ends_with_what_it_leaves_out() {
    let orders = Orders::after_a_run();
    let all = orders.verb(&["list"]).expect_code(0);
    let all = all.expect_text("b.csv").expect_text("not_listed").expect_text("(whole record)");
    assert!(!all.text().contains("heron"), "{}", all.text());
    orders.verb(&["list", "--limit", "2"]).expect_code(0).expect_text("and 5 more");
    orders.verb(&["list", "--run", "7"]).expect_code(0).expect_text("no such row");
}

#[test]
fn show_tells_everything_and_ends_with_a_command_that_prints_the_record() {
    let orders = Orders::after_a_run();
    let id = orders.id_of("a.csv", 2);
    let raw = " ANN@heron.example";

    let shown = orders.verb(&["show", &id]).expect_code(0);
    let shown = shown.expect_text("bad_date").expect_text("2024-02-30").expect_text("open");
    let shown = shown.expect_text(&orders.loaded_hash(1));
    assert!(!shown.text().contains("heron"), "{}", shown.text());
    let line = shown.stdout.lines().next_back().unwrap();
    let mut command = Command::new("/bin/sh");
    command.args(["-c", line]).current_dir(orders.source.path(""));
    let printed = finish(&mut command).expect_code(0).stdout;
    let start = A_FILE.find("2, ANN").unwrap();
    let end = A_FILE.find("3,bob").unwrap();
    assert_eq!(printed, A_FILE[start..end]);
    assert!(printed.contains(raw), "{printed}");

    let document = orders.verb(&["show", &id, "--json"]).expect_code(0).summary();
    assert_eq!(document["record"], orders.record_of("a.csv", 2));
    assert_eq!(document["row_number"], 2);
    let ragged = orders.verb(&["show", &orders.id_of("a.csv", 3), "--json"]).expect_code(0);
    assert_eq!(ragged.summary().get("record"), Some(&Value::Null));
    orders.verb(&["show", "99"]).expect_code(2).expect_text("99");
    orders.verb(&["show", &id, "--name", "another"]).expect_code(2);
}

#[test]
fn a_record_keeps_the_pseudonyms_of_loaded_rows_and_nothing_of_what_could_not_be_read() {
    let orders = Orders::after_a_run();

    let ann = json!({
        "id": "2", "email": orders.loaded_hash(1), "day": "2024-02-30", "status": "new",
        "note": "say \"hi\", Zoë",
    });
    assert_eq!(orders.record_of("a.csv", 2), ann, "cleaned before it was hashed");
    assert_eq!(orders.record_of("a.csv", 4)["email"], orders.loaded_hash(11));
    assert_eq!(orders.record_of("a.csv", 4)["status"], "lost");
    let no_address = json!({ "id": "5", "day": "2024-01-02", "status": "new", "note": "e" });
    assert_eq!(orders.record_of("a.csv", 5), no_address);
    let empty = json!({ "id": "6", "day": "never", "status": "lost", "note": "f" });
    assert_eq!(orders.record_of("a.csv", 6), empty);
    let no_text = json!({ "id": "13", "day": "2024-01-02", "status": "new", "note": "h" });
    assert_eq!(orders.record_of("b.csv", 3), no_text);
    assert!(!orders.database.dump().contains("heron"), "a raw e-mail is in the database");
}

#[test]
fn a_ragged_row_keeps_place_and_reason_only() {
    let orders = Orders::after_a_run();
    let rows = orders.database.rows(
        "SELECT name, row_number, stage, code, column_name, reasons, record, \
         byte_start, byte_end FROM ferry.quarantine JOIN ferry.file USING (file_id) \
         WHERE code IN ('too_few_fields', 'too_many_fields') ORDER BY name",
    );
    let ragged: [(&str, &[u8], &str, &str); 2] = [
        ("a.csv 3", A_FILE.as_bytes(), "too_few_fields", "3,bob@heron.example,2024-01-02\n"),
        ("b.csv 2", B_FILE, "too_many_fields", "12,dora@heron.example,2024-01-02,new,g,extra\n"),
    ];
    assert_eq!(rows.len(), ragged.len(), "{rows:?}");
    for (row, (place, file, code, record)) in rows.iter().zip(ragged) {
        assert_eq!(format!("{} {}", row[0], row[1]), place);
        assert_eq!(row[2..5], ["read", code, NULL]);
        let reasons: Value = serde_json::from_str(&row[5]).unwrap();
        assert_eq!(reasons, json!([{ "code": code, "column": null }]));
        assert_eq!(row[6], NULL, "nothing of the text of {place}");
        let (start, end): (usize, usize) = (row[7].parse().unwrap(), row[8].parse().unwrap());
        assert_eq!(&file[start..end], record.as_bytes());
    }
}

#[test]
fn a_record_has_the_salts_and_masks_that_a_loaded_row_would_have() {
    let source = Source::with_dataset("people", &[("id", "integer")]);
    let personal = "+12025550123,4111111111111111,078-05-1120,1990-01-01";
    source.write("people.csv", format!("id,phone,card,ssn,born\n1,{personal}\nx,{personal}\n"));
    source.write("pii.key", KEY);
    let server = source.start();
    let database = Database::create();
    let column =
        |name: &str, pii: &str| format!("[[column]]\nname = \"{name}\"\npii = \"{pii}\"\n");
    let columns = [("phone", "salted"), ("card", "mask"), ("ssn", "drop"), ("born", "hash")];
    let columns: Vec<String> = columns.iter().map(|(name, pii)| column(name, pii)).collect();
    let text = format!(
        "name = \"people\"\n[database]\nurl = \"{}\"\n\
         [source]\nurl = \"{}\"\ndataset = \"people\"\n[pii]\nkey_file = \"pii.key\"\n{}\
         [[target]]\ntable = \"public.people\"\ncreate = true\n",
        database.url,
        server.url(),
        columns.concat()
    );
    let job = write_job(&source.path(""), &text);
    finish(client(["run"]).arg(&job)).expect_code(0);

    let kept = database.rows(
        "SELECT record ->> 'id', record ->> 'card' = card, record ->> 'born' = encode(born, 'hex'), \
         record ->> 'phone' ~ '^[0-9a-f]{64}$', record ->> 'phone_salt' ~ '^[0-9a-f]{32}$', \
         record ->> 'phone' <> encode(phone, 'hex'), \
         (SELECT count(*) FROM jsonb_object_keys(record)) FROM ferry.quarantine, people",
    );
    assert_eq!(kept, [["x", "t", "t", "t", "t", "t", "5"]]);
    let dump = database.dump();
    for part in personal.split(',') {
        assert!(!dump.contains(part), "a raw value is in the database");
    }
}

#[test]
fn rows_are_discarded_by_id_by_filter_or_all_and_stay_in_the_accounts() {
    let orders = Orders::after_a_run();
    let accounts = "SELECT sum(loaded_rows), sum(quarantined_rows) FROM ferry.split";
    let counts = || orders.database.rows(COUNTS);
    let (two, four) = (orders.id_of("a.csv", 2), orders.id_of("a.csv", 4));

    let by_id = orders.verb(&["discard", "--ids", &format!("{two},{four},99")]).expect_code(0);
    by_id.expect_text("discarded 2 rows").expect_text("1 of the given ids");
    assert_eq!(orders.listed(&["--state", "discarded"]), ["a.csv 2", "a.csv 4"]);
    assert_eq!(counts(), [["discarded", "2"], ["open", "5"]]);

    orders.verb(&["discard", "--ids", &two]).expect_code(0).expect_text("discarded 0 rows");
    let by_filter = orders.verb(&["discard", "--name", "orders", "--code", "bad_email"]);
    by_filter.expect_code(0).expect_text("discarded 1 row");
    orders.verb(&["discard", "--name", "another", "--all"]).expect_code(0);
    assert_eq!(counts(), [["discarded", "3"], ["open", "4"]]);
    let settled = "SELECT DISTINCT state, settled_at IS NOT NULL FROM ferry.quarantine ORDER BY 1";
    assert_eq!(orders.database.rows(settled), [["discarded", "t"], ["open", "f"]]);

    orders.verb(&["discard", "--name", "orders", "--all"]).expect_code(0);
    assert_eq!(counts(), [["discarded", "7"]]);
    assert_eq!(orders.database.rows(accounts), [["2", "7"]]);
    let status = finish(client(["status", "--json"]).arg(&orders.job)).expect_code(0).summary();
    let rows = json!({ "read": 9, "loaded": 2, "quarantined": 7, "filtered": 0 });
    assert_eq!(status["runs"][0]["rows"], rows);
}

#[test]
fn a_discard_that_names_no_row_is_refused() {
    let orders = Orders::after_a_run();
    for flags in [&["discard"][..], &["discard", "--name", "orders"]] {
        orders.verb(flags).expect_code(2).expect_text("--all");
    }
    orders.verb(&["discard", "--state", "open"]).expect_code(2);
    assert_eq!(orders.database.rows(COUNTS), [["open", "7"]]);
}

const EXPORTED: &str = "\
    SELECT q.quarantine_id, q.run_id, r.job, f.name, q.row_number, q.byte_start, q.byte_end, \
    q.stage, q.code, coalesce(q.column_name, ''), q.reasons, q.state, \
    to_char(q.created_at, 'YYYY-MM-DD HH24:MI:SS') || ' UTC', coalesce(q.record::text, ''), \
    coalesce(q.constraint_name, '') \
    FROM ferry.quarantine AS q JOIN ferry.run AS r USING (run_id) \
    JOIN ferry.file AS f USING (file_id)";
const EXPORT_HEADER: &str = "quarantine_id,run_id,job,file,row_number,byte_start,byte_end,stage,\
    code,column,reasons,state,created_at,record,constraint";

/// Reads what was exported, and compares it with the rows of the ledger.
fn assert_exported(orders: &Orders, text: &str, condition: &str) {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    assert_eq!(header.join(","), EXPORT_HEADER);
    let exported: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let stored = orders.database.rows(&format!("{EXPORTED} WHERE {condition} ORDER BY 1"));
    assert_eq!(exported.len(), stored.len());
    let document = |text: &str| -> Value {
        if text.is_empty() { Value::Null } else { serde_json::from_str(text).unwrap() }
    };
    for (row, stored) in exported.iter().zip(stored) {
        for (index, name) in header.iter().enumerate() {
            let (found, expected) = (&row[index], stored[index].as_str());
            if ["reasons", "record"].contains(&name.as_str()) {
                assert_eq!(document(found), document(expected), "{name}");
            } else {
                assert_eq!(found, expected, "{name}");
            }
        }
    }
}

#[test]
fn an_export_reads_back_as_csv() {
    let orders = Orders::after_a_run();
    let all = orders.verb(&["export", "--csv"]).expect_code(0);
    assert_exported(&orders, &all.stdout, "true");
    assert!(all.stdout.contains("Zoë") && !all.stdout.contains("heron"), "{}", all.stdout);

    orders.verb(&["discard", "--column", "day"]).expect_code(0);
    let open = orders.verb(&["export", "--csv", "--state", "open"]).expect_code(0);
    assert_exported(&orders, &open.stdout, "q.state = 'open'");
    let none = orders.verb(&["export", "--csv", "--name", "another"]).expect_code(0);
    assert_eq!(none.stdout.trim_end(), EXPORT_HEADER);
}

#[test]
fn an_exported_file_is_replaced_only_by_force() {
    let orders = Orders::after_a_run();
    let path = orders.source.path("refused.txt");
    let file = path.to_str().unwrap();
    let exported = || std::fs::read_to_string(&path).unwrap();
    orders.source.write("refused.txt", "mine");

    orders.verb(&["export", "--csv", "--output", file]).expect_code(2).expect_text("--force");
    assert_eq!(exported(), "mine");

    let forced = orders.verb(&["export", "--csv", "--output", file, "--force"]).expect_code(0);
    forced.expect_text("7 rows");
    assert_exported(&orders, &exported(), "true");
}

#[test]
fn the_verbs_say_so_where_there_is_no_ledger() {
    let database = Database::create();
    for verb in [&["list"][..], &["show", "1"], &["export", "--csv"], &["discard", "--all"]] {
        let mut command = client(["quarantine"]);
        let outcome = finish(command.args(verb).args(["--database", &database.url]));
        outcome.expect_code(8).expect_text("migrate");
    }
}
