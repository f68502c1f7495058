//! Personal data crosses as keyed hashes only, and the key stays where it is.
//!
//! HMAC is written here a second time, from RFC 2104, so that the program is
//! not compared with itself.

use std::fmt::Write as _;
use std::fs;

use sha2::{Digest as _, Sha256};

use crate::hosts::{Process, Server, Source, client, finish, run, wait_for, write_job};
use crate::postgres::{Database, NULL, shared_log};

const KEY: &str = "Rotterdam-canary-key-0123456789-abcdefghij";
const BLOCK_BYTES: usize = 64;

fn sha256(parts: &[&[u8]]) -> Vec<u8> {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().to_vec()
}

/// RFC 2104: H(K xor opad, H(K xor ipad, text)).
fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut block = if key.len() > BLOCK_BYTES { sha256(&[key]) } else { key.to_vec() };
    block.resize(BLOCK_BYTES, 0);
    let masked = |mask: u8| block.iter().map(|byte| byte ^ mask).collect::<Vec<u8>>();
    let inner = sha256(&[&masked(0x36), message]);
    sha256(&[&masked(0x5c), &inner])
}

fn hex(bytes: &[u8]) -> String {
    ferry::hex::encode(bytes)
}

fn subkey(domain: &str) -> Vec<u8> {
    subkey_of(KEY, domain)
}

fn subkey_of(key: &str, domain: &str) -> Vec<u8> {
    hmac(key.as_bytes(), format!("ferry/pii/v1/{domain}").as_bytes())
}

fn pseudonym(domain: &str, value: &str) -> String {
    pseudonym_under(KEY, domain, value)
}

/// The pseudonym of a value in hexadecimal digits, under a key without its line end.
pub(crate) fn pseudonym_under(key: &str, domain: &str, value: &str) -> String {
    hex(&hmac(&subkey_of(key, domain), value.as_bytes()))
}

const PEOPLE: &str = "id,email,backup,contact\n\
    1,ada@canary.example,ada@canary.example,ada@canary.example\n\
    2,Zoë@canary.example,,\"\"\n\
    3,,zoë@canary.example,bob@canary.example\n\
    4,\"\",\" ada@canary.example\",x\n";

fn people(file: &str) -> (Source, Server) {
    let source = Source::with_dataset("people", &[("id", "integer"), ("age", "smallint")]);
    source.write("people.csv", file);
    source.write("pii.key", format!("{KEY}\n"));
    let server =
        Server::start(source.command().args(["--listen", "127.0.0.1:0", "--log-level", "trace"]));
    (source, server)
}

/// A job with personal data: two columns share a domain, one has its own.
fn job(source: &Source, server: &Server, database: &Database) -> std::path::PathBuf {
    let text = format!(
        "name = \"people\"\n[database]\nurl = \"{}\"\n\
         [source]\nurl = \"{}\"\ndataset = \"people\"\n\
         [pii]\nkey_file = \"pii.key\"\n\
         [[column]]\nname = \"email\"\npii = \"hash\"\n\
         [[column]]\nname = \"backup\"\npii = \"hash\"\ndomain = \"person\"\n\
         [[column]]\nname = \"contact\"\npii = \"hash\"\ndomain = \"person\"\n\
         [[target]]\ntable = \"public.people\"\ncreate = true\n",
        database.url,
        server.url()
    );
    write_job(&source.path(""), &text)
}

/// What must stand in the table, in hexadecimal digits.
fn expected_rows() -> Vec<Vec<String>> {
    let hash = |domain: &str, value: &str| pseudonym(domain, value);
    let null = || NULL.to_owned();
    let ada = "ada@canary.example";
    vec![
        vec!["1".to_owned(), hash("email", ada), hash("person", ada), hash("person", ada)],
        vec!["2".to_owned(), hash("email", "Zoë@canary.example"), null(), null()],
        vec![
            "3".to_owned(),
            null(),
            hash("person", "zoë@canary.example"),
            hash("person", "bob@canary.example"),
        ],
        vec!["4".to_owned(), null(), hash("person", " ada@canary.example"), hash("person", "x")],
    ]
}

#[test]
fn the_second_hmac_is_right_too() {
    // RFC 4231, test cases 2 and 6.
    assert_eq!(
        hex(&hmac(b"Jefe", b"what do ya want for nothing?")),
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    );
    assert_eq!(
        hex(&hmac(&[0xaa; 131], b"Test Using Larger Than Block-Size Key - Hash Key First")),
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
    );
}

#[test]
fn hashed_columns_become_bytea_and_domains_decide_what_joins() {
    let (source, server) = people(PEOPLE);
    let database = Database::create();

    finish(client(["run"]).arg(job(&source, &server, &database))).expect_code(0);

    let columns = database.columns("people");
    let types: Vec<&str> = columns.iter().map(|(_, kind)| kind.as_str()).collect();
    assert_eq!(types, ["integer", "bytea", "bytea", "bytea"]);
    let stored = database.rows(
        "SELECT id, encode(email, 'hex'), encode(backup, 'hex'), encode(contact, 'hex') \
         FROM people ORDER BY id",
    );
    assert_eq!(stored, expected_rows());
    let key_ids =
        database.rows("SELECT DISTINCT pii_key_id = key_id FROM ferry.run, ferry.pii_key");
    assert_eq!(key_ids, [["t"]], "the run remembers which key it used");
}

#[test]
fn a_text_column_takes_the_hash_as_hexadecimal_digits() {
    let (source, server) = people(PEOPLE);
    let database = Database::create();
    database.execute("CREATE TABLE people (id integer, email text, backup text, contact text)");

    finish(client(["run"]).arg(job(&source, &server, &database))).expect_code(0);

    let stored = database.rows("SELECT id, email, backup, contact FROM people ORDER BY id");
    assert_eq!(stored, expected_rows());
}

/// Good rows, and rows that are refused at every stage, all with raw e-mails.
fn people_with_bad_rows() -> String {
    let mut file = String::from("id,email,age,note\n");
    for id in 0..20_000 {
        let age = if id % 50 == 7 { "old" } else { "30" };
        let rest = if id % 70 == 9 { ",person@canary.example" } else { "" };
        writeln!(file, "{id},person.{id}@canary.example,{age},fine{rest}").unwrap();
    }
    file
}

#[test]
fn neither_the_key_nor_a_raw_value_is_found_anywhere() {
    let (source, server) = people(&people_with_bad_rows());
    let database = Database::create();
    let mut command = run(server.url(), "people", "public.people", &database.url);
    command.args(["--create", "--pii", "email", "--log-level", "trace"]);
    command.args(["--commit-bytes", "64KiB"]).arg("--key-file").arg(source.path("pii.key"));

    let running = Process::spawn(&mut command);
    let proc_file = |name: &str| {
        let content = fs::read(format!("/proc/{}/{name}", running.id())).unwrap();
        String::from_utf8_lossy(&content).into_owned()
    };
    // Until the new program is in place, the process has no arguments yet.
    wait_for("the client to start", 10, || (!proc_file("cmdline").is_empty()).then_some(()));
    let (arguments, environment) = (proc_file("cmdline"), proc_file("environ"));
    let outcome = running.finish().expect_code(0);

    assert!(arguments.contains("--key-file"), "{arguments}");
    assert!(outcome.summary()["rows"]["quarantined"].as_u64().unwrap() > 100);
    let places = [
        ("arguments", arguments),
        ("environment", environment),
        ("output of the client", outcome.text()),
        ("output of the server", server.process.stderr() + server.process.stdout().as_str()),
        ("database", database.dump()),
        ("log of PostgreSQL", shared_log()),
    ];
    let key = KEY.as_bytes();
    let secrets = [KEY.to_owned(), hex(key), hex(&subkey("email")), format!("{key:?}")];
    for (place, text) in &places {
        for secret in &secrets {
            assert!(!text.contains(secret.as_str()), "the key is in: {place}");
        }
        let found = text.find("@canary.example");
        assert!(found.is_none(), "a raw e-mail is in: {place}");
    }
    assert!(places[4].1.contains(&pseudonym("email", "person.0@canary.example")));
    assert!(places[5].1.contains("COPY"), "the log of PostgreSQL shows statements");
}
