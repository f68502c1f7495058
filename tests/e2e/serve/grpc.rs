//! The same look-ups over gRPC, with typed values and the same rules of who may ask.

use ferry::wire::ERROR_DOMAIN;
use ferry::wire::generated as proto;
use ferry::wire::generated::record_service_client::RecordServiceClient;
use ferry::wire::generated::value::Kind;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use super::Served;
use super::access::{READER, tokens};
use crate::redis::Redis;
use crate::stages::Trip;
use crate::web::Web;

async fn service(web: &Web) -> RecordServiceClient<Channel> {
    RecordServiceClient::connect(web.url().to_owned()).await.unwrap()
}

fn get(table: &str, key: &str) -> proto::GetRecordRequest {
    proto::GetRecordRequest { table: table.to_owned(), key: vec![key.to_owned()] }
}

/// Fields of a record by name, as text.
fn fields(record: &proto::Record) -> Vec<(String, String)> {
    let text = |field: &proto::Field| {
        let kind = field.value.as_ref().and_then(|value| value.kind.as_ref());
        let value = match kind {
            Some(Kind::Int64(number)) => number.to_string(),
            Some(Kind::String(text)) => text.clone(),
            Some(Kind::Null(_)) => "NULL".to_owned(),
            Some(Kind::Bool(_) | Kind::Double(_) | Kind::Timestamp(_)) | None => {
                panic!("another kind of value in {}", field.column)
            }
        };
        (field.column.clone(), value)
    };
    record.fields.iter().map(text).collect()
}

#[track_caller]
fn assert_refused(status: &Status, code: Code, reason: &str) {
    assert_eq!(status.code(), code, "{status:?}");
    let details = status.get_details_error_info();
    let details = details.unwrap_or_else(|| panic!("no ErrorInfo in {status:?}"));
    assert_eq!((details.reason.as_str(), details.domain.as_str()), (reason, ERROR_DOMAIN));
}

#[tokio::test]
async fn a_record_is_found_in_the_cache_or_in_the_database() {
    let trip = Trip::new(&[("uid", "integer")], "uid,name\n1,Ann\n2,\n");
    let redis = Redis::start();
    let target = "[[target]]\ntable = \"people\"\ncreate = true\nmode = \"upsert\"\n\
        key = [\"uid\"]\ncache = true\n";
    let rules = redis.settings("2m") + target;
    trip.run(&rules).expect_code(0);
    let web = Web::start(&[trip.job(&rules)]);
    let mut service = service(&web).await;

    let found = service.get_record(get("public.people", "1")).await.unwrap().into_inner();
    assert_eq!(found.found_in, i32::from(proto::FoundIn::Cache));
    let seconds = found.remaining_ttl.unwrap().seconds;
    assert!((1..=120).contains(&seconds), "{seconds} s");
    let expected =
        [("uid", "1"), ("name", "Ann")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(fields(found.record.as_ref().unwrap()), expected);

    redis.command(&["FLUSHALL"]);
    let found = service.get_record(get("public.people", "2")).await.unwrap().into_inner();
    assert_eq!(found.found_in, i32::from(proto::FoundIn::Database));
    assert_eq!(found.remaining_ttl, None);
    assert_eq!(fields(found.record.as_ref().unwrap())[1].1, "NULL");
}

#[tokio::test]
async fn pages_together_are_the_table() {
    let served = Served::loaded();
    let mut service = service(&served.web).await;
    let (mut rows, mut token) = (Vec::new(), String::new());
    loop {
        let request = proto::ListRecordsRequest {
            table: "public.users".to_owned(),
            page_size: 5,
            page_token: token,
        };
        let page = service.list_records(request).await.unwrap().into_inner();
        assert!(page.records.len() <= 5);
        for record in &page.records {
            rows.push(fields(record).into_iter().map(|(_, value)| value).collect::<Vec<String>>());
        }
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    let stored = served.trip.database.rows("SELECT uid, email, name FROM users ORDER BY uid");
    assert_eq!(rows, stored, "and only the columns that are served");
}

#[tokio::test]
async fn what_is_not_there_is_refused_with_a_reason() {
    let served = Served::loaded();
    let mut service = service(&served.web).await;
    for (table, key, reason) in [
        ("public.users", "77", "RECORD_NOT_FOUND"),
        ("public.users", "three", "RECORD_NOT_FOUND"),
        ("public.notes", "1", "TABLE_NOT_FOUND"),
        ("public.strangers", "1", "TABLE_NOT_FOUND"),
        ("ferry.run", "1", "TABLE_NOT_FOUND"),
    ] {
        let status = service.get_record(get(table, key)).await.unwrap_err();
        assert_refused(&status, Code::NotFound, reason);
    }
    let request = proto::ListRecordsRequest {
        table: "public.users".to_owned(),
        page_size: 0,
        page_token: "zz".to_owned(),
    };
    let status = service.list_records(request).await.unwrap_err();
    assert_refused(&status, Code::InvalidArgument, "BAD_CURSOR");
}

#[tokio::test]
async fn a_token_is_needed_here_too() {
    let served = Served::loaded();
    let web = Web::configured(&served.settings(&tokens()));
    let mut service = service(&web).await;
    let ask = |token: Option<&str>| {
        let mut request = Request::new(get("public.users", "1"));
        if let Some(token) = token {
            let value = format!("Bearer {token}").parse().unwrap();
            request.metadata_mut().insert("authorization", value);
        }
        request
    };

    for token in [None, Some("some-other-token")] {
        let status = service.get_record(ask(token)).await.unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");
    }
    let found = service.get_record(ask(Some(READER))).await.unwrap().into_inner();
    assert_eq!(fields(found.record.as_ref().unwrap())[2].1, "Name 1");
}
