//! Every type arrives as `psql \copy` loads it, to the last digit; so do the ways to write a CSV file.

use std::fmt::Write as _;

use crate::hosts::{Source, finish, run};
use crate::postgres::Database;

/// Loads one file with ferry and with `psql \copy` into the same definition, and compares.
fn assert_loads_as_psql_does(definition: &str, file: &str) {
    let source =
        Source::new("[[dataset]]\nname = \"sample\"\nfiles = [\"sample.csv\"]\nmin_age = \"0s\"\n");
    source.write("sample.csv", file);
    let server = source.start();
    let database = Database::create();
    database.execute(&format!("CREATE TABLE loaded ({definition})"));
    database.execute("CREATE TABLE oracle (LIKE loaded)");
    database.copy("oracle", &source.path("sample.csv"));

    let outcome = finish(&mut run(server.url(), "sample", "public.loaded", &database.url));

    let outcome = outcome.expect_code(0);
    assert_eq!(outcome.summary()["rows"]["quarantined"], 0, "{}", outcome.text());
    database.assert_same_rows("TABLE loaded", "TABLE oracle");
    assert!(database.count("oracle") > 0);
}

/// One row a value, in a table of two columns: its line and the value.
fn assert_values_load(column_type: &str, values: &[&str]) {
    let mut file = String::from("line,value\n");
    for (line, value) in values.iter().enumerate() {
        writeln!(file, "{line},{value}").unwrap();
    }
    assert_loads_as_psql_does(&format!("line integer, value {column_type}"), &file);
}

#[test]
fn whole_numbers() {
    assert_values_load("smallint", &["0", "-32768", "32767", "+7", "007", ""]);
    assert_values_load("integer", &["0", "-2147483648", "2147483647", ""]);
    assert_values_load("bigint", &["0", "-9223372036854775808", "9223372036854775807", ""]);
}

#[test]
fn exact_numbers() {
    assert_values_load(
        "numeric(12,3)",
        &["0", "5", "-0.001", "+7.5", ".5", "5.", "1e3", "999999999.999", "-999999999.999", ""],
    );
    assert_values_load(
        "numeric",
        &[
            "0",
            "0.00",
            "-0.000001",
            "10000",
            "1e10",
            "1.50",
            "123456789012345678901234567890123456789012345.000100",
            "",
        ],
    );
    assert_values_load(
        "numeric(60,20)",
        &["1", "-1234567890123456789012345678901234567890.12345678901234567890"],
    );
}

#[test]
fn digits_that_do_not_fit_are_rounded_as_postgresql_rounds() {
    assert_values_load("numeric(6,2)", &["1.005", "1.004", "-1.005", "2.675", "9999.994"]);
}

#[test]
fn floating_point_numbers() {
    let values = ["0", "-0", "1.5", "3.4028235e38", "1e-45", "0.1", "NaN", "Infinity", "-inf", ""];
    assert_values_load("real", &values);
    let values = ["0", "-0", "0.1", "1.7976931348623157e308", "5e-324", "NaN", "Infinity", "-inf"];
    assert_values_load("double precision", &values);
}

#[test]
fn words_for_true_and_false() {
    let values = ["true", "false", "t", "f", "yes", "no", "y", "n", "on", "off", "1", "0"];
    assert_values_load("boolean", &values);
    assert_values_load("boolean", &["TRUE", "False", "Yes", "OFF", ""]);
}

#[test]
fn dates_and_times() {
    assert_values_load(
        "date",
        &[
            "1970-01-01",
            "2024-02-29",
            "0001-01-01",
            "0044-03-15 BC",
            "9999-12-31",
            "1582-10-10",
            "",
        ],
    );
    assert_values_load("time", &["00:00:00", "23:59:59.999999", "07:08", "12:34:56.5", ""]);
    assert_values_load(
        "timestamp",
        &[
            "1970-01-01 00:00:00",
            "1969-12-31T23:59:59.123456",
            "0001-01-01 00:00:00",
            "1677-01-01 00:00:00",
            "9999-12-31 23:59:59.999999",
            "2024-05-06",
            "",
        ],
    );
    assert_values_load(
        "timestamptz",
        &[
            "2024-05-06T07:08:09Z",
            "2024-05-06 07:08:09.5+02",
            "2024-05-06 07:08:09-05:30",
            "1900-01-01 00:00:00+00",
            "",
        ],
    );
}

#[test]
fn identifiers_documents_and_bytes() {
    assert_values_load(
        "uuid",
        &["123e4567-e89b-12d3-a456-426614174000", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", ""],
    );
    assert_values_load(
        "jsonb",
        &[
            r#""{""b"": 1, ""a"": [true, null, 1.50]}""#,
            r#""""text""""#,
            "null",
            "12345678901234567890.5",
            r#""{""ü"": ""\u00e9\n""}""#,
            "",
        ],
    );
    assert_values_load("bytea", &["\\x", "\\x00ff10", "\\xDEADbeef", ""]);
}

#[test]
fn texts() {
    let values = [
        "plain",
        " spaces ",
        "\"\"",
        "\"a, b\"",
        "\"say \"\"yes\"\"\"",
        "\"line\nbreak\r\nand more\"",
        "Zoë 東京 🚢",
        "\\N",
        "\\.x",
        "",
    ];
    assert_values_load("text", &values);
    assert_values_load("varchar(8)", &["12345678", "東京東京東京東京", "\"\"", ""]);
}

#[test]
fn line_ends_of_windows_and_a_last_line_without_one() {
    let rows = "n,word\r\n1,one\r\n2,\"two\r\nlines\"\r\n3,\r\n4,\"\"\r\n5,five";
    assert_loads_as_psql_does("n integer, word text", rows);
}

#[test]
fn line_ends_of_old_machines() {
    assert_loads_as_psql_does("n integer, word text", "n,word\r1,one\r2,\"two\"\r3,three\r");
}

#[test]
fn a_wide_file_of_all_types_at_once() {
    let definition = "id bigint, a smallint, b integer, c numeric(15,2), d double precision, \
         e boolean, f date, g timestamp, h timestamptz, i uuid, j jsonb, k bytea, l text, m real";
    let mut file = String::from("id,a,b,c,d,e,f,g,h,i,j,k,l,m\n");
    for id in 0..20_000_u32 {
        if id % 97 == 0 {
            writeln!(file, "{id},,,,,,,,,,,,,").unwrap();
            continue;
        }
        let (small, hour, day) = (id % 30_000, id % 24, id % 28 + 1);
        writeln!(
            file,
            "{id},{small},-{id},{id}.{day:02},{id}.125,{},2024-03-{day:02},\
             2023-11-{day:02} {hour:02}:00:01.5,2023-11-{day:02}T{hour:02}:30:00+01:00,\
             00000000-0000-4000-8000-{id:012},\"{{\"\"n\"\": {id}}}\",\\x{id:08},\
             \"text, {id}\nmore\",{id}.5",
            id % 3 == 0
        )
        .unwrap();
    }
    assert_loads_as_psql_does(definition, &file);
}

#[test]
fn a_header_after_a_byte_order_mark_is_read() {
    let source = Source::with_dataset("sample", &[("n", "integer")]);
    source.write("sample.csv", "\u{feff}n,word\n1,one\n");
    let server = source.start();
    let database = Database::create();

    finish(run(server.url(), "sample", "sample", &database.url).arg("--create")).expect_code(0);

    assert_eq!(database.rows("SELECT n, word FROM sample"), [["1", "one"]]);
}
