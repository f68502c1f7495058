//! What may stand in `server.toml`, and what is refused with which text.

mod kinds;

use super::*;
use crate::delimited::{BlankLines, Dialect, Escape, Layout, Ragged, StrayQuotes, Terminator};
use crate::wanted::NullWords;
use ferry::host::token::TokenDigest;
use ferry::schema::ColumnType;

const DATASET: &str = "[[dataset]]\nname = \"customers\"\nfiles = [\"*.csv\"]\n";

fn load(text: &str) -> Result<Settings, String> {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = folder.path().join("server.toml");
    std::fs::write(&path, text).expect("file is written");
    Settings::load(&path, None).map_err(|error| error.to_string())
}

fn refusal(text: &str) -> String {
    load(text).expect_err("it is refused")
}

#[test]
fn what_is_left_out_has_a_default() {
    let settings = load(DATASET).expect("it is valid");
    assert_eq!(settings.listen.to_string(), "127.0.0.1:7443");
    assert_eq!(settings.drain, Duration::from_secs(30));
    assert_eq!((settings.connections_max, settings.streams_max), (256, 64));
    assert!(settings.tls.is_none() && settings.tokens.is_empty());
    let dataset = &settings.datasets[0];
    assert_eq!(*dataset.layout(), Layout::default());
    assert_eq!((dataset.min_age, dataset.expansion_max), (Duration::from_secs(10), 200));
    assert_eq!(*dataset.nulls, NullWords::default());
}

#[test]
fn everything_can_be_said() {
    let sha256 = "0f".repeat(32);
    let settings = load(&format!(
        "listen = \"0.0.0.0:1\"\nroot = \".\"\ndrain = \"5s\"\n\
         [limits]\nconnections_max = 7\nstreams_max = 3\n\
         [tls]\ncert_file = \"a.pem\"\nkey_file = \"/b.key\"\nclient_ca_file = \"c.pem\"\n\
         [[token]]\nname = \"loader\"\nsha256 = \"{sha256}\"\ndatasets = [\"customers\"]\n\
         {DATASET}description = \"d\"\ndelimiter = \"\\t\"\n\
         [dataset.columns]\nsigned = \"date\"\n"
    ))
    .expect("it is valid");
    assert_eq!((settings.connections_max, settings.streams_max), (7, 3));
    let tls = settings.tls.expect("it is there");
    assert!(tls.cert_file.ends_with("a.pem") && tls.cert_file.is_absolute());
    assert_eq!(tls.key_file, Path::new("/b.key"));
    let digest: TokenDigest = sha256.parse().expect("64 digits");
    assert!(settings.tokens[0].sha256.matches(&digest));
    assert!(settings.tokens[0].datasets.as_ref().is_some_and(|names| names.len() == 1));
    assert_eq!(settings.datasets[0].layout().dialect.delimiter.as_bytes(), b"\t");
    assert_eq!(settings.datasets[0].declared["signed"].column_type, ColumnType::Date);
}

#[test]
fn a_listener_open_to_the_network_needs_tls_or_insecure() {
    let open = "listen = \"0.0.0.0:7443\"\n";
    assert!(refusal(&format!("{open}{DATASET}")).contains("insecure = true"));
    assert!(load(&format!("{open}insecure = true\n{DATASET}")).is_ok());
    assert!(load(&format!("listen = \"[::1]:7443\"\n{DATASET}")).is_ok());
}

#[test]
fn what_cannot_be_served_is_refused_with_a_reason() {
    let cases = [
        (String::new(), "no [[dataset]]"),
        (format!("{DATASET}{DATASET}"), "declared twice"),
        (DATASET.replace("customers", "Customers"), "cannot name a dataset"),
        (DATASET.replace("*.csv", "../*.csv"), "without \"..\""),
        (DATASET.replace("\"*.csv\"", ""), "files is empty"),
        (format!("{DATASET}[dataset.columns]\na = \"int3\"\n"), "unknown type \"int3\""),
        (format!("{DATASET}file = 1\n"), "did you mean `files`?"),
        (format!("listen = \"localhost\"\n{DATASET}"), "an IP address and a port"),
        (format!("root = \"gone\"\n{DATASET}"), "gone"),
        (format!("root = \"server.toml\"\n{DATASET}"), "not a folder"),
        (format!("drain = \"soon\"\n{DATASET}"), "not a duration"),
        (format!("{DATASET}[limits]\nstreams_max = 0\n"), "write 1 to 256"),
        (format!("{DATASET}[limits]\nconnections_max = 4097\n"), "write 1 to 4096"),
    ];
    for (text, expected) in cases {
        let refusal = refusal(&text);
        assert!(refusal.contains(expected), "{expected:?} is not in {refusal:?}");
    }
}

#[test]
fn tokens_are_checked() {
    let token = |rest: &str| format!("{DATASET}[[token]]\nname = \"loader\"\n{rest}\n");
    let good = format!("sha256 = \"{}\"", "aB".repeat(32));
    assert!(load(&token(&good)).is_ok());
    assert!(refusal(&token("sha256 = \"abc\"")).contains("64 hexadecimal digits"));
    let signs = format!("sha256 = \"{}\"", "+1".repeat(32));
    assert!(refusal(&token(&signs)).contains("64 hexadecimal digits"));
    let unknown = token(&format!("{good}\ndatasets = [\"orders\"]"));
    assert!(refusal(&unknown).contains("names dataset \"orders\""));
    let twice = token(&format!("{good}\n[[token]]\nname = \"loader\"\n{good}"));
    assert!(refusal(&twice).contains("written twice"));
    let same = token(&format!("{good}\n[[token]]\nname = \"other\"\n{good}"));
    assert!(refusal(&same).contains("tokens \"loader\" and \"other\" have one sha256"));
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert!(refusal(&token(&format!("sha256 = \"{empty}\""))).contains("empty text"));
}

/// The dataset with these keys.
fn dataset(keys: &str) -> Dataset {
    let settings = load(&format!("{DATASET}{keys}\n")).expect("it is valid");
    settings.datasets.into_iter().next().expect("one dataset")
}

#[test]
fn every_key_of_a_dialect_is_read() {
    let dialect = dataset(
        "delimiter = '||'\nquote = \"'\"\nescape = '\\'\ncomment = '#'\nterminator = 'crlf'\n\
         blank_lines = 'row'\nstray_quotes = 'keep'\nskip_initial_space = true\n\
         trailing_delimiter = true\nmax_field = '2kB'\nmax_record = '1MiB'",
    )
    .layout()
    .dialect
    .clone();
    let expected = Dialect {
        delimiter: "||".parse().expect("a delimiter"),
        quote: Some(b'\''),
        escape: Escape::Byte(b'\\'),
        comment: "#".to_owned(),
        terminator: Terminator::Crlf,
        blank_lines: BlankLines::Row,
        stray_quotes: StrayQuotes::Keep,
        skips_spaces: true,
        has_trailing_delimiter: true,
        field_bytes_max: 2000,
        record_bytes_max: 1 << 20,
    };
    assert_eq!(dialect, expected);
}

#[test]
fn quoting_can_be_off_and_the_quote_can_be_its_own_escape() {
    let quoting = |keys: &str| {
        let dialect = dataset(keys).layout().dialect.clone();
        (dialect.quote, dialect.escape)
    };
    assert_eq!(quoting("quote = ''"), (None, Escape::None));
    assert_eq!(quoting("quote = ''\nescape = '\\'"), (None, Escape::Byte(b'\\')));
    assert_eq!(quoting("escape = '\"'"), (Some(b'"'), Escape::Doubled));
    assert_eq!(quoting("escape = ''"), (Some(b'"'), Escape::None));
    assert_eq!(quoting("delimiter = '\"'\nquote = ''"), (None, Escape::None));
}

#[test]
fn a_small_record_limits_its_fields() {
    let dialect = dataset("max_record = '4KiB'").layout().dialect.clone();
    assert_eq!((dialect.field_bytes_max, dialect.record_bytes_max), (4096, 4096));
}

#[test]
fn every_key_of_a_layout_is_read() {
    let dataset = dataset(
        "encoding = 'windows-1252'\nskip_rows = 3\nheader = { rows = 2 }\nskip_footer = 1\n\
         ragged = 'pad'\nother_delimiters = [';', '|']\nnull = ['NA', '-']\n\
         max_expansion = 9\nmin_age = '1m'\ncolumns = ['id', { name = 'born', type = 'date' }]",
    );
    let layout = dataset.layout();
    assert_eq!(layout.encoding, encoding_rs::WINDOWS_1252);
    assert_eq!((layout.skip_rows, layout.header_rows, layout.skip_footer), (3, 2, 1));
    assert_eq!(layout.ragged, Ragged::Pad);
    let others: Vec<String> = layout.other_delimiters.iter().map(ToString::to_string).collect();
    assert_eq!(others, [";", "|"]);
    assert_eq!(layout.names.as_deref().expect("names"), ["id", "born"]);
    assert!(dataset.nulls.is_null(b"NA") && dataset.nulls.is_null(b"-"));
    assert!(dataset.declared["born"].nulls.is_null(b"-"));
    assert_eq!((dataset.expansion_max, dataset.min_age), (9, Duration::from_mins(1)));
}

#[test]
fn a_file_without_header_gets_its_names_from_a_list() {
    let layout = dataset("header = false\ncolumns = ['id', 'born']").layout().clone();
    assert_eq!((layout.header_rows, layout.names.map(|names| names.len())), (0, Some(2)));
    for keys in ["header = false", "header = false\ncolumns = { id = 'bigint' }"] {
        let refusal = refusal(&format!("{DATASET}{keys}\n"));
        assert!(refusal.contains("nothing names the columns"), "{refusal}");
    }
}

#[test]
fn a_dataset_that_cannot_be_read_is_refused_with_a_reason() {
    let cases = [
        ("delimiter = ''", "delimiter: "),
        ("delimiter = \"\\n\"", "delimiter: "),
        ("delimiter = '123456789'", "delimiter: "),
        ("delimiter = '\\t'", "write it in double quotes"),
        ("delimiter = '\"'", "contains the quote"),
        ("quote = ','", "contains the quote"),
        ("delimiter = '|\\|'\nescape = '\\'", "contains the escape"),
        ("quote = 'ä'", "one ASCII character"),
        ("quote = '**'", "one ASCII character"),
        ("quote = \"\\n\"", "one ASCII character"),
        ("escape = '??'", "escape = \"??\": write one ASCII character"),
        ("quote = ' '\nskip_initial_space = true", "would skip the quote"),
        ("comment = ','", "begins like the delimiter"),
        ("comment = '#'\ndelimiter = '#|'", "begins like the delimiter"),
        ("comment = '\"#'", "begins with the quote"),
        ("comment = '\\#'\nquote = ''\nescape = '\\'", "begins with the escape"),
        ("comment = \"#\\n\"", "contains a line end"),
        ("terminator = 'crfl'", "did you mean \"crlf\"?"),
        ("blank_lines = 'rows'", "did you mean \"row\"?"),
        ("stray_quotes = 'quarantin'", "did you mean \"quarantine\"?"),
        ("ragged = 'padding'", "did you mean \"pad\"?"),
        ("max_record = '3MiB'", "max_record is 3145728 bytes: write \"1KiB\" to \"2MiB\""),
        ("max_record = '1000'", "max_record is 1000 bytes"),
        ("max_field = '0'", "max_field is 0"),
        ("max_field = '2KiB'\nmax_record = '1KiB'", "more than max_record"),
        ("other_delimiters = [',']", "which is the delimiter"),
        ("other_delimiters = [';', ';']", "twice"),
        ("other_delimiters = ['\"']", "other_delimiters = \"\\\"\" contains the quote"),
        ("encoding = 'latin-1'", "did you mean \"latin1\"?"),
        ("encoding = 'replacement'", "convert the files"),
        ("header = 2", "header is a number: write true, false or { rows = 2 }"),
        ("header = { row = 2 }", "header has no key \"row\": did you mean \"rows\"?"),
        ("header = { rows = 'two' }", "must be a number"),
        ("header = { rows = 0 }", "write header = false"),
        ("header = { rows = 101 }", "header.rows = 101: write 1 to 100"),
        ("skip_footer = 1001", "skip_footer = 1001: write 0 to 1000"),
        ("skip_rows = -1", "expected u32"),
        ("max_expansion = 0", "max_expansion = 0: write 1 to 100000"),
        ("columns = ['a', 'a']", "columns names \"a\" twice"),
        ("[dataset.columns]\na = { typ = 'date' }", "column \"a\": there is no key \"typ\""),
        ("delimeter = ';'", "did you mean `delimiter`?"),
        ("qoute = ';'", "did you mean `quote`?"),
    ];
    for (keys, expected) in cases {
        let refusal = refusal(&format!("{DATASET}{keys}\n"));
        assert!(refusal.contains(expected), "{expected:?} is not in {refusal:?}");
    }
}

#[test]
fn a_refusal_names_the_dataset() {
    let refusal = refusal(&format!("{DATASET}ragged = 'x'\n"));
    assert!(refusal.contains("dataset \"customers\": ragged = \"x\""), "{refusal}");
}
