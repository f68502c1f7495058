//! Stands before a web API as a proxy does: answers `CONNECT`, whatever host is asked for, and passes bytes on.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// A proxy; it ends when it is dropped.
pub(crate) struct Tunnel {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    target: SocketAddr,
    /// What it must be shown in `Proxy-Authorization`.
    login: &'static str,
    /// Hosts and ports that were asked for.
    asked: Mutex<Vec<String>>,
    is_over: AtomicBool,
}

impl Tunnel {
    /// Leads to `target` whoever shows this in `Proxy-Authorization`.
    pub(crate) fn start(target: SocketAddr, login: &'static str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, is_over) = (Mutex::default(), AtomicBool::new(false));
        let shared = Arc::new(Shared { target, login, asked, is_over });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if accepting.is_over.load(Ordering::SeqCst) {
                    return;
                }
                let leading = Arc::clone(&accepting);
                // Whoever asked may be gone by now.
                thread::spawn(move || leading.lead(&stream).ok());
            }
        });
        Self { address, shared }
    }

    /// Port on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Hosts and ports that were asked for since this was called last.
    pub(crate) fn take_asked(&self) -> Vec<String> {
        self.shared.asked.lock().unwrap().split_off(0)
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for connections, so that it sees the end.
        drop(TcpStream::connect(self.address));
    }
}

impl Shared {
    fn lead(&self, mut stream: &TcpStream) -> io::Result<()> {
        let mut lines = BufReader::new(stream);
        let (mut first, mut login) = (String::new(), String::new());
        lines.read_line(&mut first)?;
        loop {
            let mut line = String::new();
            lines.read_line(&mut line)?;
            match line.trim_end().split_once(": ") {
                Some((name, value)) if name.eq_ignore_ascii_case("proxy-authorization") => {
                    value.clone_into(&mut login);
                }
                Some(_) => {}
                None => break,
            }
        }
        let Some(host) = first.strip_prefix("CONNECT ") else {
            return stream.write_all(b"HTTP/1.1 405 Said\r\n\r\n");
        };
        let host = host.split(' ').next().unwrap_or_default();
        self.asked.lock().unwrap().push(host.to_owned());
        if login != self.login {
            return stream.write_all(b"HTTP/1.1 407 Said\r\ncontent-length: 0\r\n\r\n");
        }
        let api = TcpStream::connect(self.target)?;
        stream.write_all(b"HTTP/1.1 200 Said\r\n\r\n")?;
        thread::scope(|scope| {
            scope.spawn(|| pass(stream, &api));
            pass(&api, stream);
        });
        Ok(())
    }
}

/// Passes bytes on to their end, and the end too.
fn pass(mut from: &TcpStream, mut to: &TcpStream) {
    // Whatever ends one way, the other one comes to its end by itself.
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}
