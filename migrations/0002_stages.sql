-- What the stages between the wire and COPY need to remember.

ALTER TABLE ferry.run
    ADD COLUMN clean_version integer NOT NULL DEFAULT 1,
    ADD COLUMN rules         jsonb   NOT NULL DEFAULT '{}';

COMMENT ON COLUMN ferry.run.clean_version IS 'Version of the cleaning rules: another one can make other pseudonyms.';
COMMENT ON COLUMN ferry.run.rules IS 'Checks, expressions and targets of the run, as far as the job has any.';

CREATE TABLE ferry.claim (
    claim_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id      bigint NOT NULL REFERENCES ferry.run,
    split_id    bigint NOT NULL REFERENCES ferry.split,
    column_name text   NOT NULL,
    entries     bytea  NOT NULL,
    CONSTRAINT claim_whole_entries CHECK (octet_length(entries) % 24 = 0)
);
CREATE INDEX claim_by_run ON ferry.claim (run_id, claim_id);

COMMENT ON TABLE ferry.claim IS 'Values that a run has met in columns that must be unique.';
COMMENT ON COLUMN ferry.claim.entries IS 'For each value a keyed digest of 16 bytes and the number of its row in 8, end to end; never the value.';

ALTER TABLE ferry.pii_key
    ALTER COLUMN first_run DROP NOT NULL,
    ADD COLUMN retired_at timestamptz,
    ADD COLUMN successor  text;

COMMENT ON COLUMN ferry.pii_key.first_run IS 'Run that used the key first; null for a key that no run has used yet.';
COMMENT ON COLUMN ferry.pii_key.retired_at IS 'When another key took its place.';
COMMENT ON COLUMN ferry.pii_key.successor IS 'The key that took its place.';

CREATE TABLE ferry.erasure (
    erasure_id   bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job          text        NOT NULL,
    column_name  text        NOT NULL,
    key_ids      text[]      NOT NULL,
    reference    text,
    requested_by text        NOT NULL DEFAULT session_user,
    erased_at    timestamptz NOT NULL DEFAULT now(),
    deleted      jsonb       NOT NULL,
    quarantined  bigint      NOT NULL
);

COMMENT ON TABLE ferry.erasure IS 'One row for each person whose rows were deleted; holds no value and no pseudonym.';
COMMENT ON COLUMN ferry.erasure.reference IS 'What the operator calls the request, such as a ticket.';
COMMENT ON COLUMN ferry.erasure.deleted IS 'Number of rows deleted from each table.';
COMMENT ON COLUMN ferry.erasure.quarantined IS 'Number of quarantined records that were emptied.';

CREATE TABLE ferry.replay (
    replay_id     bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job           text        NOT NULL,
    columns       jsonb       NOT NULL,
    pii_key_id    text,
    replayed_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    ferry_version text        NOT NULL
);
CREATE INDEX replay_by_job ON ferry.replay (job, replay_id);

COMMENT ON TABLE ferry.replay IS 'Replays of refused rows: what they did to each column, and under which key; one row for all that did the same.';

CREATE VIEW ferry.treatment AS
    SELECT job, columns, pii_key_id, started_at AS treated_at FROM ferry.run
    UNION ALL
    SELECT job, columns, pii_key_id, replayed_at FROM ferry.replay;

COMMENT ON VIEW ferry.treatment IS 'What runs and replays of a job did to each column, and under which key.';

ALTER TABLE ferry.quarantine ADD COLUMN settled_at timestamptz;
CREATE INDEX quarantine_by_run_and_state ON ferry.quarantine (run_id, state);

COMMENT ON COLUMN ferry.quarantine.state IS 'open; replayed: loaded or filtered since; discarded: given up.';
COMMENT ON COLUMN ferry.quarantine.settled_at IS 'When the row was replayed or discarded.';
