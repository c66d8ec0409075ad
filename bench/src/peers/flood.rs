//! Clients that cost a server far more than themselves: each sends a ClientHello that was recorded once, and goes.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_setaffinity};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

/// Connections that stay open, so that the server does its part; the oldest is reset for each new one.
const OPEN: usize = 1000;
/// How often those that are due are sent. Their core has other work too.
const BEAT: Duration = Duration::from_millis(1);
const RECORDED_WITHIN: Duration = Duration::from_secs(10);

/// A flood that goes on until it is stopped.
pub struct Flood {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
    began: Instant,
}

impl Flood {
    /// Offers `rate` handshakes a second to `target`, from `core`.
    pub fn start(target: SocketAddr, rate: f64, core: usize, hello: Vec<u8>) -> Flood {
        let stop = Arc::new(AtomicBool::new(false));
        let (told, began) = (Arc::clone(&stop), Instant::now());
        let thread = thread::spawn(move || {
            let mut cores = CpuSet::new();
            cores.set(core);
            // Elsewhere it would take the proxy's time; the share of the core that the proxy had shows it.
            let _ = sched_setaffinity(None, &cores);
            let mut open = VecDeque::with_capacity(OPEN + 1);
            let mut offered = 0;
            while !told.load(Ordering::Relaxed) {
                let due = (began.elapsed().as_secs_f64() * rate) as u64;
                while offered < due {
                    offered += 1;
                    open.extend(offer(target, &hello).ok());
                    if open.len() > OPEN {
                        open.pop_front();
                    }
                }
                thread::sleep(BEAT);
            }
            offered
        });
        Flood {
            stop,
            thread,
            began,
        }
    }

    /// Ends it; gives how many a second it offered.
    pub fn stop(self) -> f64 {
        self.stop.store(true, Ordering::Relaxed);
        let elapsed = self.began.elapsed().as_secs_f64();
        self.thread.join().map_or(0.0, |n| n as f64 / elapsed)
    }
}

/// One of them: it waits for nothing, and its end is a reset, so that no port waits behind it.
fn offer(target: SocketAddr, hello: &[u8]) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(target),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_linger(Some(Duration::ZERO))?;
    socket.set_nonblocking(true)?;
    // On loopback it is connected when this returns, if there is room for it.
    match socket.connect(&SockAddr::from(target)) {
        Err(error)
            if error.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) =>
        {
            return Err(error);
        }
        _ => {}
    }
    (&socket).write_all(hello)?;
    Ok(socket)
}

/// The ClientHello of `openssl s_client`, TLS 1.3 with X25519: one record.
///
/// # Errors
/// It is not there, or does not connect.
pub fn record_hello(openssl: &str) -> io::Result<Vec<u8>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let mut client = Command::new(openssl)
        .args(["s_client", "-tls1_3", "-groups", "X25519"])
        .args(["-servername", "localhost", "-connect"])
        .arg(listener.local_addr()?.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let hello = accept(&listener).and_then(read_record);
    let _ = client.kill();
    client.wait()?;
    hello
}

/// The first connection, if one comes in time.
fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
    let deadline = Instant::now() + RECORDED_WITHIN;
    loop {
        match listener.accept() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            accepted => return accepted.map(|(socket, _)| socket),
        }
        if Instant::now() > deadline {
            return Err(io::ErrorKind::TimedOut.into());
        }
        thread::sleep(BEAT);
    }
}

fn read_record(mut socket: TcpStream) -> io::Result<Vec<u8>> {
    socket.set_nonblocking(false)?;
    socket.set_read_timeout(Some(RECORDED_WITHIN))?;
    let mut record = vec![0; 5];
    socket.read_exact(&mut record)?;
    let len = usize::from(u16::from_be_bytes([record[3], record[4]]));
    record.resize(5 + len, 0);
    socket.read_exact(&mut record[5..])?;
    Ok(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_connection_brings_the_hello_and_is_reset_in_the_end() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let target = listener.local_addr().expect("it is bound");
        let core = crate::host::cores()[0];
        let flood = Flood::start(target, 2000.0, core, b"a hello".to_vec());
        let mut clients: Vec<TcpStream> = (0..20)
            .map(|_| listener.accept().expect("one comes").0)
            .collect();
        assert!(flood.stop() > 0.0);
        for client in &mut clients {
            let mut said = [0; 7];
            client.read_exact(&mut said).expect("it was sent");
            assert_eq!(&said, b"a hello");
            let end = client.read(&mut said).expect_err("a reset");
            assert_eq!(end.kind(), io::ErrorKind::ConnectionReset);
        }
    }
}
