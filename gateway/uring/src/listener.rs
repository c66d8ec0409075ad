//! Listening sockets.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use socket2::{Domain, Protocol, SockAddr, SockRef, Type};

use crate::operation;
use crate::socket::{Socket, address};

/// A listening TCP socket. Several may bind one address (SO_REUSEPORT): the kernel spreads
/// connections over them.
pub struct Listener {
    fd: Rc<OwnedFd>,
}

impl Listener {
    /// Binds `address` and listens with room for `backlog` connections that wait to be accepted.
    /// IPv6 addresses take IPv6 only, so that `0.0.0.0` and `[::]` may share a port. Accepted
    /// sockets have TCP_NODELAY.
    ///
    /// # Errors
    /// What `bind(2)` and `listen(2)` report.
    pub fn bind(address: SocketAddr, backlog: i32) -> io::Result<Listener> {
        let domain = Domain::for_address(address);
        let socket = socket2::Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
        if domain == Domain::IPV6 {
            socket.set_only_v6(true)?;
        }
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        // Linux hands this on to accepted sockets.
        socket.set_tcp_nodelay(true)?;
        socket.bind(&SockAddr::from(address))?;
        socket.listen(backlog)?;
        Ok(Listener {
            fd: Rc::new(OwnedFd::from(socket)),
        })
    }

    /// The next connection and its peer. A pending future must not be dropped: see the crate.
    ///
    /// # Errors
    /// What `accept(2)` reports; `InvalidInput` after [`close`](Self::close). A connection that was
    /// gone before it could be looked at is `NotConnected`.
    pub async fn accept(&self) -> io::Result<(Socket, SocketAddr)> {
        let socket = Socket::from_fd(operation::accept(&self.fd).await?);
        let peer = socket.peer_addr()?;
        Ok((socket, peer))
    }

    /// Stops listening: a pending `accept` ends with `InvalidInput`, new connections are refused.
    pub fn close(&self) {
        let _ = rustix::net::shutdown(&*self.fd, rustix::net::Shutdown::Both);
    }

    /// The address it is bound to.
    ///
    /// # Errors
    /// What `getsockname(2)` reports.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        address(SockRef::from(&*self.fd).local_addr()?)
    }

    /// Another handle to the same listening socket, to close it from another task.
    pub fn handle(&self) -> Listener {
        Listener {
            fd: Rc::clone(&self.fd),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if Rc::strong_count(&self.fd) == 1 {
            self.close();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{run, spawn};

    #[test]
    fn close_ends_a_pending_accept() {
        run(async {
            let listener = Listener::bind("[::1]:0".parse().unwrap(), 16).unwrap();
            let handle = listener.handle();
            let accepting = spawn(async move { listener.accept().await.map(|_| ()) });
            tokio::task::yield_now().await;
            handle.close();
            assert_eq!(
                accepting.await.unwrap().unwrap_err().kind(),
                io::ErrorKind::InvalidInput
            );
        })
        .unwrap();
    }
}
