//! Every row is accounted for: the good ones in the table, the bad ones in quarantine with place and reason.

use serde_json::{Value, json};

use crate::hosts::{Outcome, Server, Source, finish, run};
use crate::postgres::{Database, NULL};

const ROWS: usize = 1000;
const HEADER: &str = "id,email,amount,day,quantity,note\n";
/// Row number, what stands there instead of a good record, code, column.
const BAD: [(usize, &[u8], &str, &str); 7] = [
    (113, b"113,person.113@accounts.example,1.00,2024-01-02,5\n", "too_few_fields", NULL),
    (
        227,
        b"227,person.227@accounts.example,1.00,2024-01-02,5,note,extra\n",
        "too_many_fields",
        NULL,
    ),
    (341, b"341,person.341@accounts.example,12x.50,2024-01-02,5,note\n", "bad_number", "amount"),
    (455, b"455,person.455@accounts.example,1.00,2024-02-30,5,note\n", "bad_date", "day"),
    (569, b"569,person.569@accounts.example,1.00,2024-01-02,5,no\0te\n", "nul_byte", "note"),
    (683, b"683,person.683@accounts.example,1.00,2024-01-02,5,no\xffte\n", "bad_utf8", "note"),
    (
        797,
        b"797,person.797@accounts.example,1.00,2024-01-02,3000000000,note\n",
        "out_of_range",
        "quantity",
    ),
];

/// The file of a test: one record a row, the bad ones where [`BAD`] says.
fn records() -> Vec<Vec<u8>> {
    let good = |row: usize| {
        let (cents, day) = (row % 100, row % 28 + 1);
        let note = if row.is_multiple_of(5) { "\"two\nlines\"" } else { "note" };
        format!(
            "{row},person.{row}@accounts.example,{row}.{cents:02},2024-03-{day:02},{row},{note}\n"
        )
    };
    let mut records: Vec<Vec<u8>> = (1..=ROWS).map(|row| good(row).into_bytes()).collect();
    for (row, record, _, _) in BAD {
        records[row - 1] = record.to_vec();
    }
    records
}

fn is_bad(row: usize) -> bool {
    BAD.iter().any(|(bad, _, _, _)| *bad == row)
}

fn orders() -> (Source, Server) {
    let columns =
        [("id", "bigint"), ("amount", "numeric(10,2)"), ("day", "date"), ("quantity", "integer")];
    let source = Source::with_dataset("orders", &columns);
    source.write("orders.csv", [HEADER.as_bytes(), &records().concat()].concat());
    source.write("pii.key", "a key of more than thirty-two bytes for this test\n");
    let server = source.start();
    (source, server)
}

fn load(source: &Source, server: &Server, database: &Database, max_rejects: &str) -> Outcome {
    let mut command = run(server.url(), "orders", "public.orders", &database.url);
    command.args(["--create", "--pii", "email", "--max-rejects", max_rejects]);
    finish(command.arg("--key-file").arg(source.path("pii.key")))
}

/// Checks table and quarantine against the file.
fn assert_rows_are_where_they_belong(source: &Source, database: &Database) {
    assert_eq!(database.count("orders"), 993);
    let good = records().into_iter().enumerate().filter(|(index, _)| !is_bad(index + 1));
    let good: Vec<u8> = good.flat_map(|(_, record)| record).collect();
    source.write("good.txt", [HEADER.as_bytes(), &good].concat());
    database.execute(
        "CREATE TABLE oracle (id bigint, email text, amount numeric(10,2), day date, \
         quantity integer, note text)",
    );
    database.copy("oracle", &source.path("good.txt"));
    let kept = "id, amount, day, quantity, note";
    database.assert_same_rows(
        &format!("SELECT {kept} FROM orders"),
        &format!("SELECT {kept} FROM oracle"),
    );
    let pseudonyms = "SELECT count(DISTINCT email) FROM orders WHERE octet_length(email) = 32";
    assert_eq!(database.number(pseudonyms), 993);

    let places = database.rows(
        "SELECT row_number, byte_start, byte_end, code, column_name FROM ferry.quarantine \
         ORDER BY row_number",
    );
    assert_eq!(places.len(), BAD.len(), "{places:?}");
    let file = std::fs::read(source.path("orders.csv")).unwrap();
    for (place, (row, record, code, column)) in places.iter().zip(BAD) {
        assert_eq!(place[0], row.to_string(), "{code}");
        let (start, end): (usize, usize) = (place[1].parse().unwrap(), place[2].parse().unwrap());
        assert_eq!(&file[start..end], record, "the bytes of row {row}");
        assert_eq!((place[3].as_str(), place[4].as_str()), (code, column), "row {row}");
    }
}

#[test]
fn of_a_thousand_rows_seven_are_bad_and_the_accounts_close() {
    let (source, server) = orders();
    let database = Database::create();

    let outcome = load(&source, &server, &database, "7").expect_code(0);

    assert_rows_are_where_they_belong(&source, &database);
    let summary = outcome.summary();
    let rows = json!({ "read": 1000, "loaded": 993, "quarantined": 7, "filtered": 0 });
    assert_eq!(summary["rows"], rows);
    for account in ["read", "loaded", "quarantined", "filtered"] {
        assert_eq!(summary["files"][0][account], rows[account], "{account} of the file");
    }
    let rejects = summary["rejects"].as_array().unwrap();
    assert_eq!(rejects.len(), BAD.len(), "{rejects:?}");
    for (_, _, code, column) in BAD {
        let column = if column == NULL { Value::Null } else { json!(column) };
        let reject = json!({ "code": code, "column": column, "count": 1 });
        assert!(rejects.contains(&reject), "{reject} in {rejects:?}");
    }
}

#[test]
fn quarantine_keeps_what_is_safe_of_a_record_and_nothing_of_a_person() {
    let (source, server) = orders();
    let database = Database::create();

    let outcome = load(&source, &server, &database, "1%").expect_code(0);

    assert!(!database.dump().contains("accounts.example"), "a raw e-mail is in the database");
    assert!(!outcome.text().contains("accounts.example"), "{}", outcome.text());
    let records = database.rows(
        "SELECT row_number, record IS NULL, record->>'id', record->>'amount', \
         record->>'email' ~ '^[0-9a-f]{64}$' FROM ferry.quarantine ORDER BY row_number",
    );
    assert_eq!(records[0], ["113", "t", NULL, NULL, NULL], "too few fields: no text at all");
    assert_eq!(records[1], ["227", "t", NULL, NULL, NULL], "too many fields: no text at all");
    assert_eq!(records[2], ["341", "f", "341", "12x.50", "t"]);
    assert_eq!(records[6], ["797", "f", "797", "1.00", "t"]);
    let hashes = "SELECT count(DISTINCT record->>'email') FROM ferry.quarantine";
    assert_eq!(database.number(hashes), 5);
}

#[test]
fn too_many_bad_rows_fail_the_run_and_a_higher_limit_lets_it_go_on() {
    let (source, server) = orders();
    let database = Database::create();

    let outcome = load(&source, &server, &database, "3").expect_code(5);

    assert_eq!(outcome.summary()["state"], "failed");
    assert_eq!(outcome.summary()["error"]["code"], "rejects_over_limit");
    let outcome = outcome.expect_text("max_rejects").expect_text("quarantine");
    let loaded = outcome.summary()["rows"]["loaded"].as_u64().unwrap();
    assert_eq!(database.count("orders"), loaded, "the summary tells what is in the table");

    load(&source, &server, &database, "7").expect_code(0);
    assert_rows_are_where_they_belong(&source, &database);
}

#[test]
fn a_file_of_only_bad_rows_fails_by_the_default_limit() {
    let source = Source::with_dataset("orders", &[("id", "bigint")]);
    source.write("orders.csv", "id,note\nx,1\ny,2\nz,3\n");
    let server = source.start();
    let database = Database::create();

    let mut command = run(server.url(), "orders", "public.orders", &database.url);
    finish(command.arg("--create")).expect_code(5);

    assert_eq!(database.count("orders"), 0);
}
