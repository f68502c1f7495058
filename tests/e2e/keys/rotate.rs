//! A key is changed by rotation alone: the old one is kept and retired, and an interrupted rotation can be repeated.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::thread;

use super::{EMAIL, KEY, ONLY_NEW, OTHER_KEY, People, TARGET, rotate_key, run, token_of};
use crate::hosts::{Process, client, finish, wait_for};
use crate::postgres::try_psql;

const ANN: &str = "ann@x.example";
const KEYS: &str = "SELECT r.run_id, k.retired_at IS NULL, k.successor IS NULL \
    FROM ferry.pii_key AS k JOIN ferry.run AS r ON r.pii_key_id = k.key_id ORDER BY r.run_id";

#[test]
fn later_runs_use_the_new_key_and_the_old_one_is_kept() {
    let people = People::new("1,ann@x.example,Rome,new\n");
    let job = people.job(&[EMAIL, TARGET].concat());
    run(&job).expect_code(0);
    let old_token = token_of(&job, ANN, None);

    let outcome = rotate_key(&job).expect_code(0);

    let old_id = people.database.value("SELECT pii_key_id FROM ferry.run");
    let outcome = outcome.expect_text(&old_id).expect_text("do not join");
    let kept = people.kept_keys();
    assert_eq!(kept, [people.source.path(&format!("pii.key.{old_id}"))]);
    assert_eq!(fs::read_to_string(&kept[0]).unwrap(), KEY);
    let new_key = fs::read_to_string(people.source.path("pii.key")).unwrap();
    assert_eq!(new_key.trim_end().len(), 64, "a key of 32 random bytes");
    assert!(!outcome.text().contains(new_key.trim_end()), "the new key is printed");
    for path in [&people.source.path("pii.key"), &kept[0]] {
        let mode = fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", path.display());
    }

    people.source.append("people.csv", "2,ann@x.example,Rome,new\n");
    run(&job).expect_code(0);
    let new_token = token_of(&job, ANN, None);
    assert_ne!(new_token, old_token);
    assert_eq!(token_of(&job, ANN, Some(kept[0].as_path())), old_token);
    assert_eq!(people.hashes(), [old_token, new_token]);
    assert_eq!(people.database.rows(KEYS), [["1", "f", "f"], ["2", "t", "t"]]);
    let successors = "SELECT count(*) FROM ferry.pii_key AS old JOIN ferry.pii_key AS new \
                      ON new.key_id = old.successor WHERE new.first_run = 2";
    assert_eq!(people.database.number(successors), 1);
    assert!(!people.database.dump().contains(new_key.trim_end()), "the key is in the database");
}

#[test]
fn a_rotation_takes_the_key_of_a_file_unless_it_is_the_same() {
    let people = People::new("1,ann@x.example,Rome,new\n");
    let job = people.job(&[EMAIL, TARGET].concat());
    run(&job).expect_code(0);
    people.source.write("other.key", OTHER_KEY);
    let rotate_to = |name: &str| {
        let mut command = client(["pii", "rotate", "--to"]);
        finish(command.arg(people.source.path(name)).arg(&job))
    };

    rotate_to("pii.key").expect_code(2).expect_text("already");
    assert!(people.kept_keys().is_empty());
    rotate_to("nowhere.key").expect_code(2).expect_text("nowhere.key");
    rotate_to("other.key").expect_code(0);

    assert_eq!(fs::read_to_string(people.source.path("pii.key")).unwrap(), OTHER_KEY);
    assert_eq!(fs::read_to_string(&people.kept_keys()[0]).unwrap(), KEY);
}

#[test]
fn the_other_jobs_of_the_old_key_are_named_and_go_on_with_the_new_one() {
    let people = People::new("1,ann@x.example,Rome,new\n");
    let rules = [EMAIL, TARGET].concat();
    let run_as = |name: &str| {
        let mut command = client(["run", "--json", "--name", name]);
        finish(command.arg(people.job(&rules))).expect_code(0)
    };
    run_as("neighbours");
    run_as("people");

    rotate_key(&people.job(&rules)).expect_code(0).expect_text("neighbours");

    people.source.append("people.csv", "2,ann@x.example,Rome,new\n");
    run_as("neighbours");
    let keys = "SELECT count(DISTINCT pii_key_id) FROM ferry.run WHERE job = 'neighbours'";
    assert_eq!(people.database.number(keys), 2);
}

#[test]
fn a_rotation_waits_for_the_end_of_an_unfinished_run() {
    let mut records = String::new();
    for id in 0..10_000 {
        let number = if id == 5000 { "x" } else { "1" };
        writeln!(records, "{number},person.{id}@x.example,Rome,new").unwrap();
    }
    let people = People::new(&records);
    let limits = "[load]\nmax_rejects = \"0\"\ncommit_bytes = \"64KiB\"\nsplit_bytes = \"64KiB\"\n";
    let target = TARGET.split_once("[load]").unwrap().0;
    let job = people.job(&[EMAIL, target, limits].concat());
    run(&job).expect_code(5);
    let before = people.database.dump();

    rotate_key(&job).expect_code(2).expect_text("run 1").expect_text("not finished");

    assert!(people.database.dump() == before, "something changed");
    assert!(people.kept_keys().is_empty());
    assert_eq!(fs::read_to_string(people.source.path("pii.key")).unwrap(), KEY);

    let patient = limits.replace("\"0\"", "\"1\"");
    let job = people.job(&[EMAIL, target, &patient].concat());
    run(&job).expect_code(0);
    rotate_key(&job).expect_code(0);
    assert_eq!(people.kept_keys().len(), 1);
}

#[test]
fn a_key_that_was_changed_by_hand_is_refused_with_both_keys_and_a_hint() {
    let people = People::new("1,ann@x.example,Rome,new\n");
    let job = people.job(&[EMAIL, TARGET].concat());
    run(&job).expect_code(0);
    let before = people.database.value("SELECT pii_key_id FROM ferry.run");
    people.source.append("people.csv", "2,ann@x.example,Rome,new\n");
    people.source.write("pii.key", OTHER_KEY);

    let outcome = run(&job).expect_code(2).expect_text(&before);
    let outcome = outcome.expect_text("put the old key back").expect_text("pii rotate");
    assert_eq!(outcome.summary()["error"]["code"], "configuration");
    rotate_key(&job).expect_code(2).expect_text(&before).expect_text("--to");
    assert_eq!(people.database.count("people"), 1);
    assert!(people.kept_keys().is_empty());

    people.source.write("pii.key", KEY);
    run(&job).expect_code(0);
    let hash = token_of(&job, ANN, None);
    assert_eq!(people.hashes(), [hash.clone(), hash]);
}

#[test]
fn after_a_rotation_too_a_third_key_is_refused() {
    let people = People::new("1,ann@x.example,Rome,new\n");
    let job = people.job(&[EMAIL, TARGET].concat());
    run(&job).expect_code(0);
    rotate_key(&job).expect_code(0);
    let new_key = fs::read(people.source.path("pii.key")).unwrap();
    people.source.append("people.csv", "2,ann@x.example,Rome,new\n");

    people.source.write("pii.key", OTHER_KEY);
    run(&job).expect_code(2).expect_text("key");
    rotate_key(&job).expect_code(2).expect_text("key");
    assert_eq!(people.database.count("people"), 1);

    people.source.write("pii.key", new_key);
    run(&job).expect_code(0);
    assert_eq!(people.database.count("people"), 2);
}

#[test]
fn a_retired_key_that_was_put_back_is_used_with_a_warning() {
    let people = People::new("1,ann@x.example,Rome,new\n");
    let job = people.job(&[EMAIL, TARGET].concat());
    run(&job).expect_code(0);
    rotate_key(&job).expect_code(0);
    people.source.append("people.csv", "2,ann@x.example,Rome,new\n");
    people.source.write("pii.key", KEY);

    run(&job).expect_code(0).expect_text("retired");

    let hashes = people.hashes();
    assert_eq!((hashes.len(), &hashes[0]), (2, &hashes[1]));
}

#[test]
fn a_rotation_that_was_killed_can_be_repeated() {
    let people = People::new("1,ann@x.example,Rome,new\n");
    let job = people.job(&[EMAIL, TARGET].concat());
    run(&job).expect_code(0);
    let old_token = token_of(&job, ANN, None);

    // Whoever holds the lock of the job keeps the rotation from telling the ledger.
    let url = people.database.url.clone();
    let lock = "SELECT pg_advisory_lock(x'66657279'::integer, hashtext('people')), pg_sleep(600)";
    let holder = thread::spawn(move || try_psql(&url, lock));
    let sessions = |condition: &str| {
        people.database.number(&format!(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
             AND pid <> pg_backend_pid() AND {condition}"
        ))
    };
    wait_for("the lock", 20, || (sessions("wait_event = 'PgSleep'") == 1).then_some(()));
    let mut rotation = Process::spawn(client(["pii", "rotate"]).arg(&job));
    wait_for("the rotation", 20, || (sessions("wait_event_type = 'Lock'") == 1).then_some(()));
    rotation.kill();
    people.database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE datname = current_database() AND pid <> pg_backend_pid()",
    );
    assert!(holder.join().unwrap().is_err(), "the session was to be ended");
    assert!(people.source.path("pii.key.new").exists(), "it was killed in the middle");
    assert_eq!(fs::read_to_string(people.source.path("pii.key")).unwrap(), KEY);

    rotate_key(&job).expect_code(0);
    assert_eq!(people.kept_keys().len(), 1, "nothing is left of the first attempt");
    people.source.append("people.csv", "2,ann@x.example,Rome,new\n");
    run(&job).expect_code(0);
    assert_eq!(people.hashes(), [old_token, token_of(&job, ANN, None)]);
}

#[test]
fn a_rotation_that_only_told_the_ledger_goes_on_with_the_same_new_key() {
    let people = People::new("1,ann@x.example,Rome,new\n");
    let job = people.job(&[EMAIL, ONLY_NEW, TARGET].concat());
    run(&job).expect_code(0);
    rotate_key(&job).expect_code(0);
    let new_key = fs::read_to_string(people.source.path("pii.key")).unwrap();
    let successors = "SELECT string_agg(successor, ' ') FROM ferry.pii_key";
    let successor = people.database.value(successors);

    // As after a power cut just before the new key took the place of the old one.
    people.source.write("pii.key.new", &new_key);
    people.source.write("pii.key", KEY);
    rotate_key(&job).expect_code(0).expect_text(&successor);

    assert_eq!(fs::read_to_string(people.source.path("pii.key")).unwrap(), new_key);
    assert_eq!(people.database.value(successors), successor);
    assert_eq!(people.kept_keys().len(), 1);
}
