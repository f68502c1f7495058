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

const LISTENING: &str = "ferry-server listening on ";
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

    /// Runs the job of the destination host to its end; its output goes to the terminal.
    pub(super) async fn run_client(
        &self,
        folder: &Folder,
        source_url: &str,
        database_url: &str,
        shutdown: &mut Shutdown,
    ) -> Result<(), DemoError> {
        line(format!(
            "destination$ DATABASE_URL={database_url} ferry-client run job.toml --source {source_url}"
        ));
        let mut command = clean_command(&self.client);
        command.args(["run", "job.toml", "--source", source_url]);
        command.current_dir(folder.destination()).env("DATABASE_URL", database_url);
        let mut process = Process::spawn(command, &self.client)?;
        let status = process.wait(shutdown).await?;
        if status.success() { Ok(()) } else { Err(DemoError::ClientFailed(status)) }
    }
}

/// A running `ferry-server`.
pub(super) struct Server {
    process: Process,
    url: String,
}

impl Server {
    /// Starts the source host and waits until it listens.
    pub(super) async fn start(
        programs: &Programs,
        folder: &Folder,
        shutdown: &Shutdown,
    ) -> Result<Self, DemoError> {
        let arguments = ["serve", "--config", "server.toml", "--listen", "127.0.0.1:0"];
        line("");
        line(format!("source$ ferry-server {}", arguments.join(" ")));
        let log_path = folder.source().join("ferry-server.log");
        let failed = |source| DemoError::Folder { path: log_path.clone(), source };
        let log = File::create(&log_path).map_err(failed)?;
        let mut command = clean_command(&programs.server);
        command.args(arguments).current_dir(folder.source());
        command.stdout(log.try_clone().map_err(failed)?).stderr(log);
        let mut process = Process::spawn(command, &programs.server)?;
        let url = wait_until_listening(&mut process, &log_path, shutdown).await?;
        line(format!("{LISTENING}{url}"));
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
    pub(super) fn leave_running(mut self) -> u32 {
        self.process.child.take().map_or(0, |child| child.id())
    }
}

async fn wait_until_listening(
    process: &mut Process,
    log_path: &Path,
    shutdown: &Shutdown,
) -> Result<String, DemoError> {
    let deadline = Instant::now() + Duration::from_secs(START_SECONDS_MAX);
    loop {
        // The server may log in colour, so that its log need not be UTF-8 throughout.
        let log = fs::read(log_path).unwrap_or_default();
        let log = String::from_utf8_lossy(&log).into_owned();
        let mut whole_lines = log.split_inclusive('\n').filter(|text| text.ends_with('\n'));
        if let Some(url) = whole_lines.find_map(|text| text.strip_prefix(LISTENING)) {
            return Ok(url.trim_end().to_owned());
        }
        if shutdown.is_requested() {
            return Err(DemoError::Interrupted);
        }
        if process.ended()?.is_some() || Instant::now() >= deadline {
            return Err(DemoError::ServerDown { log });
        }
        tokio::time::sleep(POLL).await;
    }
}

/// A process; none any more once it was waited for or let go.
struct Process {
    program: PathBuf,
    child: Option<Child>,
}

impl Process {
    fn spawn(mut command: Command, program: &Path) -> Result<Self, DemoError> {
        let child = command
            .stdin(Stdio::null())
            .spawn()
            .map_err(|source| DemoError::Program { path: program.to_owned(), source })?;
        Ok(Self { program: program.to_owned(), child: Some(child) })
    }

    fn ended(&mut self) -> Result<Option<ExitStatus>, DemoError> {
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
fn clean_command(program: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("PG") || text.starts_with("FERRY_") {
            command.env_remove(&name);
        }
    }
    command
}
