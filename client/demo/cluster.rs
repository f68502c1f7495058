//! Turns an empty folder into a running PostgreSQL of one's own, for the demo and the tests.
//!
//! Invariants: it listens on 127.0.0.1 only, on a port of its own; whatever
//! PostgreSQL runs on the machine is left alone; started as root, it runs as
//! user `postgres`, since PostgreSQL refuses root; a dropped cluster is stopped.
//!
//! The integration tests include this file by its path, hence no `crate::` here.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long PostgreSQL may take until it accepts connections.
const START_SECONDS_MAX: u64 = 30;
/// How long PostgreSQL may take to stop before it is killed.
const STOP_SECONDS_MAX: u64 = 20;
/// How often a port that somebody else took meanwhile is replaced by another.
const PORTS_MAX: u32 = 5;
const POLL: Duration = Duration::from_millis(20);
const OWNER: &str = "postgres";

/// A cluster that cannot be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClusterError {
    /// `initdb` and `postgres` are nowhere to be found.
    #[error(
        "PostgreSQL's server programs are not installed: apt-get install postgresql (on Debian and Ubuntu), or put the folder of initdb and postgres on the PATH"
    )]
    NotInstalled,
    /// Root needs a user to drop to.
    #[error(
        "there is no user `postgres` to run PostgreSQL as, and it refuses root: install the package postgresql, or start this as another user"
    )]
    NoOwner,
    /// The user `postgres` cannot reach the folder.
    #[error("user `postgres` cannot enter {}: choose a folder that everybody may enter", _0.display())]
    NotEnterable(PathBuf),
    /// A folder, a file, a port or a program of the cluster cannot be had.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which folder, file or program.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// PostgreSQL ended, or does not accept connections.
    #[error("PostgreSQL {what}; the end of {}:\n{log_end}", log.display())]
    NotRunning {
        /// What happened.
        what: String,
        /// Its log.
        log: PathBuf,
        /// The last lines of the log.
        log_end: String,
    },
}

#[derive(Debug, Clone, Copy)]
struct Owner {
    uid: u32,
    gid: u32,
}

/// A PostgreSQL of one's own; stopped when dropped, its folder stays.
#[derive(Debug)]
pub(crate) struct Cluster {
    bin_dir: PathBuf,
    data_dir: PathBuf,
    log_path: PathBuf,
    owner: Option<Owner>,
    settings: Vec<(String, String)>,
    port: u16,
    process: Option<Child>,
}

// The demo and the tests share this file, and neither calls all of it.
#[allow(dead_code)]
impl Cluster {
    /// Makes a cluster in `dir`, which is created when missing, and starts it.
    ///
    /// Data lies in `dir/data`, the log in `dir/postgres.log`. `settings` are
    /// those of `postgresql.conf`; without any, PostgreSQL's defaults hold.
    pub(crate) fn start(dir: &Path, settings: &[(&str, &str)]) -> Result<Self, ClusterError> {
        let bin_dir = find_bin_dir().ok_or(ClusterError::NotInstalled)?;
        let data_dir = dir.join("data");
        let log_path = dir.join("postgres.log");
        let owner = prepare(dir, &data_dir)?;
        let settings =
            settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let mut cluster =
            Self { bin_dir, data_dir, log_path, owner, settings, port: 0, process: None };
        cluster.initdb()?;
        let mut attempts_left = PORTS_MAX;
        loop {
            cluster.port = free_port()?;
            attempts_left -= 1;
            match cluster.launch() {
                Err(_) if attempts_left > 0 && cluster.port_was_taken() => {}
                result => return result.map(|()| cluster),
            }
        }
    }

    /// URL of a database of the cluster, for its superuser; there is no password.
    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://{OWNER}@127.0.0.1:{}/{database}", self.port)
    }

    /// Port on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Process id of the postmaster; 0 while it does not run.
    pub(crate) fn pid(&self) -> u32 {
        self.process.as_ref().map_or(0, Child::id)
    }

    /// The server's log.
    pub(crate) fn log_path(&self) -> &Path {
        &self.log_path
    }

    /// Folder of `postgres` and `initdb`.
    pub(crate) fn bin_dir(&self) -> &Path {
        &self.bin_dir
    }

    /// Stops it as an operator would: connections are cut, data is written.
    pub(crate) fn stop(mut self) {
        self.halt();
    }

    /// Kills the postmaster and all its processes, as a power cut would.
    pub(crate) fn crash(&mut self) {
        let Some(mut process) = self.process.take() else {
            return;
        };
        let backends = children_of(process.id());
        // Failing only means that it is gone already.
        let _ = process.kill();
        let _ = process.wait();
        for backend in &backends {
            signal(*backend, "KILL");
        }
        let deadline = Instant::now() + Duration::from_secs(STOP_SECONDS_MAX);
        while backends.iter().any(|pid| is_alive(*pid)) && Instant::now() < deadline {
            sleep(POLL);
        }
    }

    /// Starts it again on the same port, stopping it first if it still runs.
    pub(crate) fn restart(&mut self) -> Result<(), ClusterError> {
        self.halt();
        self.launch()
    }

    /// Lets go of it while it runs, and gives its process id.
    pub(crate) fn leave_running(mut self) -> u32 {
        self.process.take().map_or(0, |process| process.id())
    }

    fn initdb(&self) -> Result<(), ClusterError> {
        let program = self.bin_dir.join("initdb");
        let mut command = self.command(&program);
        command.arg("-D").arg(&self.data_dir);
        command.args(["-U", OWNER, "--auth=trust", "--no-instructions", "--no-sync"]);
        command.args(["-E", "UTF8", "--locale=C.UTF-8"]);
        self.log_to_file(&mut command)?;
        let status = command.status().map_err(io_error("start", &program))?;
        if status.success() {
            return Ok(());
        }
        Err(self.not_running(format!("could not make a cluster ({status})")))
    }

    fn launch(&mut self) -> Result<(), ClusterError> {
        let program = self.bin_dir.join("postgres");
        let mut command = self.command(&program);
        command.arg("-D").arg(&self.data_dir).args(["-p", &self.port.to_string()]);
        // No socket file: its path may not be longer than 107 bytes.
        command.args(["-h", "127.0.0.1", "-c", "unix_socket_directories="]);
        for (key, value) in &self.settings {
            command.arg("-c").arg(format!("{key}={value}"));
        }
        self.log_to_file(&mut command)?;
        let process = command.spawn().map_err(io_error("start", &program))?;
        self.process = Some(process);
        self.wait_until_ready()
    }

    fn wait_until_ready(&mut self) -> Result<(), ClusterError> {
        let deadline = Instant::now() + Duration::from_secs(START_SECONDS_MAX);
        loop {
            if let Some(status) = self.ended() {
                self.process = None;
                return Err(self.not_running(format!("ended at once ({status})")));
            }
            if self.accepts_connections()? {
                return Ok(());
            }
            if Instant::now() >= deadline {
                self.halt();
                let what = format!("accepts no connections after {START_SECONDS_MAX} s");
                return Err(self.not_running(what));
            }
            sleep(POLL);
        }
    }

    fn accepts_connections(&self) -> Result<bool, ClusterError> {
        let program = self.bin_dir.join("pg_isready");
        let mut command = self.command(&program);
        command.args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", OWNER]);
        let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.map(|status| status.success()).map_err(io_error("start", &program))
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        self.process.as_mut()?.try_wait().ok().flatten()
    }

    /// Fast shutdown; a server that does not obey is killed.
    fn halt(&mut self) {
        if self.process.is_none() {
            return;
        }
        signal(self.pid(), "INT");
        let deadline = Instant::now() + Duration::from_secs(STOP_SECONDS_MAX);
        while self.ended().is_none() {
            if Instant::now() >= deadline {
                self.crash();
                return;
            }
            sleep(POLL);
        }
        self.process = None;
    }

    /// A command that runs as the owner and inherits nothing of PostgreSQL's settings.
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.stdin(Stdio::null()).current_dir("/");
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PG") {
                command.env_remove(name);
            }
        }
        if let Some(owner) = self.owner {
            command.uid(owner.uid).gid(owner.gid);
        }
        command
    }

    fn log_to_file(&self, command: &mut Command) -> Result<(), ClusterError> {
        let failed = io_error("write to", &self.log_path);
        let log = File::options().create(true).append(true).open(&self.log_path).map_err(failed)?;
        command.stdout(log.try_clone().map_err(failed)?).stderr(log);
        Ok(())
    }

    fn port_was_taken(&self) -> bool {
        fs::read_to_string(&self.log_path).is_ok_and(|log| log.contains("Address already in use"))
    }

    fn not_running(&self, what: String) -> ClusterError {
        let log = fs::read_to_string(&self.log_path).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let log_end = lines[lines.len().saturating_sub(10)..].join("\n");
        ClusterError::NotRunning { what, log: self.log_path.clone(), log_end }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.halt();
    }
}

/// Makes the folders and says whom PostgreSQL is to run as, if not as ourselves.
fn prepare(dir: &Path, data_dir: &Path) -> Result<Option<Owner>, ClusterError> {
    let failed = io_error("prepare", data_dir);
    fs::create_dir_all(dir).map_err(failed)?;
    fs::create_dir(data_dir).map_err(failed)?;
    fs::set_permissions(data_dir, fs::Permissions::from_mode(0o700)).map_err(failed)?;
    // A folder just made belongs to the user that this process runs as.
    let is_root = fs::metadata(data_dir).map_err(failed)?.uid() == 0;
    if !is_root {
        return Ok(None);
    }
    let owner = find_owner().ok_or(ClusterError::NoOwner)?;
    open_the_way_to(dir)?;
    std::os::unix::fs::chown(data_dir, Some(owner.uid), Some(owner.gid)).map_err(failed)?;
    Ok(Some(owner))
}

/// Lets other users pass through the folder for temporary files; folders above it stay as they are.
fn open_the_way_to(dir: &Path) -> Result<(), ClusterError> {
    let failed = io_error("open the way to", dir);
    let dir = fs::canonicalize(dir).map_err(failed)?;
    let temporary = fs::canonicalize(std::env::temp_dir()).map_err(failed)?;
    for folder in dir.ancestors() {
        let mode = fs::metadata(folder).map_err(failed)?.mode();
        let is_open = mode & 0o001 != 0;
        let is_ours = folder.starts_with(&temporary);
        if is_open {
            continue;
        }
        if !is_ours {
            return Err(ClusterError::NotEnterable(folder.to_owned()));
        }
        let opened = fs::Permissions::from_mode(mode | 0o011);
        fs::set_permissions(folder, opened).map_err(failed)?;
    }
    Ok(())
}

fn find_owner() -> Option<Owner> {
    let passwd = fs::read_to_string("/etc/passwd").ok()?;
    let line = passwd.lines().find(|line| line.split(':').next() == Some(OWNER))?;
    let mut numbers = line.split(':').skip(2).map(str::parse);
    Some(Owner { uid: numbers.next()?.ok()?, gid: numbers.next()?.ok()? })
}

/// Folder of PostgreSQL's server programs: what `pg_config` says, else Debian's newest, else the PATH.
fn find_bin_dir() -> Option<PathBuf> {
    let configured = Command::new("pg_config").arg("--bindir").output().ok();
    let configured = configured
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .map(|bin_dir| PathBuf::from(bin_dir.trim_end()));
    let search_path = std::env::var_os("PATH").unwrap_or_default();
    configured.into_iter().chain(debian_bin_dirs()).chain(std::env::split_paths(&search_path)).find(
        |dir| {
            ["initdb", "postgres", "pg_isready"].iter().all(|program| dir.join(program).is_file())
        },
    )
}

fn debian_bin_dirs() -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir("/usr/lib/postgresql") else {
        return Vec::new();
    };
    let mut versions: Vec<u32> =
        entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    versions.sort_unstable_by(|one, other| other.cmp(one));
    versions.iter().map(|version| format!("/usr/lib/postgresql/{version}/bin").into()).collect()
}

fn io_error(action: &'static str, path: &Path) -> impl Fn(io::Error) -> ClusterError + Copy {
    move |source| ClusterError::Io { action, path: path.to_owned(), source }
}

fn free_port() -> Result<u16, ClusterError> {
    let failed = io_error("listen on", Path::new("127.0.0.1:0"));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
    Ok(listener.local_addr().map_err(failed)?.port())
}

/// Sends a signal such as `INT`; the shell's own `kill` is there where no program of that name is.
pub(crate) fn signal(pid: u32, name: &str) {
    let pid = pid.to_string();
    let mut command = Command::new("/bin/sh");
    command.args(["-c", r#"kill -s "$1" "$2""#, "kill", name, &pid]).stderr(Stdio::null());
    // Failing only means that the process is gone already.
    let _ = command.status();
}

fn children_of(parent: u32) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| stat_fields(*pid).is_some_and(|(_, found)| found == parent))
        .collect()
}

fn is_alive(pid: u32) -> bool {
    stat_fields(pid).is_some_and(|(state, _)| state != 'Z')
}

/// State and parent from `/proc/PID/stat`, which follow the name in parentheses.
fn stat_fields(pid: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    let mut words = rest.split_whitespace();
    let state = words.next()?.chars().next()?;
    Some((state, words.next()?.parse().ok()?))
}
