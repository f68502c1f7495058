//! The examples of `docs/types.md` are true: each line of its table is carried out.

use toml::{Table, Value};

use super::super::{FormatWords, Percent};
use super::read;

const PAGE: &str = include_str!("../../../docs/types.md");
const HEADER: &str = "| declared | field | becomes |";

fn text_of_word(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

fn list_of_words(value: &Value) -> Vec<String> {
    value.as_array().expect("a list").iter().map(text_of_word).collect()
}

/// A declaration as settings have it: its type and its words.
fn declaration(cell: &str) -> (String, FormatWords) {
    let table: Table = toml::from_str(&format!("column = {cell}")).expect("TOML");
    let mut type_name = None;
    let mut words = FormatWords::default();
    for (key, value) in table["column"].as_table().expect("a table") {
        match key.as_str() {
            "type" => type_name = Some(text_of_word(value)),
            "format" => words.format = Some(text_of_word(value)),
            "time_zone" => words.time_zone = Some(text_of_word(value)),
            "decimal" => words.decimal = Some(text_of_word(value)),
            "thousands" => words.thousands = Some(text_of_word(value)),
            "currency" => words.currency = Some(list_of_words(value)),
            "percent" => {
                words.percent = Some(match value.as_str() {
                    Some("fraction") => Percent::Fraction,
                    Some("number") => Percent::Number,
                    _ => panic!("{cell}"),
                });
            }
            "true" => words.true_words = Some(list_of_words(value)),
            "false" => words.false_words = Some(list_of_words(value)),
            _ => panic!("{cell}"),
        }
    }
    (type_name.expect("a type"), words)
}

#[test]
fn the_page_says_what_happens() {
    let mut count = 0;
    let mut lines = PAGE.lines();
    while lines.by_ref().any(|line| line == HEADER) {
        for line in lines.by_ref().skip(1).take_while(|line| line.starts_with('|')) {
            let cells: Vec<&str> = line
                .trim_matches('|')
                .split('|')
                .map(|cell| cell.trim().trim_matches('`'))
                .collect();
            let &[declared, field, becomes] = cells.as_slice() else {
                panic!("{line}");
            };
            let (type_name, words) = declaration(declared);
            let outcome = match read(&type_name, words, field) {
                Ok(value) => value.unwrap_or_default(),
                Err(code) => code.to_string(),
            };
            assert_eq!(outcome, becomes, "{line}");
            count += 1;
        }
    }
    assert!(count > 20, "the examples were not found");
}
