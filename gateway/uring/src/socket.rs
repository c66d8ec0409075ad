//! A connected TCP socket on the ring.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::rc::Rc;

use rustix::event::{PollFd, PollFlags, Timespec};
use socket2::{Domain, Protocol, SockAddr, SockRef, Type};

use crate::incoming::Incoming;
use crate::operation::{self, Arrival, Behind};
use crate::pool::Buf;
use crate::source_address;

/// Which direction of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// What the peer sends.
    Read,
    /// What we send.
    Write,
    /// Both.
    Both,
}

/// A connected TCP socket. Clones share the descriptor; it closes when the last clone and the last
/// operation in flight are gone, so whoever gives up on a socket calls [`shutdown`](Self::shutdown)
/// or [`reset`](Self::reset) first, which completes what is in flight.
#[derive(Clone)]
pub struct Socket {
    fd: Rc<OwnedFd>,
}

impl Socket {
    pub(crate) fn from_fd(fd: OwnedFd) -> Self {
        Socket { fd: Rc::new(fd) }
    }

    /// Connects to `address`, with TCP_NODELAY.
    ///
    /// # Errors
    /// What `connect(2)` reports. There is no time limit here but the kernel's.
    pub async fn connect(address: SocketAddr) -> io::Result<Socket> {
        let socket = Socket::unconnected(address)?;
        socket.connect_to(address).await?;
        Ok(socket)
    }

    /// A socket of the family of `address`, to connect with [`connect_to`](Self::connect_to): in
    /// two steps, so that a deadline can reset it meanwhile.
    ///
    /// # Errors
    /// What `socket(2)` reports.
    pub fn unconnected(address: SocketAddr) -> io::Result<Socket> {
        Ok(Socket::from_fd(OwnedFd::from(client_socket(address)?)))
    }

    /// The same, to come from `source`, an address of this machine. Its port is chosen when it
    /// connects, so that each source has all local ports for each peer.
    ///
    /// # Errors
    /// What `socket(2)` and `bind(2)` report: `AddrNotAvailable` when `source` is not this machine's.
    pub fn unconnected_from(address: SocketAddr, source: IpAddr) -> io::Result<Socket> {
        let socket = client_socket(address)?;
        source_address::bind(&socket, source)?;
        Ok(Socket::from_fd(OwnedFd::from(socket)))
    }

    /// Connects a socket made by [`unconnected`](Self::unconnected).
    ///
    /// # Errors
    /// What `connect(2)` reports.
    pub async fn connect_to(&self, address: SocketAddr) -> io::Result<()> {
        let (result, _address) = operation::connect(&self.fd, SockAddr::from(address)).await;
        result.map(|_| ())
    }

    /// Waits until there is something to read: bytes, the end, or an error. Holds no buffer.
    ///
    /// # Errors
    /// What the ring reports; a socket that failed is readable, and the read then says why.
    pub async fn readable(&self) -> io::Result<()> {
        operation::poll_readable(&self.fd).await.0.map(|_| ())
    }

    /// Waits until the kernel takes a fair share of its send buffer: at once while the peer keeps up. What failed or
    /// was shut down waits for nothing either.
    ///
    /// # Errors
    /// What the ring reports.
    pub async fn writable(&self) -> io::Result<()> {
        let mut now = [PollFd::new(&*self.fd, PollFlags::OUT)];
        if rustix::event::poll(&mut now, Some(&Timespec::default())).is_ok_and(|ready| ready > 0) {
            return Ok(());
        }
        operation::poll_writable(&self.fd).await.0.map(|_| ())
    }

    /// Waits until there is something to read and takes at most [`ARRIVAL_LEN`](crate::ARRIVAL_LEN) bytes of it; none is the
    /// end of the stream. Holds no buffer while it waits. One operation where [`readable`](Self::readable) and
    /// [`recv_now`](Self::recv_now) are two.
    ///
    /// # Errors
    /// `ENOBUFS` ([`is_out_of_arrivals`]) when too much came at once on other sockets of this thread: nothing was
    /// taken, and [`readable`](Self::readable) and [`recv_now`](Self::recv_now) find it. Else what `recv(2)` reports.
    pub async fn recv_arrival(&self) -> io::Result<Arrival> {
        operation::recv_arrival(&self.fd).await
    }

    /// One receive for many messages, for who expects such as are shorter than [`ARRIVAL_LEN`](crate::ARRIVAL_LEN), one after the
    /// other: each costs an operation less than by [`recv_arrival`](Self::recv_arrival). `None` where this thread receives
    /// them one by one ([`Receive::OneShot`](crate::Receive::OneShot)).
    pub fn incoming(&self) -> Option<Incoming> {
        Incoming::new(&self.fd)
    }

    /// Receives at most `max` bytes of what is there into the spare room of `buf`, appending; 0 is
    /// the end of the stream. `buf` has to have spare room, or 0 says nothing. It never waits, so
    /// no buffer is held by a connection in which nothing moves.
    ///
    /// # Errors
    /// `WouldBlock` when nothing is there: await [`readable`](Self::readable). Else what `recv(2)`
    /// reports. The buffer comes back either way.
    pub async fn recv_now(&self, buf: Buf, max: usize) -> (io::Result<usize>, Buf) {
        let (result, mut buf) = operation::recv_now(&self.fd, buf, max).await;
        let result = result.map(|n| n as usize);
        if let Ok(n) = result {
            buf.advance(n);
        }
        (result, buf)
    }

    /// Sends all that `buf` holds.
    ///
    /// # Errors
    /// What `send(2)` reports, or `WriteZero` when the kernel gave up half-way. The buffer comes
    /// back either way; after an error the stream is of no more use.
    pub async fn send_all(&self, buf: Buf) -> (io::Result<()>, Buf) {
        self.send(buf, Behind::Nothing).await
    }

    /// Sends all that `buf` holds, and ends our direction with it: one segment where
    /// [`send_all`](Self::send_all) and [`shutdown`](Self::shutdown) send two.
    ///
    /// # Errors
    /// As for [`send_all`](Self::send_all).
    pub async fn send_and_end(&self, buf: Buf) -> (io::Result<()>, Buf) {
        let sent = self.send(buf, Behind::TheEnd).await;
        if sent.0.is_ok() {
            self.shutdown(Half::Write);
        }
        sent
    }

    async fn send(&self, mut buf: Buf, behind: Behind) -> (io::Result<()>, Buf) {
        while !buf.is_empty() {
            let (result, back) = operation::send_all(&self.fd, buf, behind).await;
            buf = back;
            match result {
                Ok(0) => return (Err(io::ErrorKind::WriteZero.into()), buf),
                // MSG_WAITALL sends all in one operation but for signals and memory pressure.
                Ok(n) => buf.consume(n as usize),
                Err(error) => return (Err(error), buf),
            }
        }
        (Ok(()), buf)
    }

    /// Ends one direction or both; operations in flight on it complete. A socket that is no longer
    /// connected is left alone.
    pub fn shutdown(&self, half: Half) {
        let how = match half {
            Half::Read => rustix::net::Shutdown::Read,
            Half::Write => rustix::net::Shutdown::Write,
            Half::Both => rustix::net::Shutdown::Both,
        };
        // ENOTCONN is all it can say: then there is nothing to end.
        let _ = rustix::net::shutdown(&*self.fd, how);
    }

    /// Ends the connection with a RST at once, whoever else holds the descriptor; operations in
    /// flight complete with an error.
    pub fn reset(&self) {
        // Dissolving the association is what sends a RST without waiting for the last reference;
        // SO_LINGER covers sockets that the kernel will not dissolve.
        let _ = SockRef::from(&*self.fd).set_linger(Some(std::time::Duration::ZERO));
        if rustix::net::connect_unspec(&*self.fd).is_err() {
            self.shutdown(Half::Both);
        }
    }

    /// Whether closing the descriptor, by whatever end of this process, resets the connection. On
    /// while bytes are under way; off once our direction has ended as it should.
    pub fn set_reset_on_close(&self, reset: bool) {
        let linger = reset.then_some(std::time::Duration::ZERO);
        // It only fails on what is no socket.
        let _ = SockRef::from(&*self.fd).set_linger(linger);
    }

    /// Has waits for bytes end only when so many are there (`SO_RCVLOWAT`), or the stream has ended or failed. For who
    /// knows that so many will come.
    pub fn set_low_water(&self, bytes: usize) {
        crate::tcp_info::set_low_water(&self.fd, bytes);
    }

    /// Bytes that the peer has acknowledged so far: what moves while a large send is under way.
    /// `None` where the kernel does not say.
    pub fn bytes_acked(&self) -> Option<u64> {
        crate::tcp_info::bytes_acked(&self.fd)
    }

    /// Bytes sent that the peer has not acknowledged yet. `None` where the kernel does not say.
    pub fn bytes_unacknowledged(&self) -> Option<usize> {
        crate::tcp_info::bytes_unacknowledged(&self.fd)
    }

    /// The peer's address.
    ///
    /// # Errors
    /// When the peer is gone already.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        address(SockRef::from(&*self.fd).peer_addr()?)
    }

    /// Our own address.
    ///
    /// # Errors
    /// What `getsockname(2)` reports.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        address(SockRef::from(&*self.fd).local_addr()?)
    }
}

/// Whether [`Socket::recv_arrival`] found no buffer for what had come.
pub fn is_out_of_arrivals(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::NOBUFS.raw_os_error())
}

fn client_socket(address: SocketAddr) -> io::Result<socket2::Socket> {
    let domain = Domain::for_address(address);
    let socket = socket2::Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_tcp_nodelay(true)?;
    Ok(socket)
}

pub(crate) fn address(address: SockAddr) -> io::Result<SocketAddr> {
    address
        .as_socket()
        .ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Listener, Pool, SizeClass, run, spawn};

    fn pair(f: impl AsyncFnOnce(Socket, Socket, Pool)) {
        run(async {
            let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), 16).unwrap();
            let address = listener.local_addr().unwrap();
            let client = spawn(async move { Socket::connect(address).await.unwrap() });
            let (server, peer) = listener.accept().await.unwrap();
            let client = client.await.unwrap();
            assert_eq!(peer, client.local_addr().unwrap());
            f(client, server, Pool::new(4)).await;
        })
        .unwrap();
    }

    #[test]
    fn bytes_cross_and_the_end_is_seen() {
        pair(async |client, server, pool| {
            let mut out = pool.take(SizeClass::Small);
            out.extend(b"hello");
            let before = client.bytes_acked().unwrap();
            client.send_all(out).await.0.unwrap();
            server.readable().await.unwrap();
            assert_eq!(client.bytes_acked().unwrap() - before, 5);
            assert_eq!(client.bytes_unacknowledged(), Some(0));
            client.shutdown(Half::Write);
            let (n, buf) = server.recv_now(pool.take(SizeClass::Small), 4).await;
            assert_eq!(n.unwrap(), 4);
            let (n, buf) = server.recv_now(buf, usize::MAX).await;
            assert_eq!((n.unwrap(), &*buf), (1, &b"hello"[..]));
            server.readable().await.unwrap();
            assert_eq!(
                server
                    .recv_now(pool.take(SizeClass::Small), 9)
                    .await
                    .0
                    .unwrap(),
                0
            );
        });
    }

    #[test]
    fn the_last_bytes_and_the_end_come_as_one_segment() {
        pair(async |client, server, pool| {
            let segments =
                |socket: &Socket| crate::tcp_info::segments_received(&socket.fd).unwrap();
            let before = segments(&server);
            let mut out = pool.take(SizeClass::Small);
            out.extend(b"the last");
            client.send_and_end(out).await.0.unwrap();
            server.readable().await.unwrap();
            let (n, buf) = server
                .recv_now(pool.take(SizeClass::Small), usize::MAX)
                .await;
            assert_eq!((n.unwrap(), &*buf), (8, &b"the last"[..]));
            let (n, _) = server.recv_now(buf, usize::MAX).await;
            assert_eq!(n.unwrap(), 0);
            assert_eq!(segments(&server) - before, 1);
        });
    }

    #[test]
    fn a_send_larger_than_the_socket_buffer_is_whole() {
        pair(async |client, server, pool| {
            let sender_pool = pool.clone();
            let sender = spawn(async move {
                for _ in 0..64 {
                    let mut out = sender_pool.take(SizeClass::Large);
                    let len = out.spare_mut().len();
                    out.advance(len);
                    client.send_all(out).await.0.unwrap();
                }
                client.shutdown(Half::Write);
            });
            let mut total = 0;
            loop {
                server.readable().await.unwrap();
                match server
                    .recv_now(pool.take(SizeClass::Large), usize::MAX)
                    .await
                    .0
                    .unwrap()
                {
                    0 => break,
                    n => total += n,
                }
            }
            sender.await.unwrap();
            assert_eq!(total, 64 * crate::LARGE_BUF_LEN);
        });
    }

    #[test]
    fn a_wait_with_a_low_water_mark_ends_when_so_much_is_there_or_nothing_more_comes() {
        pair(async |client, server, pool| {
            let send = async |len: usize| {
                let mut out = pool.take(SizeClass::Small);
                out.advance(len);
                client.send_all(out).await.0.unwrap();
            };
            let waiting = || {
                let server = server.clone();
                spawn(async move { server.readable().await.unwrap() })
            };
            server.set_low_water(10_000);
            let until_enough = waiting();
            send(9_999).await;
            crate::turn().await;
            crate::turn().await;
            assert!(!until_enough.is_finished());
            send(1).await;
            until_enough.await.unwrap();
            let (n, _) = server
                .recv_now(pool.take(SizeClass::Small), usize::MAX)
                .await;
            assert_eq!(n.unwrap(), 10_000);
            let until_end = waiting();
            send(1).await;
            client.shutdown(Half::Write);
            until_end.await.unwrap();
        });
    }

    #[test]
    fn a_socket_is_writable_again_once_the_peer_has_read_or_is_gone() {
        pair(async |client, server, pool| {
            client.writable().await.unwrap();
            // More than both kernels hold, and nobody reads.
            let sender_pool = pool.clone();
            let sending = client.clone();
            let sender = spawn(async move {
                for _ in 0..64 {
                    let mut out = sender_pool.take(SizeClass::Large);
                    out.advance(out.spare_len());
                    if sending.send_all(out).await.0.is_err() {
                        return;
                    }
                }
            });
            let waiting = |socket: &Socket| {
                let socket = socket.clone();
                spawn(async move { socket.writable().await })
            };
            while rustix::event::poll(
                &mut [PollFd::new(&*client.fd, PollFlags::OUT)],
                Some(&Timespec::default()),
            )
            .unwrap()
                > 0
            {
                crate::turn().await;
            }
            let until_read = waiting(&client);
            while !until_read.is_finished() {
                server.readable().await.unwrap();
                let buf = pool.take(SizeClass::Large);
                server.recv_now(buf, usize::MAX).await.0.unwrap();
            }
            until_read.await.unwrap().unwrap();
            let until_gone = waiting(&client);
            client.reset();
            until_gone.await.unwrap().unwrap();
            sender.await.unwrap();
        });
    }

    #[test]
    fn reset_reaches_the_peer_and_ends_what_is_in_flight() {
        pair(async |client, server, pool| {
            let nothing = server
                .recv_now(pool.take(SizeClass::Small), 9)
                .await
                .0
                .unwrap_err();
            assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
            let polling = {
                let server = server.clone();
                spawn(async move { server.readable().await })
            };
            tokio::task::yield_now().await;
            server.reset();
            polling.await.unwrap().unwrap();
            client.readable().await.unwrap();
            let seen = client
                .recv_now(pool.take(SizeClass::Small), 9)
                .await
                .0
                .unwrap_err();
            assert_eq!(seen.kind(), io::ErrorKind::ConnectionReset);
        });
    }

    #[test]
    fn a_connection_comes_from_where_it_should() {
        run(async {
            let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), 16).unwrap();
            let address = listener.local_addr().unwrap();
            let source = "127.9.8.7".parse().unwrap();
            let client = Socket::unconnected_from(address, source).unwrap();
            assert_eq!(client.local_addr().unwrap(), SocketAddr::new(source, 0));
            client.connect_to(address).await.unwrap();
            let (_server, peer) = listener.accept().await.unwrap();
            assert_eq!(peer, client.local_addr().unwrap());
            assert_eq!(peer.ip(), source);
            // Of the documentation's addresses this machine has none (RFC 5737).
            let foreign = "192.0.2.1".parse().unwrap();
            let error = Socket::unconnected_from(address, foreign).err().unwrap();
            assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable);
        })
        .unwrap();
    }

    #[test]
    fn connecting_to_nobody_is_refused() {
        run(async {
            let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), 16).unwrap();
            let address = listener.local_addr().unwrap();
            drop(listener);
            let error = Socket::connect(address).await.err().unwrap();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        })
        .unwrap();
    }
}
