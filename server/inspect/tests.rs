//! Files become settings that the server loads.

use std::path::PathBuf;

use super::*;
use crate::settings::Settings;
use encoding_rs::{UTF_8, WINDOWS_1252};
use ferry::host::settings::ByteSize;

fn request(file: &Path) -> InspectRequest {
    InspectRequest {
        file: file.to_owned(),
        sample: None,
        name: None,
        encoding: None,
        delimiter: None,
        quote: None,
        no_header: false,
        values: false,
    }
}

/// Inspects a file, and loads what was printed beside it.
fn inspect_with(
    name: &str,
    content: &[u8],
    adjust: impl FnOnce(&mut InspectRequest),
) -> (String, Settings) {
    let folder = tempfile::tempdir().expect("temporary folder");
    let file = folder.path().join(name);
    std::fs::write(&file, content).expect("file is written");
    let mut request = request(&file);
    adjust(&mut request);
    let text = act(&request).expect("it can be inspected");
    let settings_file = folder.path().join("server.toml");
    std::fs::write(&settings_file, &text).expect("file is written");
    let settings =
        Settings::load(&settings_file, None).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let files = settings.datasets[0].sources().expect("the folder is readable");
    assert_eq!(files.len(), 1, "{text}");
    (text, settings)
}

fn inspect(name: &str, content: &[u8]) -> (String, Settings) {
    inspect_with(name, content, |_| {})
}

#[track_caller]
fn assert_lines(text: &str, expected: &[&str]) {
    for line in expected {
        assert!(text.lines().any(|printed| printed == *line), "{line:?} is not in\n{text}");
    }
}

#[test]
fn a_plain_file_needs_few_words() {
    let (text, settings) = inspect(
        "customers.csv",
        b"id,name,born,email\n1,Ada,1815-12-10,ada@mail.example\n2,Grace,1906-12-09,\n",
    );
    assert_lines(
        &text,
        &["name = \"customers\"", "id = \"smallint\"", "born = \"date\"", "# Every record fits."],
    );
    assert!(!text.contains("delimiter =") && !text.contains("header ="), "{text}");
    assert!(text.contains("# Personal data, by their names: email"), "{text}");
    assert_eq!(settings.datasets[0].declared.len(), 2);
}

#[test]
fn everything_found_is_loaded() {
    let content = b"Report\n\nNr;Stra\xDFe;Umsatz;Tag;aktiv\n\
        1;Gr\xFCner Weg;1.234,50;31.01.2024;ja\n\
        2;\xD6lstra\xDFe;7,00;01.02.2024;nein\n\
        3;M\xFChlweg;NA;15.02.2024;ja\n";
    let (text, settings) = inspect_with("Umsatz 2024.txt", content, |request| {
        request.encoding = Some(WINDOWS_1252);
    });
    assert_lines(
        &text,
        &[
            "name = \"umsatz_2024\"",
            "encoding = \"windows-1252\"",
            "delimiter = \";\"",
            "skip_rows = 2",
            "Nr = \"smallint\"",
            "Umsatz = { type = \"numeric(6,2)\", decimal = \",\", thousands = \".\", null = [\"NA\"] }",
            "Tag = { type = \"date\", format = \"%d.%m.%Y\" }",
            "aktiv = { type = \"boolean\", true = [\"ja\", \"j\"], false = [\"nein\", \"n\"] }",
        ],
    );
    let dataset = &settings.datasets[0];
    assert_eq!(dataset.layout().skip_rows, 2);
    assert_eq!(dataset.layout().encoding, WINDOWS_1252);
    assert_eq!(dataset.declared.len(), 4);
}

#[test]
fn a_file_without_header_gets_a_list_of_columns() {
    let (text, settings) = inspect("a.tsv", b"1\tx y\n2\tz\n");
    assert_lines(&text, &["delimiter = \"\\t\"", "header = false", "    \"column_2\","]);
    let layout = settings.datasets[0].layout();
    assert_eq!(layout.header_rows, 0);
    assert_eq!(layout.names.as_deref(), Some(&["column_1".to_owned(), "column_2".to_owned()][..]));
    let (text, _) = inspect_with("a.csv", b"id,name\n1,x\n", |request| request.no_header = true);
    assert_lines(&text, &["header = false"]);
}

#[test]
fn misfits_are_told_with_their_places() {
    let content = b"a,b\n1,2\n3\n4,\"5\"x\n6,\xFF\n\"7,1\",8\n\"9,1\",8\n";
    let (text, _) = inspect_with("a.csv", content, |request| {
        request.encoding = Some(UTF_8);
    });
    assert_lines(
        &text,
        &[
            "#   too_few_fields: 1 record, row 2 (byte 8)",
            "#   stray_quote: 1 record, row 3 (byte 10)",
            "#   bad_utf8: 1 record, row 4 (byte 17)",
        ],
    );
    assert!(text.contains("records: 6 in it, 3 of them fit"), "{text}");
}

#[test]
fn no_value_is_printed_unless_asked_for() {
    let content = b"amount,day,who\n4711,2024-03-17,Lovelace\n815,2023-11-05,Hopper\n";
    let (text, _) = inspect("a.csv", content);
    for value in ["4711", "815", "2024", "2023", "Lovelace", "Hopper"] {
        assert!(!text.contains(value), "{value} is in\n{text}");
    }
    assert!(text.contains("\"999\" to \"9999\""), "{text}");
    let (text, _) = inspect_with("a.csv", content, |request| request.values = true);
    assert!(text.contains("\"815\" to \"4711\""), "{text}");
    assert!(text.contains("\"2023-11-05\" to \"2024-03-17\""), "{text}");
    assert!(!text.contains("Lovelace"), "{text}");
}

#[test]
fn names_that_need_quotes_are_quoted() {
    let content = "\"a \"\"b\"\"\",ü.x,#\n1,2,3\n".as_bytes();
    let (_, settings) = inspect("odd [1] {name}.csv", content);
    let names: Vec<&str> = settings.datasets[0].declared.keys().map(String::as_str).collect();
    assert_eq!(names, ["#", "a \"b\"", "ü.x"]);
}

#[test]
fn utf16_and_archives_are_read() {
    let content: Vec<u8> =
        "\u{FEFF}id,name\n1,Zoë\n2,Ada\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let (text, _) = inspect("a.csv", &content);
    assert_lines(&text, &["encoding = \"utf-16le\"", "id = \"smallint\""]);
    let archive = zstd::encode_all(&b"id,name\n1,x\n2,y\n"[..], 1).expect("it is compressed");
    let (text, _) = inspect("a.csv.zst", &archive);
    assert_lines(&text, &["name = \"a\"", "id = \"smallint\""]);
    assert!(text.contains("compression: zstd"), "{text}");
}

#[test]
fn records_at_the_end_may_be_a_footer() {
    let (text, _) = inspect("a.csv", b"id;name\n1;x\n2;y\nTotal: 2\n");
    assert_lines(&text, &["#   if the last record is no data: skip_footer = 1"]);
    let (text, _) = inspect("a.csv", b"id;name\n1;x\n2\n3;y\n");
    assert!(!text.contains("skip_footer"), "{text}");
    let (text, _) = inspect("a.csv", b"id;name\n");
    assert_lines(&text, &["# There is no record to look at."]);
}

#[test]
fn a_line_that_names_the_delimiter_is_skipped() {
    let (text, settings) = inspect("a.csv", b"sep=;\r\nid;name\r\n1;x\r\n2;y\r\n");
    assert_lines(&text, &["delimiter = \";\"", "skip_rows = 1", "id = \"smallint\""]);
    assert_eq!(settings.datasets[0].layout().skip_rows, 1);
}

#[test]
fn a_sample_ends_early() {
    let mut content = b"id\n".to_vec();
    content.extend_from_slice(&b"123456\n".repeat(1000));
    let (text, _) = inspect_with("a.csv", &content, |request| request.sample = Some(ByteSize(73)));
    assert!(text.contains("records: 10 in the first 73 B"), "{text}");
}

#[test]
fn what_cannot_be_inspected_is_said() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let refusal = |file: PathBuf| {
        let error = act(&request(&file)).expect_err("it is refused");
        assert!(error.is_of_usage());
        error.to_string()
    };
    assert!(refusal(folder.path().join("gone.csv")).contains("cannot be read"));
    assert!(refusal(folder.path().to_owned()).contains("is not a file"));
    let refused = [
        ("", "is empty"),
        ("\u{FEFF}", "no record"),
        ("\n\n", "no record"),
        ("PK\u{3}\u{4}\u{14}\0\u{6}\0", "is no text"),
    ];
    for (content, expected) in refused {
        let file = folder.path().join("empty.csv");
        std::fs::write(&file, content).expect("file is written");
        let refusal = refusal(file);
        assert!(refusal.contains(expected), "{refusal}");
    }
}

#[test]
fn more_columns_than_can_be_read_are_refused() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let file = folder.path().join("wide.csv");
    std::fs::write(&file, "1,".repeat(3000)).expect("file is written");
    let mut request = request(&file);
    request.delimiter = Some(",".parse().expect("it is one"));
    let refusal = act(&request).expect_err("it is refused").to_string();
    assert!(refusal.contains("3001 fields"), "{refusal}");
}
