//! Real input: the public telecom churn table, every value compared with what `psql \copy` loads.

use std::path::Path;

use crate::hosts::{Source, client, finish, write_job};
use crate::postgres::Database;

const COLUMNS: [(&str, &str); 21] = [
    ("state", "text"),
    ("account length", "integer"),
    ("area code", "text"),
    ("phone number", "text"),
    ("international plan", "boolean"),
    ("voice mail plan", "boolean"),
    ("number vmail messages", "smallint"),
    ("total day minutes", "numeric(6,2)"),
    ("total day calls", "integer"),
    ("total day charge", "numeric(6,2)"),
    ("total eve minutes", "double precision"),
    ("total eve calls", "bigint"),
    ("total eve charge", "numeric"),
    ("total night minutes", "real"),
    ("total night calls", "integer"),
    ("total night charge", "numeric(6,2)"),
    ("total intl minutes", "numeric(6,2)"),
    ("total intl calls", "integer"),
    ("total intl charge", "numeric(6,2)"),
    ("customer service calls", "smallint"),
    ("churn", "boolean"),
];
/// The first three columns stay on the source host.
const DROPPED: usize = 3;

#[test]
fn all_3333_customers_arrive_without_the_columns_left_behind() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/telecom.csv");
    let Ok(content) = std::fs::read(&file) else {
        println!("skipped: {} is not there", file.display());
        return;
    };
    let source = Source::with_dataset("telecom", &COLUMNS);
    source.write("telecom.csv", content);
    let server = source.start();
    let database = Database::create();
    let wanted: Vec<String> =
        COLUMNS[DROPPED..].iter().map(|(name, _)| format!("\"{name}\"")).collect();
    let wanted = wanted.join(", ");
    let job = write_job(
        &source.path(""),
        &format!(
            "name = \"telecom\"\n[database]\nurl = \"{}\"\n\
             [source]\nurl = \"{}\"\ndataset = \"telecom\"\ncolumns = [{wanted}]\n\
             [[target]]\ntable = \"public.telecom\"\ncreate = true\n",
            database.url,
            server.url()
        ),
    );

    let outcome = finish(client(["run", "--json"]).arg(&job)).expect_code(0);

    assert_eq!(outcome.summary()["rows"]["read"], 3333);
    assert_eq!(outcome.summary()["rows"]["loaded"], 3333);
    let columns = database.columns("public.telecom");
    let expected: Vec<_> = COLUMNS[DROPPED..]
        .iter()
        .map(|(name, kind)| ((*name).to_owned(), (*kind).to_owned()))
        .collect();
    assert_eq!(columns, expected);
    let definition: Vec<String> =
        COLUMNS.iter().map(|(name, kind)| format!("\"{name}\" {kind}")).collect();
    database.execute(&format!("CREATE TABLE oracle ({})", definition.join(", ")));
    database.copy("oracle", &source.path("telecom.csv"));
    assert_eq!(database.count("oracle"), 3333);
    database.assert_same_rows("TABLE telecom", &format!("SELECT {wanted} FROM oracle"));
}
