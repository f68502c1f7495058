//! Runs `ferry-server` and `ferry-client` as processes: what they say, how they end.
//!
//! Invariant: a process that was started here is gone once its value is dropped.

use std::fs::{self, File};
use std::io::{Read, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

const SERVER: &str = env!("CARGO_BIN_EXE_ferry-server");
const CLIENT: &str = env!("CARGO_BIN_EXE_ferry-client");
/// How long a program may take before its test fails.
const FINISH_SECONDS_MAX: u64 = 180;
const POLL: Duration = Duration::from_millis(10);
const LISTENING: &str = "ferry-server listening on ";

/// Asks again and again until there is an answer; fails after the deadline.
pub(crate) fn wait_for<T>(what: &str, seconds_max: u64, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(seconds_max);
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited {seconds_max} s in vain for {what}");
        thread::sleep(POLL);
    }
}

/// A port on 127.0.0.1 that nobody listens on.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// A running program whose output is collected.
pub(crate) struct Process {
    child: Child,
    stdout: Arc<Mutex<Vec<u8>>>,
    stderr: Arc<Mutex<Vec<u8>>>,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    pub(crate) fn spawn(command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child =
            command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let (stdout, out_reader) = collect(child.stdout.take().unwrap());
        let (stderr, err_reader) = collect(child.stderr.take().unwrap());
        Self { child, stdout, stderr, readers: vec![out_reader, err_reader] }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Standard output so far.
    pub(crate) fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.stdout.lock().unwrap()).into_owned()
    }

    /// Standard error so far.
    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stderr.lock().unwrap()).into_owned()
    }

    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Sends a signal such as `TERM`; the shell knows `kill` on every machine.
    pub(crate) fn signal(&self, name: &str) {
        let line = format!("kill -s {name} {}", self.id());
        let status = Command::new("/bin/sh").args(["-c", &line]).status().unwrap();
        assert!(status.success(), "{line}");
    }

    /// SIGKILL: the program gets no chance to do anything.
    pub(crate) fn kill(&mut self) {
        // Failing only means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits for the end of the program.
    pub(crate) fn finish(self) -> Outcome {
        self.finish_within(FINISH_SECONDS_MAX)
    }

    /// Waits for the end of the program, which must come in time.
    pub(crate) fn finish_within(mut self, seconds_max: u64) -> Outcome {
        let deadline = Instant::now() + Duration::from_secs(seconds_max);
        while self.ended().is_none() {
            if Instant::now() >= deadline {
                self.kill();
                panic!("still running after {seconds_max} s\n{}\n{}", self.stdout(), self.stderr());
            }
            thread::sleep(POLL);
        }
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        let code = self.child.wait().unwrap().code();
        Outcome { code, stdout: self.stdout(), stderr: self.stderr() }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn collect(mut pipe: impl Read + Send + 'static) -> (Arc<Mutex<Vec<u8>>>, JoinHandle<()>) {
    let collected = Arc::new(Mutex::new(Vec::new()));
    let target = Arc::clone(&collected);
    let reader = thread::spawn(move || {
        let mut buffer = [0; 8192];
        while let Ok(count @ 1..) = pipe.read(&mut buffer) {
            target.lock().unwrap().extend_from_slice(&buffer[..count]);
        }
    });
    (collected, reader)
}

/// How a program ended, and all that it said.
pub(crate) struct Outcome {
    /// Exit code; none if a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    #[track_caller]
    pub(crate) fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "exit code; it said:\n{}", self.text());
        self
    }

    /// Checks that the program said something, whatever the case of the letters.
    #[track_caller]
    pub(crate) fn expect_text(self, part: &str) -> Self {
        let text = self.text();
        let is_there = text.to_lowercase().contains(&part.to_lowercase());
        assert!(is_there, "\"{part}\" is missing in:\n{text}");
        self
    }

    /// The JSON object that `--json` prints at the end.
    #[track_caller]
    pub(crate) fn summary(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("no JSON summary ({error}):\n{}", self.text()))
    }

    /// Everything on both streams.
    pub(crate) fn text(&self) -> String {
        format!("{}\n{}", self.stdout, self.stderr)
    }
}

/// A source host: a folder with files and `server.toml`.
pub(crate) struct Source {
    folder: TempDir,
}

impl Source {
    /// A source host with these settings.
    pub(crate) fn new(settings: &str) -> Self {
        let source = Self { folder: tempfile::tempdir().unwrap() };
        source.write("server.toml", settings);
        source
    }

    /// A source host with one dataset of files `*.csv` and these types of columns.
    pub(crate) fn with_dataset(name: &str, columns: &[(&str, &str)]) -> Self {
        let mut settings = format!("[[dataset]]\nname = \"{name}\"\nfiles = [\"*.csv\"]\n");
        settings.push_str("[dataset.columns]\n");
        for (column, column_type) in columns {
            settings.push_str(&["\"", column, "\" = \"", column_type, "\"\n"].concat());
        }
        Self::new(&settings)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
    }

    pub(crate) fn append(&self, name: &str, content: &str) {
        let mut file = File::options().append(true).open(self.path(name)).unwrap();
        file.write_all(content.as_bytes()).unwrap();
    }

    /// The command that serves the folder on a port of the system's choice.
    pub(crate) fn command(&self) -> Command {
        let mut command = clean_command(SERVER);
        command.arg("serve").arg("--config").arg(self.path("server.toml"));
        command
    }

    pub(crate) fn start(&self) -> Server {
        self.start_at("127.0.0.1:0")
    }

    pub(crate) fn start_at(&self, listen: &str) -> Server {
        Server::start(self.command().args(["--listen", listen]))
    }

    /// `ferry-server check` of the settings.
    pub(crate) fn check(&self) -> Outcome {
        let mut command = clean_command(SERVER);
        command.arg("check").arg("--config").arg(self.path("server.toml"));
        Process::spawn(&mut command).finish()
    }
}

/// A server that listens.
pub(crate) struct Server {
    pub(crate) process: Process,
    url: String,
}

impl Server {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut process = Process::spawn(command);
        let url = wait_for("the server's first line", 30, || {
            let ended = process.ended().is_some();
            let said = process.stdout();
            let mut lines = said.split_inclusive('\n');
            let url = lines.find_map(|line| line.strip_prefix(LISTENING)?.strip_suffix('\n'));
            assert!(url.is_some() || !ended, "the server ended:\n{}", process.stderr());
            url.map(str::to_owned)
        });
        Self { process, url }
    }

    /// Where it listens, such as `http://127.0.0.1:40001`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Host and port.
    pub(crate) fn address(&self) -> &str {
        self.url.split_once("://").unwrap().1
    }
}

/// `ferry-client` with these arguments, in an environment without settings.
pub(crate) fn client<S: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = clean_command(CLIENT);
    command.args(arguments);
    command
}

/// `ferry-client run` by flags, with its summary as JSON.
pub(crate) fn run(source_url: &str, dataset: &str, table: &str, database_url: &str) -> Command {
    let mut command = client(["run", "--json", "--source", source_url, "--dataset", dataset]);
    command.args(["--table", table, "--database", database_url]);
    command
}

/// Runs a command to its end.
pub(crate) fn finish(command: &mut Command) -> Outcome {
    Process::spawn(command).finish()
}

/// Writes `job.toml` beside other files of a test.
pub(crate) fn write_job(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("job.toml");
    fs::write(&path, text).unwrap();
    path
}

fn clean_command(program: &str) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let is_setting = text.starts_with("PG") || text.starts_with("FERRY_");
        if is_setting || text == "DATABASE_URL" || text == "RUST_LOG" {
            command.env_remove(&name);
        }
    }
    command
}

/// Numbers from a seed (splitmix64): the same seed gives the same run.
pub(crate) struct Random(u64);

impl Random {
    /// Takes the seed from `FERRY_SEED`, else from the clock, and prints it.
    pub(crate) fn from_environment(test: &str) -> Self {
        let given = std::env::var("FERRY_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(|| {
            let since_1970 = std::time::UNIX_EPOCH.elapsed().unwrap();
            u64::from(since_1970.subsec_nanos()) ^ (since_1970.as_secs() << 20)
        });
        println!("{test}: repeat with FERRY_SEED={seed}");
        Self(seed)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// Whether the long version of a test was asked for.
pub(crate) fn is_soak() -> bool {
    std::env::var("FERRY_SOAK").is_ok_and(|value| value == "1")
}
