//! Tests of expressions: their errors, the rows for which they fail, and every example of the book.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, Schema, SchemaRef};
use ferry::schema::{Column, arrow_schema};
use ferry::values::{ColumnBuilder, text_of};

use super::*;

/// Name, type and values of a column.
type Example<'a> = (&'a str, &'a str, &'a [Option<&'a str>]);

fn batch(examples: &[Example<'_>]) -> RecordBatch {
    let mut columns = Vec::new();
    let mut arrays: Vec<ArrayRef> = Vec::new();
    for (name, type_name, values) in examples {
        let column_type = type_name.parse().expect("a type");
        let mut builder = ColumnBuilder::new(column_type);
        for value in *values {
            builder.append(value.map(str::as_bytes)).expect("a value of the type");
        }
        arrays.push(builder.finish().expect("an array"));
        columns.push(Column { name: (*name).to_owned(), column_type });
    }
    RecordBatch::try_new(arrow_schema(&columns), arrays).expect("a batch")
}

fn people() -> RecordBatch {
    batch(&[
        ("first_name", "text", &[Some("Ann"), Some("Bob"), None]),
        ("Last Name", "text", &[Some("Lee"), Some("Ray"), Some("Fox")]),
        ("age", "integer", &[Some("40"), Some("0"), Some("2147483647")]),
        ("weight", "double precision", &[Some("80.5"), Some("0"), None]),
        ("balance", "numeric(12,2)", &[Some("1.50"), Some("-2"), None]),
        ("wide", "numeric", &[Some("1"), Some("12"), Some("9")]),
        ("uid", "uuid", &[Some("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"), None, None]),
        ("born", "date", &[Some("1984-02-29"), Some("0044-03-15 BC"), None]),
    ])
}

fn evaluate(text: &str) -> (Vec<Option<String>>, Vec<usize>) {
    let batch = people();
    let expression =
        Expression::compile("set.x", text, &batch.schema()).expect("the expression compiles");
    let evaluate::Evaluated { values, failed } = expression.evaluate(&batch).expect("it evaluates");
    assert_eq!(values.data_type(), expression.data_type(), "{text}");
    let texts = (0..values.len()).map(|row| text_of(&values, row)).collect();
    (texts, failed)
}

#[track_caller]
fn assert_gives(text: &str, expected: [Option<&str>; 3], failed: &[usize]) {
    let (texts, found_failed) = evaluate(text);
    assert_eq!(texts, expected.map(|value| value.map(str::to_owned)), "{text}");
    assert_eq!(found_failed, failed, "{text}");
}

fn error(text: &str) -> String {
    let schema = people().schema();
    Expression::compile("set.x", text, &schema).expect_err("it does not compile").to_string()
}

#[test]
fn rows_that_fail_are_alone() {
    assert_gives("100 / age", [Some("2"), None, Some("0")], &[1]);
    assert_gives("age + CAST(1 AS integer)", [Some("41"), Some("1"), None], &[2]);
    assert_gives("-age - 2", [Some("-42"), Some("-2"), Some("-2147483649")], &[]);
    assert_gives("weight / weight", [Some("1"), None, None], &[1]);
    assert_gives("CAST(first_name AS integer)", [None, None, None], &[0, 1]);
}

#[test]
fn branches_that_are_not_taken_do_not_fail() {
    assert_gives(
        "CASE WHEN age = 0 THEN -1 ELSE 100 / age END",
        [Some("2"), Some("-1"), Some("0")],
        &[],
    );
    assert_gives("age <> 0 AND 100 / age > 1", [Some("true"), Some("false"), Some("false")], &[]);
}

#[test]
fn values_follow_postgresql() {
    assert_gives(
        "first_name || ' ' || \"Last Name\"",
        [Some("Ann Lee"), Some("Bob Ray"), None],
        &[],
    );
    assert_gives("balance * 2", [Some("3.00"), Some("-4.00"), None], &[]);
    assert_gives("uid = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", [Some("true"), None, None], &[]);
    assert_gives("date_part('month', born)", [Some("2"), Some("3"), None], &[]);
    assert_gives("weight > 0.0", [Some("true"), Some("false"), None], &[]);
    assert_gives("weight * 1e-20 > 0.0", [Some("true"), Some("false"), None], &[]);
    assert_gives("COALESCE(weight, 0.5)", [Some("80.5"), Some("0"), Some("0.5")], &[]);
    assert_gives("CAST(balance * 1.8 AS integer)", [Some("3"), Some("-4"), None], &[]);
    assert_gives("CAST(weight / 1 AS integer)", [Some("81"), Some("0"), None], &[]);
    assert_gives("COALESCE(first_name, 'nobody')", [Some("Ann"), Some("Bob"), Some("nobody")], &[]);
    assert_gives("wide::numeric(12,2) > 10", [Some("false"), Some("true"), Some("false")], &[]);
}

#[test]
fn errors_point_into_the_expression() {
    assert_eq!(
        error("frist_name || 'x'"),
        "set.x: there is no column frist_name here: did you mean first_name?\n  \
         frist_name || 'x'\n  ^^^^^^^^^^"
    );
    assert_eq!(
        error("upper(uper(first_name))"),
        "set.x: there is no function uper: did you mean upper?\n  \
         upper(uper(first_name))\n        ^^^^^^^^^^^^^^^"
    );
    assert_eq!(error("age +"), "set.x: expected: an expression, found the end\n  age +\n       ^");
    assert!(error("\"last name\"").contains("did you mean \"Last Name\"?"));
    assert!(error("age = 1 2").ends_with("age = 1 2\n          ^"), "{}", error("age = 1 2"));
    assert!(error("first_name + 1").contains("^^^^^^^^^^^^^^"));
}

#[test]
fn what_would_surprise_is_refused() {
    for text in ["first_name > 5", "5 < first_name", "wide BETWEEN 1 AND 2", "wide IN (1, 2)"] {
        assert!(error(text).contains("compares text with a number"), "{text}: {}", error(text));
    }
    assert!(error("CAST(first_name AS bytea) || 'x' = 'y'").contains("bytea"));
    assert!(error("first_name SIMILAR TO '%n'").contains("SIMILAR TO"));
    assert!(error("first_name ~ first_name").contains("must be written out"));
    assert!(error("CAST(first_name AS varchar(3))").contains("does not cut"));
    assert!(error("9223372036854775807 + 1").contains("it fails whatever the row holds"));
    assert!(error(&"age+".repeat(2000)).contains("more than"));
    assert!(error("(SELECT 1)").contains("no subqueries"));
    assert!(error("sum(age)").contains("there is no function sum"));
    assert!(error("random()").contains("there is no function random"));
    assert!(error("1 / 0").contains("it fails whatever the row holds"));
    assert!(error("INTERVAL '1 day'").contains("no column can hold"));
    assert!(error("first_name; DROP TABLE x").contains("ends before"));
    assert!(error(&"(".repeat(200)).contains("nested more than"));
    assert!(error(&format!("{}age{}", "abs(".repeat(17), ")".repeat(17))).contains("nested more"));
    assert!(error("first_name ~ '('").contains("regular expression"));
    assert!(error("regexp_count(first_name, '(?<=x)y')").contains("regular expression"));
}

#[test]
fn conditions_are_true_or_false() {
    let schema = people().schema();
    assert!(Expression::predicate("filter", "age > 3", &schema).is_ok());
    let error = Expression::predicate("filter", "age + 3", &schema).expect_err("a number");
    assert!(error.to_string().starts_with("filter: it gives bigint, not true or false"), "{error}");
}

#[test]
fn the_columns_of_an_expression_are_known() {
    let schema = people().schema();
    let expression = Expression::compile("x", "age + weight", &schema).expect("it compiles");
    assert_eq!(expression.column_indexes(), [2, 3]);
    let names = column_names("x", "age + upper(\"Last Name\") || Age").expect("it parses");
    assert_eq!(names, ["age", "Last Name", "age"]);
    assert_eq!(is_bare_column("x", "(email)::text"), Ok(true));
    assert_eq!(is_bare_column("x", "upper(email)"), Ok(false));
}

#[test]
fn texts_of_every_type_compile_against_no_columns() {
    let empty: SchemaRef = Arc::new(Schema::empty());
    let expression = Expression::compile("x", "NULL", &empty).expect("it compiles");
    assert_eq!(expression.data_type(), &DataType::Utf8);
}

const BOOK: &str = include_str!("../../docs/expressions.md");

/// Rows of the book's tables whose first cell is an expression: expression and result.
fn examples() -> Vec<(String, String)> {
    let mut examples = Vec::new();
    let from = BOOK.find("## Operators").expect("the operators");
    for line in BOOK[from..].lines().filter(|line| line.starts_with("| `")) {
        // A bar inside of a cell is written with a backslash.
        let line = line.replace("\\|", "\u{1}");
        let cells: Vec<String> = line
            .split('|')
            .map(|cell| cell.trim().trim_matches('`').replace('\u{1}', "|"))
            .collect();
        examples.push((cells[1].clone(), cells[2].clone()));
    }
    examples
}

#[test]
fn every_example_of_the_book_holds() {
    let empty: SchemaRef = Arc::new(Schema::empty());
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    let row = RecordBatch::try_new_with_options(Arc::clone(&empty), Vec::new(), &options)
        .expect("a batch of no columns");
    let examples = examples();
    assert!(examples.len() > 100, "{}", examples.len());
    for (text, expected) in examples {
        let expression = Expression::compile("x", &text, &empty).unwrap_or_else(|e| panic!("{e}"));
        let evaluated = expression.evaluate(&row).expect("it evaluates");
        assert!(evaluated.failed.is_empty(), "{text} fails");
        let found = text_of(&evaluated.values, 0).unwrap_or_else(|| "NULL".to_owned());
        let varies = expected == "the time at which the run began";
        assert!(varies || found == expected, "{text} gives {found}, not {expected}");
    }
}

#[test]
fn every_function_is_in_the_book() {
    let examples = examples();
    for name in functions::names() {
        let is_shown = examples.iter().any(|(text, _)| text.to_lowercase().contains(&name));
        assert!(is_shown, "docs/expressions.md has no example of {name}");
    }
}
