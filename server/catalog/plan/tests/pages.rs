//! What is planned of an API: pages that are fetched now, pages that are kept, and pages that fail.

use super::*;
use crate::catalog::listing::sources_to_describe;
use crate::settings::Settings;
use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};

const HASH: &str = "0123456789abcdef0123456789abcdef";

/// Answers requests, each on a connection of its own, with what is made of its target.
fn serve(answer: impl Fn(&str) -> Option<String> + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            reply(stream, &answer);
        }
    });
    address
}

fn reply(mut stream: TcpStream, answer: &impl Fn(&str) -> Option<String>) {
    let mut lines = BufReader::new(stream.try_clone().expect("a stream")).lines();
    let first = lines.next().and_then(Result::ok).unwrap_or_default();
    while lines.next().and_then(Result::ok).is_some_and(|line| !line.is_empty()) {}
    let target = first.split(' ').nth(1).unwrap_or_default();
    let (status, body) = match answer(target) {
        Some(body) => ("200 OK", body),
        None => ("404 Not Found", String::new()),
    };
    let length = body.len();
    let head = "content-type: application/json\r\nconnection: close";
    // Whoever asked may be gone.
    let _ = write!(stream, "HTTP/1.1 {status}\r\n{head}\r\ncontent-length: {length}\r\n\r\n{body}");
}

/// The dataset `people` of an API whose pages are numbered.
fn people(folder: &Path, address: SocketAddr, keys: &str) -> Dataset {
    let path = folder.join("server.toml");
    let text = format!(
        "[[dataset]]\nname = 'people'\nkind = 'http_json'\nurl = 'http://{address}/users'\n\
         records = '/items'\n{keys}\n\
         [dataset.pages]\nby = 'number'\nparameter = 'page'\n\
         [dataset.http]\nretries = 0\n"
    );
    std::fs::write(&path, text).expect("file is written");
    let settings = Settings::load(&path, None).unwrap_or_else(|error| panic!("{error}"));
    settings.datasets.into_iter().next().expect("one dataset")
}

/// The address of nobody.
fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address")
}

/// Keeps a page as if it had been fetched before.
fn keep(folder: &Path, number: u32, content: &str) -> String {
    let spool = folder.join(".ferry-spool/dataset.people");
    std::fs::create_dir_all(&spool).expect("folder is made");
    let name = format!("page-{number:06}-{HASH}.json");
    std::fs::write(spool.join(&name), content).expect("page is written");
    name
}

fn plan_of(dataset: &Dataset, known: HashMap<String, KnownFile>) -> Plan {
    let request = PlanRequest { known, ..PlanRequest::default() };
    plan(dataset, request, &ScanCache::default(), &|| false).expect("it is planned")
}

/// Name without hash, state, kind and number of records of each file.
fn shapes(plan: &Plan) -> Vec<(&str, FileState, SourceKind, u64)> {
    let shape = |file: &FilePlan| file.ranges.last().map_or(0, |range| range.end.row_number);
    let mut shapes = Vec::new();
    for file in &plan.files {
        shapes.push((&file.name[..11], file.state, file.kind, shape(file)));
    }
    shapes
}

#[test]
fn pages_are_planned_like_files() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let address = serve(|target| {
        Some(match target {
            "/users?page=1" => r#"{"items":[{"id":1},{"id":2,"mail":"x"}]}"#.to_owned(),
            "/users?page=2" => r#"{"items":[{"id":3}]}"#.to_owned(),
            _ => r#"{"items":[]}"#.to_owned(),
        })
    });
    let dataset = people(folder.path(), address, "columns = { id = 'bigint' }");
    let first = plan_of(&dataset, HashMap::new());
    let new = |name, rows| (name, FileState::New, SourceKind::Page, rows);
    assert_eq!(shapes(&first), [new("page-000001", 2), new("page-000002", 1)]);
    let names: Vec<&str> = first.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["id", "mail"]);
    assert!(first.files.iter().all(|file| file.header == Some(0)));
    assert_eq!(first.watermark, None);

    let known = |file: &FilePlan| (file.name.clone(), known(file, end(file)));
    let again = plan_of(&dataset, first.files.iter().map(known).collect());
    let unchanged = |name| (name, FileState::Unchanged, SourceKind::Page, 0);
    assert_eq!(shapes(&again), [unchanged("page-000001"), unchanged("page-000002")]);
}

#[test]
fn the_greatest_value_of_whole_plans_is_told() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let address = serve(|target| {
        if target.contains("page=1") {
            let since = target.contains("since=2024-01-02");
            let day = if since { "2024-01-05" } else { "2024-01-02" };
            Some(format!(r#"{{"items":[{{"id":1,"changed":"{day}"}}]}}"#))
        } else if target.contains("page=2") && target.contains("since=2024-01-05") {
            None
        } else {
            Some(r#"{"items":[]}"#.to_owned())
        }
    });
    let keys = "columns = { changed = 'date' }\n\
                incremental = { parameter = 'since', column = 'changed' }";
    let dataset = people(folder.path(), address, keys);
    let watermark = |watermark: Option<&str>| {
        let request =
            PlanRequest { watermark: watermark.map(str::to_owned), ..PlanRequest::default() };
        let plan = plan(&dataset, request, &ScanCache::default(), &|| false);
        plan.expect("it is planned").watermark
    };
    assert_eq!(watermark(None).as_deref(), Some("2024-01-02"));
    assert_eq!(watermark(Some("2024-01-02")).as_deref(), Some("2024-01-05"));
    assert_eq!(watermark(Some("2024-01-05")), None, "a page failed");
}

#[test]
fn a_page_that_fails_keeps_no_other_from_being_planned() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let address =
        serve(|target| (target == "/users?page=1").then(|| r#"{"items":[{"id":1}]}"#.to_owned()));
    let dataset = people(folder.path(), address, "");
    let plan = plan_of(&dataset, HashMap::new());
    let expected = [
        ("page-000001", FileState::New, SourceKind::Page, 1),
        ("page-000002", FileState::Unreadable, SourceKind::Page, 0),
    ];
    assert_eq!(shapes(&plan), expected);
    let failed = &plan.files[1];
    assert_eq!((failed.name.as_str(), &failed.fingerprint), ("page-000002", &None));
    let problem = failed.problem.as_deref().expect("it has a problem");
    assert!(matches!(problem, RequestError::FetchFailed { .. }), "{problem}");
}

#[test]
fn known_pages_are_read_on_while_the_api_is_gone() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let name = keep(folder.path(), 7, r#"{"items":[{"id":1},{"id":2}]}"#);
    let dataset = people(folder.path(), nobody(), "");
    let source = dataset.find(&name).expect("no error").expect("it is kept");
    let (scans, is_unwanted) = (ScanCache::default(), &|| false);
    let planner = Planner {
        dataset: &dataset,
        scans: &scans,
        target_split_bytes: 100,
        is_unwanted,
        settled_nanos: i64::MAX,
        shared: None,
    };
    let file = source.open().expect("it opens");
    let fingerprint = planner.hash(&file, 0).expect("it is read").fingerprint.clone();
    let planned_to = position(19, 1);
    let known = KnownFile { fingerprint, planned_to, had_problem: false };
    let plan = plan_of(&dataset, HashMap::from([(name, known)]));
    let expected = [
        ("page-000001", FileState::Unreadable, SourceKind::Page, 0),
        ("page-000007", FileState::Unchanged, SourceKind::EarlierPage, 2),
    ];
    assert_eq!(shapes(&plan), expected);
    assert_eq!(plan.files[1].ranges[0].start, planned_to);
}

#[test]
fn pages_that_nobody_knows_are_not_planned() {
    let folder = tempfile::tempdir().expect("temporary folder");
    keep(folder.path(), 7, r#"{"items":[{"id":1}]}"#);
    let plan = plan_of(&people(folder.path(), nobody(), ""), HashMap::new());
    assert_eq!(plan.files.len(), 1, "the page that failed");
}

#[test]
fn columns_are_those_of_kept_pages_or_of_the_first() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let names = |dataset: &Dataset| {
        let sources = sources_to_describe(dataset, &|| false)?;
        let columns = dataset.columns(&sources)?;
        Ok::<_, RequestError>(columns.into_iter().map(|column| column.name).collect::<Vec<_>>())
    };
    let failed = names(&people(folder.path(), nobody(), "")).expect_err("nothing is known");
    assert!(matches!(failed, RequestError::FetchFailed { .. }), "{failed}");
    let declared = people(folder.path(), nobody(), "columns = { id = 'bigint' }");
    assert_eq!(names(&declared).expect("it is declared"), ["id"]);

    let address = serve(|target| {
        (target == "/users?page=1").then(|| r#"{"items":[{"mail":"x"}]}"#.to_owned())
    });
    assert_eq!(names(&people(folder.path(), address, "")).expect("it is fetched"), ["mail"]);
    assert_eq!(names(&people(folder.path(), nobody(), "")).expect("it is kept"), ["mail"]);
}
