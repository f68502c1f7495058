//! Sessions that count the rows of a table while it is replaced: one again and again, one in a snapshot of its own.

use std::thread::{self, JoinHandle};

use crate::hosts::wait_for;
use crate::postgres::{Database, try_psql};

/// What the sessions write down, and how they are told to end. Sequences are
/// outside of every snapshot.
const SETUP: &str = "
CREATE TABLE counted (reader text, found bigint);
CREATE SEQUENCE readers;
CREATE SEQUENCE ended;
CREATE PROCEDURE count_on() LANGUAGE plpgsql AS $$
DECLARE
    deadline timestamptz := clock_timestamp() + interval '60 seconds';
    counts bigint[] := '{}';
    found_rows bigint;
    is_last boolean := false;
    is_first boolean := true;
BEGIN
    WHILE NOT is_last LOOP
        is_last := (SELECT last_value = 2 FROM ended) OR clock_timestamp() > deadline;
        SELECT count(*) INTO found_rows FROM watched;
        IF found_rows <> ALL (counts) THEN counts := counts || found_rows; END IF;
        IF is_first THEN PERFORM nextval('readers'); END IF;
        is_first := false;
        COMMIT;
    END LOOP;
    INSERT INTO counted SELECT 'loop', unnest(counts);
END $$;
CREATE PROCEDURE wait_for_the_end() LANGUAGE plpgsql AS $$
DECLARE
    deadline timestamptz := clock_timestamp() + interval '60 seconds';
BEGIN
    WHILE (SELECT last_value = 1 FROM ended) AND clock_timestamp() < deadline LOOP
        PERFORM pg_sleep(0.005);
    END LOOP;
END $$";
/// One snapshot from before the replacement until after it.
const SNAPSHOT: &str = "
BEGIN ISOLATION LEVEL REPEATABLE READ;
INSERT INTO counted SELECT 'snapshot', count(*) FROM watched;
SELECT nextval('readers');
CALL wait_for_the_end();
INSERT INTO counted SELECT 'snapshot', count(*) FROM watched;
COMMIT";

/// Sessions that read.
pub(super) struct Readers<'a> {
    database: &'a Database,
    sessions: Vec<JoinHandle<Result<String, String>>>,
}

impl<'a> Readers<'a> {
    /// Begins to read a table or a view; both sessions have counted its rows once.
    pub(super) fn start(database: &'a Database, watched: &str) -> Self {
        database.execute(&format!("CREATE VIEW watched AS SELECT FROM {watched}"));
        database.execute(SETUP);
        let session = |sql: &'static str| {
            let url = database.url.clone();
            thread::spawn(move || try_psql(&url, sql))
        };
        let sessions = vec![session("CALL count_on()"), session(SNAPSHOT)];
        wait_for("both sessions to read", 30, || {
            (database.value("SELECT last_value = 2 FROM readers") == "t").then_some(())
        });
        Self { database, sessions }
    }

    /// Ends both sessions, and checks that they saw these numbers of rows and no others.
    #[track_caller]
    pub(super) fn assert_saw_only(self, old: u64, new: u64) {
        let Self { database, sessions } = self;
        database.execute("SELECT setval('ended', 2)");
        for session in sessions {
            session.join().unwrap().unwrap();
        }
        let seen = |reader: &str| {
            database.rows(&format!("SELECT found FROM counted WHERE reader = '{reader}'"))
        };
        assert_eq!(seen("loop"), [[old.to_string()], [new.to_string()]]);
        assert_eq!(seen("snapshot"), [[old.to_string()], [old.to_string()]]);
    }
}
