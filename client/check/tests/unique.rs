//! What `unique` says of rows: the first wins, whatever the batches, and only rows that pass claim.

use super::*;
use proptest::prelude::*;

/// A checker of a unique `uid` and an `age` from 0 on.
fn checker(uid_type: &str, unique_bytes_max: u64) -> (Vec<Column>, Checker) {
    let columns = columns(&[("uid", uid_type), ("age", "integer")]);
    let of_columns = vec![
        checks(&[CheckRule::Unique], OnFail::Quarantine),
        checks(&[min("0")], OnFail::Quarantine),
    ];
    match Checker::new(&columns, of_columns, &[], unique_bytes_max) {
        Ok(checker) => (columns, checker),
        Err(error) => panic!("{error}"),
    }
}

fn duplicate(row: u64) -> (u64, Vec<String>) {
    (row, vec!["duplicate uid".to_owned()])
}

fn digests(verdict: &Verdict, column: &str) -> Vec<u8> {
    let claims = verdict.claims.iter().filter(|claim| claim.column == column);
    claims.flat_map(|claim| claim.entries.clone()).collect()
}

#[test]
fn the_first_row_wins_and_null_is_no_value() {
    let (columns, checker) = checker("text", u64::MAX);
    assert_eq!(checker.unique_columns(), ["uid"]);
    let texts: [&[&str]; 5] =
        [&["a", "1"], &["NULL", "1"], &["b", "1"], &["a", "2"], &["NULL", "2"]];
    let verdict = judge(&checker, &rows(&columns, 1, &texts));
    assert_eq!(refused(&verdict), [duplicate(4)]);
    assert_eq!(verdict.claims.len(), 1);
    assert_eq!(digests(&verdict, "uid").len(), 2 * 24);
    let verdict = judge(&checker, &rows(&columns, 6, &[&["c", "1"], &["b", "1"]]));
    assert_eq!(refused(&verdict), [duplicate(7)]);
}

#[test]
fn the_same_place_again_is_no_duplicate_but_another_is() {
    let (columns, checker) = checker("text", u64::MAX);
    let batch = rows(&columns, 1, &[&["a", "1"], &["a", "1"]]);
    let first = judge(&checker, &batch);
    let again = judge(&checker, &batch);
    assert_eq!(refused(&first), [duplicate(2)]);
    assert_eq!(refused(&again), [duplicate(2)]);
    assert_eq!(digests(&first, "uid"), digests(&again, "uid"));
    let elsewhere = checker.judge(&batch, &origin(2)).expect("the run goes on");
    assert_eq!(refused(&elsewhere), [duplicate(1), duplicate(2)]);
}

#[test]
fn what_the_ledger_remembers_is_taken() {
    let (columns, first) = checker("text", u64::MAX);
    let batch = rows(&columns, 1, &[&["a", "1"], &["b", "1"]]);
    let digests = digests(&judge(&first, &batch), "uid");
    let (_, second) = checker("text", u64::MAX);
    second.remember("uid", SplitId(1), &digests).expect("there is room");
    second
        .remember("dropped", SplitId(1), &digests)
        .expect("a column without the check is passed over");
    let verdict = judge(&second, &rows(&columns, 8, &[&["b", "1"], &["c", "1"]]));
    assert_eq!(refused(&verdict), [duplicate(8)]);
    // A row that was committed holds its own value, whatever is read again.
    assert_eq!(refused(&judge(&second, &batch)), []);
    let before = judge(&second, &rows(&columns, 1, &[&["b", "1"]]));
    assert_eq!(refused(&before), [duplicate(1)]);
    // Another worker may have loaded what this one had only claimed.
    first.remember("uid", SplitId(2), &digests).expect("there is room");
    assert_eq!(refused(&judge(&first, &batch)), [duplicate(1), duplicate(2)]);
}

#[test]
fn a_refused_row_claims_nothing_and_is_told_of_its_duplicate() {
    let (columns, checker) = checker("text", u64::MAX);
    let batch = rows(&columns, 1, &[&["a", "-1"], &["a", "1"], &["a", "-1"]]);
    let expected = [
        (1_u64, vec!["below_min age".to_owned()]),
        (3, vec!["duplicate uid".to_owned(), "below_min age".to_owned()]),
    ];
    assert_eq!(refused(&judge(&checker, &batch)), expected);
    assert_eq!(refused(&judge(&checker, &batch)), expected);
}

#[test]
fn a_row_that_is_not_unique_in_one_column_claims_nothing_in_another() {
    let columns = columns(&[("uid", "text"), ("email", "text")]);
    let unique = || checks(&[CheckRule::Unique], OnFail::Quarantine);
    let checker = new(&columns, vec![unique(), unique()], &[]);
    let batch = rows(&columns, 1, &[&["1", "a"], &["1", "b"], &["2", "b"], &["3", "b"]]);
    let verdict = judge(&checker, &batch);
    let expected = [duplicate(2), (4, vec!["duplicate email".to_owned()])];
    assert_eq!(refused(&verdict), expected);
    assert_eq!(digests(&verdict, "uid").len(), 2 * 24);
    assert_eq!(digests(&verdict, "email").len(), 2 * 24);
}

#[test]
fn on_fail_null_takes_the_value_of_the_second_row() {
    let columns = columns(&[("uid", "text"), ("email", "text")]);
    let not_b = regex("^[^b]*$");
    let of_columns = vec![
        checks(&[CheckRule::Unique], OnFail::Quarantine),
        checks(&[CheckRule::Unique, not_b], OnFail::Null),
    ];
    let checker = new(&columns, of_columns, &[]);
    let batch = rows(&columns, 1, &[&["1", "a"], &["2", "a"], &["3", "b"], &["4", "b"]]);
    let verdict = judge(&checker, &batch);
    assert!(verdict.rejects.is_empty());
    assert_eq!(texts_of(&verdict, 1), owned(&[Some("a"), None, None, None]));
    assert_eq!(digests(&verdict, "uid").len(), 4 * 24);
    // What became NULL is not claimed.
    assert_eq!(digests(&verdict, "email").len(), 24);
}

#[test]
fn memory_is_bounded() {
    let (columns, checker) = checker("text", 2 * 64);
    judge(&checker, &rows(&columns, 1, &[&["a", "1"], &["b", "1"], &["a", "1"]]));
    let third = rows(&columns, 4, &[&["c", "1"]]);
    let failure = checker.judge(&third, &origin(1)).err().expect("there is no room");
    assert_eq!(
        failure.to_string(),
        "check unique of column \"uid\" cannot remember more than 2 values in 128 bytes: raise load.unique_memory and run again, or give the target table a unique index instead, under another job name"
    );
    assert!(checker.remember("uid", SplitId(9), &[7; 24]).is_err());
}

#[test]
fn values_of_other_types_are_the_same_as_postgresql_says() {
    for (type_name, one, other, third) in [
        ("bigint", "7", "007", "70"),
        ("numeric", "1.50", "15e-1", "1.51"),
        ("double precision", "0", "-0", "1"),
        ("timestamptz", "2000-01-01 14:00+02", "2000-01-01 12:00Z", "2000-01-01 12:00+01"),
    ] {
        let (columns, checker) = checker(type_name, u64::MAX);
        let batch = rows(&columns, 1, &[&[one, "1"], &[other, "1"], &[third, "1"]]);
        assert_eq!(refused(&judge(&checker, &batch)), [duplicate(2)], "{type_name}");
    }
}

proptest! {
    #[test]
    fn batches_and_repetitions_change_nothing(
        values in prop::collection::vec((0..5_u8, -1..2_i8), 1..40),
        cut in 0..40_usize,
    ) {
        let (columns, whole) = checker("text", u64::MAX);
        let texts: Vec<[String; 2]> =
            values.iter().map(|(uid, age)| [uid.to_string(), age.to_string()]).collect();
        let texts: Vec<[&str; 2]> =
            texts.iter().map(|[uid, age]| [uid.as_str(), age.as_str()]).collect();
        let texts: Vec<&[&str]> = texts.iter().map(<[&str; 2]>::as_slice).collect();
        let (before, after) = texts.split_at(cut.min(texts.len()));
        let expected = refused(&judge(&whole, &rows(&columns, 1, &texts)));
        let (_, parts) = checker("text", u64::MAX);
        let batches = [
            rows(&columns, 1, before),
            rows(&columns, 1 + before.len() as u64, after),
        ];
        for _ in 0..2 {
            let mut found = Vec::new();
            for batch in &batches {
                found.extend(refused(&judge(&parts, batch)));
            }
            prop_assert_eq!(&found, &expected);
        }
    }
}
