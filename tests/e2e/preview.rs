//! What `preview` and `plan` show before anything is moved: never a person, and without a trace in the database.

use std::fmt::Write as _;

use crate::hosts::Outcome;
use crate::postgres::Database;
use crate::proxy::Proxy;
use crate::stages::Trip;

/// Part of every raw value that is personal: it must be nowhere.
const RAW: &str = "canary";
const COLUMNS: [(&str, &str); 2] = [("uid", "integer"), ("amount", "integer")];
/// Rows that load, rows that every stage refuses, and one that is filtered.
const FILE: &str = "\
uid,email,phone,token,card,country,amount
1, Ann@Canary.example ,canary-phone-0123,canary-token-1,canary-card-1, us ,10
2,bob@canary.example,canary-phone-0124,canary-token-2,canary-card-2,FR,10
3,canary,canary-phone-0125,canary-token-3,canary-card-3,US,10
x,cleo@canary.example,canary-phone-0126,canary-token-4,canary-card-4,US,10
5,dan@canary.example,canary-phone-0127,canary-token-5,canary-card-5,US,-5
6,eve@canary.example,canary-phone-0128,canary-token-6,canary-card-6,US,0
7,leo@canary.example
8,ann@canary.example,canary-phone-0129,canary-token-8,7,US,5
";
const RULES: &str = r#"
[[column]]
name = "email"
clean = ["email"]
check = ["required", "unique"]
pii = "hash"
[[column]]
name = "phone"
pii = "mask"
keep_last = 4
[[column]]
name = "token"
pii = "salted"
[[column]]
name = "card"
check = ["required"]
pii = "drop"
[[column]]
name = "country"
clean = ["trim", "uppercase"]
[[column]]
name = "amount"
check = [{ min = 0 }]
[[check]]
name = "no_seven"
expr = "card <> '7' OR amount > 100"
[transform]
filter = "country = 'US'"
set.share = "100 / amount"
rename.amount = "total"
[[target]]
table = "people"
create = true
[[target]]
table = "totals"
create = true
columns = ["uid", "total"]
[load]
max_rejects = "100%"
"#;

/// All relations of a database, and all rows.
fn state(database: &Database) -> (Vec<Vec<String>>, String) {
    let relations = database.rows(
        "SELECT nspname, relname, relfilenode FROM pg_namespace AS n \
         LEFT JOIN pg_class ON relnamespace = n.oid \
         WHERE nspname NOT IN ('pg_catalog', 'pg_toast', 'information_schema') ORDER BY 1, 2",
    );
    (relations, database.dump())
}

fn preview(trip: &Trip, flags: &[&str], rules: &str) -> Outcome {
    let words: Vec<&str> = std::iter::once("preview").chain(flags.iter().copied()).collect();
    trip.verb(&words, rules)
}

/// What the preview says of one row: from its heading to the next one.
fn row(outcome: &Outcome, number: u32) -> &str {
    let heading = format!("== row {number} of people.csv: ");
    let (_, rest) = outcome.stdout.split_once(&heading).expect("the row is shown");
    rest.split("\n== row").next().unwrap()
}

/// Checks that one line has these words, in this order.
#[track_caller]
fn assert_line(text: &str, words: &[&str]) {
    let has_words = |line: &str| {
        let mut rest = line;
        words.iter().all(|word| match rest.split_once(word) {
            Some((_, after)) => {
                rest = after;
                true
            }
            None => false,
        })
    };
    assert!(text.lines().any(has_words), "no line has {words:?}:\n{text}");
}

#[test]
fn a_preview_shows_what_came_in_beside_what_a_run_then_loads() {
    let trip = Trip::new(&COLUMNS, FILE);

    let outcome = preview(&trip, &[], RULES).expect_code(0);

    let loaded = row(&outcome, 1);
    assert!(loaded.starts_with("loaded"), "{loaded}");
    assert_line(loaded, &["uid", "1", "people.uid", "1"]);
    assert_line(loaded, &["email", "(personal data)", "people.email", "\\x"]);
    assert_line(loaded, &["phone", "(personal data)", "people.phone", "********0123"]);
    assert_line(loaded, &["card", "(personal data)", "people.token_salt", "\\x"]);
    assert_line(loaded, &["country", " us ", "people.country", "US"]);
    assert_line(loaded, &["people.share", "10"]);
    assert_line(loaded, &["totals.total", "10"]);
    let filtered = row(&outcome, 2);
    assert!(filtered.starts_with("filtered"), "{filtered}");
    for (number, column, code) in [
        (3, "email", "bad_email"),
        (4, "uid", "bad_integer"),
        (5, "amount", "below_min"),
        (6, "share", "expression_failed"),
        (7, "", "too_few_fields"),
        (8, "", "no_seven"),
    ] {
        let refused = row(&outcome, number);
        assert!(refused.starts_with("quarantined"), "{refused}");
        assert_line(refused, &[column, code]);
    }
    assert_line(row(&outcome, 8), &["email", "duplicate"]);
    let outcome = outcome.expect_text("1 would be loaded, 6 quarantined, 1 filtered");

    trip.run(RULES).expect_code(0);
    let stored = trip.database.rows("SELECT uid, left(email::text, 50), phone FROM people");
    assert_eq!(stored.len(), 1);
    assert_line(row(&outcome, 1), &["people.email", &stored[0][1]]);
    assert_eq!(trip.refused().len(), 6);
}

#[test]
fn a_preview_shows_no_value_of_a_person() {
    let trip = Trip::new(&COLUMNS, FILE);

    let outcome = preview(&trip, &["--log-level", "trace"], RULES).expect_code(0);

    assert!(outcome.stdout.contains("(personal data)"), "{}", outcome.stdout);
    assert!(!outcome.text().to_lowercase().contains(RAW), "a raw value:\n{}", outcome.text());
}

#[test]
fn a_preview_leaves_no_trace_in_the_database() {
    let trip = Trip::new(&COLUMNS, FILE);
    trip.database.execute(
        "CREATE TABLE totals (uid integer, total integer); INSERT INTO totals VALUES (1, 1)",
    );
    let before = state(&trip.database);
    preview(&trip, &[], RULES).expect_code(0);
    assert_eq!(state(&trip.database), before, "before the first run");
    let schemas = "SELECT count(*) FROM pg_namespace WHERE nspname = 'ferry'";
    assert_eq!(trip.database.number(schemas), 0);

    trip.run(RULES).expect_code(0);
    let before = state(&trip.database);
    preview(&trip, &[], RULES).expect_code(0).expect_text("1 would be loaded");
    assert_eq!(state(&trip.database), before, "after a run");
}

/// So many rows of numbers.
fn numbers(rows: u32) -> String {
    (1..=rows)
        .fold(String::from("uid,email\n"), |file, uid| file + format!("{uid},{uid}\n").as_str())
}

#[test]
fn a_preview_shows_as_many_rows_as_asked_for() {
    let trip = Trip::new(&[], numbers(30));
    trip.source.write("earlier.csv", numbers(3));
    let rules = "[[target]]\ntable = \"people\"\ncreate = true\n";
    let shown = |flags: &[&str]| {
        let outcome = preview(&trip, flags, rules).expect_code(0);
        outcome.stdout.matches("== row ").count()
    };

    assert_eq!(shown(&[]), 20);
    assert_eq!(shown(&["--rows", "1"]), 1);
    assert_eq!(shown(&["--rows", "5"]), 5, "over the end of the first file");
    assert_eq!(shown(&["--rows", "1000"]), 33, "all there are");
    for rows in ["0", "1001", "few"] {
        preview(&trip, &["--rows", rows], rules).expect_code(2).expect_text("--rows");
    }
}

#[test]
fn a_preview_finds_a_value_that_comes_again_in_another_file() {
    let trip = Trip::new(&[], "code\na\n");
    trip.source.write("earlier.csv", "code\na\nb\n");
    let rules = "[[column]]\nname = \"code\"\ncheck = [\"unique\"]\n\
                 [[target]]\ntable = \"people\"\ncreate = true\n";

    let outcome = preview(&trip, &[], rules).expect_code(0);

    outcome.expect_text("2 would be loaded, 1 quarantined");
    assert_eq!(trip.run(rules).expect_code(0).summary()["rows"]["quarantined"], 1);
}

/// People whose columns look like what they are, by their names or by their values.
fn contacts(rows: u32) -> String {
    let mut file = String::from("uid,email,phone,kontakt,konto,memo\n");
    for uid in 0..rows {
        writeln!(
            file,
            "{uid},{uid}@canary.example,unset,{uid}@canary.example,DE89370400440532013000,memo {uid}"
        )
        .unwrap();
    }
    file
}

/// A column that is declared like this.
fn declared(column: &str, pii: &str) -> String {
    format!("[[column]]\nname = \"{column}\"\npii = \"{pii}\"\n")
}

#[test]
fn a_plan_warns_of_columns_that_look_personal_until_they_are_declared() {
    let trip = Trip::new(&[("uid", "integer")], contacts(30));
    let target = "[[target]]\ntable = \"people\"\ncreate = true\n";

    let outcome = trip.verb(&["plan"], &(declared("email", "hash") + target)).expect_code(0);

    let warnings: Vec<&str> =
        outcome.stdout.lines().filter(|line| line.contains("looks like")).collect();
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    assert_line(&outcome.stdout, &["\"phone\"", "a phone number", "by its name", "pii = \"none\""]);
    assert_line(&outcome.stdout, &["\"kontakt\"", "an e-mail address", "by its values"]);
    assert_line(&outcome.stdout, &["\"konto\"", "an IBAN", "by its values"]);
    assert!(!outcome.text().contains(RAW), "a value is in:\n{}", outcome.text());

    let names = ["phone", "kontakt", "konto"];
    let none: String = names.iter().map(|name| declared(name, "none")).collect();
    let outcome = trip.verb(&["plan"], &(declared("email", "hash") + none.as_str() + target));
    let outcome = outcome.expect_code(0).expect_text("declared as none");
    assert!(!outcome.text().contains("looks like"), "{}", outcome.text());
}

#[test]
fn a_first_file_of_one_row_does_not_hide_what_the_others_hold() {
    let trip = Trip::new(&[], contacts(30));
    trip.source.write("earlier.csv", contacts(1));

    let rules = "[[target]]\ntable = \"people\"\ncreate = true\n";
    let outcome = trip.verb(&["plan"], rules).expect_code(0);

    assert_line(&outcome.stdout, &["\"konto\"", "an IBAN", "by its values"]);
}

#[test]
fn a_plan_shows_what_becomes_of_each_column() {
    let trip = Trip::new(&COLUMNS, FILE);
    trip.database.execute("CREATE TABLE totals (uid integer NOT NULL, total numeric(8,2))");
    let more = "derive_before_hash.mail_domain = \"split_part(email, '@', 2)\"\n[[target]]";
    let rules = RULES.replacen("[[target]]", more, 1);
    let rules = rules.replace("rename.amount", "drop = [\"country\"]\nrename.amount");

    let outcome = trip.verb(&["plan"], &rules).expect_code(0);

    let plan = &outcome.stdout;
    assert_line(plan, &["email", "text", "1", "2", "HMAC-SHA-256, domain email, key "]);
    assert_line(plan, &["phone", "text", "0", "0", "masked but for the last 4"]);
    assert_line(plan, &["token", "salted HMAC-SHA-256, domain token"]);
    assert_line(plan, &["card", "text", "0", "1", "dropped"]);
    assert_line(plan, &["country", "text", "2", "0"]);
    assert_line(plan, &["token_salt", "bytea", "salts of token"]);
    assert_line(plan, &["total", "numeric(8,2)", "amount"]);
    assert_line(plan, &["share", "= 100 / amount"]);
    assert_line(plan, &["mail_domain", "text", "derived before the hash"]);
    assert_line(plan, &["uid", "integer", "uid", "not null"]);
    let (_, made) = plan.split_once("CREATE TABLE").expect("a table is to be made");
    let (made, _) = made.split_once(';').unwrap();
    assert!(made.contains("\"email\" bytea") && made.contains("\"share\" "), "{made}");
    assert!(!made.contains("card") && !made.contains("country"), "{made}");
    outcome.expect_text("totals exists").expect_text("country = 'US'");
}

#[test]
fn a_column_that_stays_at_the_source_is_not_sent_to_look_at_it_either() {
    let trip = Trip::new(&[("uid", "integer")], contacts(30));
    let rules = declared("email", "drop") + declared("kontakt", "drop").as_str();
    let rules = rules + "[[target]]\ntable = \"people\"\ncreate = true\n";
    let proxy = Proxy::listening_in(trip.server.address());
    let url = proxy.url();

    for verb in ["plan", "preview", "run"] {
        let outcome = trip.verb(&[verb, "--source", &url], &rules).expect_code(0);
        if verb == "plan" {
            outcome.expect_text("stays at the source: email, kontakt");
        }
        let sent = proxy.take_heard();
        let sent = String::from_utf8_lossy(&sent);
        assert!(sent.contains("memo 7"), "{verb}: values are seen as they are sent");
        assert!(!sent.contains(RAW), "{verb}: a dropped column was sent");
    }
}
