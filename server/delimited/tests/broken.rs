//! Damaged records, one kind after the other: each is refused by itself, and the others are read.

use super::{Found, Reading, part, texts};
use crate::cut::LastRecord;
use crate::delimited::{Dialect, StrayQuotes};
use ferry::position::Position;

/// What became of each record: its fields joined with `|`, or its code and its bytes.
fn outcomes(reading: &Reading, file: &str) -> Vec<String> {
    let show = |found: &Found| {
        if let Some(code) = &found.2 {
            let bytes = part(file.as_bytes(), &found.0);
            return format!("!{code} {}", String::from_utf8_lossy(bytes).escape_debug());
        }
        let texts = texts(found).into_iter().map(Option::unwrap_or_default);
        texts.collect::<Vec<_>>().join("|").escape_debug().to_string()
    };
    reading.read_all(file.as_bytes()).iter().map(show).collect()
}

#[track_caller]
fn check(fields: usize, file: &str, expected: &[&str]) {
    for step in [1, 7, usize::MAX] {
        let reading = Reading { step, ..Reading::plain().with_fields(fields) };
        assert_eq!(outcomes(&reading, file), expected, "in steps of {step}");
        let cuts = reading.cut(file.as_bytes(), Position::default(), 0, LastRecord::Take);
        assert_eq!(cuts.ranges.len(), expected.len(), "cuts in steps of {step}");
    }
}

#[test]
fn a_stray_quote_costs_its_row_alone() {
    check(3, "a,b\"c,d\ne,f,g\n", &["!stray_quote a,b\\\"c,d\\n", "e|f|g"]);
    check(3, "a,\"b\"c,d\ne,f,g\n", &["!stray_quote a,\\\"b\\\"c,d\\n", "e|f|g"]);
    check(3, "a,b,c\"\ne,f,g\n", &["!stray_quote a,b,c\\\"\\n", "e|f|g"]);
}

#[test]
fn a_quote_that_is_never_closed_costs_its_row_alone() {
    let file = "a,b,c\nd,\"e,f\ng,h,i\nj,k,l\n";
    check(3, file, &["a|b|c", "!unclosed_quote d,\\\"e,f\\n", "g|h|i", "j|k|l"]);
    check(3, "a,\"b,c", &["!unclosed_quote a,\\\"b,c"]);
    check(1, "a\n\"b\nc\n", &["a", "!unclosed_quote \\\"b\\n", "c"]);
}

#[test]
fn a_quote_closed_by_a_later_field_costs_its_row_alone() {
    let file = "a,\"b,c\nd,\"e\",f\ng,h,i\n";
    check(3, file, &["!unclosed_quote a,\\\"b,c\\n", "d|e|f", "g|h|i"]);
}

#[test]
fn two_stray_quotes_far_apart_do_not_swallow_what_lies_between() {
    let file = "a,\"b,c\nd,e,f\ng,h,i\nj,k,l\nm,n\",o,p\nq,r,s\n";
    let expected = [
        "!unclosed_quote a,\\\"b,c\\n",
        "d|e|f",
        "g|h|i",
        "j|k|l",
        "!stray_quote m,n\\\",o,p\\n",
        "q|r|s",
    ];
    check(3, file, &expected);
}

#[test]
fn damaged_rows_side_by_side_are_refused_one_by_one() {
    let file = "a,\"b,c\nd,\"e,f\ng,h,i\nj,k,l\nm,n,o\n";
    let expected =
        ["!unclosed_quote a,\\\"b,c\\n", "!unclosed_quote d,\\\"e,f\\n", "g|h|i", "j|k|l", "m|n|o"];
    check(3, file, &expected);
}

#[test]
fn quotes_inside_a_field_of_several_lines_cost_one_row() {
    let file = "1,\"one\ntwo \"three\", four\nfive\",x,y\n2,b,c,d\n3,e,f,g\n4,h,i,j\n";
    let expected = [
        "!stray_quote 1,\\\"one\\ntwo \\\"three\\\", four\\nfive\\\",x,y\\n",
        "2|b|c|d",
        "3|e|f|g",
        "4|h|i|j",
    ];
    check(4, file, &expected);
}

#[test]
fn a_sound_field_of_several_lines_is_never_taken_apart() {
    let file = "1,\"a,b\nc,d\",x,y\n2,b,c\n";
    check(3, file, &["1|a,b\\nc,d|x|y", "2|b|c"]);
    let file = "1,\"x\ny,z,w\n\"\n2,b,c\n";
    check(3, file, &["1|x\\ny,z,w\\n", "2|b|c"]);
}

#[test]
fn other_damage_behind_an_open_quote_costs_rows_of_its_own() {
    let good = "g,h,i\nj,k,l\nm,n,o\n";
    let expected = ["!unclosed_quote", "d|e|f", "p|q", "g|h|i", "j|k|l", "m|n|o", "r|s|t"];
    let file = format!("a,\"b,c\nd,e,f\np,q\n{good}r,\"s\",t\n");
    let found = outcomes(&Reading::plain().with_fields(3), &file);
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found} is not {expected}");
    }
    let file = format!("a,\"b,c\np,q\n{good}");
    check(3, &file, &["!unclosed_quote a,\\\"b,c\\n", "p|q", "g|h|i", "j|k|l", "m|n|o"]);
}

#[test]
fn a_row_whose_field_begins_with_a_delimiter_is_not_taken_for_an_end() {
    let good = "g,h,i\nj,k,l\n";
    let file = format!("a,\"b,c\nd,\",e\",f\n{good}");
    check(3, &file, &["!unclosed_quote a,\\\"b,c\\n", "d|,e|f", "g|h|i", "j|k|l"]);
    let file = format!("a,\"b,c\nd,\"\ne\",f\n{good}");
    check(3, &file, &["!unclosed_quote a,\\\"b,c\\n", "d|\\ne|f", "g|h|i", "j|k|l"]);
}

#[test]
fn a_field_that_seems_to_close_on_its_line_may_go_on() {
    let file = "1,2,,\"Ann,\"one\ntwo, three\",5,t\n1,2,3,4,5,6\n1,2,3,4,5,6\n1,2,3,4,5,6\n";
    let damaged = "!stray_quote 1,2,,\\\"Ann,\\\"one\\ntwo, three\\\",5,t\\n";
    check(6, file, &[damaged, "1|2|3|4|5|6", "1|2|3|4|5|6", "1|2|3|4|5|6"]);
}

#[test]
fn delimiters_inside_closed_quotes_do_not_hide_a_row() {
    let row = "1,\"A, B\",\"x\n";
    let file = format!("{row}{row}g,h,i\nj,k,l\nm,n,o\n");
    let found = outcomes(&Reading::plain().with_fields(3), &file);
    assert_eq!(found.len(), 5, "{found:?}");
    assert_eq!(found[2..], ["g|h|i", "j|k|l", "m|n|o"]);
}

#[test]
fn many_damaged_rows_take_no_more_time_than_good_ones() {
    for row in ["\"a\n", "1,2,\"x\n", "\"\"\"a\n", "\"a,b\n"] {
        let file = format!("1,2\n3,4\n{}", row.repeat(50_000));
        let began = std::time::Instant::now();
        let records = Reading::plain().with_fields(2).read_all(file.as_bytes());
        assert!(records.len() > 10_000 && began.elapsed().as_secs() < 5, "{row:?}");
    }
}

#[test]
fn blank_lines_behind_a_damaged_row_are_no_part_of_it() {
    check(2, "a,\"b\n\n\nc,d\n", &["!unclosed_quote a,\\\"b\\n", "c|d"]);
}

#[test]
fn fields_and_records_have_limits() {
    let dialect = Dialect { field_bytes_max: 8, record_bytes_max: 24, ..Dialect::default() };
    let reading = Reading::of(dialect).with_fields(2);
    let file = "a,123456789\nb,12345678\nc,\"123456789\"\n";
    let expected = [
        "!field_too_large a,123456789\\n",
        "b|12345678",
        "!field_too_large c,\\\"123456789\\\"\\n",
    ];
    assert_eq!(outcomes(&reading, file), expected);
    let long = "x".repeat(30);
    let file = format!("a,b\n{long}\nc,\"{long}\n{long}\"\nd,e\n");
    let found = outcomes(&reading, &file);
    assert_eq!(found.len(), 4, "{found:?}");
    assert_eq!((found[0].as_str(), found[3].as_str()), ("a|b", "d|e"));
    assert!(
        found[1].starts_with("!record_too_large x") && found[2].starts_with("!record_too_large c")
    );
}

#[test]
fn an_open_quote_in_front_of_many_rows_costs_its_row_alone() {
    let rows = 20_000;
    let file = format!("a,\"b\n{}", "cc,dd\n".repeat(rows));
    let dialect = Dialect { record_bytes_max: 2048, ..Dialect::default() };
    let records = Reading::of(dialect).with_fields(2).read_all(file.as_bytes());
    assert_eq!(records.len(), rows + 1);
    assert!(records[1..].iter().all(|(.., damage)| damage.is_none()));
}

#[test]
fn a_record_just_as_long_as_allowed_is_read() {
    for (length, is_read) in [(24, true), (25, false)] {
        for terminator in ["", "\n", "\r", "\r\n"] {
            let filling = "a".repeat(length - terminator.len());
            let file = format!("b\n{filling}{terminator}");
            let dialect = Dialect { record_bytes_max: 24, ..Dialect::default() };
            let records = Reading::of(dialect).with_fields(1).read_all(file.as_bytes());
            assert_eq!(records.len(), 2);
            assert_eq!(records[1].2.is_none(), is_read, "{length} {terminator:?}");
        }
    }
}

#[test]
fn kept_quotes_are_text_wherever_the_field_goes_on() {
    let dialect = Dialect { stray_quotes: StrayQuotes::Keep, ..Dialect::default() };
    let reading = Reading::of(dialect).with_fields(2);
    assert_eq!(outcomes(&reading, "\"a\nb\"c,d\ne\"f\",g\n"), ["a\\nbc|d", "e\\\"f\\\"|g"]);
}
