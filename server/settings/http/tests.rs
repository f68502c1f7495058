//! What may be said of an API, and what is refused with which text.

use super::*;
use crate::settings::columns::read_columns;
use crate::wanted::NullWords;

/// The keys of a dataset that are about HTTP.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    url: Option<String>,
    method: Option<String>,
    body: Option<String>,
    #[serde(default)]
    parameters: BTreeMap<String, String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    ca_file: Option<PathBuf>,
    pages: Option<RawPages>,
    incremental: Option<RawIncremental>,
    http: Option<RawHttp>,
    columns: Option<toml::Value>,
}

fn read_as(text: &str, layout: &JsonLayout) -> Result<Api, String> {
    let keys: Keys = toml::from_str(text).map_err(|error| error.message().to_owned())?;
    let nulls = Arc::new(NullWords::default());
    let columns = read_columns(keys.columns.as_ref(), &nulls)?;
    let folder = tempfile::tempdir().expect("temporary folder");
    let spool = Arc::new(Spool::new(folder.path().join("spool"), 1 << 20, Duration::from_hours(1)));
    let raw = RawApi {
        url: keys.url,
        method: keys.method,
        body: keys.body,
        parameters: keys.parameters,
        headers: keys.headers,
        ca_file: keys.ca_file,
        pages: keys.pages,
        incremental: keys.incremental,
        http: keys.http,
    };
    let settings_file = folder.path().join("server.toml");
    let beside =
        Beside { settings_file: &settings_file, spool: &spool, layout, columns: &columns.declared };
    api(raw, &beside)
}

/// A host of this machine: no proxy of its environment leads there.
const URL: &str = "url = 'https://api.localhost/v1/users'\n";

fn read(keys: &str) -> Result<Api, String> {
    read_as(&format!("{URL}{keys}"), &JsonLayout::default())
}

#[track_caller]
fn assert_refused(outcome: Result<Api, String>, expected: &str) {
    let refusal = outcome.expect_err("it is refused");
    assert!(refusal.contains(expected), "{expected:?} is not in {refusal:?}");
    assert!(!refusal.contains("hidden"), "{refusal:?}");
}

fn lines() -> JsonLayout {
    JsonLayout { framing: Framing::Lines, ..JsonLayout::default() }
}

#[test]
fn an_address_is_enough() {
    let api = read("").expect("it is valid");
    assert_eq!(api.shown(), "https://api.localhost/v1/users");
    assert!(format!("{api:?}").contains("Once"));
}

#[test]
fn everything_can_be_said() {
    let api = read(
        "method = 'POST'\nbody = '{\"filter\":\"all\"}'\n\
         parameters = { size = '100' }\nheaders = { Authorization = 'Bearer hidden', Accept = '*/*' }\n\
         columns = { updated_at = 'timestamptz' }\n\
         [pages]\nby = 'number'\nparameter = 'page'\nfirst = 0\nsize_parameter = 'size'\nsize = 50\nmax_pages = 9\n\
         [incremental]\nparameter = 'since'\ncolumn = 'updated_at'\ninitial = '1970-01-01T00:00:00Z'\n\
         [http]\ntimeout = '1s'\nconnect_timeout = '200ms'\nretries = 0\nrequests_per_second = 1\nmax_response = '1MiB'\n",
    )
    .expect("it is valid");
    let shown = format!("{api:?}");
    assert!(shown.contains("page") && !shown.contains("hidden"), "{shown}");
}

#[test]
fn every_kind_of_paging_is_read() {
    for (keys, kind) in [
        ("by = 'number'\nparameter = 'page'", "Number"),
        ("by = 'offset'\nparameter = 'offset'\nsize = 100", "Offset"),
        ("by = 'cursor'\nparameter = 'cursor'\ncursor = '/meta/next'", "Cursor"),
        ("by = 'link'", "Link"),
        ("by = 'next_url'\nnext_url = '/paging/next'", "NextUrl"),
    ] {
        let api = read(&format!("[pages]\n{keys}\n")).expect("it is valid");
        assert!(format!("{api:?}").contains(kind), "{api:?}");
    }
}

#[test]
fn paging_that_cannot_be_done_is_refused() {
    for (keys, expected) in [
        ("by = 'numbers'", "did you mean \"number\"?"),
        ("by = 'number'", "pages.parameter is missing"),
        ("by = 'number'\nparameter = ''", "1 to 128 bytes"),
        ("by = 'number'\nparameter = 'p'\nsize_parameter = 's'", "needs a size"),
        ("by = 'number'\nparameter = 'p'\nsize = 0", "pages.size = 0: write 1 to 1000000"),
        ("by = 'number'\nparameter = 'p'\ncursor = '/c'", "pages.cursor has no meaning"),
        ("by = 'offset'\nparameter = 'o'", "pages.size is missing"),
        ("by = 'offset'\nparameter = 'o'\nsize = 1\nfirst = 1", "pages.first has no meaning"),
        ("by = 'cursor'\nparameter = 'c'", "pages.cursor is missing"),
        ("by = 'cursor'\nparameter = 'c'\ncursor = 'next'", "write \"/next\""),
        ("by = 'link'\nparameter = 'p'", "pages.parameter has no meaning"),
        ("by = 'next_url'\nnext_url = ''", "pages.next_url is missing"),
        ("by = 'link'\nmax_pages = 0", "pages.max_pages = 0: write 1 to 100000"),
        ("parameter = 'p'", "missing field `by`"),
        ("by = 'link'\nmax_page = 1", "unknown field `max_page`"),
    ] {
        assert_refused(read(&format!("[pages]\n{keys}\n")), expected);
    }
    let cursor = format!("{URL}[pages]\nby = 'cursor'\nparameter = 'c'\ncursor = '/n'\n");
    assert_refused(read_as(&cursor, &lines()), "format = \"ndjson\"");
    assert!(read_as(&format!("{URL}[pages]\nby = 'link'\n"), &lines()).is_ok());
}

#[test]
fn an_address_that_cannot_be_asked_is_refused() {
    let refused = |url: &str, expected: &str| {
        assert_refused(read_as(&format!("url = '{url}'"), &JsonLayout::default()), expected);
    };
    refused("hidden", "url is no address");
    refused("ftp://hidden.example/", "does not begin with http://");
    refused("https://hidden@api.example.com/", "user or a password");
    refused("https://a:hidden@api.example.com/", "user or a password");
    refused("https://${FERRY_NO_SUCH_VARIABLE}/", "FERRY_NO_SUCH_VARIABLE is not set, but url");
    refused(&format!("https://h/{}", "a".repeat(9000)), "longer than 8192 bytes");
    assert_refused(read_as("", &JsonLayout::default()), "url is missing");
}

#[test]
fn what_comes_from_the_environment_is_not_shown() {
    // `PATH` is set wherever tests run; as a path of an address it is escaped.
    let keys = "url = 'http://127.0.0.1:8000/${PATH}'\nparameters = { token = '${PATH}' }";
    let api = read_as(keys, &JsonLayout::default()).expect("it is valid");
    assert_eq!(api.shown(), "http://127.0.0.1:8000");
    let path = std::env::var("PATH").expect("it is set");
    assert!(!format!("{api:?}").contains(&path));
}

#[test]
fn what_is_sent_is_checked() {
    for (keys, expected) in [
        ("method = 'PUT'", "method = \"PUT\": write \"GET\" or \"POST\""),
        ("body = 'hidden'", "body is sent with a POST only"),
        ("parameters = { '' = 'x' }", "1 to 128 bytes"),
        ("parameters = { a = '${FERRY_NO_SUCH_VARIABLE}' }", "but parameters.a names it"),
        ("parameters = { a = 1 }", "expected a string"),
        ("headers = { 'a b' = 'x' }", "\"a b\" is no name of a header"),
        ("headers = { Host = 'x' }", "headers.Host is not yours"),
        ("headers = { accept-encoding = 'br' }", "is not yours"),
        ("headers = { a = \"hidden\\n\" }", "headers.a holds characters"),
        ("headers = { a = 'x', A = 'y' }", "written twice"),
        ("ca_file = 'no.pem'", "ca_file: cannot read"),
    ] {
        assert_refused(read(keys), expected);
    }
    let many: Vec<String> = (0..=NAMES_MAX).map(|number| format!("a{number} = ''")).collect();
    assert_refused(read(&format!("parameters = {{ {} }}", many.join(", "))), "at most 100");
}

#[test]
fn an_incremental_column_has_a_type_with_an_order() {
    let keys =
        |columns: &str| format!("{columns}\n[incremental]\nparameter = 'since'\ncolumn = 'at'\n");
    assert_refused(read(&keys("")), "incremental.column = \"at\" has no type");
    assert_refused(read(&keys("columns = { at = 'jsonb' }")), "no useful order");
    let formatted = "columns = { at = { type = 'date', format = '%d.%m.%Y' } }";
    assert_refused(read(&keys(formatted)), "has a format of its own");
    assert!(read(&keys("columns = { at = 'bigint' }")).is_ok());
}

#[test]
fn only_a_time_lies_ahead_and_not_for_ever() {
    let keys = |column_type: &str, ahead: &str| {
        format!(
            "columns = {{ at = '{column_type}' }}\n[incremental]\nparameter = 'since'\ncolumn = 'at'\nmax_ahead = '{ahead}'\n"
        )
    };
    for column_type in ["date", "timestamp", "timestamptz"] {
        assert!(read(&keys(column_type, "365d")).is_ok(), "{column_type}");
        assert!(read(&keys(column_type, "0s")).is_ok(), "{column_type}");
    }
    assert_refused(read(&keys("bigint", "1d")), "date, timestamp or timestamptz: remove it");
    assert_refused(read(&keys("date", "20years")), "incremental.max_ahead: write \"0s\" to");
}

#[test]
fn a_parameter_has_one_meaning() {
    let incremental = |parameter: &str| {
        format!(
            "columns = {{ at = 'bigint' }}\n[incremental]\nparameter = '{parameter}'\ncolumn = 'at'\n"
        )
    };
    let number = "[pages]\nby = 'number'\nparameter = 'p'\nsize_parameter = 'n'\nsize = 9\n";
    let read = |parameter: &str| read(&format!("{}{number}", incremental(parameter)));
    assert_refused(read("p"), "incremental.parameter is the same as pages.parameter");
    assert_refused(read("n"), "incremental.parameter is the same as pages.size_parameter");
    assert!(read("since").is_ok());
    let offset = "[pages]\nby = 'offset'\nparameter = 'o'\nsize_parameter = 'o'\nsize = 9\n";
    assert_refused(super::tests::read(offset), "pages.size_parameter is the same");
}

#[test]
fn bounds_are_told() {
    for (keys, expected) in [
        ("timeout = '11m'", "http.timeout: write \"100ms\" to \"10m\""),
        ("connect_timeout = '1ms'", "http.connect_timeout: write"),
        ("retries = 21", "http.retries = 21: write 0 to 20"),
        ("requests_per_second = 0", "http.requests_per_second = 0: write 0.001 to 1000"),
        ("requests_per_second = nan", "http.requests_per_second = NaN"),
        ("max_response = '1GiB'", "\"1KiB\" to \"256MiB\""),
        ("timeouts = '1s'", "unknown field `timeouts`"),
    ] {
        assert_refused(read(&format!("[http]\n{keys}\n")), expected);
    }
}
