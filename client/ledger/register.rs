//! Turns a plan of the source into files and splits of the ledger.
//!
//! Invariant: the splits of a file follow each other without gap or overlap,
//! even if several workers plan at once: whoever comes second finds that the
//! file is planned further than its own splits begin, and adds nothing.

use std::collections::HashMap;

use ferry::position::{Fingerprint, Position, Split};
use sqlx::{Connection as _, PgConnection};

use crate::ledger::files::{self, KnownFile};
use crate::ledger::{LedgerError, RunId, lock_job, to_bigint};

/// Adds what a plan holds and the ledger does not know yet.
///
/// `splits` are in the order of each file, as the source gives them. A file
/// that is new and has no split is left out: where its first record will begin
/// is not known.
pub(crate) async fn register(
    conn: &mut PgConnection,
    run_id: RunId,
    job: &str,
    dataset: &str,
    planned_files: &[(String, Fingerprint)],
    splits: &[Split],
) -> Result<(), LedgerError> {
    let mut tx = conn.begin().await?;
    lock_job(&mut tx, job).await?;
    keep_running(&mut tx, run_id, job).await?;
    let known = files::known(&mut tx, job, dataset).await?;
    let news = compare(&known, planned_files, splits);
    upsert_files(&mut tx, job, dataset, &news.files).await?;
    insert_splits(&mut tx, run_id, job, dataset, &news.splits).await?;
    tx.commit().await?;
    Ok(())
}

/// What the ledger does not know yet.
#[derive(Debug, PartialEq, Eq)]
struct News<'a> {
    files: Vec<KnownFile>,
    splits: Vec<&'a Split>,
}

fn compare<'a>(
    known: &[KnownFile],
    planned_files: &[(String, Fingerprint)],
    splits: &'a [Split],
) -> News<'a> {
    let known: HashMap<&str, &KnownFile> =
        known.iter().map(|file| (file.name.as_str(), file)).collect();
    let mut splits_by_file: HashMap<&str, Vec<&Split>> = HashMap::new();
    for split in splits {
        splits_by_file.entry(&split.file).or_default().push(split);
    }
    let mut news = News { files: Vec::new(), splits: Vec::new() };
    for (name, fingerprint) in planned_files {
        let before = known.get(name.as_str()).copied();
        let ranges = splits_by_file.get(name.as_str()).map(Vec::as_slice).unwrap_or_default();
        let first = ranges.first().map(|split| split.start);
        let Some(start) = before.map(|file| file.planned_to).or(first) else {
            continue;
        };
        let planned_to = follow(start, ranges, &mut news.splits);
        let fingerprint = wider(before, fingerprint).clone();
        let file = KnownFile { name: name.clone(), fingerprint, planned_to };
        if before != Some(&file) {
            news.files.push(file);
        }
    }
    news
}

/// Takes the splits that follow on `start`; returns where the last one ends.
fn follow<'a>(start: Position, ranges: &[&'a Split], taken: &mut Vec<&'a Split>) -> Position {
    let mut planned_to = start;
    for &split in ranges {
        if split.start == planned_to {
            planned_to = split.end;
            taken.push(split);
        }
    }
    planned_to
}

/// The fingerprint that covers more: a worker with an older plan knows less.
fn wider<'a>(before: Option<&'a KnownFile>, planned: &'a Fingerprint) -> &'a Fingerprint {
    match before {
        Some(before) if before.fingerprint.size_bytes > planned.size_bytes => &before.fingerprint,
        _ => planned,
    }
}

/// Sets the run running again if another worker has stopped it meanwhile.
async fn keep_running(
    conn: &mut PgConnection,
    run_id: RunId,
    job: &str,
) -> Result<(), LedgerError> {
    let updated = sqlx::query(
        "UPDATE ferry.run
         SET state = 'running', finished_at = NULL, error_code = NULL, error_message = NULL
         WHERE run_id = $1 AND state <> 'finished'
           AND NOT EXISTS (SELECT FROM ferry.run AS other
                           WHERE other.job = $2 AND other.run_id > $1)",
    )
    .bind(run_id.0)
    .bind(job)
    .execute(conn)
    .await?
    .rows_affected();
    if updated == 1 { Ok(()) } else { Err(LedgerError::RunEnded { run: run_id }) }
}

const UPSERT_FILES: &str = "
INSERT INTO ferry.file AS f
    (job, dataset, name, fingerprint_bytes, fingerprint_hash, modified_unix_nanos,
     planned_byte, planned_row)
SELECT $1, $2, r.*
FROM unnest($3::text[], $4::bigint[], $5::bytea[], $6::bigint[], $7::bigint[], $8::bigint[]) AS r
ON CONFLICT (job, dataset, name) DO UPDATE
SET fingerprint_bytes = excluded.fingerprint_bytes,
    fingerprint_hash = excluded.fingerprint_hash,
    modified_unix_nanos = excluded.modified_unix_nanos,
    planned_byte = excluded.planned_byte,
    planned_row = excluded.planned_row,
    updated_at = now()
WHERE f.planned_byte <= excluded.planned_byte";

async fn upsert_files(
    conn: &mut PgConnection,
    job: &str,
    dataset: &str,
    files: &[KnownFile],
) -> Result<(), LedgerError> {
    let names: Vec<String> = files.iter().map(|file| file.name.clone()).collect();
    let fingerprints = Fingerprints::of(files.iter().map(|file| &file.fingerprint))?;
    let planned = Positions::of(files.iter().map(|file| file.planned_to))?;
    sqlx::query(UPSERT_FILES)
        .bind(job)
        .bind(dataset)
        .bind(names)
        .bind(fingerprints.sizes)
        .bind(fingerprints.hashes)
        .bind(fingerprints.times)
        .bind(planned.bytes)
        .bind(planned.rows)
        .execute(conn)
        .await?;
    Ok(())
}

const INSERT_SPLITS: &str = "
INSERT INTO ferry.split
    (run_id, file_id, fingerprint_bytes, fingerprint_hash, modified_unix_nanos,
     start_byte, start_row, end_byte, end_row, next_byte, next_row)
SELECT $1, f.file_id, r.size, r.hash, r.modified,
       r.start_byte, r.start_row, r.end_byte, r.end_row, r.start_byte, r.start_row
FROM unnest($4::text[], $5::bigint[], $6::bytea[], $7::bigint[],
            $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[])
         AS r (name, size, hash, modified, start_byte, start_row, end_byte, end_row)
JOIN ferry.file AS f ON f.job = $2 AND f.dataset = $3 AND f.name = r.name";

async fn insert_splits(
    conn: &mut PgConnection,
    run_id: RunId,
    job: &str,
    dataset: &str,
    splits: &[&Split],
) -> Result<(), LedgerError> {
    let names: Vec<String> = splits.iter().map(|split| split.file.clone()).collect();
    let fingerprints = Fingerprints::of(splits.iter().map(|split| &split.fingerprint))?;
    let starts = Positions::of(splits.iter().map(|split| split.start))?;
    let ends = Positions::of(splits.iter().map(|split| split.end))?;
    let inserted = sqlx::query(INSERT_SPLITS)
        .bind(run_id.0)
        .bind(job)
        .bind(dataset)
        .bind(names)
        .bind(fingerprints.sizes)
        .bind(fingerprints.hashes)
        .bind(fingerprints.times)
        .bind(starts.bytes)
        .bind(starts.rows)
        .bind(ends.bytes)
        .bind(ends.rows)
        .execute(conn)
        .await?
        .rows_affected();
    if usize::try_from(inserted) == Ok(splits.len()) {
        Ok(())
    } else {
        Err(LedgerError::Invalid { what: "file of a split" })
    }
}

/// Fingerprints, column by column.
#[derive(Default)]
struct Fingerprints {
    sizes: Vec<i64>,
    hashes: Vec<Vec<u8>>,
    times: Vec<i64>,
}

impl Fingerprints {
    fn of<'a>(fingerprints: impl Iterator<Item = &'a Fingerprint>) -> Result<Self, LedgerError> {
        let mut columns = Self::default();
        for fingerprint in fingerprints {
            columns.sizes.push(to_bigint(fingerprint.size_bytes, "size of a file")?);
            columns.hashes.push(fingerprint.content_hash.to_vec());
            columns.times.push(fingerprint.modified_unix_nanos);
        }
        Ok(columns)
    }
}

/// Positions, column by column.
#[derive(Default)]
struct Positions {
    bytes: Vec<i64>,
    rows: Vec<i64>,
}

impl Positions {
    fn of(positions: impl Iterator<Item = Position>) -> Result<Self, LedgerError> {
        let mut columns = Self::default();
        for position in positions {
            columns.bytes.push(to_bigint(position.byte_offset, "byte offset")?);
            columns.rows.push(to_bigint(position.row_number, "row number")?);
        }
        Ok(columns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(byte_offset: u64) -> Position {
        Position { byte_offset, row_number: byte_offset / 10 }
    }

    fn fingerprint(size_bytes: u64) -> Fingerprint {
        Fingerprint { size_bytes, content_hash: [7; 16], modified_unix_nanos: 1 }
    }

    fn split(start: u64, end: u64, size_bytes: u64) -> Split {
        Split {
            dataset: "d".to_owned(),
            file: "a.csv".to_owned(),
            fingerprint: fingerprint(size_bytes),
            start: position(start),
            end: position(end),
        }
    }

    fn file(size_bytes: u64, planned_to: u64) -> KnownFile {
        let fingerprint = fingerprint(size_bytes);
        KnownFile { name: "a.csv".to_owned(), fingerprint, planned_to: position(planned_to) }
    }

    fn planned(size_bytes: u64) -> [(String, Fingerprint); 1] {
        [("a.csv".to_owned(), fingerprint(size_bytes))]
    }

    #[test]
    fn a_new_file_is_added_whole() {
        let splits = [split(5, 50, 90), split(50, 90, 90)];
        let news = compare(&[], &planned(90), &splits);
        assert_eq!(news.files, [file(90, 90)]);
        assert_eq!(news.splits, [&splits[0], &splits[1]]);
    }

    #[test]
    fn a_plan_that_another_worker_registered_adds_nothing() {
        let splits = [split(5, 50, 90), split(50, 90, 90)];
        let news = compare(&[file(90, 90)], &planned(90), &splits);
        assert_eq!(news, News { files: vec![], splits: vec![] });
    }

    #[test]
    fn a_plan_that_is_cut_otherwise_adds_nothing_twice() {
        let splits = [split(5, 60, 120), split(60, 120, 120)];
        let news = compare(&[file(90, 90)], &planned(120), &splits);
        assert_eq!(news.files, [file(120, 90)]);
        assert!(news.splits.is_empty());
    }

    #[test]
    fn a_grown_file_goes_on_where_it_ended() {
        let splits = [split(90, 120, 120)];
        let news = compare(&[file(90, 90)], &planned(120), &splits);
        assert_eq!(news.files, [file(120, 120)]);
        assert_eq!(news.splits, [&splits[0]]);
    }

    #[test]
    fn an_older_plan_takes_nothing_back() {
        let news = compare(&[file(120, 120)], &planned(90), &[]);
        assert_eq!(news, News { files: vec![], splits: vec![] });
    }

    #[test]
    fn an_older_plan_can_add_a_split_but_keeps_the_wider_content() {
        let splits = [split(90, 100, 100)];
        let news = compare(&[file(120, 90)], &planned(100), &splits);
        assert_eq!(news.files, [file(120, 100)]);
        assert_eq!(news.splits, [&splits[0]]);
    }

    #[test]
    fn a_new_file_without_records_is_left_for_later() {
        let news = compare(&[], &planned(5), &[]);
        assert_eq!(news, News { files: vec![], splits: vec![] });
    }
}
