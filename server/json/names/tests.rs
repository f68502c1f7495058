//! Reads the names of contents of all kinds.

use ferry::position::Position;

use super::*;

fn header(content: &str, framing: Framing) -> Result<Option<JsonHeader>, JsonError> {
    read_json_header(content.as_bytes(), &JsonLayout { framing, ..JsonLayout::default() })
}

fn document(content: &str, pointer: &str) -> Result<Option<JsonHeader>, JsonError> {
    header(content, Framing::Document { records: pointer.parse().expect("a pointer") })
}

/// Names of a document's records, those with nested values marked.
fn names(content: &str) -> Vec<String> {
    let header = document(content, "").expect("a document").expect("an array");
    let text = |name: JsonName| match name.kind {
        JsonKind::Scalar => name.name,
        JsonKind::Nested => format!("{}*", name.name),
    };
    header.names.into_iter().map(text).collect()
}

#[test]
fn objects_are_flattened_in_order_of_appearance() {
    let records = r#"[
        {"b":1,"address":{"street":"x","coordinates":{"lat":1}},"tags":[1]},
        {"a":null,"address":{"zip":null},"b":"x"}
    ]"#;
    let expected = ["b", "address_street", "address_coordinates_lat", "tags*", "a", "address_zip"];
    assert_eq!(names(records), expected);
}

#[test]
fn an_outer_name_stands_only_where_it_has_values_of_its_own() {
    assert_eq!(names(r#"[{"a":null},{"a":{"x":1}}]"#), ["a_x"]);
    assert_eq!(names(r#"[{"a":{"x":1}},{"a":{}},{"a":null}]"#), ["a_x"]);
    assert_eq!(names(r#"[{"a":{"x":1}},{"a":5}]"#), ["a*", "a_x"]);
    assert_eq!(names(r#"[{"a":{"x":1}},{"a":[]}]"#), ["a*", "a_x"]);
    assert_eq!(names(r#"[{"a":null},{"a":{ }}]"#), ["a*"]);
    assert_eq!(names(r#"[{"a":null}]"#), ["a"]);
}

#[test]
fn names_that_nobody_could_use_are_left_out() {
    let long = "x".repeat(1001);
    let records = format!(r#"[{{"":1,"a\u0000":1,"\ud800":1,"{long}":1,"\u00e9":{{"":2}}}}]"#);
    assert_eq!(names(&records), ["é_"]);
    let many: Vec<String> = (0..2000).map(|index| format!("{{\"k{index}\":1}}")).collect();
    assert_eq!(names(&format!("[{}]", many.join(","))).len(), 1000);
    let wide: Vec<String> = (0..2000).map(|index| format!("\"k{index}\":1")).collect();
    assert_eq!(names(&format!("[{{{}}}]", wide.join(","))).len(), COLUMNS_MAX);
}

#[test]
fn names_of_people_are_no_columns() {
    let records = r#"[{
        "id":1, "by_mail":{"ann@example.org":3}, "+4917099999999":true, "@type":"x",
        "contacts":{"bob@example.org":{"tel":"1"},"count":2}, "a@b":1, "+1":1
    }]"#;
    assert_eq!(names(records), ["id", "@type", "contacts_count", "a@b", "+1"]);
}

#[test]
fn annotations_and_versions_are_columns() {
    let others = [
        "photo@odata.mediaEditLink",
        "sum@OData.Community.Display.V1.FormattedValue",
        "_owner_value@Microsoft.Dynamics.CRM.lookuplogicalname",
        "lodash@4.17.21",
    ];
    let members = others.map(|name| format!("\"{name}\":1")).join(",");
    assert_eq!(names(&format!("[{{{members}}}]")), others);
}

#[test]
fn broken_records_have_no_names() {
    assert_eq!(names(r#"[{"a":1},{"b":},[1],"x",null,{"c":1}]"#), ["a", "c"]);
    assert_eq!(names(r#"[{"a":1} {"b":1}]"#), Vec::<String>::new());
    assert_eq!(names(r#"[{"a":1}, {"b":1} x"#), ["a"]);
}

#[test]
fn the_data_begin_at_the_first_record() {
    let place = |byte_offset| Position { byte_offset, row_number: 0 };
    let start = |content: &str, pointer: &str| {
        document(content, pointer).expect("a document").map(|header| header.start)
    };
    assert_eq!(start("[]", ""), Some(place(1)));
    assert_eq!(start("\u{FEFF} [ \n{}]", ""), Some(place(7)));
    assert_eq!(start(r#"{"x":1,"data":[{}]}"#, "/data"), Some(place(15)));
    for content in ["", " ", r#"{"x":1"#, r#"{"data""#, r#"{"data":null}"#, r#"{"data":null"#] {
        assert_eq!(start(content, "/data"), None, "{content}");
    }
    let outcome = document(r#"{"x":[]}"#, "/data");
    assert!(matches!(outcome, Err(JsonError::NoArray { .. })));
    assert!(matches!(document("<html>", "/data"), Err(JsonError::Broken { byte_offset: 0 })));
}

#[test]
fn lines_begin_with_the_content() {
    let lines = |content: &str| header(content, Framing::Lines).expect("lines");
    assert_eq!(lines(""), None);
    assert_eq!(lines("\n \r\n"), None);
    let header = lines("\u{FEFF}\n{\"a\":1}\nx\n{\"b\":[]}").expect("a header");
    assert_eq!(header.start, Position { byte_offset: 3, row_number: 0 });
    let names: Vec<&str> = header.names.iter().map(|name| name.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
}
