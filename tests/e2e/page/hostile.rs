//! Values and names that are made to do harm are shown as the text they are, and nothing in them runs.

use std::fmt::Write as _;

use serde_json::json;

use super::Shown;

const MARKUP: &str = "<img src=x onerror=\"window.ran=1\"><script>window.ran=1</script>";
/// Turns what follows it around, so that a name seems to end in another way.
const TURNED: &str = "bill\u{202e}fdp.csv";
/// A name of a file that is markup, a quote and a turn at once.
const FILE: &str = "<img src=x onerror=window.ran=1>\"'\u{202e}vsc.csv";
const OTHER_FILE: &str = "b'; rm -rf x &amp; <b>.csv";

/// Values in place of names and notes, and the key of each.
fn values() -> Vec<(String, String)> {
    let values = [
        MARKUP.to_owned(),
        "'\"><svg onload=window.ran=1>".to_owned(),
        TURNED.to_owned(),
        "</table></main><h1>gone</h1>".to_owned(),
        "javascript:window.ran=1".to_owned(),
        "x".repeat(3000),
        "${window.ran=1}{{window.ran=1}}".to_owned(),
        "\u{7}bell\u{200b}".to_owned(),
    ];
    // A key is typed into a field, which takes no control characters.
    let key = |value: &String| {
        value.chars().filter(|letter| !letter.is_control()).take(60).collect::<String>()
    };
    values.into_iter().map(|value| (key(&value), value)).collect()
}

/// A job whose records and files have such values and names, after its run.
fn hostile() -> Shown {
    let mut shown = Shown::unloaded(0);
    let source = &shown.trip.source;
    std::fs::remove_file(source.path("people.csv")).unwrap();
    source.write("server.toml", "[[dataset]]\nname = \"people\"\nfiles = [\"*.csv\"]\n");
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let mut file = String::from("uid,email,name,note\n");
    for (key, value) in values() {
        let (key, value) = (quoted(&key), quoted(&value));
        writeln!(file, "{key},{value},{value},thornbuckle").unwrap();
    }
    let markup = quoted(MARKUP);
    writeln!(file, "refused,e,{markup},{markup}").unwrap();
    source.write(FILE, file);
    source.write(OTHER_FILE, "uid,email,name,note\nlast,e,n,lost\n");
    // Without types: every column is text.
    shown.trip.server = shown.trip.source.start();
    let summary = shown.trip.run(&shown.rules()).expect_code(0).summary();
    assert_eq!(summary["rows"]["quarantined"], 2, "{summary}");
    shown
}

/// Checks that the page is the page still, and that nothing came of what it shows.
#[track_caller]
fn assert_harmless(shown: &Shown, heading: &str) {
    let browser = &shown.browser;
    let found = browser.evaluate(
        "[window.ran ?? null, all('main img, main script, main b, dialog img, dialog script').length, \
         all('h1').map((one) => one.textContent).join(), one('main').contains(one('h1')), \
         document.documentElement.scrollWidth <= document.documentElement.clientWidth]",
    );
    assert_eq!(found, json!([null, 0, heading, true, true]));
}

#[test]
fn nothing_in_a_record_or_in_the_name_of_a_file_runs() {
    let shown = hostile();
    let browser = &shown.browser;

    shown.open("/ui/jobs/people", "all('@file-row').length === 2");
    assert_harmless(&shown, "people");
    browser.wait_for_text("@job-files", OTHER_FILE);
    browser.wait_for_text("@job-files", "<img src=x onerror=window.ran=1>\"'");
    shown.open("/ui/runs/1", "all('@run-file').length === 2 && all('@split').length === 2");
    assert_harmless(&shown, "Run 1");
    shown.open("/ui/quarantine/people", "all('@quarantine-row').length === 2");
    assert_harmless(&shown, "Quarantine");
    shown.open("/ui/quarantine/people?open=1", "one('@entry-record')");
    assert_harmless(&shown, "Quarantine");
    browser.wait_for_text("@entry-record", MARKUP);

    let rows = values().len();
    shown.open("/ui/tables/public.users", &format!("all('@record-row').length === {rows}"));
    assert_harmless(&shown, "public.users");
    for (key, value) in values() {
        browser.fill("@find-key", &key);
        browser.click("@find-submit");
        browser.wait("one('@record-fields')");
        assert_harmless(&shown, "public.users");
        // A character that hides or turns text is written out.
        let shown_value = value
            .replace('\u{202e}', "\\u202e")
            .replace('\u{7}', "\\u0007")
            .replace('\u{200b}', "\\u200b");
        assert_eq!(browser.text("@field[data-column=name] .value"), shown_value);
        browser.press(thirtyfour::Key::Escape);
        browser.wait("!one('@record')");
    }
    shown.browser.finish();
}

#[test]
fn a_name_or_a_key_does_not_pretend_to_be_another() {
    let shown = hostile();
    for (path, condition) in [
        ("/ui/jobs/people", "all('@file-row').length === 2"),
        ("/ui/runs/1", "all('@run-file').length === 2 && all('@split').length === 2"),
        ("/ui/quarantine/people", "all('@quarantine-row').length === 2"),
        ("/ui/quarantine/people?open=1", "one('@entry-record')"),
        ("/ui/tables/public.users", "one('@record-row')"),
    ] {
        shown.open(path, condition);
        let turns = shown.browser.evaluate("document.body.innerText.includes('\\u202e')");
        assert_eq!(turns, json!(false), "{path} lets a name turn its end around");
        let written = shown.browser.evaluate("document.body.innerText.includes('\\\\u202e')");
        assert_eq!(written, json!(true), "{path} does not write the character out");
    }
    shown.browser.finish();
}

#[test]
fn on_a_phone_long_and_hostile_values_stay_within_the_screen() {
    let shown = hostile();
    shown.browser.become_phone();
    for (path, condition, heading) in [
        ("/ui/jobs/people", "all('@file-row').length === 2", "people"),
        ("/ui/runs/1", "all('@run-file').length === 2", "Run 1"),
        ("/ui/quarantine/people?open=1", "one('@entry-record')", "Quarantine"),
        ("/ui/tables/public.users", "one('@record-row')", "public.users"),
    ] {
        shown.open(path, condition);
        assert_harmless(&shown, heading);
    }
    shown.browser.finish();
}
