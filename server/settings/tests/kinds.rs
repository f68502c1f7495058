//! Which keys a dataset of each kind may have, and what they come to.

use super::*;
use crate::catalog::format::Format;
use crate::catalog::origin::Origin;
use crate::json::{Framing, JsonLayout};

const JSON: &str = "[[dataset]]\nname = \"customers\"\nkind = \"json\"\nfiles = [\"*.json\"]\n";
const API: &str = "[[dataset]]\nname = \"people\"\nkind = \"http_json\"\nurl = \"https://api.localhost/v1/users\"\n";

fn first(text: &str) -> Dataset {
    let settings = load(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    settings.datasets.into_iter().next().expect("one dataset")
}

fn json_layout(text: &str) -> JsonLayout {
    match first(text).format {
        Format::Json(layout) => layout,
        Format::Delimited(_) => panic!("it is delimited: {text}"),
    }
}

#[test]
fn json_files_have_a_framing_and_a_limit() {
    assert_eq!(json_layout(JSON), JsonLayout::default());
    let layout = json_layout(&format!("{JSON}records = \"/data/items\"\nmax_record = \"4KiB\"\n"));
    let records = "/data/items".parse().expect("a pointer");
    assert_eq!(layout.framing, Framing::Document { records });
    assert_eq!(layout.record_bytes_max, 4096);
    assert_eq!(json_layout(&format!("{JSON}format = \"ndjson\"\n")).framing, Framing::Lines);
}

#[test]
fn a_list_of_columns_declares_the_fields_of_json() {
    let columns = "columns = ['id', { name = 'born', type = 'date' }]\nnull = ['-']\n";
    let dataset = first(&format!("{JSON}{columns}"));
    let declared: Vec<_> =
        dataset.declared.iter().map(|(name, column)| (name.as_str(), column.column_type)).collect();
    assert_eq!(declared, [("born", ColumnType::Date), ("id", ColumnType::Text)]);
    assert!(dataset.declared["id"].nulls.is_null(b"-"));
}

#[test]
fn an_api_has_no_files() {
    let dataset = first(&format!("{API}records = \"/items\"\ncolumns = {{ id = \"bigint\" }}\n"));
    assert!(matches!(dataset.origin, Origin::Api(_)));
    assert!(matches!(dataset.format, Format::Json(_)));
    assert_eq!(dataset.declared["id"].column_type, ColumnType::Bigint);
    assert!(dataset.sources().expect("the spool need not be there").is_empty());
}

#[test]
fn keys_of_another_kind_are_refused() {
    let cases = [
        (format!("{JSON}delimiter = \";\"\n"), "delimiter belongs to kind = \"csv\""),
        (format!("{JSON}header = false\n"), "header belongs to kind = \"csv\""),
        (format!("{JSON}url = \"http://a/\"\n"), "url belongs to kind = \"http_json\""),
        (format!("{API}files = [\"*.json\"]\n"), "files belongs to kind = \"csv\" or \"json\""),
        (format!("{API}min_age = \"1s\"\n"), "min_age belongs to"),
        (
            format!("{DATASET}records = \"/a\"\n"),
            "records belongs to kind = \"json\" or \"http_json\"",
        ),
        (format!("{DATASET}url = \"http://a/\"\n"), "and this is \"csv\""),
        (format!("{DATASET}kind = \"jsn\"\n"), "kind = \"jsn\": did you mean \"json\"?"),
        (format!("{JSON}format = \"jsonl\"\n"), "format = \"jsonl\""),
        (
            format!("{JSON}format = \"ndjson\"\nrecords = \"\"\n"),
            "records goes with format = \"json\"",
        ),
        (format!("{JSON}records = \"data\"\n"), "records: \"data\" is no JSON pointer"),
        (format!("{JSON}max_record = \"3MiB\"\n"), "max_record is 3145728 bytes"),
        (JSON.replace("\"*.json\"", ""), "files is empty"),
    ];
    for (text, expected) in cases {
        let refusal = refusal(&text);
        assert!(refusal.contains(expected), "{expected:?} is not in {refusal:?}");
    }
}
