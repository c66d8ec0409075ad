//! What the kernel knows of a connection, and is told of it.

use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};

/// Where fields stand in the kernel's `struct tcp_info` (linux/tcp.h); libc's own definition of the structure
/// ends before them.
const BYTES_ACKED_OFFSET: usize = 120;
#[cfg(test)]
const SEGMENTS_IN_OFFSET: usize = 140;
const WANTED_LEN: usize = 144;

/// Bytes that the peer has acknowledged, or `None` where the kernel does not say.
pub(crate) fn bytes_acked(fd: &OwnedFd) -> Option<u64> {
    let bytes = tcp_info(fd)?[BYTES_ACKED_OFFSET..][..8].try_into().ok()?;
    Some(u64::from_ne_bytes(bytes))
}

/// Segments that came, with those that held nothing.
#[cfg(test)]
pub(crate) fn segments_received(fd: &OwnedFd) -> Option<u32> {
    let bytes = tcp_info(fd)?[SEGMENTS_IN_OFFSET..][..4].try_into().ok()?;
    Some(u32::from_ne_bytes(bytes))
}

fn tcp_info(fd: &OwnedFd) -> Option<[u8; WANTED_LEN]> {
    let mut info = MaybeUninit::<[u8; WANTED_LEN]>::zeroed();
    let mut len = libc::socklen_t::try_from(WANTED_LEN).ok()?;
    // SAFETY: the kernel writes at most `len` bytes behind the pointer, and `len` is the size of
    // `info`; both live until the call returns, and `fd` is open because it is borrowed.
    let result = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut len,
        )
    };
    if result != 0 || usize::try_from(len).ok()? < WANTED_LEN {
        return None;
    }
    // SAFETY: it was zeroed, and bytes have no invalid values.
    Some(unsafe { info.assume_init() })
}

/// Bytes sent that the peer has not acknowledged, or `None` where the kernel does not say.
pub(crate) fn bytes_unacknowledged(fd: &OwnedFd) -> Option<usize> {
    let mut queued: libc::c_int = 0;
    // SAFETY: TIOCOUTQ writes one int behind the pointer; `queued` is one and lives until the call
    // returns, and `fd` is open because it is borrowed.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCOUTQ, &raw mut queued) };
    if result != 0 {
        return None;
    }
    usize::try_from(queued).ok()
}

/// Has a wait for bytes end only when so many are there, or the stream has ended.
pub(crate) fn set_low_water(fd: &OwnedFd, bytes: usize) {
    let bytes = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
    let Ok(len) = libc::socklen_t::try_from(size_of_val(&bytes)) else {
        return;
    };
    // SAFETY: the kernel reads `len` bytes behind the pointer, and `len` is the size of `bytes`; it lives until the call
    // returns, and `fd` is open because it is borrowed.
    // It can only fail on what is no socket.
    let _ = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVLOWAT,
            (&raw const bytes).cast(),
            len,
        )
    };
}
