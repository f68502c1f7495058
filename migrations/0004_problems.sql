-- What files that cannot be read to their end, and compressed ones, need to remember.

ALTER TABLE ferry.file
    ADD COLUMN problem_reason text,
    ADD COLUMN problem        text,
    DROP CONSTRAINT file_planned_within_content,
    ADD CONSTRAINT file_planned_not_negative CHECK (planned_row >= 0 AND planned_byte >= 0),
    ADD CONSTRAINT file_problem_whole CHECK ((problem_reason IS NULL) = (problem IS NULL));

COMMENT ON COLUMN ferry.file.problem_reason IS 'Why the file could not be read to its end when it was planned last, as a stable word; null if it could.';
COMMENT ON COLUMN ferry.file.problem IS 'The same for people; holds no value of a record.';
COMMENT ON COLUMN ferry.file.fingerprint_bytes IS 'Number of leading bytes that fingerprint_hash covers, as they lie on the disk of the source.';
COMMENT ON COLUMN ferry.file.planned_byte IS 'End of the last split in bytes of the content, which a compressed file holds more of than it has bytes; what is added to the file later starts here.';

-- The place in the content of a compressed file may lie beyond its size on disk.
ALTER TABLE ferry.split
    DROP CONSTRAINT split_bytes_in_order,
    ADD CONSTRAINT split_bytes_in_order
        CHECK (0 <= start_byte AND start_byte <= next_byte AND next_byte <= end_byte);
