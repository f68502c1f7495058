//! Starts ferry's own programs as processes, shows their command lines, and ends them.
//!
//! Invariant: a process that was started here is gone once its value is dropped.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use ferry::host::shutdown::Shutdown;

use super::DemoError;
use super::cluster::signal;
use super::folder::Folder;
use crate::output::line;

const SERVER_LISTENING: &str = "ferry-server listening on ";
/// Variables that flags of ferry are read from.
const SETTINGS: [&str; 2] = ["DATABASE_URL", "REDIS_URL"];
const START_SECONDS_MAX: u64 = 30;
/// How long a program may take to end by itself before it is killed.
const STOP_SECONDS_MAX: u64 = 10;
const POLL: Duration = Duration::from_millis(20);

/// Where the two programs are.
pub(super) struct Programs {
    server: PathBuf,
    client: PathBuf,
}

impl Programs {
    /// This program, and the server in the same folder.
    pub(super) fn find() -> Result<Self, DemoError> {
        let client = std::env::current_exe()
            .map_err(|source| DemoError::Program { path: PathBuf::from("ferry-client"), source })?;
        let server = client.with_file_name("ferry-server");
        if !server.is_file() {
            return Err(DemoError::NoServer { path: server });
        }
        Ok(Self { server, client })
    }

    /// Path of this program.
    pub(super) fn client(&self) -> &Path {
        &self.client
    }

    /// This program, without the user's own settings.
    pub(super) fn client_command(&self) -> Command {
        clean_command(&self.client)
    }

    /// Starts the source host in its folder.
    pub(super) async fn start_server(
        &self,
        folder: &Folder,
        environment: &[(&str, &str)],
        shutdown: &Shutdown,
    ) -> Result<Service, DemoError> {
        let arguments = ["serve", "--config", "server.toml", "--listen", "127.0.0.1:0"];
        line("");
        line(format!("source$ ferry-server {}", arguments.join(" ")));
        let mut command = clean_command(&self.server);
        command.args(arguments).current_dir(folder.source()).envs(environment.iter().copied());
        let log_path = folder.source().join("ferry-server.log");
        let service = Service::start(command, SERVER_LISTENING, &log_path, shutdown).await?;
        line(format!("{SERVER_LISTENING}{}", service.url()));
        Ok(service)
    }

    /// Runs the job of the destination host to its end; its output goes to the terminal.
    pub(super) async fn run_client(
        &self,
        folder: &Folder,
        source_url: &str,
        environment: &[(&str, &str)],
        shutdown: &mut Shutdown,
    ) -> Result<(), DemoError> {
        line(format!(
            "destination$ {}ferry-client run job.toml --source {source_url}",
            assignments(environment)
        ));
        let mut command = self.client_command();
        command.args(["run", "job.toml", "--source", source_url]);
        command.current_dir(folder.destination()).envs(environment.iter().copied());
        let status = Process::spawn(command)?.wait(shutdown).await?;
        if status.success() { Ok(()) } else { Err(DemoError::ClientFailed(status)) }
    }
}

/// Variables as they stand before a command in a shell.
pub(super) fn assignments(environment: &[(&str, &str)]) -> String {
    let words: Vec<String> = environment
        .iter()
        .flat_map(|(name, value)| [*name, "=", *value, " "])
        .map(str::to_owned)
        .collect();
    words.concat()
}

/// A process that says on its standard output where it listens.
pub(super) struct Service {
    process: Process,
    url: String,
}

impl Service {
    /// Starts a program, and waits until it says `said` and its URL behind that.
    ///
    /// What it writes goes to `log_path`.
    pub(super) async fn start(
        mut command: Command,
        said: &str,
        log_path: &Path,
        shutdown: &Shutdown,
    ) -> Result<Self, DemoError> {
        let failed = |source| DemoError::Folder { path: log_path.to_owned(), source };
        let log = File::create(log_path).map_err(failed)?;
        command.stdout(log.try_clone().map_err(failed)?).stderr(log);
        let mut process = Process::spawn(command)?;
        let url = wait_until_listening(&mut process, said, log_path, shutdown).await?;
        Ok(Self { process, url })
    }

    /// Such as `http://127.0.0.1:40001`.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Host and port.
    pub(super) fn address(&self) -> &str {
        self.url.split_once("://").map_or(&self.url, |(_, address)| address)
    }

    /// Lets go of the process while it runs, and gives its id.
    pub(super) fn leave_running(self) -> u32 {
        self.process.leave_running()
    }
}

async fn wait_until_listening(
    process: &mut Process,
    said: &str,
    log_path: &Path,
    shutdown: &Shutdown,
) -> Result<String, DemoError> {
    let deadline = Instant::now() + Duration::from_secs(START_SECONDS_MAX);
    loop {
        // A program may log in colour, so that its log need not be UTF-8 throughout.
        let log = fs::read(log_path).unwrap_or_default();
        let log = String::from_utf8_lossy(&log).into_owned();
        let mut whole_lines = log.split_inclusive('\n').filter(|text| text.ends_with('\n'));
        if let Some(url) = whole_lines.find_map(|text| text.strip_prefix(said)) {
            return Ok(url.trim_end().to_owned());
        }
        if shutdown.is_requested() {
            return Err(DemoError::Interrupted);
        }
        if process.ended()?.is_some() || Instant::now() >= deadline {
            return Err(DemoError::ServiceDown { program: process.program.clone(), log });
        }
        tokio::time::sleep(POLL).await;
    }
}

/// A process; none any more once it was waited for or let go.
pub(super) struct Process {
    program: PathBuf,
    child: Option<Child>,
}

impl Process {
    /// Starts a program.
    pub(super) fn spawn(mut command: Command) -> Result<Self, DemoError> {
        let program = PathBuf::from(command.get_program());
        match command.stdin(Stdio::null()).spawn() {
            Ok(child) => Ok(Self { program, child: Some(child) }),
            Err(source) => Err(DemoError::Program { path: program, source }),
        }
    }

    /// Lets go of the process while it runs, and gives its id.
    pub(super) fn leave_running(mut self) -> u32 {
        self.child.take().map_or(0, |child| child.id())
    }

    pub(super) fn ended(&mut self) -> Result<Option<ExitStatus>, DemoError> {
        let Some(child) = &mut self.child else {
            return Ok(None);
        };
        child.try_wait().map_err(|source| DemoError::Program { path: self.program.clone(), source })
    }

    /// Waits for the end of the process; on a shutdown it is stopped when dropped.
    async fn wait(&mut self, shutdown: &mut Shutdown) -> Result<ExitStatus, DemoError> {
        loop {
            if let Some(status) = self.ended()? {
                let is_interrupted = shutdown.is_requested();
                return if is_interrupted { Err(DemoError::Interrupted) } else { Ok(status) };
            }
            tokio::select! {
                () = shutdown.requested() => return Err(DemoError::Interrupted),
                () = tokio::time::sleep(POLL) => {}
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let Some(child) = &mut self.child else {
            return;
        };
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        signal(child.id(), "TERM");
        let deadline = Instant::now() + Duration::from_secs(STOP_SECONDS_MAX);
        while matches!(child.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(POLL);
        }
        // Failing only means that it has ended by itself.
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// A command without the user's own settings, which would go before the demo's.
pub(super) fn clean_command(program: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let is_setting = text.starts_with("PG") || text.starts_with("FERRY_");
        if is_setting || SETTINGS.contains(&&*text) {
            command.env_remove(&name);
        }
    }
    command
}
