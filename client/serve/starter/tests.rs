//! What is started is counted, remembered, and ends alone.

use super::*;
use ferry::host::shutdown::{ShutdownTrigger, channel};
use std::sync::mpsc;
use std::time::Duration;

fn starter() -> (ShutdownTrigger, Starter) {
    let (trigger, shutdown) = channel();
    (trigger, Starter::new(shutdown))
}

async fn ended(starter: &Starter) {
    let limit = Duration::from_secs(20);
    tokio::time::timeout(limit, starter.ended()).await.expect("everything ends");
}

#[tokio::test]
async fn one_run_of_a_job_at_a_time() {
    let (_trigger, starter) = starter();
    let (end, until) = mpsc::channel::<()>();
    let wait = move || {
        let _ = until.recv();
        None
    };
    assert_eq!(starter.start("people", Some(4), wait), Ok(()));
    assert_eq!(starter.start("people", Some(4), || None), Err(NotStarted::UnderWay));
    assert_eq!(starter.start("orders", None, || None), Ok(()), "another job is free");
    let standing = starter.standing("people").expect("a run is under way");
    assert!(
        matches!(standing, Standing::UnderWay(Beginning { run_before: Some(4), .. })),
        "{standing:?}"
    );
    drop(end);
    ended(&starter).await;
    assert_eq!(starter.standing("people"), None, "it ended well");
    assert_eq!(starter.start("people", Some(5), || None), Ok(()));
    ended(&starter).await;
}

#[tokio::test]
async fn a_failure_is_remembered_until_the_next_start() {
    let (_trigger, starter) = starter();
    let fail = || Some(Failure::new(Some(7), "source_unreachable", "nobody is there".into()));
    assert_eq!(starter.start("people", None, fail), Ok(()));
    ended(&starter).await;
    let Some(Standing::Failed(_, failure)) = starter.standing("people") else {
        panic!("the failure is forgotten");
    };
    assert_eq!((failure.run_id, failure.code), (Some(7), "source_unreachable"));
    assert_eq!(starter.start("people", None, || None), Ok(()));
    ended(&starter).await;
    assert_eq!(starter.standing("people"), None);
}

#[tokio::test]
async fn a_panic_ends_its_run_alone() {
    let (_trigger, starter) = starter();
    assert_eq!(starter.start("people", None, || panic!("on purpose")), Ok(()));
    ended(&starter).await;
    let Some(Standing::Failed(_, failure)) = starter.standing("people") else {
        panic!("the panic is no failure");
    };
    assert_eq!(failure.code, UNEXPECTED);
    assert!(!failure.message.contains("on purpose"), "{}", failure.message);
    assert_eq!(starter.start("people", None, || None), Ok(()));
    ended(&starter).await;
}

#[tokio::test]
async fn nothing_begins_once_a_stop_is_requested() {
    let (trigger, starter) = starter();
    trigger.request();
    assert_eq!(starter.start("people", None, || None), Err(NotStarted::Stopping));
    assert_eq!(starter.standing("people"), None);
    ended(&starter).await;
}

#[test]
fn a_job_file_stays_that_of_its_job_and_database() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = folder.path().join("job.toml");
    let write = |name: &str, database: &str| {
        let text = format!(
            "name = '{name}'\ndatabase.url = 'postgres://localhost/{database}'\n\
             source.url = 'http://127.0.0.1:7443'\nsource.dataset = 'people'\n\
             [[target]]\ntable = 'people'\n"
        );
        std::fs::write(&path, text).expect("file is written");
    };
    write("people", "x");
    let served = Job::load(Some(&path), Overrides::default()).expect("a valid job");
    assert!(load_anew(&served, &path).is_ok());
    for (name, database, what) in [("orders", "x", "name"), ("people", "y", "database")] {
        write(name, database);
        let error = load_anew(&served, &path).expect_err("another job");
        assert_eq!(error.code(), "configuration");
        let expected = format!("has another {what} now");
        assert!(error.to_string().contains(&expected), "{error}");
    }
}
