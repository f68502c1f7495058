//! What the checks say of rows: every reason, what `on_fail` does, what rejects of earlier stages get.

mod documented;
mod unique;

use super::values::parse_or_null;
use super::*;
use crate::ledger::SplitId;
use ferry::position::{Place, Position};

/// A check of the whole row.
fn row_check(name: Option<&str>, expr: &str) -> RowCheck {
    let name = name.map(str::to_owned);
    RowCheck { name, expr: expr.to_owned(), on_fail: OnFail::Quarantine }
}

/// Rules of one column.
fn checks(rules: &[CheckRule], on_fail: OnFail) -> ColumnChecks {
    ColumnChecks { rules: rules.to_vec(), on_fail, claims: DomainHash::public("test") }
}

/// Columns by name and type.
fn columns(named: &[(&str, &str)]) -> Vec<Column> {
    let column = |(name, type_name): &(&str, &str)| {
        let column_type = type_name.parse().expect("a type");
        Column { name: (*name).to_owned(), column_type }
    };
    named.iter().map(column).collect()
}

fn new(columns: &[Column], checks: Vec<ColumnChecks>, row_checks: &[RowCheck]) -> Checker {
    match Checker::new(columns, checks, row_checks, u64::MAX) {
        Ok(checker) => checker,
        Err(error) => panic!("{error}"),
    }
}

/// A field, where `NULL` stands for no value.
fn field(text: &str) -> Option<&str> {
    (text != "NULL").then_some(text)
}

/// Rows of a file, the first of which has the number `first`.
fn rows(columns: &[Column], first: u64, texts: &[&[&str]]) -> Rows {
    let array = |(index, column): (usize, &Column)| {
        let fields = texts.iter().map(|row| field(row[index]));
        parse_or_null(column.column_type, fields).expect("an array")
    };
    let arrays = columns.iter().enumerate().map(array).collect();
    let end = first + texts.len() as u64;
    Rows {
        records: RecordBatch::try_new(arrow_schema(columns), arrays).expect("records"),
        places: (first..end).map(place).collect(),
        start: position(first - 1),
        end: position(end - 1),
    }
}

fn place(row_number: u64) -> Place {
    Place { row_number, byte_start: row_number * 10, byte_end: row_number * 10 + 10 }
}

fn position(row_number: u64) -> Position {
    Position { byte_offset: row_number * 10 + 10, row_number }
}

fn origin(split: i64) -> Origin {
    Origin { file: "a.csv".to_owned(), split: SplitId(split) }
}

fn judge(checker: &Checker, rows: &Rows) -> Verdict {
    checker.judge(rows, &origin(1)).expect("the run goes on")
}

/// Reasons as `code` or `code column`.
fn reasons(reject: &Reject) -> Vec<String> {
    let text = |reason: &Reason| match &reason.column {
        Some(column) => format!("{} {column}", reason.code),
        None => reason.code.to_string(),
    };
    reject.reasons.iter().map(text).collect()
}

/// Refused rows by number, with their reasons.
fn refused(verdict: &Verdict) -> Vec<(u64, Vec<String>)> {
    let of_row = |staged: &StagedReject| (staged.reject.place.row_number, reasons(&staged.reject));
    verdict.rejects.iter().map(of_row).collect()
}

fn texts_of(verdict: &Verdict, column: usize) -> Vec<Option<String>> {
    let records = verdict.records.as_ref().expect("records with new nulls");
    (0..records.num_rows()).map(|row| text_of(records.column(column).as_ref(), row)).collect()
}

fn owned(texts: &[Option<&str>]) -> Vec<Option<String>> {
    texts.iter().map(|text| text.map(str::to_owned)).collect()
}

fn min(bound: &str) -> CheckRule {
    CheckRule::Min(bound.to_owned())
}

fn regex(pattern: &str) -> CheckRule {
    CheckRule::Regex(pattern.to_owned())
}

#[test]
fn a_row_that_fails_gets_every_reason_in_the_order_of_the_job() {
    let columns = columns(&[("name", "text"), ("age", "integer")]);
    let of_name =
        [CheckRule::Required, CheckRule::Length { min: Some(2), max: Some(4) }, regex("^[a-z]+$")];
    let checks =
        vec![checks(&of_name, OnFail::Quarantine), checks(&[min("0")], OnFail::Quarantine)];
    let row_checks = [row_check(Some("not_so_old"), "age < 100"), row_check(None, "age <> -5")];
    let checker = new(&columns, checks, &row_checks);
    let rows = rows(&columns, 7, &[&["X12345", "-5"], &["ab", "5"], &["NULL", "200"]]);
    let verdict = judge(&checker, &rows);
    let expected = [
        (7_u64, vec!["too_long name", "no_match name", "below_min age", "check_failed"]),
        (9, vec!["null_value name", "not_so_old"]),
    ];
    let expected = expected
        .map(|(row, reasons)| (row, reasons.into_iter().map(str::to_owned).collect::<Vec<_>>()));
    assert_eq!(refused(&verdict), expected);
    assert_eq!(verdict.is_kept, Some(BooleanArray::from(vec![false, true, false])));
    let first = &verdict.rejects[0];
    assert_eq!(first.stage, "check");
    assert_eq!(first.reject.place, place(7));
    assert_eq!(first.reject.fields, owned(&[Some("X12345"), Some("-5")]));
    assert_eq!(verdict.rejects[1].reject.fields, owned(&[None, Some("200")]));
}

#[test]
fn rows_that_pass_stay_as_they_are() {
    let columns = columns(&[("age", "integer")]);
    let checker = new(&columns, vec![checks(&[min("0")], OnFail::Null)], &[]);
    let verdict = judge(&checker, &rows(&columns, 1, &[&["1"], &["NULL"]]));
    assert!(verdict.records.is_none() && verdict.is_kept.is_none() && verdict.rejects.is_empty());
}

#[test]
fn on_fail_null_takes_the_value_and_leaves_the_row() {
    let columns = columns(&[("status", "text"), ("age", "integer")]);
    let listed = CheckRule::OneOf(vec!["a".to_owned(), "b".to_owned()]);
    let checks = vec![checks(&[listed], OnFail::Null), checks(&[min("0")], OnFail::Quarantine)];
    // The row check sees the status as it was.
    let checker = new(&columns, checks, &[row_check(None, "status IS NOT NULL")]);
    let rows = rows(&columns, 1, &[&["x", "1"], &["a", "2"], &["x", "-1"]]);
    let verdict = judge(&checker, &rows);
    assert_eq!(texts_of(&verdict, 0)[..2], owned(&[None, Some("a")]));
    assert_eq!(texts_of(&verdict, 1)[..2], owned(&[Some("1"), Some("2")]));
    assert_eq!(verdict.is_kept, Some(BooleanArray::from(vec![true, true, false])));
    // The row that is refused elsewhere tells this reason too, and keeps the value.
    let expected = vec!["not_listed status".to_owned(), "below_min age".to_owned()];
    assert_eq!(refused(&verdict), [(3_u64, expected)]);
    assert_eq!(verdict.rejects[0].reject.fields, owned(&[Some("x"), Some("-1")]));
}

#[test]
fn on_fail_fail_stops_the_run_without_a_value() {
    let columns = columns(&[("status", "text"), ("age", "integer")]);
    let listed = CheckRule::OneOf(vec!["a".to_owned()]);
    let of_columns = vec![checks(&[listed], OnFail::Fail), checks(&[min("0")], OnFail::Quarantine)];
    let checker = new(&columns, of_columns, &[]);
    let good = rows(&columns, 15, &[&["a", "1"], &["a", "-1"]]);
    assert!(checker.judge(&good, &origin(1)).is_ok());
    let bad = rows(&columns, 16, &[&["a", "-1"], &["secret", "1"], &["secret", "1"]]);
    let failure = checker.judge(&bad, &origin(1)).err().expect("the run stops");
    assert_eq!(
        failure.to_string(),
        "row 17 of a.csv fails check not_listed of column \"status\", and on_fail = \"fail\" stops the run: to keep such rows aside, set on_fail = \"quarantine\" and run with --new-rules"
    );
    let mut of_row = row_check(Some("in_order"), "age > 1");
    of_row.on_fail = OnFail::Fail;
    let none = vec![checks(&[], OnFail::Quarantine), checks(&[], OnFail::Quarantine)];
    let checker = new(&columns, none, &[of_row]);
    let failure = checker.judge(&good, &origin(1)).err().expect("the run stops");
    assert!(failure.to_string().starts_with("row 15 of a.csv fails check in_order, and on_fail"));
}

#[test]
fn an_expression_that_fails_refuses_its_row_alone() {
    let columns = columns(&[("n", "integer")]);
    let expr = CheckRule::Expr("10 / n > 1".to_owned());
    let checker = new(&columns, vec![checks(&[expr], OnFail::Quarantine)], &[]);
    let rows = rows(&columns, 1, &[&["5"], &["0"], &["NULL"], &["20"]]);
    let expected =
        [(2_u64, vec!["expression_failed n".to_owned()]), (4, vec!["check_failed n".to_owned()])];
    assert_eq!(refused(&judge(&checker, &rows)), expected);
}

/// A reject of an earlier stage.
fn staged(reason: Reason, fields: &[&str]) -> StagedReject {
    let fields = fields.iter().map(|text| field(text).map(str::to_owned)).collect();
    StagedReject {
        stage: "read",
        reject: Reject { place: place(1), reasons: vec![reason], fields },
    }
}

#[test]
fn rejects_of_earlier_stages_get_the_reasons_that_can_still_be_told() {
    let columns = columns(&[("name", "text"), ("age", "integer"), ("joined", "date")]);
    let of_columns = vec![
        checks(&[regex("^[a-z]+$"), CheckRule::Unique], OnFail::Null),
        checks(&[CheckRule::Required, min("0")], OnFail::Fail),
        checks(&[], OnFail::Quarantine),
    ];
    let checker = new(&columns, of_columns, &[row_check(Some("not_so_old"), "age < 100")]);
    let bad_date = || Reason::of_column(Code::BAD_DATE, "joined");
    let mut rejects = [
        staged(bad_date(), &["X1", "-1", "32.1.2000"]),
        staged(bad_date(), &["ab", "200", "NULL"]),
        // A column that has its reason gets no other, and no expression reads it.
        staged(Reason::of_column(Code::BAD_INTEGER, "age"), &["ab", "NULL", "2000-01-01"]),
        staged(Reason::of_column(Code::BAD_UTF8, "name"), &["X1", "NULL", "2000-01-01"]),
        // A field that cannot be read is not NULL.
        staged(bad_date(), &["ab", "many", "NULL"]),
        staged(Reason::of_record(Code::TOO_FEW_FIELDS), &[]),
    ];
    checker.complete(&mut rejects).expect("the run goes on");
    let expected = [
        vec!["bad_date joined", "no_match name", "below_min age"],
        vec!["bad_date joined", "not_so_old"],
        vec!["bad_integer age"],
        vec!["bad_utf8 name", "null_value age"],
        vec!["bad_date joined"],
        vec!["too_few_fields"],
    ];
    for (staged, expected) in rejects.iter().zip(expected) {
        assert_eq!(reasons(&staged.reject), expected);
        assert_eq!(staged.stage, "read");
    }
}
