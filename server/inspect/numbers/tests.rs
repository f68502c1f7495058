//! Fields become numbers of one type, written in one way, or none.

use super::*;

fn chosen(fields: &[&str]) -> String {
    let mut numbers = Numbers::default();
    for field in fields {
        numbers.take(field.as_bytes());
    }
    if !numbers.fit.is_whole() {
        return "no number".to_owned();
    }
    match numbers.choose() {
        None => "no number".to_owned(),
        Some(NumberChoice::Ambiguous) => "ambiguous".to_owned(),
        Some(NumberChoice::Typed { column_type, words, smallest, largest, .. }) => {
            let word = |name: &str, word: Option<String>| {
                word.map(|word| format!(" {name}{word}")).unwrap_or_default()
            };
            let currency = words.currency.map(|signs| signs.join("|"));
            let percent = words.percent.map(|_| "%".to_owned());
            format!(
                "{column_type}{}{}{}{} {}..{}",
                word("d", words.decimal),
                word("t", words.thousands),
                word("c", currency),
                word("", percent),
                smallest.unwrap_or_default(),
                largest.unwrap_or_default(),
            )
        }
    }
}

#[test]
fn whole_numbers_get_the_narrowest_type() {
    assert_eq!(chosen(&["0", "1", "-7"]), "smallint -7..1");
    assert_eq!(chosen(&["1", "32768"]), "integer 1..32768");
    assert_eq!(chosen(&["-2147483649", "1"]), "bigint -2147483649..1");
    // Longer than what extremes are kept of.
    assert_eq!(chosen(&["9223372036854775808"]), "numeric(19,0) ..");
}

#[test]
fn fractions_keep_the_digits_seen() {
    assert_eq!(chosen(&["1.5", "-12.25", "100"]), "numeric(5,2) -12.25..100");
    assert_eq!(chosen(&["0.5", ".25"]), "numeric(3,2) .25..0.5");
    assert_eq!(chosen(&["1.234", "5.678"]), "numeric(4,3) 1.234..5.678");
    assert!(chosen(&["1e5", "2.5E-3"]).starts_with("double precision"));
    assert_eq!(chosen(&["1.5", "-Infinity", "inf"]), "double precision 1.5..1.5");
    for fields in [&["inf", "inf"][..], &["inf", "1,5"], &["inf", "$5"], &["inf", "5%"]] {
        assert_eq!(chosen(fields), "no number", "{fields:?}");
    }
}

#[test]
fn names_in_digits_stay_text() {
    for fields in [&["007", "12"][..], &["+49123"], &["1", "2", "x"], &["1-2"], &["12 34"]] {
        assert_eq!(chosen(fields), "no number", "{fields:?}");
    }
    assert_eq!(chosen(&["123 456 789", "987 654 321"]), "no number");
}

#[test]
fn other_ways_of_writing_are_told_apart() {
    assert_eq!(chosen(&["1,5", "12"]), "numeric(3,1) d, 1,5..12");
    assert_eq!(chosen(&["1.234,56", "7,00"]), "numeric(6,2) d, t. 7,00..1.234,56");
    assert_eq!(chosen(&["1,234.56", "7.00"]), "numeric(6,2) t, 7.00..1,234.56");
    assert_eq!(chosen(&["1 234,5", "7,0"]), "numeric(5,1) d, t  7,0..1 234,5");
    assert_eq!(chosen(&["1,234,567", "1,234"]), "integer t, 1,234..1,234,567");
    assert_eq!(chosen(&["1,234", "5,678"]), "ambiguous");
    assert_eq!(chosen(&["1.5", "1,5", "1,5"]), "no number");
}

#[test]
fn points_before_three_digits_may_stand_between_thousands() {
    for (fields, expected) in
        [(["1.234", "12"], true), (["0.234", "1.234"], false), (["1", "2"], false)]
    {
        let mut numbers = Numbers::default();
        for field in fields {
            numbers.take(field.as_bytes());
        }
        let Some(NumberChoice::Typed { may_be_grouped, .. }) = numbers.choose() else {
            panic!("{fields:?} are numbers");
        };
        assert_eq!(may_be_grouped, expected, "{fields:?}");
    }
}

#[test]
fn signs_around_numbers_are_found() {
    assert_eq!(chosen(&["€ 12,50", "3,99 €"]), "numeric(4,2) d, c€ 3,99 €..€ 12,50");
    assert_eq!(chosen(&["$1,234.00", "-$5.00"]), "numeric(6,2) t, c$ -$5.00..$1,234.00");
    assert_eq!(chosen(&["12.5%", "7 %"]), "numeric(3,1) % 7 %..12.5%");
    assert_eq!(chosen(&["12.5%", "7"]), "no number");
}
