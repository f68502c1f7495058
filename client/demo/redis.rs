//! Turns an empty folder into a running Redis of one's own, which keeps nothing on disk.
//!
//! Invariants: it listens on 127.0.0.1 only, on a port of its own; it is
//! stopped when dropped.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use ferry::host::shutdown::Shutdown;

use super::DemoError;
use super::processes::{Process, clean_command};

const START_SECONDS_MAX: u64 = 10;
const POLL: Duration = Duration::from_millis(20);
/// A server that does not answer for so long is not one.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(500);

/// A running `redis-server`.
pub(super) struct Redis {
    folder: PathBuf,
    port: u16,
    process: Option<Process>,
}

impl Redis {
    /// Starts a Redis whose log lies in `folder`, which is made.
    pub(super) async fn start(folder: &Path, shutdown: &Shutdown) -> Result<Self, DemoError> {
        let failed = |source| DemoError::Folder { path: folder.to_owned(), source };
        std::fs::create_dir(folder).map_err(failed)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        drop(listener);
        let mut redis = Self { folder: folder.to_owned(), port, process: None };
        redis.launch(shutdown).await?;
        Ok(redis)
    }

    /// Such as `redis://127.0.0.1:40001`.
    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Stops it; what it held is gone.
    pub(super) fn stop(&mut self) {
        self.process = None;
    }

    /// Starts it on its port, with nothing in it.
    pub(super) async fn launch(&mut self, shutdown: &Shutdown) -> Result<(), DemoError> {
        let failed = |source| DemoError::Folder { path: self.folder.clone(), source };
        let log_path = self.folder.join("redis.log");
        let log = File::options().create(true).append(true).open(log_path).map_err(failed)?;
        let mut command = clean_command(Path::new("redis-server"));
        command.args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"]);
        command.args(["--save", "", "--appendonly", "no", "--dir"]).arg(&self.folder);
        command.stdout(log.try_clone().map_err(failed)?).stderr(Stdio::from(log));
        let mut process = match Process::spawn(command) {
            Err(DemoError::Program { source, .. })
                if source.kind() == std::io::ErrorKind::NotFound =>
            {
                return Err(DemoError::NoRedis);
            }
            started => started?,
        };
        let deadline = Instant::now() + Duration::from_secs(START_SECONDS_MAX);
        while !answers(self.port) {
            if shutdown.is_requested() {
                return Err(DemoError::Interrupted);
            }
            if process.ended()?.is_some() || Instant::now() >= deadline {
                let log = std::fs::read_to_string(self.folder.join("redis.log"));
                let log = log.unwrap_or_default();
                return Err(DemoError::ServiceDown { program: "redis-server".into(), log });
            }
            tokio::time::sleep(POLL).await;
        }
        self.process = Some(process);
        Ok(())
    }

    /// Lets go of the process while it runs, and gives its id.
    pub(super) fn leave_running(mut self) -> u32 {
        self.process.take().map_or(0, Process::leave_running)
    }
}

/// Whether a Redis answers at a port.
fn answers(port: u16) -> bool {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let Ok(mut stream) = TcpStream::connect_timeout(&address, ANSWER_TIMEOUT) else {
        return false;
    };
    let mut answer = [0; 5];
    stream.set_read_timeout(Some(ANSWER_TIMEOUT)).is_ok()
        && stream.write_all(b"PING\r\n").is_ok()
        && stream.read_exact(&mut answer).is_ok()
        && &answer == b"+PONG"
}
