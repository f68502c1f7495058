//! A value that must be unique is loaded once, whichever of its rows are replayed, and by how many at once.

use super::races::Holder;
use super::{ONLY_NEW, Orders};
use crate::hosts::Process;

/// No two orders have one number.
pub(super) const UNIQUE_ID: &str = "[[column]]\nname = \"id\"\ncheck = [\"unique\"]\n";

#[test]
fn a_duplicate_stays_one_and_a_row_meets_only_the_claims_of_others() {
    let file = "id,value\n1,10\n2,0\n1,20\n3,x\n4,0\n2,5\n5,1\nx,1\n";
    let orders = Orders::new(&[("id", "integer"), ("value", "text")], file);
    let divided = |by: &str| format!("{UNIQUE_ID}[transform]\nset.part = \"100 / {by}\"\n");
    orders.run(&divided("CAST(value AS integer)"));
    assert_eq!(orders.ids(), "1 5");
    let mended = divided("nullif(CAST(value AS integer), 0)");

    orders.assert_replay(&mended, 2, 0, 4);

    assert_eq!(orders.ids(), "1 2 4 5");
    let states = [
        ["2", "replayed", "expression_failed part"],
        ["3", "open", "duplicate id"],
        ["4", "open", "expression_failed part"],
        ["5", "replayed", "expression_failed part"],
        ["6", "open", "duplicate id"],
        ["8", "open", "bad_integer id"],
    ];
    assert_eq!(orders.refused(), states);
    orders.assert_replay(&mended, 0, 0, 4);
    orders.assert_accounts(4, 4, 0);
}

#[test]
fn of_two_refused_rows_with_one_value_the_first_has_it() {
    let orders = Orders::new(&[("id", "integer")], "id,status\n1,new\n7,lost\n7,lost\n1,lost\n");
    orders.run(&[UNIQUE_ID, ONLY_NEW].concat());
    orders.assert_replay(UNIQUE_ID, 1, 0, 2);
    assert_eq!(orders.ids(), "1 7");
    orders.assert_replay(UNIQUE_ID, 0, 0, 2);
    orders.assert_accounts(2, 2, 0);
}

#[test]
fn two_replays_at_once_do_not_both_load_a_value_that_must_be_unique() {
    let orders = Orders::new(&[("id", "integer")], "id,status\n1,new\n7,lost\n7,lost\n");
    orders.run(&[UNIQUE_ID, ONLY_NEW].concat());
    let command = |row| {
        let id = orders.quarantine_id(row);
        orders.command(UNIQUE_ID, &["--ids", &id])
    };
    let mut commands = [command(2), command(3)];
    let holder = Holder::of_orders(&orders.database);

    let [mut first, mut second] = commands.each_mut().map(Process::spawn);
    holder.release_when_both_wait(&mut first, &mut second);
    println!("{}\n{}", first.finish().text(), second.finish().text());

    assert_eq!(orders.ids(), "1 7", "a value that must be unique was loaded twice");
    orders.assert_accounts(2, 1, 0);
}
