//! Sends what is small at once: no TCP socket of this process waits for more to send along with it.
//!
//! sqlx 0.9.0 leaves Nagle's algorithm on, so that the end of every COPY waits
//! for the other host's delayed acknowledgement, about 40 ms on Linux. It hides
//! its sockets; those of the whole process are looked at instead, of which the
//! others have the option anyway. What follows 0.9.0 sets it again (sqlx's pull
//! request 4336), and takes the place of this file.
//!
//! Linux only, as it asks /proc; elsewhere nothing is set, and only time is lost.

use std::fs;
use std::os::fd::RawFd;

use socket2::SockRef;

/// Sets `TCP_NODELAY` where it is missing.
///
/// A number may be closed, or be another socket's, by the time it is asked:
/// then nothing is set, or what was to be set there anyway.
pub(super) fn set() {
    let Ok(open) = fs::read_dir("/proc/self/fd") else {
        return;
    };
    for entry in open.flatten() {
        let number = entry.file_name().to_str().and_then(|name| name.parse::<RawFd>().ok());
        if let Some(number) = number {
            set_on(&SockRef::from(&number));
        }
    }
}

/// What is no TCP socket has no such option.
fn set_on(socket: &SockRef<'_>) {
    if matches!(socket.nodelay(), Ok(false)) {
        // Without it, only time is lost.
        let _ = socket.set_nodelay(true);
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_connection_that_is_open_sends_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let connection = TcpStream::connect(address).expect("a connection");
        assert!(!connection.nodelay().expect("the option of a socket"));
        set();
        assert!(connection.nodelay().expect("the option of a socket"));
    }
}
