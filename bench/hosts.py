"""The peers of a measurement: a PostgreSQL of its own, ferry-server, and commands whose cost is read.

Standard library only. Everything that is started here is stopped again.
"""

import contextlib
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
WORK = TARGET / "bench"
POLL_SECONDS = 0.005
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def say(text):
    print(text, file=sys.stderr, flush=True)


def build(profile="release"):
    """Builds both programs and gives their folder."""
    say(f"building ferry ({profile})")
    flags = ["--release"] if profile == "release" else []
    subprocess.run(["cargo", "build", "--locked", "--quiet", *flags], cwd=ROOT, check=True)
    return TARGET / profile


def clean_environment(**more):
    """The environment without settings that would lead a program elsewhere."""
    unwanted = ("PG", "FERRY_", "DATABASE_URL", "RUST_LOG")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    return {**kept, **more}


def find_bin_dir():
    """Folder of PostgreSQL's server programs."""
    folders = []
    with contextlib.suppress(OSError):
        output = subprocess.run(["pg_config", "--bindir"], capture_output=True, text=True)
        folders.append(pathlib.Path(output.stdout.strip()))
    versions = pathlib.Path("/usr/lib/postgresql").glob("*/bin")
    folders += sorted(versions, key=lambda path: int(re.sub(r"\D", "", path.parent.name) or 0), reverse=True)
    folders += [pathlib.Path(folder) for folder in os.environ["PATH"].split(":")]
    for folder in folders:
        if all((folder / program).is_file() for program in ("initdb", "postgres", "pg_isready")):
            return folder
    sys.exit("error: PostgreSQL's server programs are not installed: apt-get install postgresql")


@contextlib.contextmanager
def cluster():
    """A private PostgreSQL with default settings; gives the URL of its database."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="ferry-bench-"))
    folder.chmod(0o711)
    data, bin_dir = folder / "data", find_bin_dir()
    data.mkdir(mode=0o700)
    identity = {}
    if os.getuid() == 0:
        owner = pwd.getpwnam("postgres")
        identity = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
        os.chown(data, owner.pw_uid, owner.pw_gid)
    settings = {"env": clean_environment(), "cwd": "/", **identity}
    port = free_port()
    process = None
    try:
        with open(folder / "postgres.log", "wb") as log:
            initdb = [bin_dir / "initdb", "-D", data, "-U", "postgres", "--auth=trust", "--no-instructions"]
            initdb += ["-E", "UTF8", "--locale=C.UTF-8"]
            subprocess.run(initdb, stdout=log, stderr=log, check=True, **settings)
            postgres = [bin_dir / "postgres", "-D", data, "-p", str(port), "-h", "127.0.0.1"]
            postgres += ["-c", "unix_socket_directories="]
            process = subprocess.Popen(postgres, stdout=log, stderr=log, **settings)
        is_ready = [bin_dir / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
        deadline = time.monotonic() + 30
        while subprocess.run(is_ready).returncode != 0:
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit("error: PostgreSQL did not start:\n" + (folder / "postgres.log").read_text())
            time.sleep(0.05)
        yield f"postgres://postgres@127.0.0.1:{port}/postgres"
    finally:
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=120)
        shutil.rmtree(folder, ignore_errors=True)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@contextlib.contextmanager
def ferry_server(programs, settings_file):
    """A running ferry-server; gives its URL and process id."""
    command = [programs / "ferry-server", "serve", "--config", settings_file, "--listen", "127.0.0.1:0"]
    command += ["--log-level", "warn"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=clean_environment())
    try:
        line = process.stdout.readline()
        if not line.startswith("ferry-server listening on "):
            sys.exit("error: ferry-server did not start: see its message above")
        yield line.split()[-1], process.pid
    finally:
        process.terminate()
        process.wait(timeout=60)


def sql(url, command):
    """Runs SQL with psql and gives its output."""
    psql = ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", command]
    environment = clean_environment(PGOPTIONS="-c client_min_messages=warning")
    output = subprocess.run(psql, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    return output.stdout.strip()


def measure(command, watch=()):
    """Runs a command: seconds, CPU seconds and peak resident memory, of itself and of `watch`ed processes."""
    before = {pid: cpu_seconds(pid) for pid in watch}
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=clean_environment())
    peak_kib = 0
    while True:
        # Not ru_maxrss: that counts this interpreter too, from before the exec.
        peak_kib = max(peak_kib, peak_rss_kib(process.pid))
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid != 0:
            break
        time.sleep(POLL_SECONDS)
    seconds = time.monotonic() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"error: exit code {process.returncode} of: {' '.join(map(str, command))}")
    return {
        "seconds": seconds,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_kib": peak_kib,
        "watched": [
            {"cpu_seconds": cpu_seconds(pid) - before[pid], "peak_kib": peak_rss_kib(pid)} for pid in watch
        ],
    }


def peak_rss_kib(pid):
    with contextlib.suppress(OSError):
        for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    return 0


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def megabytes(kib):
    return f"{kib * 1024 / 1e6:.0f} MB"
