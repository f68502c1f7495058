//! Tests of the whole stage, over batches whose mark says nothing.

use arrow_array::Int32Array;
use arrow_array::types::Int64Type;
use ferry::batch::Batch as Rows;
use ferry::hex;
use ferry::position::{Place, Position};
use ferry::reject::{Code, Reason, Reject};
use serde_json::{Value, json};

use super::*;
use crate::expression::Expression;
use crate::ledger::quarantine::QuarantinedRow;
use crate::stage::StagedReject;

const ADA: &str = "ada@x.example";
const ZOE: &str = "zoë@y.example";

fn column(name: &str, column_type: ColumnType) -> Column {
    Column { name: name.to_owned(), column_type }
}

/// Columns of a batch of three people; the second one has no e-mail, the third an empty one.
fn columns() -> Vec<Column> {
    vec![column("age", ColumnType::Integer), column("email", ColumnType::Text)]
}

fn people() -> Vec<ArrayRef> {
    vec![
        Arc::new(Int32Array::from(vec![Some(5), Some(0), None])),
        Arc::new(StringArray::from(vec![Some(ADA), None, Some("")])),
    ]
}

fn place(row_number: u64) -> Place {
    Place { row_number, byte_start: row_number * 10, byte_end: row_number * 10 + 10 }
}

fn batch(columns: &[Column], arrays: Vec<ArrayRef>, rejects: Vec<StagedReject>) -> Batch<()> {
    let records = RecordBatch::try_new(arrow_schema(columns), arrays).expect("a batch");
    let row_count = records.num_rows() as u64;
    let end = Position { byte_offset: 1000, row_number: row_count + rejects.len() as u64 };
    let places = (1..=row_count).map(place).collect();
    Batch::new(Rows { records, places, start: Position::default(), end }, rejects, ())
}

/// A row that an earlier stage refused.
fn rejected(fields: &[Option<&str>]) -> StagedReject {
    let fields = fields.iter().map(|field| field.map(str::to_owned)).collect();
    let reasons = vec![Reason::of_column(Code::BAD_INTEGER, "age")];
    StagedReject { stage: "source", reject: Reject { place: place(9), reasons, fields } }
}

fn hash() -> DomainHash {
    DomainHash::public("email")
}

/// The batch after the stage, `email` being treated as said.
fn protected(treatment: Treatment, rejects: Vec<StagedReject>) -> Batch<()> {
    let treatments = vec![Treatment::Keep, treatment];
    let stage = Pseudonymiser::new(&columns(), treatments, Vec::new());
    let mut batch = batch(&columns(), people(), rejects);
    stage.protect(&mut batch).expect("a pseudonymised batch");
    assert_eq!(batch.rows.records.schema(), arrow_schema(&stage.columns));
    assert_eq!(batch.rows.places, [place(1), place(2), place(3)]);
    assert!(batch.rejects.is_empty(), "nothing raw is left");
    batch
}

fn record(row: &QuarantinedRow) -> &Value {
    row.record.as_ref().expect("a record")
}

#[test]
fn each_treatment_gives_its_columns() {
    let columns: Vec<Column> =
        ["a", "b", "c", "d", "e", "f", "g"].map(|name| column(name, ColumnType::Text)).to_vec();
    let treatments = [
        Treatment::Drop,
        Treatment::Hash(hash(), Form::Bytea),
        Treatment::Keep,
        Treatment::Salted(hash(), Form::Bytea),
        Treatment::Salted(hash(), Form::Hex),
        Treatment::Mask { keep_last: 4 },
        Treatment::Hash(hash(), Form::Hex),
    ];
    let expected = [
        column("b", ColumnType::Bytea),
        column("c", ColumnType::Text),
        column("d", ColumnType::Bytea),
        column("d_salt", ColumnType::Bytea),
        column("e", ColumnType::Text),
        column("e_salt", ColumnType::Text),
        column("f", ColumnType::Text),
        column("g", ColumnType::Text),
    ];
    assert_eq!(treated_columns(&columns, &treatments), expected);
}

#[test]
fn hashed_rows_and_rejects_get_the_same_pseudonym() {
    for form in [Form::Bytea, Form::Hex] {
        let rejects = vec![rejected(&[Some("old"), Some(ADA)]), rejected(&[Some("old"), Some("")])];
        let batch = protected(Treatment::Hash(hash(), form), rejects);
        let pseudonym = hash().pseudonym(ADA.as_bytes());
        let emails = batch.rows.records.column(1);
        match form {
            Form::Bytea => assert_eq!(emails.as_binary::<i32>().value(0), pseudonym),
            Form::Hex => assert_eq!(emails.as_string::<i32>().value(0), hex::encode(&pseudonym)),
        }
        assert!(emails.is_null(1) && emails.is_null(2), "NULL and empty");
        let expected = json!({ "age": "old", "email": hex::encode(&pseudonym) });
        assert_eq!(record(&batch.quarantined[0]), &expected);
        assert_eq!(record(&batch.quarantined[1]), &json!({ "age": "old" }), "empty is absent");
        assert_eq!((batch.quarantined[0].stage, batch.quarantined[0].place), ("source", place(9)));
    }
}

#[test]
fn salted_rejects_verify_with_the_salt_beside_them() {
    let raw = [Some("old"), Some(ADA)];
    let rejects = vec![rejected(&raw), rejected(&raw), rejected(&[None, Some("")])];
    let batch = protected(Treatment::Salted(hash(), Form::Bytea), rejects);
    assert_eq!(batch.rows.records.num_columns(), 3);
    let [first, second] = [0, 1].map(|row| record(&batch.quarantined[row]));
    assert_ne!(first["email"], second["email"], "equal values differ");
    let salts = batch.rows.records.column(2).as_binary::<i32>();
    let emails = batch.rows.records.column(1).as_binary::<i32>();
    let salt: [u8; 16] = salts.value(0).try_into().expect("16 bytes");
    assert_eq!(emails.value(0), hash().salted(&salt, ADA.as_bytes()));

    let digits = first["email_salt"].as_str().expect("digits");
    let byte = |at: usize| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).expect("a byte");
    let salt: [u8; 16] = std::array::from_fn(byte);
    assert_eq!(first["email"], hex::encode(&hash().salted(&salt, ADA.as_bytes())));
    assert!(batch.quarantined[2].record.is_none(), "an empty value leaves neither");
}

#[test]
fn masked_and_dropped_columns_leave_no_raw_text() {
    let rejects = || vec![rejected(&[Some("old"), Some(ADA)])];
    let masked = protected(Treatment::Mask { keep_last: 3 }, rejects());
    let emails = masked.rows.records.column(1).as_string::<i32>();
    assert_eq!(emails.value(0), "********ple");
    assert!(emails.is_null(1) && emails.is_null(2));
    assert_eq!(record(&masked.quarantined[0]), &json!({ "age": "old", "email": "********ple" }));

    let dropped = protected(Treatment::Drop, rejects());
    assert_eq!(dropped.rows.records.num_columns(), 1);
    assert_eq!(record(&dropped.quarantined[0]), &json!({ "age": "old" }));
}

#[test]
fn a_row_without_fields_keeps_no_text() {
    let batch = protected(Treatment::Hash(hash(), Form::Hex), vec![rejected(&[])]);
    assert!(batch.quarantined[0].record.is_none());
    assert_eq!(batch.quarantined[0].reasons, [Reason::of_column(Code::BAD_INTEGER, "age")]);
}

#[test]
fn a_column_to_be_hashed_must_be_text() {
    let columns = [column("age", ColumnType::Integer)];
    let stage = Pseudonymiser::new(&columns, vec![Treatment::Hash(hash(), Form::Hex)], Vec::new());
    let ages: ArrayRef = Arc::new(Int32Array::from(vec![7]));
    let error = stage.protect(&mut batch(&columns, vec![ages], Vec::new()));
    assert!(error.is_err_and(|error| error.to_string().contains("must be text")));
}

fn derived(name: &str, column_type: ColumnType, text: &str) -> Derived {
    let setting = format!("transform.derive_before_hash.{name}");
    let expression = Expression::compile(&setting, text, &arrow_schema(&columns()));
    Derived { column: column(name, column_type), expression: expression.expect("an expression") }
}

#[test]
fn derived_columns_are_made_of_raw_values() {
    let mail_domain = derived("mail_domain", ColumnType::Text, "split_part(email, '@', 2)");
    let treatments = vec![Treatment::Drop, Treatment::Hash(hash(), Form::Bytea)];
    let stage = Pseudonymiser::new(&columns(), treatments, vec![mail_domain]);
    let expected = [column("email", ColumnType::Bytea), column("mail_domain", ColumnType::Text)];
    assert_eq!(stage.columns, expected);

    let emails: ArrayRef = Arc::new(StringArray::from(vec![Some(ADA), None, Some(ZOE)]));
    let ages = Arc::clone(&people()[0]);
    let mut batch = batch(&columns(), vec![ages, emails], Vec::new());
    stage.protect(&mut batch).expect("a pseudonymised batch");
    let domains = batch.rows.records.column(1).as_string::<i32>();
    let domains: Vec<Option<&str>> = domains.iter().collect();
    assert_eq!(domains, [Some("x.example"), None, Some("y.example")]);
}

#[test]
fn a_row_for_which_a_derived_column_fails_is_refused_with_pseudonyms() {
    let treatments = vec![Treatment::Keep, Treatment::Hash(hash(), Form::Bytea)];
    let share = derived("share", ColumnType::Bigint, "10 / age");
    let stage = Pseudonymiser::new(&columns(), treatments, vec![share]);
    let emails: ArrayRef = Arc::new(StringArray::from(vec![Some(ADA), Some(ZOE), None]));
    let ages = Arc::clone(&people()[0]);
    let mut batch = batch(&columns(), vec![ages, emails], vec![rejected(&[Some("old"), None])]);
    stage.protect(&mut batch).expect("a pseudonymised batch");

    let shares = batch.rows.records.column(2).as_primitive::<Int64Type>();
    assert_eq!(shares.iter().collect::<Vec<_>>(), [Some(2), None], "the row with age 0 is gone");
    assert_eq!(batch.rows.places, [place(1), place(3)]);
    let refused = batch.quarantined.iter().find(|row| row.stage == "pseudonym");
    let refused = refused.expect("a refused row");
    assert_eq!(refused.place, place(2));
    assert_eq!(refused.reasons, [Reason::of_column(Code::EXPRESSION_FAILED, "share")]);
    let pseudonym = hex::encode(&hash().pseudonym(ZOE.as_bytes()));
    assert_eq!(record(refused), &json!({ "age": "0", "email": pseudonym }));
    assert_eq!(batch.quarantined.len(), 2, "the row that the source refused is there too");
}
