//! Tests of the transform stage on rows of its own.

use ferry::position::Position;
use ferry::values::{ColumnBuilder, text_of};

use super::*;

/// Two columns: `n bigint`, `email bytea` as a pseudonym.
fn rows(numbers: &[Option<&str>]) -> (Rows, Vec<Column>) {
    let columns = vec![
        Column { name: "n".to_owned(), column_type: "bigint".parse().expect("a type") },
        Column { name: "email".to_owned(), column_type: "bytea".parse().expect("a type") },
    ];
    let mut n = ColumnBuilder::new(columns[0].column_type);
    let mut email = ColumnBuilder::new(columns[1].column_type);
    for number in numbers {
        n.append(number.map(str::as_bytes)).expect("a number");
        email.append(Some(b"\\xabcd")).expect("bytes");
    }
    let arrays = vec![n.finish().expect("numbers"), email.finish().expect("bytes")];
    let records = RecordBatch::try_new(arrow_schema(&columns), arrays).expect("a batch");
    let place = |row: u64| Place { row_number: row, byte_start: row * 10, byte_end: row * 10 + 9 };
    let places = (1..=numbers.len() as u64).map(place).collect();
    let rows = Rows { records, places, start: Position::default(), end: Position::default() };
    (rows, columns)
}

fn inputs() -> Vec<Input> {
    let input = |name: &str, is_pseudonym| Input { name: name.to_owned(), is_pseudonym };
    vec![input("n", false), input("email", true)]
}

fn column(name: &str, type_name: &str) -> Column {
    Column { name: name.to_owned(), column_type: type_name.parse().expect("a type") }
}

fn compile(text: &str, columns: &[Column]) -> Expression {
    Expression::compile("x", text, &arrow_schema(columns)).expect("it compiles")
}

#[test]
fn every_row_is_loaded_filtered_or_quarantined() {
    let (mut rows, columns) = rows(&[Some("1"), Some("0"), None, Some("-5"), Some("5")]);
    let output = |name, type_name, value| {
        Output::new(column(name, type_name), value, true).expect("it converts")
    };
    let transformer = Transformer::new(
        inputs(),
        Some(compile("n >= 0", &columns)),
        vec![
            output("n", "smallint", Value::Column(0, columns[0].clone())),
            output("share", "numeric(12,2)", Value::Expression(compile("100 / n", &columns))),
        ],
    );
    let outcome = transformer.transform_rows(&mut rows, Pace::Swift).expect("it transforms");
    assert_eq!(outcome.filtered, 2, "-5 and null");
    assert!(outcome.evidence.is_none(), "nothing is kept of rows that are not refused");
    let numbers: Vec<u64> = rows.places.iter().map(|place| place.row_number).collect();
    assert_eq!(numbers, [1, 5]);
    let text = |row| text_of(rows.records.column(1), row);
    assert_eq!([text(0), text(1)], [Some("100.00".to_owned()), Some("20.00".to_owned())]);
    let [refused] = outcome.quarantined.as_slice() else { panic!("one row is refused") };
    assert_eq!(refused.place.row_number, 2);
    assert_eq!(refused.reasons, [Reason::of_column(Code::EXPRESSION_FAILED, "share")]);
    let record = refused.record.as_ref().expect("a record");
    assert_eq!(record, &serde_json::json!({ "n": "0", "email": "abcd" }));
}

#[test]
fn a_row_has_every_reason() {
    let (mut rows, columns) = rows(&[None, Some("70000")]);
    let value = || Value::Column(0, columns[0].clone());
    let transformer = Transformer::new(
        inputs(),
        None,
        vec![
            Output::new(column("n", "smallint"), value(), true).expect("it converts"),
            Output::new(column("m", "bigint"), value(), true).expect("it converts"),
        ],
    );
    let outcome = transformer.transform_rows(&mut rows, Pace::Swift).expect("it transforms");
    assert!(rows.places.is_empty());
    let reasons: Vec<_> = outcome.quarantined.iter().map(|row| row.reasons.clone()).collect();
    assert_eq!(
        reasons,
        [
            vec![
                Reason::of_column(Code::NULL_VALUE, "n"),
                Reason::of_column(Code::NULL_VALUE, "m"),
            ],
            vec![Reason::of_column(Code::OUT_OF_RANGE, "n")],
        ]
    );
}

#[test]
fn a_filter_that_fails_refuses_the_row() {
    let (mut rows, columns) = rows(&[Some("0"), Some("1")]);
    let transformer = Transformer::new(inputs(), Some(compile("1 / n > 0", &columns)), Vec::new());
    let outcome = transformer.transform_rows(&mut rows, Pace::Swift).expect("it transforms");
    assert_eq!((outcome.filtered, outcome.quarantined.len(), rows.places.len()), (0, 1, 1));
    assert_eq!(outcome.quarantined[0].reasons, [Reason::of_record(Code::EXPRESSION_FAILED)]);
}

#[test]
fn evidence_is_kept_of_the_rows_that_pass_and_of_no_other() {
    let (mut rows, columns) = rows(&[Some("-1"), Some("70000"), Some("0"), Some("5")]);
    let value = Value::Column(0, columns[0].clone());
    let small = Output::new(column("n", "smallint"), value, true).expect("it converts");
    let filter = Some(compile("n >= 0", &columns));
    let transformer = Transformer::new(inputs(), filter, vec![small]);
    let outcome = transformer.transform_rows(&mut rows, Pace::Careful).expect("it transforms");
    let numbers: Vec<u64> = rows.places.iter().map(|place| place.row_number).collect();
    assert_eq!(numbers, [3, 4]);
    let evidence = outcome.evidence.expect("evidence");
    assert_eq!(evidence.records.num_rows(), rows.places.len());
    let record = |n: &str| Some(serde_json::json!({ "n": n, "email": "abcd" }));
    assert_eq!([evidence.record_of(0), evidence.record_of(1)], [record("0"), record("5")]);
}
