//! Pages outlive whoever reads them: a host, a client or the spool that is gone in the middle loses and repeats no row.

use std::fs;

use serde_json::{Value, json};

use super::{Fetching, HTTP, start_at};
use crate::api::{Api, Paging, Trouble};
use crate::hosts::{free_port, wait_for};

const SIZE: usize = 400;
pub(super) const COUNT: u64 = 1990;
pub(super) const RULES: &str = "columns = [\"id\", \"name\"]\n[[target]]\ntable = \"people\"\n\
    [load]\ncommit_bytes = \"64KiB\"\n";
/// What the records hold, as SQL.
const RECORDS: &str = "SELECT n::bigint AS id, 'person ' || n || repeat('x', 600) AS name \
    FROM generate_series(1, 1990) AS n";

/// Five pages of several transactions each, into a table that takes its time.
pub(super) fn slow() -> (Fetching, String) {
    let filler = "x".repeat(600);
    let record = |id: u64| json!({ "id": id, "name": format!("person {id}{filler}") });
    let records: Vec<Value> = (1..=COUNT).map(record).collect();
    let mut fetching = Fetching::new(Api::start(Paging::Number, SIZE, records), "", HTTP);
    fetching.database.execute("CREATE TABLE people (id bigint, name text)");
    fetching.database.slow_inserts("people", 600);
    let listen = format!("127.0.0.1:{}", free_port());
    fetching.server = start_at(&fetching.source, &listen);
    (fetching, listen)
}

fn wait_for_rows(fetching: &Fetching) {
    wait_for("the first rows", 60, || (fetching.database.count("people") > 0).then_some(()));
}

#[track_caller]
pub(super) fn assert_whole(fetching: &Fetching) {
    fetching.database.assert_same_rows("SELECT id, name FROM people", RECORDS);
    let loaded = "SELECT sum(loaded_rows) FROM ferry.split JOIN ferry.file USING (file_id) \
                  WHERE dataset = 'people'";
    assert_eq!(fetching.database.number(loaded), COUNT);
}

#[test]
fn a_source_host_that_was_killed_goes_on_with_what_it_has_spooled() {
    let (mut fetching, listen) = slow();
    let mut client = fetching.spawn(RULES);
    wait_for_rows(&fetching);
    assert_eq!(fetching.asked().len(), 5);

    fetching.server.process.kill();
    assert!(client.ended().is_none(), "it was killed too late");
    fetching.server = start_at(&fetching.source, &listen);
    client.finish().expect_code(0);

    assert_whole(&fetching);
    assert_eq!(fetching.asked().len(), 0, "the pages were there");
}

#[test]
fn a_client_that_was_killed_goes_on_where_it_stopped() {
    let (fetching, _) = slow();
    let mut client = fetching.spawn(RULES);
    wait_for_rows(&fetching);
    client.kill();
    let stored = fetching.database.count("people");
    assert!(stored < COUNT, "it was killed too late");

    fetching.run(RULES).expect_code(0);

    assert_whole(&fetching);
    let states = fetching.database.rows("SELECT state FROM ferry.run");
    assert_eq!(states, [["finished"]], "the same run went on");
    assert_eq!(fetching.pages().len(), 5, "each page is known once");
}

#[test]
fn a_spool_that_is_lost_in_the_middle_is_filled_again() {
    let (fetching, _) = slow();
    let mut client = fetching.spawn(RULES);
    wait_for_rows(&fetching);
    client.kill();
    assert!(fetching.database.count("people") < COUNT, "it was killed too late");
    fs::remove_dir_all(fetching.source.path(".ferry-spool")).unwrap();

    fetching.run(RULES).expect_code(0);

    assert_whole(&fetching);
}

#[test]
fn a_page_that_is_lost_while_it_is_wanted_is_named_and_the_next_run_has_it_again() {
    let (fetching, _) = slow();
    let client = fetching.spawn(RULES);
    wait_for_rows(&fetching);
    let last = fetching.spooled().pop().unwrap();
    fs::remove_file(&last).unwrap();

    let outcome = client.finish().expect_code(7).expect_text("FILE_NOT_FOUND");

    let page = last.file_name().unwrap().to_str().unwrap().to_owned();
    outcome.expect_text(&page);
    fetching.run(RULES).expect_code(0);
    assert_whole(&fetching);
}

#[test]
fn whoever_gives_up_while_pages_are_fetched_leaves_nothing_behind() {
    let (fetching, _) = slow();
    fetching.api.trouble(3, Trouble::Held, 1);
    let mut client = fetching.spawn(RULES);
    wait_for("the page that is held", 30, || {
        fetching
            .api
            .requests()
            .iter()
            .any(|asked| asked.parameter("page") == Some("3"))
            .then_some(())
    });
    client.kill();
    assert_eq!(fetching.database.count("people"), 0);
    fetching.api.mend();

    fetching.run(RULES).expect_code(0);

    assert_whole(&fetching);
}

#[test]
fn a_source_host_that_is_told_to_stop_does_not_wait_for_an_api() {
    let (fetching, _) = slow();
    fetching.api.trouble(2, Trouble::Held, u32::MAX);
    let mut client = fetching.spawn(RULES);
    wait_for("the page that is held", 30, || {
        fetching
            .api
            .requests()
            .iter()
            .any(|asked| asked.parameter("page") == Some("2"))
            .then_some(())
    });

    fetching.server.process.signal("TERM");
    let Fetching { server, .. } = fetching;
    let _ = server.process.finish_within(20).expect_code(0);
    client.kill();
}
