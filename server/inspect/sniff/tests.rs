//! Texts become the dialects that they were written in.

use super::*;

fn sniffed(text: &str) -> Sniffed {
    let sample = Sample { text: text.as_bytes(), is_whole: true };
    sniff(sample, Given { delimiter: None, quote: None }).expect("there is a dialect")
}

fn delimiter(text: &str) -> String {
    sniffed(text).dialect.delimiter.to_string()
}

#[test]
fn delimiters_are_found() {
    assert_eq!(delimiter("a,b\n1,2\n3,4\n"), ",");
    assert_eq!(delimiter("a;b\n1,5;2,5\n3,5;4,5\n"), ";");
    assert_eq!(delimiter("a\tb c\n1\tx y\n2\tz u\n"), "\t");
    assert_eq!(delimiter("a|b|c\n1||2\n3||4\n"), "|");
    assert_eq!(delimiter("a||b\n1||2\n3||4\n"), "||");
    assert_eq!(delimiter("a^b\n1^2\n"), "^");
    assert_eq!(delimiter("a:b\n1:2\n"), ":");
    assert_eq!(delimiter("a b\n1 2\n3 4\n"), " ");
    assert_eq!(delimiter("a\u{1}b\n1\u{1}2\n"), "\u{1}");
    for long in ["|~|", "|^|", "|#|", "\t|\t", "@@", "<>", "§", "¬", "\u{1C}"] {
        let text = ["id", "name", "1", "x", "2", "y"].chunks(2).map(|pair| pair.join(long));
        assert_eq!(delimiter(&text.collect::<Vec<String>>().join("\n")), long);
    }
}

#[test]
fn times_and_texts_do_not_mislead() {
    assert_eq!(delimiter("id,at\n1,10:00:00\n2,11:00:00\n"), ",");
    assert_eq!(delimiter("id;name\n1;Ada Lovelace\n2;Grace Hopper\n"), ";");
}

#[test]
fn a_part_of_the_delimiter_is_none() {
    assert_eq!(delimiter("id|~|name\n1|~|Ada, Lovelace\n2|~|Grace\n"), "|~|");
    assert_eq!(delimiter("id\t|\tname\n1\t|\tAda; Lovelace\n2\t|\tGrace\n"), "\t|\t");
    assert_eq!(delimiter("a|b|c\n1||2\n3||4\n"), "|");
}

#[test]
fn marks_in_values_part_nothing() {
    for text in [
        "at\n10:00\n11:30\n12:45\n",
        "http://mail.example/a\nhttps://mail.example/b\n",
        "2024-01-31 10:00:00 started up\n2024-01-31 10:00:01 something was odd here\n",
        "law\n§ 5\n§ 7\n",
        "document\n\"{\"\"a\"\": 1, \"\"b\"\": 2}\"\n\"{\"\"a\"\": 3, \"\"b\"\": 4}\"\n",
    ] {
        let found = sniffed(text);
        assert_eq!((found.field_count, found.skip_rows), (1, 0), "{text}");
    }
    assert_eq!(sniffed("root:x:0:0\nada:x:10:10\n").field_count, 4);
    assert_eq!(sniffed("hour:minute\n10:20\n11:30\n").field_count, 2);
}

#[test]
fn a_file_of_one_column_has_a_delimiter_that_is_not_in_it() {
    let found = sniffed("name\nAda\nGrace, Rear Admiral\nNoor\n");
    assert_eq!((found.field_count, found.dialect.delimiter.to_string().as_str()), (1, ";"));
}

#[test]
fn the_evidence_is_told() {
    let found = sniffed("a;b\n1;2\n3;4\n5\n");
    assert_eq!((found.matching, found.records, found.field_count), (3, 4, 2));
    assert!(found.next_best.is_none());
    let found = sniffed("a;b,c\n1;2\n3;4\n");
    assert_eq!(found.next_best.map(|(delimiter, _)| delimiter.to_string()), Some(",".to_owned()));
}

#[test]
fn quotes_are_found() {
    let quote = |text: &str| sniffed(text).dialect.quote;
    assert_eq!(quote("a,b\n\"1,2\",3\n\"4,5\",6\n"), Some(b'"'));
    assert_eq!(quote("a,b\n'1,2',3\n'4,5',6\n"), Some(b'\''));
    assert_eq!(quote("a,b\n5\" pipe,3\n6\" pipe,4\n"), None);
    assert_eq!(quote("a,b\nO'Brien,3\nO'Neill,4\n"), Some(b'"'));
}

#[test]
fn backslashes_before_quotes_are_escapes() {
    let escape = |text: &str| sniffed(text).dialect.escape;
    assert_eq!(escape("a,b\n\"x \\\"y\\\" z\",1\n\"u\",2\n"), Escape::Byte(b'\\'));
    assert_eq!(escape("a,b\n\"x \"\"y\"\" z\",1\n"), Escape::Doubled);
    assert_eq!(escape("a,b\n\"C:\\dir\\\",1\n\"D:\\\",2\n"), Escape::Doubled);
}

#[test]
fn spaces_behind_delimiters_are_skipped() {
    let skips = |text: &str| sniffed(text).dialect.skips_spaces;
    assert!(skips("a, b\n1, \"2, 3\"\n4, \"5\"\n"));
    assert!(skips("a, b, c\n1, 2, 3\n"));
    assert!(!skips("a,b,c\n1, 2,3\n4,5,6\n"));
}

#[test]
fn lines_before_the_header_are_skipped() {
    let found =
        sniffed("Report of sales\r\n\r\nmade on Monday\r\nid,day,sum\r\n1,2,3\r\n4,5,6\r\n");
    assert_eq!((found.skip_rows, found.field_count), (3, 3));
    assert_eq!((found.matching, found.records), (3, 3));
    // A header that lacks a name is a broken header.
    assert_eq!(sniffed("a,b\n1,2,3\n4,5,6\n").skip_rows, 0);
}

#[test]
fn a_first_line_may_name_the_delimiter() {
    for text in [
        "sep=;\r\nid;name\r\n1;x\r\n",
        "\"sep=;\"\nid;name\n1;x\n",
        "SEP=|\nid|name|sum\n1|x,y|2\n",
    ] {
        let found = sniffed(text);
        assert_eq!((found.skip_rows, found.matching), (1, 2), "{text:?}");
    }
    assert_eq!(delimiter("sep=|\na|b;c\n1|2;3\n"), "|");
    assert_eq!(sniffed("sep=\n1\n2\n").skip_rows, 0);
}

#[test]
fn words_of_a_long_text_are_no_columns() {
    let text = "word ".repeat(2000);
    assert_eq!(sniffed(&text).field_count, 1);
}

#[test]
fn records_with_too_many_fields_agree() {
    let text = ["a,", "1,"].map(|field| field.repeat(2000)).join("\n");
    assert_eq!(sniffed(&text).field_count, 2000);
}

#[test]
fn comments_are_found_but_not_a_header_with_a_hash() {
    let found = sniffed("# made by hand\nid,day,sum\n1,2,3\n# more\n4,5,6\n");
    assert_eq!((found.dialect.comment.as_str(), found.skip_rows), ("#", 0));
    assert_eq!(sniffed("#id,day\n1,2\n3,4\n").dialect.comment, "");
    let comment = |text: &str| sniffed(text).dialect.comment;
    assert_eq!(comment("# made by hand\nid,day\n1,2\n# more, or less\n3,4\n"), "#");
    assert_eq!(comment("# made by hand\nid,day\n#1,2\n#3,4\n"), "");
    assert_eq!(comment("id,day\n1,2\n# 3,4\n"), "");
}

#[test]
fn trailing_delimiters_are_found() {
    for text in ["a,b,\n1,2,\n3,4,\n", "a,b\n1,2,\n3,4,\n"] {
        let found = sniffed(text);
        assert!(found.dialect.has_trailing_delimiter && found.field_count == 2, "{text:?}");
        assert_eq!(found.skip_rows, 0);
    }
    assert!(!sniffed("a,b\n1,\n2,\n").dialect.has_trailing_delimiter);
}

#[test]
fn what_is_given_is_taken() {
    let sample = Sample { text: b"a,b;c\n1,2;3\n", is_whole: true };
    let semicolon: Delimiter = ";".parse().expect("it is one");
    let given = Given { delimiter: Some(&semicolon), quote: Some(QuoteChoice(None)) };
    let found = sniff(sample, given).expect("there is a dialect");
    assert_eq!((found.dialect.delimiter, found.dialect.quote), (semicolon, None));
}
