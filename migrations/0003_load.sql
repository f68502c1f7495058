-- What several workers, files that are loaded again, and drift need to remember.

ALTER TABLE ferry.file
    ADD COLUMN columns       jsonb,
    ADD COLUMN superseded_at timestamptz,
    DROP CONSTRAINT file_once_per_job;
CREATE UNIQUE INDEX file_once_per_job ON ferry.file (job, dataset, name)
    WHERE superseded_at IS NULL;

COMMENT ON TABLE ferry.file IS 'A file of a dataset as a job knows it: which content, and how far it is cut into splits; one row for each time that it is loaded from its start.';
COMMENT ON COLUMN ferry.file.columns IS 'Header of the file with the types that its source declares, as a list of {"name", "type"}; null if it was planned by a version that did not ask.';
COMMENT ON COLUMN ferry.file.superseded_at IS 'When the file was given up, to be loaded from its start again; null for the row that counts.';

ALTER TABLE ferry.run
    ADD COLUMN source_columns jsonb,
    ADD COLUMN replaced       bigint[];

COMMENT ON COLUMN ferry.run.source_columns IS 'What the source offered when the run was opened last, as a list of {"name", "type"}.';

COMMENT ON COLUMN ferry.run.replaced IS 'For each table of the job, how many rows were inserted or updated when it was replaced; null for one that was not.';

ALTER TABLE ferry.quarantine ADD COLUMN constraint_name text;

COMMENT ON COLUMN ferry.quarantine.constraint_name IS 'Constraint of the target that refused the row; null if none did.';

CREATE INDEX claim_by_split ON ferry.claim (split_id);

CREATE TABLE ferry.worker (
    worker_id  bigint      PRIMARY KEY,
    run_id     bigint      NOT NULL REFERENCES ferry.run,
    host       text        NOT NULL,
    process_id bigint      NOT NULL,
    joined_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    left_at    timestamptz
);
CREATE INDEX worker_by_run ON ferry.worker (run_id);

COMMENT ON TABLE ferry.worker IS 'Sessions that worked at a run; a process has one for each of its workers, and a new one after an error.';
COMMENT ON COLUMN ferry.worker.worker_id IS 'Random number: the key of an advisory lock that the session holds while it lives.';
COMMENT ON COLUMN ferry.worker.host IS 'Name that the worker''s host gives itself.';
COMMENT ON COLUMN ferry.worker.process_id IS 'Number of the process on its host.';
COMMENT ON COLUMN ferry.worker.left_at IS 'When it left in order; null while it works, and if it died.';

CREATE VIEW ferry.living_worker AS
    SELECT (classid::bigint << 32) | objid::bigint AS worker_id, pid
    FROM pg_catalog.pg_locks
    WHERE locktype = 'advisory' AND granted AND objsubid = 1
      AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database());

COMMENT ON VIEW ferry.living_worker IS 'Keys of the advisory locks that sessions of this database hold: a worker that is not among them is dead.';
COMMENT ON COLUMN ferry.living_worker.pid IS 'Process of PostgreSQL that serves the session.';

CREATE TABLE ferry.commit (
    split_id     bigint      NOT NULL REFERENCES ferry.split ON DELETE CASCADE,
    from_byte    bigint      NOT NULL,
    from_row     bigint      NOT NULL,
    to_byte      bigint      NOT NULL,
    to_row       bigint      NOT NULL,
    epoch        bigint      NOT NULL,
    worker_id    bigint      NOT NULL,
    loaded       bigint      NOT NULL,
    quarantined  bigint      NOT NULL,
    filtered     bigint      NOT NULL,
    written      bigint[]    NOT NULL,
    committed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (split_id, from_byte),
    CONSTRAINT commit_moves_on CHECK (from_byte < to_byte AND from_row <= to_row),
    CONSTRAINT commit_accounts_close CHECK (to_row - from_row = loaded + quarantined + filtered)
);

COMMENT ON TABLE ferry.commit IS 'One row for each transaction that moved a split, so that one position of a split is committed by exactly one epoch.';
COMMENT ON COLUMN ferry.commit.from_byte IS 'Where the split stood before.';
COMMENT ON COLUMN ferry.commit.to_byte IS 'Where it stood afterwards.';
COMMENT ON COLUMN ferry.commit.epoch IS 'Claim under which it was committed.';
COMMENT ON COLUMN ferry.commit.worker_id IS 'Worker that committed.';
COMMENT ON COLUMN ferry.commit.loaded IS 'Rows that were handed to the targets; replays change the sums of the split, not this.';
COMMENT ON COLUMN ferry.commit.written IS 'For each target of the job in its order, how many rows were inserted or updated.';
