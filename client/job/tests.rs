//! Whole jobs: what a file with every key says, and what one with the fewest leaves to defaults.

use std::fs;
use std::time::Duration;

use super::*;

/// What every job needs, without a target.
pub(super) const SMALL: &str = "database.url = 'postgres://localhost/x'\n\
    source = { url = 'http://127.0.0.1:7443', dataset = 'customers' }\n";

/// A job file with every key but `source.token`, which excludes `token_file`.
const EVERY_KEY: &str = r#"
name = "everything"

[database]
url = "postgres://localhost/x"

[source]
url = "https://source-host:7443"
dataset = "customers"
columns = ["uid", "email", "phone", "iban", "card", "born", "country"]
token_file = "loader.token"
ca_file = "ca.pem"
cert_file = "client.pem"
key_file = "client.key"

[pii]
key_file = "pii.key"

[[column]]
name = "uid"
type = "uuid"
clean = ["trim", "collapse_spaces", "uppercase", "nfc"]
check = ["required", "uuid", "unique", { regex = "^[0-9a-f-]+$" }]
on_fail = "fail"
pii = "none"

[[column]]
name = "email"
type = "text"
clean = ["lowercase", { null_words = ["n/a", ""] }, { default = "x" }, "email"]
check = ["email", { length = { min = 1, max = 20 } }, { expr = "email <> ''" }]
on_fail = "null"
pii = "hash"
domain = "person"
form = "hex"

[[column]]
name = "phone"
clean = ["digits", { phone = { region = "US" } }]
check = ["date", "url", { uuid = 4 }, { min = 0 }, { max = 2030-01-01 }, { one_of = ["a"] }]
on_fail = "quarantine"
pii = "salted"

[[column]]
name = "iban"
pii = "mask"
keep_last = 2

[[column]]
name = "card"
pii = "drop"

[[check]]
name = "dates_in_order"
expr = "born < joined"
on_fail = "fail"

[transform]
filter = "country = 'US'"
set.full_name = "first_name || ' ' || last_name"
rename.country = "land"
drop = ["born"]
derive_before_hash.mail_domain = "split_part(email, '@', 2)"

[[target]]
table = "public.users"
create = true
mode = "upsert"
key = ["uid"]
update = ["email", "seen_at"]
only_if_newer = "seen_at"
columns = ["uid", "email", "seen_at"]
cache = true
serve_columns = ["uid", "seen_at"]

[[target]]
table = "public.users_address"
mode = "replace"
keep_old = true
serve = false

[cache]
url = "rediss://:hunter2@cache:6380/1"
ttl = "30s"
max_rows = 500

[load]
commit_bytes = "1MiB"
commit_interval = "2s"
split_bytes = "4MiB"
max_rejects = "1%"
reject_window = 5000
unique_memory = "64MiB"
workers = 4
lease = "30s"
retries = 3
drift = "quarantine"
rewritten = "reload"
file_order = "any"
"#;

/// A job file that need not be valid.
pub(super) fn parse(text: &str) -> RawJob {
    toml::from_str(text).expect("well-formed TOML")
}

/// The small job with a target, `public.users`; `text` goes on from there.
pub(super) fn job(text: &str) -> Result<Job, JobError> {
    Job::validate(parse(&format!("{SMALL}[[target]]\ntable = 'public.users'\n{text}")))
}

/// Why the small job is refused with this text.
#[track_caller]
pub(super) fn refusal(text: &str) -> String {
    job(text).expect_err("the job is refused").to_string()
}

/// What a job says of the column `email` that has these keys.
pub(super) fn column(keys: &str) -> Result<ColumnRule, JobError> {
    let raw = parse(&format!("[[column]]\nname = 'email'\n{keys}"));
    let mut rules = column_rules(&raw.column)?;
    Ok(rules.remove(0))
}

/// Why the column `email` is refused with these keys.
#[track_caller]
pub(super) fn column_refusal(keys: &str) -> String {
    column(keys).expect_err("the column is refused").to_string()
}

/// Reads a job file that lies in a folder with a token.
fn load_every_key(flags: Overrides) -> (tempfile::TempDir, Job) {
    let folder = tempfile::tempdir().expect("temporary folder");
    fs::write(folder.path().join("loader.token"), "hunter2\n").expect("the token is written");
    let path = folder.path().join("job.toml");
    fs::write(&path, EVERY_KEY).expect("the job is written");
    let job = Job::load(Some(&path), flags).expect("a valid job");
    (folder, job)
}

#[test]
fn a_file_with_every_key_is_read() {
    let (folder, job) = load_every_key(Overrides::default());
    assert_eq!(job.name, "everything");
    assert_eq!(job.database_url.expose(), "postgres://localhost/x");
    assert_eq!(job.source.columns.len(), 7);
    assert_eq!(job.source.token.map(|token| token.expose().to_owned()).as_deref(), Some("hunter2"));
    let beside = |name: &str| folder.path().join(name);
    assert_eq!(job.source.ca_file, Some(beside("ca.pem")));
    assert_eq!(job.source.identity, Some((beside("client.pem"), beside("client.key"))));
    assert_eq!(job.pii_key_file, Some(beside("pii.key")));
    assert_eq!(job.row_checks.len(), 1);
    assert_eq!(job.transform.filter.as_deref(), Some("country = 'US'"));
    assert_eq!(job.transform.rename, [("country".to_owned(), "land".to_owned())]);
    assert_eq!(job.targets.len(), 2);
    assert!(job.targets[0].create && !job.targets[1].create);
    assert_eq!(job.targets[0].key, ["uid"]);
    let update = vec!["email".to_owned(), "seen_at".to_owned()];
    let upsert = Mode::Upsert { update, only_if_newer: Some("seen_at".to_owned()) };
    assert_eq!(job.targets[0].mode, upsert);
    assert_eq!(job.targets[1].mode, Mode::Replace { keep_old: true });
    assert_eq!(job.targets[0].cache, CachePolicy::On);
    let shown = ["uid", "seen_at"].map(str::to_owned).to_vec();
    assert_eq!(job.targets[0].serve, ServePolicy::Columns(shown));
    assert_eq!(job.targets[1].serve, ServePolicy::Hidden);
    let cache = job.cache.expect("a cache");
    assert_eq!((cache.ttl, cache.max_rows), (Duration::from_secs(30), 500));
    assert_eq!(job.load.commit_bytes, 1 << 20);
    assert_eq!(job.load.commit_interval, Duration::from_secs(2));
    assert_eq!(job.load.split_bytes, 4 << 20);
    assert_eq!(job.load.max_rejects, RejectLimit::Percent(1.0));
    assert_eq!(job.load.reject_window, 5000);
    assert_eq!(job.load.unique_bytes, 64 << 20);
    assert_eq!((job.load.workers, job.load.retries), (4, 3));
    assert_eq!(job.load.lease, Duration::from_secs(30));
    assert_eq!(job.load.drift, DriftPolicy::Quarantine);
    assert_eq!(job.load.rewritten, RewrittenPolicy::Reload);
    assert_eq!(job.load.file_order, FileOrder::Any);
}

#[test]
fn columns_of_a_file_with_every_key_are_read() {
    let (_folder, job) = load_every_key(Overrides::default());
    let [uid, email, phone, iban, card] = job.columns.as_slice() else {
        panic!("{:?}", job.columns);
    };
    assert_eq!(uid.column_type, Some(ferry::schema::ColumnType::Uuid));
    assert_eq!((uid.on_fail, &uid.pii), (OnFail::Fail, &Some(Pii::Public)));
    assert_eq!((uid.clean.len(), uid.checks.len()), (4, 4));
    let form = Some(Form::Hex);
    assert_eq!(email.pii, Some(Pii::Hash { domain: "person".to_owned(), form }));
    assert_eq!(email.on_fail, OnFail::Null);
    assert_eq!(email.clean.last(), Some(&CleanRule::Email));
    assert_eq!(email.checks[1], CheckRule::Length { min: Some(1), max: Some(20) });
    assert_eq!(phone.pii, Some(Pii::Salted { domain: "phone".to_owned(), form: None }));
    assert_eq!(phone.clean[1], CleanRule::Phone { region: "US".to_owned() });
    assert_eq!(phone.checks[4], CheckRule::Max("2030-01-01".to_owned()));
    assert_eq!(iban.pii, Some(Pii::Mask { keep_last: 2 }));
    assert_eq!(card.pii, Some(Pii::Drop));
}

#[test]
fn flags_go_before_the_file() {
    let flags = Overrides {
        name: Some("other".to_owned()),
        columns: vec!["uid".to_owned()],
        create: true,
        ..Overrides::default()
    };
    let (_folder, job) = load_every_key(flags);
    assert_eq!(job.name, "other");
    assert_eq!(job.source.columns, ["uid"]);
    assert!(job.targets.iter().all(|target| target.create));
}

#[test]
fn defaults_fill_what_the_file_leaves_out() {
    let job = job("").expect("valid");
    assert_eq!(job.name, "customers:users");
    assert_eq!(job.load.commit_bytes, 32 << 20);
    assert_eq!(job.load.max_rejects, RejectLimit::Percent(50.0));
    assert!(!job.targets[0].create);
    assert!(job.columns.is_empty() && job.row_checks.is_empty());
}

#[test]
fn what_is_missing_is_named_with_its_flag() {
    let error = Job::validate(parse(SMALL)).expect_err("no table");
    assert!(error.to_string().contains("--table"), "{error}");
    let error = Job::validate(RawJob::default()).expect_err("no database");
    assert!(error.to_string().contains("--database"), "{error}");
}

#[test]
fn personal_data_needs_a_key() {
    let unique = "pii = 'drop'\ncheck = ['unique']";
    for keys in ["pii = 'hash'", "pii = 'salted'", unique] {
        let text = format!("[[column]]\nname = 'email'\n{keys}\n");
        let error = refusal(&text);
        assert!(error.contains("pii.key_file") && error.contains("--key-file"), "{error}");
        let job = job(&format!("{text}[pii]\nkey_file = 'pii.key'")).expect("valid");
        assert_eq!(job.pii_key_file, Some(PathBuf::from("pii.key")));
    }
}

#[test]
fn a_key_that_is_not_needed_is_left_alone() {
    let text = "[pii]\nkey_file = 'pii.key'\n[[column]]\nname = 'email'\npii = 'mask'";
    assert_eq!(job(text).expect("valid").pii_key_file, None);
}

#[test]
fn a_name_is_short_and_printable() {
    for name in ["", "a\tb", &"x".repeat(101)] {
        let mut raw = parse(&format!("{SMALL}target = [{{ table = 'users' }}]"));
        raw.name = Some(name.to_owned());
        let error = Job::validate(raw).expect_err("refused").to_string();
        assert!(error.contains("1 to 100 printable characters"), "{error}");
    }
}

#[test]
fn unknown_keys_are_refused_everywhere() {
    let tables = [
        "[database]",
        "[source]",
        "[pii]",
        "[[column]]",
        "[[check]]",
        "[transform]",
        "[[target]]",
        "[load]",
        "[cache]",
        "",
    ];
    for table in tables {
        let text = format!("{table}\nno_such_key = 1\n");
        let error = toml::from_str::<RawJob>(&text).err().expect("refused").to_string();
        assert!(error.contains("unknown field `no_such_key`"), "{table}: {error}");
    }
}

#[test]
fn rules_are_read_without_source_and_database() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = folder.path().join("job.toml");
    let text = "pii.key_file = 'pii.key'\ncolumn = [{ name = 'email', clean = ['trim'] }]\n";
    fs::write(&path, text).expect("the job is written");
    let rules = read_rules(&path).expect("valid rules");
    assert_eq!(rules.pii_key_file, Some(folder.path().join("pii.key")));
    assert_eq!(rules.columns[0].clean, [CleanRule::Trim]);
}

/// A job file of the project, without what is not on this host.
fn example(path: &str) -> Job {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let mut raw: RawJob = read_toml(&path).expect("well-formed TOML");
    raw.database.url = Some("postgres://localhost/x".to_owned());
    raw.source.token_file = None;
    if let Some(cache) = &mut raw.cache {
        cache.url = Some("redis://localhost".to_owned());
    }
    Job::validate(raw).expect("a valid job")
}

#[test]
fn the_examples_are_read() {
    let personal = example("examples/customers/job.toml");
    assert!(personal.columns.iter().any(ColumnRule::is_personal));
    let full = example("examples/customers/full.toml");
    assert!(full.targets.iter().all(|target| target.mode.word() == "upsert"));
    assert_eq!(example("deploy/kubernetes/job.toml").load.retries, 10);
}

/// The first TOML block of a page after some words.
fn job_in(page: &str, words: &str) -> Job {
    let (_, text) = page.split_once(words).expect("the words before it");
    let (_, text) = text.split_once("```toml\n").expect("its beginning");
    let (text, _) = text.split_once("```").expect("its end");
    let mut raw = parse(text);
    raw.database.url = Some("postgres://localhost/x".to_owned());
    raw.source.token_file = None;
    if let Some(cache) = &mut raw.cache {
        cache.url = Some("redis://localhost".to_owned());
    }
    Job::validate(raw).expect("a valid job")
}

#[test]
fn the_jobs_in_the_documentation_are_valid() {
    let job = job_in(include_str!("../../docs/configuration.md"), "## A whole job");
    assert!(job.targets.len() > 1 && job.transform != Transform::default());
    let job = job_in(include_str!("../../README.md"), "in `job.toml`");
    assert_eq!(job.targets.len(), 2);
}
