-- The ledger: what was to be moved, how far it came, what was left aside.
--
-- It changes in the same transaction as the rows it speaks of, so that it is
-- never ahead of them and never behind. No table but ferry.quarantine holds
-- anything of a record.

CREATE TABLE ferry.run (
    run_id        bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job           text        NOT NULL,
    source_url    text        NOT NULL,
    dataset       text        NOT NULL,
    target        text        NOT NULL,
    columns       jsonb       NOT NULL,
    pii_key_id    text,
    state         text        NOT NULL DEFAULT 'running',
    started_at    timestamptz NOT NULL DEFAULT now(),
    finished_at   timestamptz,
    error_code    text,
    error_message text,
    ferry_version text        NOT NULL,
    CONSTRAINT run_state_known CHECK (state IN ('running', 'finished', 'failed', 'stopped')),
    CONSTRAINT run_end_when_not_running CHECK ((state = 'running') = (finished_at IS NULL))
);
CREATE UNIQUE INDEX run_one_running_per_job ON ferry.run (job) WHERE state = 'running';
CREATE INDEX run_by_job ON ferry.run (job, run_id);

COMMENT ON TABLE ferry.run IS 'One execution of a job, by one worker or by several together.';
COMMENT ON COLUMN ferry.run.source_url IS 'Source host, without credentials.';
COMMENT ON COLUMN ferry.run.target IS 'Table that the run loads.';
COMMENT ON COLUMN ferry.run.columns IS 'Name, types and PII domain of each column that the run loads.';
COMMENT ON COLUMN ferry.run.pii_key_id IS 'Key that made the pseudonyms of the run; null if it made none.';
COMMENT ON COLUMN ferry.run.error_code IS 'Why the last worker gave up, as a stable word.';
COMMENT ON COLUMN ferry.run.error_message IS 'Why the last worker gave up; holds no value of a record.';
COMMENT ON COLUMN ferry.run.ferry_version IS 'Version of ferry-client that opened the run.';

CREATE TABLE ferry.file (
    file_id             bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job                 text        NOT NULL,
    dataset             text        NOT NULL,
    name                text        NOT NULL,
    fingerprint_bytes   bigint      NOT NULL,
    fingerprint_hash    bytea       NOT NULL,
    modified_unix_nanos bigint      NOT NULL,
    planned_byte        bigint      NOT NULL,
    planned_row         bigint      NOT NULL,
    first_seen_at       timestamptz NOT NULL DEFAULT now(),
    updated_at          timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT file_once_per_job UNIQUE (job, dataset, name),
    CONSTRAINT file_hash_is_128_bits CHECK (octet_length(fingerprint_hash) = 16),
    CONSTRAINT file_planned_within_content
        CHECK (planned_row >= 0 AND planned_byte >= 0 AND planned_byte <= fingerprint_bytes)
);

COMMENT ON TABLE ferry.file IS 'A file of a dataset as a job knows it: which content, and how far it is cut into splits.';
COMMENT ON COLUMN ferry.file.fingerprint_bytes IS 'Number of leading bytes that fingerprint_hash covers.';
COMMENT ON COLUMN ferry.file.fingerprint_hash IS 'XXH3-128 of those bytes, big-endian.';
COMMENT ON COLUMN ferry.file.modified_unix_nanos IS 'Last write of the file when it was hashed, in nanoseconds since 1970.';
COMMENT ON COLUMN ferry.file.planned_byte IS 'End of the last split in bytes; what is added to the file later starts here.';
COMMENT ON COLUMN ferry.file.planned_row IS 'Data records before planned_byte.';

CREATE TABLE ferry.split (
    split_id            bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id              bigint  NOT NULL REFERENCES ferry.run,
    file_id             bigint  NOT NULL REFERENCES ferry.file,
    fingerprint_bytes   bigint  NOT NULL,
    fingerprint_hash    bytea   NOT NULL,
    modified_unix_nanos bigint  NOT NULL,
    start_byte          bigint  NOT NULL,
    start_row           bigint  NOT NULL,
    end_byte            bigint  NOT NULL,
    end_row             bigint  NOT NULL,
    next_byte           bigint  NOT NULL,
    next_row            bigint  NOT NULL,
    loaded_rows         bigint  NOT NULL DEFAULT 0,
    quarantined_rows    bigint  NOT NULL DEFAULT 0,
    filtered_rows       bigint  NOT NULL DEFAULT 0,
    epoch               bigint  NOT NULL DEFAULT 0,
    lease_owner         bigint,
    lease_until         timestamptz,
    done                boolean NOT NULL GENERATED ALWAYS AS (next_byte >= end_byte) STORED,
    CONSTRAINT split_once_per_place UNIQUE (file_id, start_byte),
    CONSTRAINT split_hash_is_128_bits CHECK (octet_length(fingerprint_hash) = 16),
    CONSTRAINT split_bytes_in_order
        CHECK (0 <= start_byte AND start_byte <= next_byte AND next_byte <= end_byte
               AND end_byte <= fingerprint_bytes),
    CONSTRAINT split_rows_in_order
        CHECK (0 <= start_row AND start_row <= next_row AND next_row <= end_row),
    CONSTRAINT split_ends_at_its_last_row CHECK (next_byte < end_byte OR next_row = end_row),
    CONSTRAINT split_counts_not_negative
        CHECK (loaded_rows >= 0 AND quarantined_rows >= 0 AND filtered_rows >= 0),
    CONSTRAINT split_accounts_close
        CHECK (next_row - start_row = loaded_rows + quarantined_rows + filtered_rows),
    CONSTRAINT split_lease_whole CHECK ((lease_owner IS NULL) = (lease_until IS NULL))
);
CREATE INDEX split_by_run ON ferry.split (run_id);
CREATE INDEX split_undone_by_run ON ferry.split (run_id) WHERE NOT done;

COMMENT ON TABLE ferry.split IS 'A range of one file, cut between records: the unit that one worker loads.';
COMMENT ON COLUMN ferry.split.fingerprint_bytes IS 'Content that the split was cut from; the file may have grown since.';
COMMENT ON COLUMN ferry.split.next_byte IS 'Everything before this place is committed.';
COMMENT ON COLUMN ferry.split.next_row IS 'Data records of the file before next_byte.';
COMMENT ON COLUMN ferry.split.epoch IS 'Grows with every claim; a commit of an older epoch is refused.';
COMMENT ON COLUMN ferry.split.lease_owner IS 'Worker that claimed the split last: the key of an advisory lock that it holds while it lives.';
COMMENT ON COLUMN ferry.split.lease_until IS 'From then on any worker may claim the split, even if its owner seems alive.';

CREATE TABLE ferry.quarantine (
    quarantine_id bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id        bigint      NOT NULL REFERENCES ferry.run,
    file_id       bigint      NOT NULL REFERENCES ferry.file,
    split_id      bigint      NOT NULL REFERENCES ferry.split,
    row_number    bigint      NOT NULL,
    byte_start    bigint      NOT NULL,
    byte_end      bigint      NOT NULL,
    stage         text        NOT NULL,
    code          text        NOT NULL,
    column_name   text,
    reasons       jsonb       NOT NULL,
    record        jsonb,
    state         text        NOT NULL DEFAULT 'open',
    created_at    timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT quarantine_once_per_row UNIQUE (split_id, row_number),
    CONSTRAINT quarantine_state_known CHECK (state IN ('open', 'replayed', 'discarded')),
    CONSTRAINT quarantine_row_from_one CHECK (row_number >= 1),
    CONSTRAINT quarantine_bytes_in_order CHECK (0 <= byte_start AND byte_start <= byte_end),
    CONSTRAINT quarantine_reasons_listed
        CHECK (jsonb_typeof(reasons) = 'array' AND jsonb_array_length(reasons) >= 1)
);
CREATE INDEX quarantine_by_run_and_code ON ferry.quarantine (run_id, code);

COMMENT ON TABLE ferry.quarantine IS 'Rows that were not loaded: where they lie and why.';
COMMENT ON COLUMN ferry.quarantine.row_number IS 'Number of the record in its file; the first data record is 1.';
COMMENT ON COLUMN ferry.quarantine.byte_start IS 'Offset of the first byte of the record.';
COMMENT ON COLUMN ferry.quarantine.byte_end IS 'Offset after the terminator of the record.';
COMMENT ON COLUMN ferry.quarantine.stage IS 'Stage that refused the row.';
COMMENT ON COLUMN ferry.quarantine.code IS 'First reason.';
COMMENT ON COLUMN ferry.quarantine.column_name IS 'Column of the first reason; null if it concerns the whole record.';
COMMENT ON COLUMN ferry.quarantine.reasons IS 'All reasons, as a list of {"code", "column"}.';
COMMENT ON COLUMN ferry.quarantine.record IS 'What may be kept of the record after pseudonymisation; null if its fields could not be told apart.';

CREATE TABLE ferry.pii_key (
    key_id        text        PRIMARY KEY,
    first_run     bigint      NOT NULL REFERENCES ferry.run,
    first_used_at timestamptz NOT NULL DEFAULT now(),
    last_used_at  timestamptz NOT NULL DEFAULT now()
);

COMMENT ON TABLE ferry.pii_key IS 'Names of the keys that made pseudonyms; never the keys.';
