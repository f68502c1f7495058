//! Shows which run is opened: for each choice, each state of the last run, and each change of the job.

use super::*;

const RUN: RunId = RunId(7);

fn facts(choice: RunChoice) -> RunFacts<'static> {
    RunFacts {
        job: "orders",
        source_url: "http://source-host:7443",
        dataset: "orders",
        target: "public.orders",
        pii_key_id: None,
        columns: "[]",
        rules: "{}",
        clean_version: 1,
        source_columns: Some("[]"),
        old_rules: OldRules::Keep,
        choice,
        last_run: Some(RUN),
    }
}

/// A run that fits [`facts`].
fn run(state: RunState, has_undone: bool) -> LastRun {
    LastRun {
        run_id: RUN,
        state,
        has_undone,
        dataset: "orders".to_owned(),
        target: "public.orders".to_owned(),
        pii_key_id: None,
        likeness: Likeness::Same,
        fills_tables: false,
    }
}

fn step(last: Option<&LastRun>, choice: RunChoice) -> Option<Step> {
    decide(last, &facts(choice)).ok()
}

#[test]
fn a_job_without_runs_begins_one_if_that_is_wanted() {
    let step = |choice| decide(None, &RunFacts { last_run: None, ..facts(choice) }).ok();
    assert_eq!(step(RunChoice::Automatic), Some(Step::Begin));
    assert_eq!(step(RunChoice::New), Some(Step::Begin));
    assert_eq!(step(RunChoice::Current), Some(Step::Nothing));
    assert_eq!(step(RunChoice::Join), Some(Step::Nothing));
}

#[test]
fn an_unfinished_run_goes_on_unless_a_new_one_is_wanted() {
    for state in [RunState::Running, RunState::Failed, RunState::Stopped] {
        let last = run(state, true);
        assert_eq!(step(Some(&last), RunChoice::Automatic), Some(Step::TakeUp(RUN)), "{state:?}");
        assert_eq!(step(Some(&last), RunChoice::Current), Some(Step::TakeUp(RUN)), "{state:?}");
        assert_eq!(step(Some(&last), RunChoice::New), Some(Step::Begin), "{state:?}");
    }
}

#[test]
fn only_a_running_run_is_joined() {
    for has_undone in [true, false] {
        let running = run(RunState::Running, has_undone);
        assert_eq!(step(Some(&running), RunChoice::Join), Some(Step::TakeUp(RUN)));
        for state in [RunState::Finished, RunState::Failed, RunState::Stopped] {
            let ended = run(state, has_undone);
            assert_eq!(step(Some(&ended), RunChoice::Join), Some(Step::Nothing), "{state:?}");
        }
    }
}

#[test]
fn a_run_with_nothing_left_goes_on_only_while_it_is_running() {
    let running = run(RunState::Running, false);
    assert_eq!(step(Some(&running), RunChoice::Automatic), Some(Step::TakeUp(RUN)));
    for state in [RunState::Finished, RunState::Failed, RunState::Stopped] {
        let ended = run(state, false);
        assert_eq!(step(Some(&ended), RunChoice::Automatic), Some(Step::Begin), "{state:?}");
        assert_eq!(step(Some(&ended), RunChoice::Current), Some(Step::Nothing), "{state:?}");
    }
}

#[test]
fn of_two_workers_that_want_a_new_run_the_second_takes_up_that_of_the_first() {
    let begun_since =
        |last: &LastRun| decide(Some(last), &RunFacts { last_run: None, ..facts(RunChoice::New) });
    assert_eq!(begun_since(&run(RunState::Running, true)).ok(), Some(Step::TakeUp(RUN)));
    assert_eq!(begun_since(&run(RunState::Stopped, true)).ok(), Some(Step::TakeUp(RUN)));
    assert_eq!(begun_since(&run(RunState::Finished, false)).ok(), Some(Step::Begin));
    let ended = begun_since(&run(RunState::Failed, false));
    assert!(matches!(ended, Err(LedgerError::RunEnded { run: RUN })), "{ended:?}");
}

#[test]
fn a_changed_job_is_refused_as_long_as_splits_are_left() {
    let refused = |last: LastRun| {
        let error = decide(Some(&last), &facts(RunChoice::Automatic)).expect_err("it changed");
        error.to_string()
    };
    let unfinished = || run(RunState::Stopped, true);
    let columns = refused(LastRun { likeness: Likeness::OtherColumns, ..unfinished() });
    assert!(columns.contains("other columns") && columns.contains("--run new"), "{columns}");
    let rules = refused(LastRun { likeness: Likeness::OtherRules, ..unfinished() });
    assert!(rules.contains("--new-rules"), "{rules}");
    let target = refused(LastRun { target: "public.old".to_owned(), ..unfinished() });
    assert!(target.contains("target public.old") && target.contains("--run new"), "{target}");
    let key = refused(LastRun { pii_key_id: Some("ab".to_owned()), ..unfinished() });
    assert!(key.contains("pseudonym key ab, not none"), "{key}");
    let dataset = refused(LastRun { dataset: "old".to_owned(), ..unfinished() });
    assert!(dataset.contains("dataset old") && !dataset.contains("--run new"), "{dataset}");
}

#[test]
fn a_changed_job_has_no_use_for_a_run_with_nothing_left() {
    let last = LastRun { likeness: Likeness::OtherColumns, ..run(RunState::Running, false) };
    assert_eq!(step(Some(&last), RunChoice::Automatic), Some(Step::Begin));
    assert_eq!(step(Some(&last), RunChoice::Current), Some(Step::Nothing));
    assert_eq!(step(Some(&last), RunChoice::Join), Some(Step::Nothing));
    let other_dataset = LastRun { dataset: "old".to_owned(), ..run(RunState::Running, false) };
    assert_eq!(step(Some(&other_dataset), RunChoice::Automatic), Some(Step::Begin));
}

#[test]
fn what_was_filled_beside_a_table_must_still_take_its_place() {
    let last = LastRun { fills_tables: true, ..run(RunState::Stopped, false) };
    assert_eq!(step(Some(&last), RunChoice::Automatic), Some(Step::TakeUp(RUN)));
    assert_eq!(step(Some(&last), RunChoice::Current), Some(Step::TakeUp(RUN)));
    let other_mode = LastRun { likeness: Likeness::OtherColumns, ..last };
    let facts = RunFacts { old_rules: OldRules::Replace, ..facts(RunChoice::Automatic) };
    let error = decide(Some(&other_mode), &facts).expect_err("refused").to_string();
    assert!(error.contains("--run new"), "{error}");
}

#[test]
fn new_rules_and_new_runs_are_ways_out() {
    let other_rules = LastRun { likeness: Likeness::OtherRules, ..run(RunState::Stopped, true) };
    let replaced = RunFacts { old_rules: OldRules::Replace, ..facts(RunChoice::Automatic) };
    assert_eq!(decide(Some(&other_rules), &replaced).ok(), Some(Step::TakeUp(RUN)));
    let changed = LastRun { likeness: Likeness::OtherColumns, ..run(RunState::Failed, true) };
    assert_eq!(step(Some(&changed), RunChoice::New), Some(Step::Begin));
    let other_dataset = LastRun { dataset: "old".to_owned(), ..run(RunState::Failed, true) };
    let refused = decide(Some(&other_dataset), &facts(RunChoice::New));
    assert!(matches!(refused, Err(LedgerError::DatasetChanged { .. })), "{refused:?}");
}
