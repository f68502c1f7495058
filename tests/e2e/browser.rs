//! A headless Chromium of a test's own, used as a person would: clicks, keys, and what is to be seen after them.
//!
//! In selectors and expressions `@name` stands for `[data-test=name]`; in
//! expressions `one`, `all` and `text` find elements and what they say.
//!
//! Invariants: nothing that was started here outlives its value, for the browser
//! ends when its pipe to chromedriver does; a test ends with [`Browser::finish`],
//! which fails if the page told an error or asked anybody else for anything.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use thirtyfour::common::command::FormatRequestData;
use thirtyfour::error::WebDriverResult;
use thirtyfour::{By, Capabilities, Key, RequestData, SessionId, TypingData, WebDriver};
use tokio::runtime::{Builder, Runtime};
use ureq::http::Method;

use crate::hosts::{Process, wait_for};

const LISTENING: &str = "ChromeDriver was started successfully on port ";
/// How long a page may take to become as a test wants it.
const WAIT_SECONDS_MAX: u64 = 30;
/// How long one command to the browser may take.
const ANSWER: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(10);
const DESK: Screen = Screen { width: 1280, height: 900, is_mobile: false };
const PHONE: Screen = Screen { width: 390, height: 844, is_mobile: true };
/// With a pipe in place of a port the browser ends with chromedriver, even if that is killed.
const ARGUMENTS: [&str; 11] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
    "--lang=en-GB",
];
const TOOLS: &str = "
const all = (selector) => [...document.querySelectorAll(selector)];
const one = (selector) => document.querySelector(selector);
const text = (selector) => one(selector)?.textContent.replace(/\\s+/g, ' ').trim();
";

/// A browser with one window, and the site that it looks at.
pub(crate) struct Browser {
    // Dropped in this order: the profile goes when nobody writes to it any more.
    driver: Option<WebDriver>,
    runtime: Runtime,
    process: Process,
    _profile: TempDir,
    /// Such as `http://127.0.0.1:40001`.
    origin: String,
    is_finished: bool,
}

/// What the system of the person who looks prefers.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Scheme {
    Light,
    Dark,
}

/// What pages are looked at on; sizes in pixels.
struct Screen {
    width: u32,
    height: u32,
    is_mobile: bool,
}

/// A command of the protocol of Chromium's developer tools.
#[derive(Debug)]
struct DevTools {
    command: &'static str,
    parameters: Value,
}

impl FormatRequestData for DevTools {
    fn format_request(&self, session_id: &SessionId) -> RequestData {
        let address = format!("session/{session_id}/goog/cdp/execute");
        let body = json!({ "cmd": self.command, "params": self.parameters });
        RequestData::new(Method::POST, address).add_body(body)
    }
}

impl Browser {
    /// Starts a browser that is to look at what is served at this origin.
    pub(crate) fn open(origin: &str) -> Self {
        let chromium = find_program("chromium");
        let mut process =
            Process::spawn(Command::new(find_program("chromedriver")).arg("--port=0"));
        let port: u16 = wait_for("chromedriver to listen", 30, || {
            let ended = process.ended().is_some();
            let said = process.stdout();
            let mut lines = said.split_inclusive('\n');
            let port = lines.find_map(|line| line.strip_prefix(LISTENING)?.strip_suffix(".\n"));
            assert!(port.is_some() || !ended, "chromedriver ended:\n{}", process.stderr());
            port.map(|port| port.parse().unwrap())
        });
        let profile = tempfile::tempdir().unwrap();
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let capabilities = capabilities(&chromium, profile.path());
        let url = format!("http://127.0.0.1:{port}");
        let session = WebDriver::builder(url, capabilities).request_timeout(ANSWER).connect();
        let driver = runtime.block_on(session);
        let driver = driver.unwrap_or_else(|error| panic!("chromium did not start: {error}"));
        let origin = origin.to_owned();
        let browser = Self {
            driver: Some(driver),
            runtime,
            process,
            _profile: profile,
            origin,
            is_finished: false,
        };
        browser.look_at(&DESK);
        // What slides in can be clicked at once.
        browser.prefer(Scheme::Light);
        browser
    }

    /// Makes the window as wide as a phone, which is touched.
    pub(crate) fn become_phone(&self) {
        self.look_at(&PHONE);
        self.tell("Emulation.setTouchEmulationEnabled", json!({ "enabled": true }));
    }

    /// Prefers these colours, and nothing that moves; the page follows some frames later.
    pub(crate) fn prefer(&self, scheme: Scheme) {
        let value = match scheme {
            Scheme::Light => "light",
            Scheme::Dark => "dark",
        };
        let features = json!([
            { "name": "prefers-color-scheme", "value": value },
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ]);
        self.tell("Emulation.setEmulatedMedia", json!({ "features": features }));
    }

    /// Loads the document at a path of the site.
    #[track_caller]
    pub(crate) fn go(&self, path: &str) {
        let address = format!("{}{path}", self.origin);
        self.block_on(self.driver().goto(address)).unwrap();
    }

    #[track_caller]
    pub(crate) fn reload(&self) {
        self.block_on(self.driver().refresh()).unwrap();
    }

    /// Does what the button Back of a browser does.
    #[track_caller]
    pub(crate) fn back(&self) {
        self.block_on(self.driver().back()).unwrap();
    }

    /// Clicks into the middle of an element, once it is there and can be used.
    #[track_caller]
    pub(crate) fn click(&self, selector: &str) {
        let selector = hooks(selector);
        self.until(&format!("a click on {selector}"), || {
            self.block_on(async {
                let element = self.driver().find(By::Css(selector.as_str())).await?;
                if !element.is_enabled().await? {
                    return Ok(None);
                }
                element.click().await.map(Some)
            })
        });
    }

    /// Puts a text in place of what a field holds.
    #[track_caller]
    pub(crate) fn fill(&self, selector: &str, text: &str) {
        let selector = hooks(selector);
        self.until(&format!("a field {selector}"), || {
            self.block_on(async {
                let element = self.driver().find(By::Css(selector.as_str())).await?;
                element.clear().await?;
                element.send_keys(text).await.map(Some)
            })
        });
    }

    /// Presses keys one after the other, wherever the focus is.
    #[track_caller]
    pub(crate) fn press(&self, keys: impl Into<TypingData>) {
        self.block_on(self.driver().action_chain().send_keys(keys).perform()).unwrap();
    }

    /// Presses Tab while Shift is held.
    #[track_caller]
    pub(crate) fn press_tab_back(&self) {
        let chain = self.driver().action_chain();
        let chain = chain.key_down(Key::Shift).send_keys(Key::Tab).key_up(Key::Shift);
        self.block_on(chain.perform()).unwrap();
    }

    /// Gives the focus to an element, as a reader's shortcut does.
    #[track_caller]
    pub(crate) fn focus(&self, selector: &str) {
        self.wait(&format!("!!one({0:?}) && (one({0:?}).focus(), true)", hooks(selector)));
    }

    /// Value of a JavaScript expression.
    #[track_caller]
    pub(crate) fn evaluate(&self, expression: &str) -> Value {
        let value = self.ask(&format!("return ({expression});"));
        value.unwrap_or_else(|error| panic!("{expression}: {error}"))
    }

    /// What a script returns.
    #[track_caller]
    pub(crate) fn run(&self, script: &str) -> Value {
        self.ask(script).unwrap_or_else(|error| panic!("a script of the test: {error}"))
    }

    /// Waits until a JavaScript expression holds, and gives its value.
    #[track_caller]
    pub(crate) fn wait(&self, expression: &str) -> Value {
        let script = format!("return ({expression});");
        self.until(expression, || self.ask(&script).map(|value| is_true(&value).then_some(value)))
    }

    /// Waits until an element says this among other things, whatever its white space.
    #[track_caller]
    pub(crate) fn wait_for_text(&self, selector: &str, part: &str) {
        self.wait(&format!("text({:?})?.includes({part:?})", hooks(selector)));
    }

    /// What an element says, once it is there.
    #[track_caller]
    pub(crate) fn text(&self, selector: &str) -> String {
        let selector = hooks(selector);
        self.wait(&format!("!!one({selector:?})"));
        self.evaluate(&format!("text({selector:?})")).as_str().unwrap_or_default().to_owned()
    }

    /// How many elements there are just now.
    #[track_caller]
    pub(crate) fn count(&self, selector: &str) -> u64 {
        self.evaluate(&format!("all({:?}).length", hooks(selector))).as_u64().unwrap()
    }

    /// Ends a test in which no request was refused.
    #[track_caller]
    pub(crate) fn finish(self) {
        self.finish_after(&[]);
    }

    /// Ends a test in which requests were refused with these words, such as `status of 404`.
    #[track_caller]
    pub(crate) fn finish_after(mut self, refusals: &[&str]) {
        for entry in self.block_on(self.driver().browser_log()).unwrap() {
            let is_refusal = entry.source.as_deref() == Some("network")
                && refusals.iter().any(|words| entry.message.contains(words));
            let is_fine = entry.level != "SEVERE" || is_refusal;
            assert!(is_fine, "the page told an error: {}", entry.message);
        }
        for entry in self.block_on(self.driver().get_log("performance")).unwrap() {
            let event: Value = serde_json::from_str(&entry.message).unwrap();
            let parameters = &event["message"]["params"];
            let asked = [&parameters["request"]["url"], &parameters["url"]];
            for address in asked.into_iter().filter_map(Value::as_str) {
                let is_foreign = ["http:", "https:", "ws:", "wss:"]
                    .iter()
                    .any(|scheme| address.starts_with(scheme))
                    && !address.starts_with(&format!("{}/", self.origin));
                assert!(!is_foreign, "the page asked somebody else: {address}");
            }
        }
        self.is_finished = true;
    }

    fn look_at(&self, screen: &Screen) {
        let metrics = json!({
            "width": screen.width,
            "height": screen.height,
            "deviceScaleFactor": 1,
            "mobile": screen.is_mobile,
        });
        self.tell("Emulation.setDeviceMetricsOverride", metrics);
    }

    fn tell(&self, command: &'static str, parameters: Value) {
        self.block_on(self.driver().cmd(DevTools { command, parameters })).unwrap();
    }

    fn ask(&self, script: &str) -> WebDriverResult<Value> {
        let script = [TOOLS, &hooks(script)].concat();
        let answer = self.block_on(self.driver().execute(script, Vec::<Value>::new()))?;
        Ok(answer.json().clone())
    }

    /// Tries again and again, for a page changes while one looks at it; fails with what is to be seen.
    #[track_caller]
    fn until<T>(&self, what: &str, mut ask: impl FnMut() -> WebDriverResult<Option<T>>) -> T {
        let deadline = Instant::now() + Duration::from_secs(WAIT_SECONDS_MAX);
        loop {
            let last = match ask() {
                Ok(Some(answer)) => return answer,
                Ok(None) => String::new(),
                Err(error) => error.to_string(),
            };
            if Instant::now() >= deadline {
                let seen = self.ask("return `${location.href}\\n${document.body.innerText}`");
                let seen = seen.unwrap_or_default();
                let seen = seen.as_str().unwrap_or_default();
                panic!("waited {WAIT_SECONDS_MAX} s in vain for {what}\n{last}\n{seen}");
            }
            thread::sleep(POLL);
        }
    }

    fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    fn driver(&self) -> &WebDriver {
        self.driver.as_ref().expect("the browser is open until it is dropped")
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if let Some(driver) = self.driver.take() {
            // What does not end in order ends with chromedriver.
            let _ = self.runtime.block_on(driver.quit());
        }
        self.process.kill();
        assert!(self.is_finished || thread::panicking(), "a test of a page ends with finish()");
    }
}

fn capabilities(chromium: &Path, profile: &Path) -> Capabilities {
    let mut arguments = ARGUMENTS.map(str::to_owned).to_vec();
    arguments.push(format!("--user-data-dir={}", profile.display()));
    let options = json!({
        "binary": chromium.display().to_string(),
        "args": arguments,
        // Debian's Chromium begins with a page of the internet.
        "prefs": { "session.restore_on_startup": 4, "session.startup_urls": ["about:blank"] },
        "perfLoggingPrefs": { "enableNetwork": true, "enablePage": false },
    });
    let mut capabilities = Capabilities::new();
    for (name, value) in [
        ("browserName", json!("chrome")),
        ("goog:loggingPrefs", json!({ "browser": "ALL", "performance": "ALL" })),
        ("goog:chromeOptions", options),
    ] {
        capabilities.set(name, value).unwrap();
    }
    capabilities
}

/// Debian's package puts both programs into `/usr/bin`; elsewhere the `PATH` knows.
fn find_program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = [PathBuf::from("/usr/bin")].into_iter().chain(std::env::split_paths(&path));
    let found = folders.map(|folder| folder.join(name)).find(|program| program.is_file());
    found.unwrap_or_else(|| panic!("{name} is missing: apt-get install chromium chromium-driver"))
}

/// Writes `@name` as the selector of the hook of this name.
fn hooks(text: &str) -> String {
    let mut written = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('@') {
        let is_end = |letter: char| !letter.is_ascii_lowercase() && letter != '-';
        let end = after.find(is_end).unwrap_or(after.len());
        written.push_str(&[before, "[data-test=", &after[..end], "]"].concat());
        rest = &after[end..];
    }
    written + rest
}

/// Whether JavaScript takes a value for true.
fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(is_so) => *is_so,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(_) | Value::Object(_) => true,
    }
}
