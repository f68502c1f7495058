//! Formats that cannot be read, or not to their type, are refused with a word on what to do.

use super::*;

fn refused(format: &str, column_type: ColumnType) -> String {
    compile(format, column_type).expect_err(format)
}

#[track_caller]
fn assert_refused(column_type: ColumnType, formats: &[&str], word: &str) {
    for format in formats {
        let problem = refused(format, column_type);
        assert!(problem.contains(word), "{format}: {problem}");
    }
}

#[test]
fn unknown_directives_are_named() {
    for (format, directive) in [("%Q", "%Q"), ("%d.%G", "%G"), ("%-q", "%-q"), ("%é", "%é")] {
        let problem = refused(format, ColumnType::Date);
        assert!(problem.starts_with(directive) && problem.contains("use %Y"), "{problem}");
    }
    assert_refused(ColumnType::Date, &["%", "%F%", "%F%-", "%."], "%%");
}

#[test]
fn every_known_directive_compiles() {
    for directive in KNOWN.split(' ') {
        assert!(items_of(directive).is_ok(), "{directive}");
    }
}

#[test]
fn numbers_without_a_fixed_length_stand_alone() {
    let formats = ["%Y%-m%d", "%e%m%Y", "%-d%m%Y"];
    assert_refused(ColumnType::Date, &formats, "put something between them");
    assert_refused(ColumnType::Timestamp, &["%s%f"], "put something between them");
    assert_refused(ColumnType::Timestamp, &["%H:%M:%S.%f%Y%m%d"], "put something between them");
    assert_refused(ColumnType::Timestamptz, &["%R%z%Y%m%d"], "put something between them");
    assert!(compile("%Y%m%d", ColumnType::Date).is_ok());
}

#[test]
fn parts_are_said_once_and_go_together() {
    let date = ColumnType::Date;
    assert_refused(date, &["%Y-%m-%d %Y", "%Y %y %j", "%F %b", "%a %A %F"], "twice");
    assert_refused(date, &["%s %Y"], "alone");
    assert_refused(date, &["%Y-%m-%j", "%d %Y %j"], "%j");
    assert_refused(ColumnType::Time, &["%H:%M %p", "%H %I:%M %p"], "%H");
    assert_refused(ColumnType::Time, &["%I:%M", "%M %p"], "belong together");
    assert_refused(ColumnType::Time, &["%H:%M.%f", "%H:%M%.f"], "seconds");
}

#[test]
fn a_type_has_what_it_needs_and_no_more() {
    assert_refused(ColumnType::Date, &["", "%d.%m.", "%Y", "%j", "x"], "whole date");
    assert_refused(
        ColumnType::Date,
        &["%F %T", "%F %H", "%F %z"],
        "declare the column as timestamp",
    );
    assert_refused(ColumnType::Time, &["%F %T", "%s", "%T%z"], "declare the column as timestamp");
    assert_refused(ColumnType::Time, &["%H", "%M:%S", ""], "hour and minute");
    assert_refused(ColumnType::Timestamp, &["%T", "%d.%m. %H:%M"], "whole date");
    assert_refused(ColumnType::Timestamp, &["%F %H", "%F %M:%S"], "hour and minute");
    assert_refused(ColumnType::Timestamp, &["%F %T%z", "%F %Z"], "timestamptz");
    assert_refused(ColumnType::Text, &["%F"], "leave it out");
    assert_refused(ColumnType::Integer, &["%s"], "leave it out");
    for format in ["%F", "%F %R", "%F %T%z", "%s", "%s.%f", "%a %d %b %Y %T %Z"] {
        assert!(compile(format, ColumnType::Timestamptz).is_ok(), "{format}");
    }
}
