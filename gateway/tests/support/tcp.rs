//! Upstreams of layer 4, in this process.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

use super::tls::bounded;
use super::{DEADLINE, free_address};

/// A listener whose connections a test takes by hand, or a function serves.
pub struct Upstream {
    pub address: SocketAddr,
    accepted: Receiver<TcpStream>,
    connections: Arc<AtomicUsize>,
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Upstream {
    /// Connections wait for [`Upstream::accept`].
    pub fn listen() -> Self {
        let (sender, accepted) = channel();
        Self::start(accepted, move |socket| {
            // The test may have ended.
            let _ = Sender::send(&sender, socket);
        })
    }

    /// Each connection is served on a thread of its own.
    pub fn serve(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let serve = Arc::new(serve);
        let (_, accepted) = channel();
        Self::start(accepted, move |socket| {
            let serve = Arc::clone(&serve);
            let small = thread::Builder::new().stack_size(256 * 1024);
            small.spawn(move || serve(socket)).unwrap();
        })
    }

    /// Sends back what comes; a FIN is answered with a FIN.
    pub fn echo() -> Self {
        Self::serve(|mut socket| {
            let mut room = vec![0; 64 * 1024];
            loop {
                match socket.read(&mut room) {
                    Ok(0) | Err(_) => break,
                    Ok(n) if socket.write_all(&room[..n]).is_err() => break,
                    Ok(_) => {}
                }
            }
            // The peer may be gone.
            let _ = socket.shutdown(Shutdown::Write);
        })
    }

    fn start(accepted: Receiver<TcpStream>, take: impl Fn(TcpStream) + Send + 'static) -> Self {
        // With std's own backlog of 128 a thousand connections at once would be resent by the kernel.
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket
            .bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
            .unwrap();
        socket.listen(4096).unwrap();
        let listener = TcpListener::from(socket);
        let address = listener.local_addr().unwrap();
        let ending = Arc::new(AtomicBool::new(false));
        let connections = Arc::new(AtomicUsize::new(0));
        let thread = thread::spawn({
            let (ending, connections) = (Arc::clone(&ending), Arc::clone(&connections));
            move || {
                for socket in listener.incoming() {
                    if ending.load(Ordering::SeqCst) {
                        return;
                    }
                    let socket = socket.unwrap();
                    bounded(&socket);
                    connections.fetch_add(1, Ordering::SeqCst);
                    take(socket);
                }
            }
        });
        Self {
            address,
            accepted,
            connections,
            ending,
            thread: Some(thread),
        }
    }

    /// The next connection.
    pub fn accept(&self) -> TcpStream {
        self.accepted
            .recv_timeout(DEADLINE)
            .expect("nobody connected to the upstream")
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::SeqCst);
        // Wakes the thread.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// An address that refuses connections.
pub fn refusing() -> SocketAddr {
    free_address()
}

/// An address that answers no connection attempt: its queue is full. It does so while this lives.
pub struct Deaf {
    pub address: SocketAddr,
    _listener: Socket,
    _queued: Vec<TcpStream>,
}

impl Deaf {
    pub fn new() -> Self {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener
            .bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
            .unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let mut queued = Vec::new();
        while let Ok(socket) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
            queued.push(socket);
            assert!(queued.len() < 16, "the queue does not fill");
        }
        Self {
            address,
            _listener: listener,
            _queued: queued,
        }
    }
}

/// Ends the connection with a RST.
pub fn reset(socket: TcpStream) {
    SockRef::from(&socket)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
}
