//! Goes to values of whole, cut and broken documents, and reads them to their end.

use super::*;

/// The value at a pointer, as it is written; `None` if it is not there.
fn value_at(document: &str, pointer: &str) -> Result<Option<String>, JsonError> {
    let pointer: Pointer = pointer.parse().expect("a pointer");
    let mut window = Window::new(document.as_bytes(), 0, 1);
    let Some(enclosing) = find_value(&mut window, &pointer, 8)? else {
        return Ok(None);
    };
    let start = usize::try_from(window.offset()).expect("an offset");
    skip_value(&mut window, 8)?;
    let end = usize::try_from(window.offset()).expect("an offset");
    finish(&mut window, &enclosing, 8)?;
    Ok(Some(document[start..end].to_owned()))
}

fn offset_of_fault(document: &str, pointer: &str) -> u64 {
    match value_at(document, pointer) {
        Err(JsonError::Broken { byte_offset }) => byte_offset,
        other => panic!("{document}: {other:?}"),
    }
}

#[test]
fn pointers_lead_to_values() {
    let document =
        r#" { "a" : {"b":[10,{"c":"x"} , true]}, "a/b":[ ], "\u0061b":-1.5e-3,"":null,"0":[0] } "#;
    for (pointer, expected) in [
        ("/a/b", r#"[10,{"c":"x"} , true]"#),
        ("/a/b/0", "10"),
        ("/a/b/1/c", "\"x\""),
        ("/a/b/2", "true"),
        ("/a~1b", "[ ]"),
        ("/ab", "-1.5e-3"),
        ("/", "null"),
        ("/0/0", "0"),
    ] {
        let value = value_at(document, pointer).expect("it is valid");
        assert_eq!(value.as_deref(), Some(expected), "{pointer}");
    }
    for pointer in ["/b", "/a/c", "/a/b/3", "/a/b/x", "/a/b/0/0", "/a~1b/0", "/ab/0"] {
        assert_eq!(value_at(document, pointer).expect("it is valid"), None, "{pointer}");
    }
}

#[test]
fn a_member_on_the_way_that_stands_twice_is_told() {
    for (document, pointer, offset) in [
        (r#"{"a":[1],"a":[2]}"#, "/a", 9),
        (r#"{"a":{"b":[1],"c":0, "\u0062":[2]}}"#, "/a/b", 21),
        (r#"{"a":{"b":[1]},"a":0}"#, "/a/b", 15),
        (r#"{"0":[1],"x":0,"0":[2]}"#, "/0", 15),
    ] {
        match value_at(document, pointer) {
            Err(JsonError::Twice { byte_offset }) => assert_eq!(byte_offset, offset, "{document}"),
            other => panic!("{document}: {other:?}"),
        }
    }
    for (document, pointer) in
        [(r#"{"a":[{"a":1}],"b":{"a":1}}"#, "/a"), (r#"[[1],"0","0"]"#, "/0")]
    {
        assert!(value_at(document, pointer).expect("it is valid").is_some(), "{document}");
    }
}

/// As the rest of a document is read when its beginning was not.
#[test]
fn the_rest_of_a_document_knows_the_way_to_its_records() {
    let pointer: Pointer = "/0".parse().expect("a pointer");
    for (rest, is_whole) in [(r#","0"]"#, true), (r#","1":0}"#, true), (r#","0":0}"#, false)] {
        let mut window = Window::new(rest.as_bytes(), 0, 1);
        let outcome = finish(&mut window, &Enclosing::of(&pointer), 8);
        assert_eq!(outcome.is_ok(), is_whole, "{rest}");
    }
}

#[test]
fn a_document_that_is_cut_ends_early() {
    let document = r#"{"x":[{"y":"\u0041"},-1.5],"a":[1],"z":{"k":false}}"#;
    for length in 0..document.len() {
        let outcome = value_at(&document[..length], "/a");
        let Err(JsonError::EndsEarly { byte_offset }) = outcome else {
            panic!("{length}: {outcome:?}");
        };
        assert_eq!(byte_offset, length as u64);
    }
    assert!(value_at(document, "/a").is_ok());
}

#[test]
fn faults_are_found_where_they_are() {
    for (document, offset) in [
        ("<html>", 0),
        (r#"{"b":1 "a":[]}"#, 7),
        (r#"{b:1,"a":[]}"#, 1),
        (r#"{"b":01,"a":[]}"#, 6),
        (r#"{"b":-,"a":[]}"#, 6),
        (r#"{"b":1.,"a":[]}"#, 7),
        (r#"{"b":nul,"a":[]}"#, 8),
        (r#"{"b":"\x","a":[]}"#, 7),
        ("{\"b\":\"\n\",\"a\":[]}", 6),
        (r#"{"b":[1,],"a":[]}"#, 8),
        (r#"{"b":[1},"a":[]}"#, 7),
        (r#"{"a":[]]"#, 7),
        (r#"{"a":[]} x"#, 9),
        (r#"{"a":[],}"#, 8),
        (r#"{"b":[[[[[[[[[]]]]]]]]],"a":[]}"#, 12),
    ] {
        assert_eq!(offset_of_fault(document, "/a"), offset, "{document}");
    }
    assert_eq!(offset_of_fault("hello", ""), 0);
}

#[test]
fn the_rest_is_read_without_its_beginning() {
    let pointer: Pointer = "/a/0".parse().expect("a pointer");
    let enclosing = Enclosing::of(&pointer);
    assert_eq!(enclosing, [Enclosing::Object("a".to_owned()), Enclosing::Either("0".to_owned())]);
    for (rest, is_whole) in [
        ("]}", true),
        (" , [1], \"x\", 2 ] , \"b\" : 3 } ", true),
        (", \"x\" : 2, \"y\": [] } }", true),
        ("}", false),
        ("]]", false),
        ("]} 1", false),
    ] {
        let mut window = Window::new(rest.as_bytes(), 0, 1);
        assert_eq!(finish(&mut window, &enclosing, 8).is_ok(), is_whole, "{rest}");
    }
}
