//! What is asked for of files that do not fit, and what becomes of their rows.

use arrow_array::{Int64Array, StringArray};
use ferry::position::{Place, Position};

use super::*;

fn column(name: &str, column_type: ColumnType) -> Column {
    Column { name: name.to_owned(), column_type }
}

/// `uid bigint, email text`.
fn wanted() -> Vec<Column> {
    vec![column("uid", ColumnType::Bigint), column("email", ColumnType::Text)]
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn fit(header: &[&str], misfit: &Misfit) -> Fit {
    Fit::new(&wanted(), Some(&names(header)), misfit)
}

/// Rows are refused; `uid`, `email` and `note` may be there.
fn reject() -> Misfit {
    Misfit::Reject { expected: Some(names(&["uid", "email", "note"])) }
}

fn asked(fit: &Fit) -> Vec<String> {
    fit.asked().iter().map(|column| format!("{} {}", column.name, column.column_type)).collect()
}

fn place(row_number: u64) -> Place {
    Place { row_number, byte_start: row_number * 10, byte_end: row_number * 10 + 10 }
}

/// Rows from number 2 on, as the source would send them.
fn sent(fit: &Fit, arrays: Vec<ArrayRef>) -> Rows {
    let records = RecordBatch::try_new(arrow_schema(fit.asked()), arrays).expect("a batch");
    let count = records.num_rows() as u64;
    Rows {
        records,
        places: (2..2 + count).map(place).collect(),
        start: Position::default(),
        end: Position { byte_offset: 1000, row_number: 100 },
    }
}

fn integers(values: [i64; 2]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

fn texts(values: [Option<&str>; 2]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn apply(fit: &Fit, rows: &mut Rows) -> Vec<Reject> {
    let mut rejects = Vec::new();
    fit.apply(rows, &mut rejects).expect("the batch fits");
    rejects
}

fn reason(code: Code, column: &str) -> Reason {
    Reason::of_column(code, column)
}

/// Texts of a column that came out.
fn column_texts(rows: &Rows, index: usize) -> Vec<Option<String>> {
    let column = rows.records.column(index);
    (0..rows.records.num_rows()).map(|row| text_of(column.as_ref(), row)).collect()
}

#[test]
fn a_file_that_fits_is_not_touched() {
    let others = ["note", "email", "uid"];
    let unbound = Misfit::Reject { expected: None };
    for misfit in [Misfit::Refuse, Misfit::Fill, reject(), unbound] {
        let fit = fit(&others, &misfit);
        assert!(fit.mending.is_none(), "{misfit:?}");
        assert_eq!(fit.asked(), wanted(), "{misfit:?}");
        let mut rows = sent(&fit, vec![integers([1, 2]), texts([None, Some("x")])]);
        let before = Arc::clone(rows.records.column(0));
        assert!(apply(&fit, &mut rows).is_empty());
        assert!(Arc::ptr_eq(&before, rows.records.column(0)), "no copy");
    }
}

#[test]
fn without_a_header_or_a_policy_the_source_decides() {
    let lacking = ["uid"];
    assert_eq!(fit(&lacking, &Misfit::Refuse).asked(), wanted());
    let blind = Fit::new(&wanted(), None, &reject());
    assert_eq!(blind.asked(), wanted());
    assert!(!blind.refuses_rows());
}

#[test]
fn what_lacks_is_null_of_its_type() {
    let fit = fit(&["email", "phone"], &Misfit::Fill);
    assert_eq!(asked(&fit), ["email text"]);
    assert!(!fit.refuses_rows());
    let mut rows = sent(&fit, vec![texts([Some("a"), Some("b")])]);
    assert!(apply(&fit, &mut rows).is_empty());
    assert_eq!(rows.records.schema(), arrow_schema(&wanted()));
    assert_eq!(column_texts(&rows, 0), [None, None]);
    assert_eq!(column_texts(&rows, 1), [Some("a".to_owned()), Some("b".to_owned())]);
    assert_eq!(rows.places, [place(2), place(3)]);
}

#[test]
fn a_file_with_no_wanted_column_still_counts_its_rows() {
    let fit = fit(&["phone", "fax"], &Misfit::Fill);
    assert_eq!(asked(&fit), ["phone text"]);
    let mut rows = sent(&fit, vec![texts([Some("1"), None])]);
    let unreadable = Reject {
        place: place(1),
        reasons: vec![reason(Code::BAD_UTF8, "phone")],
        fields: vec![None],
    };
    let mut rejects = vec![unreadable];
    fit.apply(&mut rows, &mut rejects).expect("the batch fits");
    assert_eq!(column_texts(&rows, 1), [None, None]);
    assert_eq!(rejects[0].reasons, [Reason::of_record(Code::BAD_UTF8)]);
    assert_eq!(rejects[0].fields, [None, None]);
}

#[test]
fn every_row_of_a_file_that_lacks_a_column_is_refused() {
    let fit = fit(&["note", "uid"], &reject());
    assert_eq!(asked(&fit), ["uid bigint"]);
    assert!(fit.refuses_rows());
    let mut rows = sent(&fit, vec![integers([7, 8])]);
    let rejects = apply(&fit, &mut rows);
    assert_eq!((rows.records.num_rows(), rows.places.len()), (0, 0));
    assert_eq!(rows.records.schema(), arrow_schema(&wanted()));
    assert_eq!(rejects.len(), 2);
    assert_eq!(rejects[1].place, place(3));
    assert_eq!(rejects[1].reasons, [reason(Code::MISSING_COLUMN, "email")]);
    assert_eq!(rejects[1].fields, [Some("8".to_owned()), None]);
}

#[test]
fn only_rows_with_a_value_that_nobody_expected_are_refused() {
    let fit = fit(&["phone", "uid", "note", "email"], &reject());
    assert_eq!(asked(&fit), ["uid bigint", "email text", "phone text"]);
    let arrays = vec![integers([1, 2]), texts([Some("a"), None]), texts([None, Some("5")])];
    let mut rows = sent(&fit, arrays);
    let rejects = apply(&fit, &mut rows);
    assert_eq!(column_texts(&rows, 0), [Some("1".to_owned())]);
    assert_eq!((rows.records.num_columns(), &rows.places[..]), (2, &[place(2)][..]));
    assert_eq!(rejects.len(), 1);
    assert_eq!(rejects[0].place, place(3));
    assert_eq!(rejects[0].reasons, [reason(Code::UNKNOWN_COLUMN, "phone")]);
    assert_eq!(rejects[0].fields, [Some("2".to_owned()), None]);
}

#[test]
fn rejects_of_the_source_get_the_wanted_order_and_further_reasons() {
    let fit = fit(&["phone", "email"], &reject());
    assert_eq!(asked(&fit), ["email text", "phone text"]);
    let refused = |row: u64, code: Reason, fields: &[Option<&str>]| Reject {
        place: place(row),
        reasons: vec![code],
        fields: fields.iter().map(|field| field.map(str::to_owned)).collect(),
    };
    let mut rejects = vec![
        refused(1, reason(Code::NUL_BYTE, "phone"), &[Some("a"), None]),
        refused(4, reason(Code::BAD_UTF8, "email"), &[None, Some("5")]),
        refused(5, Reason::of_record(Code::TOO_FEW_FIELDS), &[]),
    ];
    let mut rows = sent(&fit, vec![texts([None, None]), texts([None, None])]);
    fit.apply(&mut rows, &mut rejects).expect("the batch fits");
    let numbers: Vec<u64> = rejects.iter().map(|reject| reject.place.row_number).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5], "in the order of the file");
    let missing = || reason(Code::MISSING_COLUMN, "uid");
    let unknown = || reason(Code::UNKNOWN_COLUMN, "phone");
    assert_eq!(rejects[0].reasons, [unknown(), missing()]);
    assert_eq!(rejects[0].fields, [None, Some("a".to_owned())]);
    assert_eq!(rejects[1].reasons, [missing()]);
    assert_eq!(rejects[3].reasons, [reason(Code::BAD_UTF8, "email"), unknown(), missing()]);
    assert_eq!(rejects[3].fields, [None, None]);
    assert_eq!(rejects[4].reasons, [Reason::of_record(Code::TOO_FEW_FIELDS), missing()]);
    assert!(rejects[4].fields.is_empty());
}

#[test]
fn a_batch_of_rejects_alone_has_the_wanted_columns() {
    let fit = fit(&["uid"], &Misfit::Fill);
    let mut rows = sent(&fit, vec![Arc::new(Int64Array::from(Vec::<i64>::new()))]);
    assert!(apply(&fit, &mut rows).is_empty());
    assert_eq!(rows.records.schema(), arrow_schema(&wanted()));
}

#[test]
fn names_of_the_source_do_not_grow_with_the_rows() {
    let long = format!("a\u{1b}\n{}", "ü".repeat(1000));
    let header = vec!["uid".to_owned(), "email".to_owned(), long.clone()];
    let fit = Fit::new(&wanted(), Some(&header), &reject());
    assert_eq!(fit.asked()[2].name, long, "the source is asked for it by its name");
    let mut rows =
        sent(&fit, vec![integers([1, 2]), texts([None, None]), texts([None, Some("x")])]);
    let rejects = apply(&fit, &mut rows);
    let told = rejects[0].reasons[0].column.clone().expect("a column");
    assert!(told.len() <= NAME_BYTES_MAX && told.starts_with("a\u{fffd}\u{fffd}ü"), "{told}");
}

#[test]
fn a_row_has_a_bounded_number_of_reasons() {
    let many: Vec<Column> =
        (0..100).map(|number| column(&format!("c{number}"), ColumnType::Text)).collect();
    let fit = Fit::new(&many, Some(&names(&["uid"])), &Misfit::Reject { expected: None });
    let mut rows = sent(&fit, vec![texts([None, Some("1")])]);
    let rejects = apply(&fit, &mut rows);
    assert_eq!(rejects[0].reasons.len(), REASONS_MAX);
    assert_eq!(rejects[0].fields.len(), many.len());
}
