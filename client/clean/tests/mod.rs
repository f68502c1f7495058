//! Whole batches through the stage: what becomes of rows, of rejects, and of rules that cannot be.

mod documented;
mod properties;

use arrow_array::{Int32Array, StringArray};
use ferry::batch::Batch as Rows;
use ferry::position::{Place, Position};
use ferry::reject::{Reason, Reject};

use super::*;
use crate::stage::StagedReject;

fn column(name: &str, column_type: ColumnType) -> Column {
    Column { name: name.to_owned(), column_type }
}

fn cleaning(rules: &[CleanRule], column_type: ColumnType) -> ColumnCleaning {
    ColumnCleaning { rules: rules.to_vec(), column_type }
}

fn texts(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn integers(values: &[Option<i32>]) -> ArrayRef {
    Arc::new(Int32Array::from(values.to_vec()))
}

fn place(row_number: u64) -> Place {
    Place { row_number, byte_start: row_number * 10, byte_end: row_number * 10 + 10 }
}

/// A batch of rows 1, 2, … with these columns.
fn batch(columns: &[Column], arrays: Vec<ArrayRef>, rejects: Vec<StagedReject>) -> Batch<Clean> {
    let records = RecordBatch::try_new(arrow_schema(columns), arrays).expect("they fit");
    let places = (1..=records.num_rows() as u64).map(place).collect();
    let (start, end) = (Position::default(), Position::default());
    Batch::new(Rows { records, places, start, end }, rejects, Clean(()))
}

/// What the source refused of a row.
fn refused(reasons: Vec<Reason>, fields: &[Option<&str>]) -> StagedReject {
    let fields = fields.iter().map(|field| field.map(str::to_owned)).collect();
    StagedReject { stage: "read", reject: Reject { place: place(9), reasons, fields } }
}

/// A number that is cleaned, an address, a text and a number that are left alone.
fn people() -> (Vec<Column>, Cleaner) {
    let columns = vec![
        column("id", ColumnType::Text),
        column("email", ColumnType::Text),
        column("note", ColumnType::Text),
        column("count", ColumnType::Integer),
    ];
    let cleanings = [
        cleaning(&[CleanRule::Trim, CleanRule::Default("0".to_owned())], ColumnType::Integer),
        cleaning(&[CleanRule::Email], ColumnType::Text),
        cleaning(&[], ColumnType::Text),
        cleaning(&[], ColumnType::Integer),
    ];
    let cleaner = Cleaner::new(&columns, &cleanings).expect("usable rules");
    (columns, cleaner)
}

#[test]
fn rows_become_clean_and_typed() {
    let (columns, cleaner) = people();
    let note = texts(&[Some(" a "), None]);
    let arrays = vec![
        texts(&[Some(" 7 "), None]),
        texts(&[Some("Ann@X.example"), Some("")]),
        Arc::clone(&note),
        integers(&[Some(1), None]),
    ];
    let after = cleaner.cleaned(batch(&columns, arrays, Vec::new())).expect("it cleans");
    let records = &after.rows.records;
    assert_eq!(records.schema_ref(), &arrow_schema(&cleaner.columns));
    assert_eq!(records.column(0), &integers(&[Some(7), Some(0)]));
    assert_eq!(records.column(1), &texts(&[Some("ann@x.example"), None]));
    assert!(Arc::ptr_eq(records.column(2), &note));
    assert!(after.rejects.is_empty());
}

#[test]
fn a_row_leaves_with_all_its_reasons_and_without_what_could_not_be_read() {
    let (columns, cleaner) = people();
    let arrays = vec![
        texts(&[Some("1"), Some("x"), Some(" 3 "), Some(" 4 ")]),
        texts(&[Some("a@x.example"), Some("nobody"), None, Some("nobody")]),
        texts(&[Some("n"), Some(" m "), None, None]),
        integers(&[Some(7), Some(8), None, None]),
    ];
    let after = cleaner.cleaned(batch(&columns, arrays, Vec::new())).expect("it cleans");
    assert_eq!(after.rows.places, [place(1), place(3)]);
    assert_eq!(after.rows.records.column(0), &integers(&[Some(1), Some(3)]));
    let bad_email = || Reason::of_column(Code::BAD_EMAIL, "email");
    let second = Reject {
        place: place(2),
        reasons: vec![Reason::of_column(Code::BAD_INTEGER, "id"), bad_email()],
        fields: vec![None, None, Some(" m ".to_owned()), Some("8".to_owned())],
    };
    let fourth = Reject {
        place: place(4),
        reasons: vec![bad_email()],
        fields: vec![Some("4".to_owned()), None, None, None],
    };
    assert!(after.rejects.iter().all(|staged| staged.stage == "clean"));
    let rejects: Vec<Reject> = after.rejects.into_iter().map(|staged| staged.reject).collect();
    // Compared apart, because a reject prints no fields.
    assert_eq!(rejects[0].fields, second.fields);
    assert_eq!(rejects[1].fields, fourth.fields);
    assert_eq!(rejects, [second, fourth]);
}

#[test]
fn what_the_source_refused_is_cleaned_like_a_row() {
    let (columns, cleaner) = people();
    let bad_count = || Reason::of_column(Code::BAD_INTEGER, "count");
    let unreadable = Reason::of_column(Code::BAD_UTF8, "id");
    let too_few = Reason::of_record(Code::TOO_FEW_FIELDS);
    let rejects = vec![
        refused(vec![bad_count()], &[Some(" x "), Some("Ann@X.example "), Some(" n "), None]),
        refused(vec![bad_count()], &[None, Some("nobody"), None, None]),
        refused(vec![unreadable.clone()], &[None, Some(" "), None, Some("1")]),
        refused(vec![too_few.clone()], &[]),
    ];
    let arrays = vec![texts(&[]), texts(&[]), texts(&[]), integers(&[])];
    let after = cleaner.cleaned(batch(&columns, arrays, rejects)).expect("it cleans");
    let found: Vec<(Vec<Reason>, Vec<Option<String>>)> = after
        .rejects
        .into_iter()
        .map(|staged| (staged.reject.reasons, staged.reject.fields))
        .collect();
    let text = |text: &str| Some(text.to_owned());
    let bad_email = Reason::of_column(Code::BAD_EMAIL, "email");
    let expected = [
        (
            vec![bad_count(), Reason::of_column(Code::BAD_INTEGER, "id")],
            vec![None, text("ann@x.example"), text(" n "), None],
        ),
        (vec![bad_count(), bad_email], vec![text("0"), None, None, None]),
        (vec![unreadable], vec![None, None, None, text("1")]),
        (vec![too_few], Vec::new()),
    ];
    assert_eq!(found, expected);
}

#[track_caller]
fn assert_unusable(asked: ColumnType, cleaning: ColumnCleaning, hint: &str) {
    let error = Cleaner::new(&[column("x", asked)], &[cleaning]).err();
    let text = error.map(|error| error.to_string()).unwrap_or_default();
    assert!(text.starts_with("column \"x\"") && text.contains(hint), "{text}");
}

#[test]
fn rules_that_cannot_be_carried_out_name_their_column() {
    let phone = CleanRule::Phone { region: "XX".to_owned() };
    assert_unusable(ColumnType::Text, cleaning(&[phone], ColumnType::Text), "\"XX\"");
    let trim = cleaning(&[CleanRule::Trim], ColumnType::Integer);
    assert_unusable(ColumnType::Integer, trim, "not read as text");
    let number = cleaning(&[default("x")], ColumnType::Integer);
    assert_unusable(ColumnType::Text, number, "bad_integer");
    assert_unusable(ColumnType::Text, cleaning(&[default("a\0")], ColumnType::Text), "nul_byte");
    let email = cleaning(&[default("nobody"), CleanRule::Email], ColumnType::Text);
    assert_unusable(ColumnType::Text, email, "bad_email");
}

fn default(text: &str) -> CleanRule {
    CleanRule::Default(text.to_owned())
}

#[test]
fn a_default_is_judged_as_the_rules_after_it_leave_it() {
    let digits = cleaning(&[default("no. 7"), CleanRule::Digits], ColumnType::Integer);
    assert!(Cleaner::new(&[column("x", ColumnType::Text)], &[digits]).is_ok());
}

#[test]
fn a_single_value_is_cleaned_and_never_shown() {
    let rules = [CleanRule::Trim, CleanRule::Email];
    let cleaned = clean_text(&rules, Some(" Ann@X.example")).expect("an address");
    assert_eq!(cleaned.as_deref(), Some("ann@x.example"));
    assert!(clean_text(&rules, None).expect("nothing to clean").is_none());
    let error = clean_text(&rules, Some("secret")).expect_err("no address");
    let text = "the value is not a valid e-mail address after cleaning (bad_email)";
    assert_eq!(error.to_string(), text);
    assert!(!format!("{error:?}").contains("secret"));
}
