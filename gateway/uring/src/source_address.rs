//! Where a connection comes from.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;

use socket2::{SockAddr, Socket};

/// Binds `socket` to `source` and leaves its port to `connect(2)`: chosen here, a port would be taken
/// for all peers; chosen there, it is taken for one (`ip(7)`, IP_BIND_ADDRESS_NO_PORT).
pub(crate) fn bind(socket: &Socket, source: IpAddr) -> io::Result<()> {
    let on: libc::c_int = 1;
    let len = libc::socklen_t::try_from(size_of_val(&on)).map_err(io::Error::other)?;
    // SAFETY: the kernel reads `len` bytes behind the pointer, and `len` is the size of `on`, which
    // lives until the call returns; the descriptor is open because `socket` is borrowed.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_BIND_ADDRESS_NO_PORT,
            (&raw const on).cast(),
            len,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    socket.bind(&SockAddr::from(SocketAddr::new(source, 0)))
}
