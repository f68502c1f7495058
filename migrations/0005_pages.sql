-- What pages of an API need to remember: that they are pages, and how far the API was read.

ALTER TABLE ferry.file ADD COLUMN is_page boolean NOT NULL DEFAULT false;

COMMENT ON COLUMN ferry.file.is_page IS 'Whether it is a page of an API, fetched by the source: its content never changes, and another content is another page.';

ALTER TABLE ferry.run ADD COLUMN watermark text;

COMMENT ON COLUMN ferry.run.watermark IS 'Greatest value of the dataset''s incremental column in what the run loads; null if there is none. A value of a record.';

CREATE TABLE ferry.watermark (
    job        text        NOT NULL,
    dataset    text        NOT NULL,
    value      text        NOT NULL,
    run_id     bigint      NOT NULL REFERENCES ferry.run,
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (job, dataset)
);

COMMENT ON TABLE ferry.watermark IS 'Up to which value of its incremental column a job has loaded what an API gives: the next run asks for what is greater.';
COMMENT ON COLUMN ferry.watermark.value IS 'As the source tells it. A value of a record.';
COMMENT ON COLUMN ferry.watermark.run_id IS 'Run that reached it; it has the value once all of its rows are loaded.';
