//! What the lists of checks take, and what they refuse.

use super::*;
use crate::job::tests::{column, column_refusal, job, refusal};

fn check(list: &str) -> Vec<CheckRule> {
    column(&format!("check = {list}")).expect("a valid list").checks
}

#[track_caller]
fn assert_refused(list: &str, hint: &str) {
    let error = column_refusal(&format!("check = {list}"));
    assert!(error.starts_with("column \"email\": ") && error.contains(hint), "{error}");
}

#[test]
fn words_and_settings_become_rules() {
    let rules = check("['required', 'uuid', 'email', 'url', 'date', 'unique']");
    let any_uuid = CheckRule::Uuid { version: None };
    let expected = [
        CheckRule::Required,
        any_uuid,
        CheckRule::Email,
        CheckRule::Url,
        CheckRule::Date,
        CheckRule::Unique,
    ];
    assert_eq!(rules, expected);
    assert_eq!(check("[{ uuid = 7 }]"), [CheckRule::Uuid { version: Some(7) }]);
    assert_eq!(check("[{ regex = '^[A-Z]+$' }]"), [CheckRule::Regex("^[A-Z]+$".to_owned())]);
    assert_eq!(check("[{ expr = 'a > 0' }]"), [CheckRule::Expr("a > 0".to_owned())]);
    let listed = CheckRule::OneOf(vec!["a".to_owned(), "7".to_owned()]);
    assert_eq!(check("[{ one_of = ['a', 7] }]"), [listed]);
}

#[test]
fn bounds_are_kept_as_their_text() {
    let min = |list: &str| match check(list).as_slice() {
        [CheckRule::Min(bound)] => bound.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(min("[{ min = -3 }]"), "-3");
    assert_eq!(min("[{ min = 0.5 }]"), "0.5");
    assert_eq!(min("[{ min = '2020-01-01' }]"), "2020-01-01");
    assert_eq!(min("[{ min = 2020-01-01 }]"), "2020-01-01");
    assert_eq!(check("[{ max = 9 }]"), [CheckRule::Max("9".to_owned())]);
}

#[test]
fn a_length_is_a_range_or_exact() {
    let length = |min, max| [CheckRule::Length { min, max }];
    assert_eq!(check("[{ length = 5 }]"), length(Some(5), Some(5)));
    assert_eq!(check("[{ length = { min = 1, max = 20 } }]"), length(Some(1), Some(20)));
    assert_eq!(check("[{ length = { max = 20 } }]"), length(None, Some(20)));
}

#[test]
fn a_length_that_no_text_has_is_refused() {
    assert_refused("[{ length = { min = 3, max = 2 } }]", "at least 3 and at most 2");
    assert_refused("[{ length = {} }]", "{ length = 5 }");
    assert_refused("[{ length = -1 }]", "{ length = 5 }");
    assert_refused("[{ length = { min = 'a' } }]", "{ length = 5 }");
    assert_refused("[{ length = 4294967296 }]", "{ length = 5 }");
    assert_refused("[{ length = { mim = 1 } }]", "did you mean \"min\"?");
}

#[test]
fn a_mistyped_rule_gets_the_nearest_one() {
    let hint = "check rule \"requierd\" is not known: did you mean \"required\"?";
    assert_refused("['requierd']", hint);
}

#[test]
fn a_rule_that_is_written_wrongly_is_shown_as_it_should_be() {
    assert_refused("[{ uuid = 9 }]", "1 to 8");
    assert_refused("[{ uuid = 0 }]", "1 to 8");
    assert_refused("[{ uuid = '4' }]", "1 to 8");
    assert_refused("['min']", "{ min = 0 }");
    assert_refused("[{ min = true }]", "{ min = 0 }");
    assert_refused("[{ max = inf }]", "{ max = ");
    assert_refused("[{ one_of = [] }]", "at least one text");
    assert_refused("[{ one_of = [1.5] }]", "at least one text");
    assert_refused("[{ regex = 7 }]", "{ regex = ");
    assert_refused("[{ expr = 7 }]", "{ expr = ");
    assert_refused("[{ expr = ' ' }]", "is empty");
    assert_refused("[{ required = true }]", "write \"required\"");
    assert_refused("[{ min = 0, max = 9 }]", "exactly one key");
}

#[test]
fn a_pattern_that_does_not_compile_is_shown_with_the_reason() {
    assert_refused("[{ regex = '[A-Z' }]", "\"[A-Z\" is no pattern");
    assert_refused("[{ regex = '[A-Z' }]", "unclosed character class");
}

#[test]
fn a_rule_stands_once_unless_it_says_something_else() {
    assert_refused("['email', 'email']", "check rule \"email\" stands there twice");
    assert_refused("['uuid', { uuid = 4 }]", "check rule \"uuid\" stands there twice");
    assert_refused("[{ min = 0 }, { min = 1 }]", "check rule \"min\" stands there twice");
    assert_refused("[{ regex = 'a' }, { regex = 'a' }]", "\"regex\" stands there twice");
    assert_eq!(check("[{ regex = 'a' }, { regex = 'b' }]").len(), 2);
    assert_eq!(check("[{ expr = 'a > 0' }, { expr = 'a < 9' }]").len(), 2);
}

#[test]
fn checks_of_rows_are_read() {
    let job = job("[[check]]\nname = 'in_order'\nexpr = 'a < b'\non_fail = 'fail'\n\
                   [[check]]\nexpr = 'a > 0'\n")
    .expect("a valid job");
    let expected = [
        RowCheck {
            name: Some("in_order".to_owned()),
            expr: "a < b".to_owned(),
            on_fail: OnFail::Fail,
        },
        RowCheck { name: None, expr: "a > 0".to_owned(), on_fail: OnFail::Quarantine },
    ];
    assert_eq!(job.row_checks, expected);
}

#[test]
fn a_check_of_rows_that_makes_no_sense_is_refused() {
    let refused = |keys: &str| refusal(&format!("[[check]]\n{keys}"));
    let null = refused("name = 'x'\nexpr = 'a'\non_fail = 'null'");
    assert!(null.starts_with("[[check]] \"x\": on_fail = \"null\""), "{null}");
    let empty = refused("expr = ''");
    assert!(empty.starts_with("[[check]] number 1: expr is empty"), "{empty}");
    for name in ["", "In Order", &"x".repeat(65)] {
        let error = refused(&format!("name = '{name}'\nexpr = 'a'"));
        assert!(error.contains("1 to 64"), "{error}");
    }
    let mistyped = refused("expr = 'a'\non_fail = 'fial'");
    assert!(mistyped.ends_with("did you mean \"fail\"?"), "{mistyped}");
    let twice = refused("name = 'x'\nexpr = 'a'\n[[check]]\nname = 'x'\nexpr = 'b'");
    assert_eq!(twice, "[[check]] names \"x\" twice");
}
