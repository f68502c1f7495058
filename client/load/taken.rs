//! What a transaction has taken up so far, until it is committed.

use ferry::position::{Place, Position};

use super::commit::Chunk;
use super::keys::{self, TableKeys};
use crate::database::RowRefusal;
use crate::ledger::quarantine::QuarantinedRow;
use crate::stage::{Claim, Evidence};

/// Name in quarantine of the stage that hands rows to PostgreSQL.
const STAGE: &str = "load";
/// SQLSTATE of a text that the encoding of the database does not have.
const UNTRANSLATABLE: &str = "22P05";

/// Rows by where they went: tables, quarantine, or out by the filter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) loaded: u64,
    pub(super) quarantined: u64,
    pub(super) filtered: u64,
}

/// What a transaction has taken up so far.
pub(super) struct Taken {
    /// Place after the last record.
    pub(super) end: Position,
    pub(super) counts: Counts,
    pub(super) bytes: u64,
    /// Tuples that wait here, for each table of the job, one part a chunk.
    pub(super) kept: Vec<Vec<Vec<u8>>>,
    pub(super) quarantined: Vec<QuarantinedRow>,
    /// Entries by column.
    pub(super) claims: Vec<(String, Vec<u8>)>,
    /// Keys of the rows, for tables whose rows are cached.
    pub(super) keys: Vec<TableKeys>,
    /// Where the kept rows lie.
    pub(super) places: Vec<Place>,
    /// What may be stored of them: the index of the first row, and the rows.
    evidence: Vec<(usize, Evidence)>,
}

impl Taken {
    pub(super) fn new(from: Position, tables: usize) -> Self {
        Self {
            end: from,
            counts: Counts::default(),
            bytes: 0,
            kept: vec![Vec::new(); tables],
            quarantined: Vec::new(),
            claims: Vec::new(),
            keys: Vec::new(),
            places: Vec::new(),
            evidence: Vec::new(),
        }
    }

    /// Takes a chunk up, and gives its tuples for the first table.
    pub(super) fn take(&mut self, chunk: Chunk) -> Vec<u8> {
        debug_assert_eq!(chunk.rows, chunk.places.len() as u64, "each tuple has its place");
        self.bytes += chunk.bytes();
        self.end = chunk.end;
        self.counts.loaded += chunk.rows;
        self.counts.quarantined += chunk.quarantined.len() as u64;
        self.counts.filtered += chunk.filtered;
        self.quarantined.extend(chunk.quarantined);
        for claim in chunk.claims {
            self.take_claim(claim);
        }
        keys::add(&mut self.keys, chunk.cached_keys);
        let mut tuples = chunk.tuples.into_iter();
        // A table that is sent too little stores too little, and is found out by it.
        let streamed = tuples.next().unwrap_or_default();
        for (kept, part) in self.kept.iter_mut().skip(1).zip(tuples) {
            kept.push(part);
        }
        streamed
    }

    /// Takes a chunk up, and keeps what is needed to tell its rows apart.
    pub(super) fn keep(&mut self, mut chunk: Chunk) {
        if let Some(evidence) = chunk.evidence.take() {
            self.bytes += evidence.bytes();
            self.evidence.push((self.places.len(), evidence));
        }
        self.places.extend_from_slice(&chunk.places);
        let first = self.take(chunk);
        if let Some(kept) = self.kept.first_mut() {
            kept.push(first);
        }
    }

    fn take_claim(&mut self, mut claim: Claim) {
        match self.claims.iter_mut().find(|(column, _)| *column == claim.column) {
            Some((_, entries)) => entries.append(&mut claim.entries),
            None => self.claims.push((claim.column, claim.entries)),
        }
    }

    /// Puts a kept row into quarantine, by its index: PostgreSQL refuses it.
    ///
    /// What it claims in columns that must be unique stays claimed, as when it
    /// is replayed: rows that were refused because of it are not read again.
    pub(super) fn refuse(&mut self, row: usize, refusal: RowRefusal) {
        let Some(place) = self.places.get(row).copied() else {
            return;
        };
        // What the database cannot store has no place in quarantine either.
        let is_storable = refusal.sqlstate != UNTRANSLATABLE;
        let record = if is_storable { self.record_of(row) } else { None };
        self.counts.loaded -= 1;
        self.counts.quarantined += 1;
        self.quarantined.push(QuarantinedRow {
            place,
            stage: STAGE,
            reasons: vec![refusal.reason()],
            constraint: refusal.constraint,
            record,
        });
    }

    fn record_of(&self, row: usize) -> Option<serde_json::Value> {
        let after = self.evidence.partition_point(|(first, _)| *first <= row);
        let (first, evidence) = self.evidence.get(after.checked_sub(1)?)?;
        evidence.record_of(row - first)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::ledger::quarantine;
    use crate::stage::Input;
    use arrow_array::{RecordBatch, StringArray};
    use ferry::reject::{Code, Reason};
    use ferry::schema::{Column, ColumnType, arrow_schema};
    use serde_json::json;

    pub(in crate::load) fn position(row_number: u64) -> Position {
        Position { byte_offset: row_number * 10, row_number }
    }

    fn place(row_number: u64) -> Place {
        let byte_end = row_number * 10;
        Place { row_number, byte_start: byte_end - 10, byte_end }
    }

    /// Two rows for each table, and one that was refused before them.
    pub(in crate::load) fn chunk(
        end_row: u64,
        tuples: &[&[u8]],
        claims: &[(&str, &[u8])],
    ) -> Chunk {
        let claim = |(column, digests): &(&str, &[u8])| Claim {
            column: (*column).to_owned(),
            entries: digests.to_vec(),
        };
        Chunk {
            tuples: tuples.iter().map(|part| part.to_vec()).collect(),
            rows: 2,
            filtered: 0,
            quarantined: vec![QuarantinedRow {
                place: place(end_row - 2),
                stage: "read",
                reasons: vec![Reason::of_record(Code::NUL_BYTE)],
                constraint: None,
                record: None,
            }],
            claims: claims.iter().map(claim).collect(),
            places: vec![place(end_row - 1), place(end_row)],
            evidence: None,
            cached_keys: Vec::new(),
            end: position(end_row),
        }
    }

    /// Evidence of rows with one column.
    fn evidence(texts: &[&str]) -> Evidence {
        let column = Column { name: "name".to_owned(), column_type: ColumnType::Text };
        let names = Arc::new(StringArray::from(texts.to_vec()));
        let records = RecordBatch::try_new(arrow_schema(&[column]), vec![names]);
        let inputs = [Input { name: "name".to_owned(), is_pseudonym: false }];
        Evidence { records: records.expect("a batch"), inputs: inputs.into_iter().collect() }
    }

    #[test]
    fn the_first_table_is_streamed_and_the_others_wait_in_their_order() {
        let mut taken = Taken::new(position(0), 3);
        assert_eq!(taken.take(chunk(3, &[b"a1", b"b1", b"c1"], &[])), b"a1");
        assert_eq!(taken.take(chunk(6, &[b"a2", b"b2", b"c2"], &[])), b"a2");
        let part = |text: &[u8]| text.to_vec();
        assert!(taken.kept[0].is_empty() && taken.places.is_empty());
        assert_eq!(taken.kept[1], [part(b"b1"), part(b"b2")]);
        assert_eq!(taken.kept[2], [part(b"c1"), part(b"c2")]);
        assert_eq!(taken.end, position(6));
        assert_eq!(taken.counts, Counts { loaded: 4, quarantined: 2, filtered: 0 });
    }

    #[test]
    fn a_refused_row_goes_into_quarantine_with_its_record_and_keeps_its_claims() {
        let mut taken = Taken::new(position(0), 1);
        for (end, texts) in [(3, ["a", "b"]), (6, ["c", "d"])] {
            let evidence = Some(evidence(&texts));
            taken.keep(Chunk { evidence, ..chunk(end, &[b"x"], &[("name", b"1")]) });
        }
        assert_eq!(taken.kept, [vec![b"x".to_vec(), b"x".to_vec()]]);
        let refusal = RowRefusal {
            sqlstate: "23505".to_owned(),
            constraint: Some("users_pkey".to_owned()),
            column: None,
        };
        let code = refusal.reason();
        taken.refuse(1, refusal.clone());
        taken.refuse(2, refusal);
        assert_eq!(taken.counts, Counts { loaded: 2, quarantined: 4, filtered: 0 });
        assert_eq!(taken.claims, [("name".to_owned(), b"11".to_vec())]);
        let refused = &taken.quarantined[2..];
        let numbers: Vec<u64> = refused.iter().map(|row| row.place.row_number).collect();
        assert_eq!(numbers, [3, 5]);
        let records: Vec<_> = refused.iter().map(|row| row.record.clone()).collect();
        assert_eq!(records, [Some(json!({ "name": "b" })), Some(json!({ "name": "c" }))]);
        for row in refused {
            assert_eq!((row.stage, &row.reasons), ("load", &vec![code.clone()]));
            assert_eq!(row.constraint.as_deref(), Some("users_pkey"));
        }
    }

    #[test]
    fn claims_are_joined_by_column() {
        let mut taken = Taken::new(position(0), 1);
        taken.take(chunk(3, &[b""], &[("email", b"1"), ("phone", b"2")]));
        taken.take(chunk(6, &[b""], &[("email", b"3")]));
        let expected = [("email".to_owned(), b"13".to_vec()), ("phone".to_owned(), b"2".to_vec())];
        assert_eq!(taken.claims, expected);
    }

    #[test]
    fn keys_are_kept_until_the_transaction_ends() {
        let keys = |key: &str| TableKeys { table: 1, columns: vec![vec![key.to_owned()]] };
        let mut taken = Taken::new(position(0), 1);
        for (end, key) in [(3, "a"), (6, "b")] {
            let plain = chunk(end, &[b""], &[]);
            let with_keys = Chunk { cached_keys: vec![keys(key)], ..chunk(end, &[b""], &[]) };
            assert!(with_keys.bytes() > plain.bytes());
            taken.take(with_keys);
        }
        let columns = vec![vec!["a".to_owned(), "b".to_owned()]];
        assert_eq!(taken.keys, [TableKeys { table: 1, columns }]);
    }

    #[test]
    fn whatever_is_held_counts_towards_the_limit() {
        let both = chunk(3, &[&[0; 100], &[0; 50]], &[("email", &[0; 32])]);
        let refused = quarantine::bytes(&both.quarantined);
        assert_eq!(both.bytes(), 182 + refused);
        let evidence = evidence(&["a", "b"]);
        let with_evidence = both.bytes() + evidence.bytes();
        let mut taken = Taken::new(position(0), 2);
        taken.keep(Chunk { evidence: Some(evidence), ..both });
        assert_eq!(taken.bytes, with_evidence);
    }
}
