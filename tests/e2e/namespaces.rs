//! Hosts that share the machine but not its network: a network namespace for each, all on one bridge.
//!
//! That takes root and `ip` (Debian's iproute2). Invariant: whatever ends the
//! test run, the namespaces go and what runs in them: a shell waits for the end
//! of a pipe which only this process holds open, and then removes them.

use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};

/// Networks for tests of devices, which nobody routes (RFC 2544).
const RANGE: [u8; 2] = [198, 18];
/// Last byte of the address of the first host; that of the machine itself is 1.
const FIRST_HOST: u8 = 10;

const WATCHDOG: &str = r#"
cat >/dev/null
for host in $(ip netns list | cut -d ' ' -f 1 | grep "^$1-"); do
    for pid in $(ip netns pids "$host"); do
        kill -s KILL "$pid"
    done
    ip netns del "$host"
done
for plug in $(ip -o link show master "$1" | sed 's/^[0-9]*: //; s/[@:].*//'); do
    ip link del "$plug"
done
ip link del "$1"
"#;

static NETWORKS: AtomicU8 = AtomicU8::new(0);

/// Some hosts, and the machine itself, on one network.
pub(crate) struct Network {
    /// Of the bridge; at most 15 bytes, as of all that the kernel calls a link.
    name: String,
    /// Third byte of all addresses.
    subnet: u8,
    watchdog: Child,
}

impl Network {
    /// Makes so many hosts; `None`, and a line that says why, on a machine that cannot have them.
    pub(crate) fn start(test: &str, hosts: u8) -> Option<Self> {
        let number = NETWORKS.fetch_add(1, Ordering::Relaxed);
        let name = format!("f{}x{number}", std::process::id());
        let watchdog = watch(&name);
        let network = Self { subnet: free_subnet(), name, watchdog };
        if let Err(reason) = network.make_bridge() {
            println!("{test}: skipped, since this machine gives no network namespaces: {reason}");
            return None;
        }
        for host in 0..hosts {
            network.make_host(host).unwrap_or_else(|error| panic!("no host {host}: {error}"));
        }
        Some(network)
    }

    /// Address of the machine itself.
    pub(crate) fn own_address(&self) -> Ipv4Addr {
        Ipv4Addr::new(RANGE[0], RANGE[1], self.subnet, 1)
    }

    /// Address of a host.
    pub(crate) fn address(&self, host: u8) -> Ipv4Addr {
        Ipv4Addr::new(RANGE[0], RANGE[1], self.subnet, FIRST_HOST + host)
    }

    /// All addresses, such as `198.18.0.0/24`.
    pub(crate) fn range(&self) -> String {
        range(self.subnet)
    }

    /// The same command on a host; the process keeps the number that it is started with.
    pub(crate) fn inside(&self, host: u8, command: &Command) -> Command {
        let mut inside = Command::new("ip");
        inside.args(["netns", "exec", &self.host_name(host)]);
        inside.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => inside.env(name, value),
                None => inside.env_remove(name),
            };
        }
        inside
    }

    /// Lets a host send no more than so many megabits in a second.
    pub(crate) fn limit_rate(&self, host: u8, megabits: u32) {
        let rate = format!("{megabits}mbit");
        let name = self.host_name(host);
        let queue = ["qdisc", "add", "dev", "eth0", "root", "tbf", "rate", &rate];
        let words = [&["-n", &name][..], &queue, &["burst", "128kb", "latency", "400ms"]].concat();
        call("tc", &words).unwrap();
    }

    /// Pulls the cable of a host: nothing gets there or from there, and nobody is told.
    pub(crate) fn unplug(&self, host: u8) {
        call("ip", &["link", "set", &self.plug(host), "down"]).unwrap();
    }

    /// Puts the cable back.
    pub(crate) fn plug_in(&self, host: u8) {
        call("ip", &["link", "set", &self.plug(host), "up"]).unwrap();
    }

    fn host_name(&self, host: u8) -> String {
        format!("{}-{host}", self.name)
    }

    /// This end of a host's cable.
    fn plug(&self, host: u8) -> String {
        format!("{}v{host}", self.name)
    }

    /// Makes the bridge, and a first namespace to see whether there can be any.
    fn make_bridge(&self) -> Result<(), String> {
        let (bridge, probe) = (self.name.as_str(), format!("{}-probe", self.name));
        call("ip", &["netns", "add", &probe])?;
        call("ip", &["netns", "del", &probe])?;
        call("ip", &["link", "add", bridge, "type", "bridge"])?;
        call("ip", &["addr", "add", &format!("{}/24", self.own_address()), "dev", bridge])?;
        call("ip", &["link", "set", bridge, "up"])?;
        Ok(())
    }

    fn make_host(&self, host: u8) -> Result<(), String> {
        let (name, plug) = (self.host_name(host), self.plug(host));
        let address = format!("{}/24", self.address(host));
        call("ip", &["netns", "add", &name])?;
        let ends = ["name", &plug, "type", "veth", "peer", "name", "eth0", "netns", &name];
        call("ip", &[&["link", "add"][..], &ends].concat())?;
        call("ip", &["link", "set", &plug, "master", &self.name, "up"])?;
        call("ip", &["-n", &name, "link", "set", "lo", "up"])?;
        call("ip", &["-n", &name, "addr", "add", &address, "dev", "eth0"])?;
        call("ip", &["-n", &name, "link", "set", "eth0", "up"])?;
        Ok(())
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // The end of its input is what the watchdog waits for.
        drop(self.watchdog.stdin.take());
        let _ = self.watchdog.wait();
    }
}

fn watch(name: &str) -> Child {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", WATCHDOG, "watchdog", name]);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    // Its own process group: an interrupt from the keyboard must not reach it.
    command.process_group(0).spawn().unwrap()
}

/// A subnet that nobody on this machine has an address in.
fn free_subnet() -> u8 {
    let is_free = |subnet: &u8| {
        let shown = call("ip", &["-4", "-o", "addr", "show", "to", &range(*subnet)]);
        // Without `ip` the next call says what is wrong.
        shown.is_ok_and(|addresses| addresses.is_empty())
    };
    (0..u8::MAX).find(is_free).unwrap_or(0)
}

fn range(subnet: u8) -> String {
    format!("{}.{}.{subnet}.0/24", RANGE[0], RANGE[1])
}

/// Runs `ip` or `tc` and gives what it prints; an error is what it says.
fn call(program: &str, words: &[&str]) -> Result<String, String> {
    let output = Command::new(program)
        .args(words)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("cannot start {program}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{program} {}: {}", words.join(" "), said.trim()))
}
