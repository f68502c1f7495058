//! Turns the columns of a file into their declarations, and into a line about each.

use ferry::schema::ColumnType;
use ferry::values::{FormatWords, Percent};

use super::column::{Column, NULL_WORDS};
use super::infer::Choice;
use super::mask::mask;
use super::render::Report;
use super::toml_text::{key, string, strings};

/// Names longer than this are not waited for.
const NAME_WIDTH_MAX: usize = 32;

/// `columns`, as a table or, where the file does not name them, as a list.
pub(super) fn declarations(names: &[String], choices: &[Choice], are_listed: bool) -> Vec<String> {
    let mut lines = Vec::new();
    let columns = names.iter().zip(choices);
    if are_listed {
        lines.push("columns = [".to_owned());
        for (name, choice) in columns {
            let item = if is_plain_text(choice) {
                string(name)
            } else {
                format!("{{ name = {}, {} }}", string(name), keys(choice).join(", "))
            };
            lines.push(format!("    {item},"));
        }
        lines.push("]".to_owned());
        return lines;
    }
    for (name, choice) in columns.filter(|(_, choice)| !is_plain_text(choice)) {
        if lines.is_empty() {
            lines.push(String::new());
            lines.push("[dataset.columns] # others are text".to_owned());
        }
        let keys = keys(choice);
        let declared = match keys.len() {
            1 => string(&choice.column_type.to_string()),
            _ => format!("{{ {} }}", keys.join(", ")),
        };
        lines.push(format!("{} = {declared}", key(name)));
    }
    lines
}

/// A comment on each column.
pub(super) fn describe(report: &Report<'_>) -> Vec<String> {
    let names: Vec<String> = report.survey.names.iter().map(|name| key(name)).collect();
    let widths = names.iter().map(|name| name.chars().count());
    let width = widths.max().unwrap_or(0).min(NAME_WIDTH_MAX);
    let mut lines = Vec::new();
    for ((name, column), choice) in names.iter().zip(&report.survey.columns).zip(report.choices) {
        let about = about(column, choice, report.request.values);
        lines.push(format!("#   {name:<width$}  {about}"));
        if let Some(remark) = &choice.remark {
            lines.push(format!("#   {:<width$}  ({remark})", ""));
        }
    }
    lines
}

fn about(column: &Column, choice: &Choice, shows_values: bool) -> String {
    let mut parts = vec![choice.column_type.to_string()];
    let nulls = column.nulls + words_for_null(column, choice);
    let share = share(nulls, column.nulls + column.values);
    parts.push(format!("{nulls} null ({share})"));
    let distinct = column.distinct.estimate().min(column.values);
    parts.push(format!("about {distinct} distinct"));
    if let (Some(smallest), Some(largest)) = (&choice.smallest, &choice.largest) {
        let show = |value: &str| {
            let shown = if shows_values { value.to_owned() } else { mask(value) };
            string(&shown)
        };
        parts.push(format!("{} to {}", show(smallest), show(largest)));
    }
    parts.push(format!("longest {}", column.longest));
    if !column.shapes.is_empty() {
        let shapes: Vec<String> = column.shapes.iter().map(|shape| string(shape)).collect();
        parts.push(format!("such as {}", shapes.join(" ")));
    }
    parts.join(", ")
}

/// Values that are words for NULL by the declaration.
fn words_for_null(column: &Column, choice: &Choice) -> u64 {
    let counted = NULL_WORDS.iter().zip(column.null_words);
    counted.filter(|(word, _)| choice.nulls.contains(word)).map(|(_, count)| count).sum()
}

/// A share of records in percent, with one digit behind the point.
fn share(part: u64, whole: u64) -> String {
    let thousandths = part.saturating_mul(1000) / whole.max(1);
    if part > 0 && thousandths == 0 {
        return "under 0.1 %".to_owned();
    }
    format!("{}.{} %", thousandths / 10, thousandths % 10)
}

fn is_plain_text(choice: &Choice) -> bool {
    choice.column_type == ColumnType::Text && keys(choice).len() == 1
}

/// The keys of a column, the type first.
fn keys(choice: &Choice) -> Vec<String> {
    let FormatWords {
        format,
        time_zone,
        decimal,
        thousands,
        currency,
        percent,
        true_words,
        false_words,
        ..
    } = &choice.words;
    let mut keys = vec![format!("type = {}", string(&choice.column_type.to_string()))];
    let words = [
        ("format", format),
        ("time_zone", time_zone),
        ("decimal", decimal),
        ("thousands", thousands),
    ];
    for (name, word) in words {
        keys.extend(word.iter().map(|word| format!("{name} = {}", string(word))));
    }
    keys.extend(currency.iter().map(|signs| format!("currency = {}", list(signs))));
    if let Some(percent) = percent {
        let word = match percent {
            Percent::Fraction => "fraction",
            Percent::Number => "number",
        };
        keys.push(format!("percent = {}", string(word)));
    }
    keys.extend(true_words.iter().map(|words| format!("true = {}", list(words))));
    keys.extend(false_words.iter().map(|words| format!("false = {}", list(words))));
    if !choice.nulls.is_empty() {
        keys.push(format!("null = {}", strings(choice.nulls.iter().copied())));
    }
    keys
}

fn list(words: &[String]) -> String {
    strings(words.iter().map(String::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(column_type: ColumnType, words: FormatWords, nulls: Vec<&'static str>) -> Choice {
        Choice { column_type, words, nulls, smallest: None, largest: None, remark: None }
    }

    #[test]
    fn columns_are_declared_as_briefly_as_can_be() {
        let comma = FormatWords { decimal: Some(",".to_owned()), ..FormatWords::default() };
        let names = ["id".to_owned(), "net sum".to_owned(), "note".to_owned()];
        let choices = [
            choice(ColumnType::Bigint, FormatWords::default(), Vec::new()),
            choice(ColumnType::Numeric(None), comma, vec!["NA"]),
            choice(ColumnType::Text, FormatWords::default(), Vec::new()),
        ];
        let table = declarations(&names, &choices, false);
        assert_eq!(
            table[1..],
            [
                "[dataset.columns] # others are text",
                "id = \"bigint\"",
                "\"net sum\" = { type = \"numeric\", decimal = \",\", null = [\"NA\"] }",
            ]
        );
        let listed = declarations(&names, &choices, true);
        assert_eq!(listed[1], "    { name = \"id\", type = \"bigint\" },");
        assert_eq!(listed[3], "    \"note\",");
    }

    #[test]
    fn shares_have_one_digit_behind_the_point() {
        assert_eq!(share(1, 3), "33.3 %");
        assert_eq!(share(0, 0), "0.0 %");
        assert_eq!(share(1, 5000), "under 0.1 %");
    }
}
