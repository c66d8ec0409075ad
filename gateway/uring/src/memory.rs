//! Gives memory back that nobody uses any more, also where it is locked.
//!
//! The gateway locks its memory, so that no key is swapped out, and Linux refuses to take locked pages back by
//! `MADV_DONTNEED`: what an allocator frees would stay resident for good. `MADV_DONTNEED_LOCKED` (Linux 5.18) takes
//! them; a page that is touched again is a new one, locked like the others. No allocator asks for that by itself, so
//! [`madvise`] stands where the C library's would, in every program that links this crate: ADR 12.

use libc::{c_int, c_void, size_t};

/// linux/mman.h; libc does not have it yet.
const MADV_DONTNEED_LOCKED: c_int = 24;

/// Has the allocator give back what this thread has freed, and nobody has used for a second. It does so by itself only while
/// memory is taken and freed, and not once a crowd has gone. Costs a look at each of the thread's pages that are not full.
pub fn give_back() {
    // SAFETY: it may be called at any time, on any thread.
    unsafe { libmimalloc_sys::mi_collect(false) }
}

/// The C library's `madvise`, but for what is said above.
///
/// # Safety
/// As for the C library's: nobody may need what stands in these pages, where the advice lets the kernel drop it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn madvise(address: *mut c_void, len: size_t, advice: c_int) -> c_int {
    if advice == libc::MADV_DONTNEED {
        // SAFETY: it does to the pages what the caller asked for, and the caller upholds the rest.
        let taken = unsafe { advise(address, len, MADV_DONTNEED_LOCKED) };
        // An older kernel does not know it.
        if taken == 0 {
            return taken;
        }
    }
    // SAFETY: handed on as it came.
    unsafe { advise(address, len, advice) }
}

unsafe fn advise(address: *mut c_void, len: size_t, advice: c_int) -> c_int {
    // SAFETY: the kernel checks the range; who called upholds that it is not needed.
    let result = unsafe { libc::syscall(libc::SYS_madvise, address, len, advice) };
    // It is 0, or -1 with `errno` set.
    c_int::try_from(result).unwrap_or(-1)
}

#[cfg(test)]
mod tests {
    use std::ptr;

    use super::*;

    const LEN: usize = 1 << 20;

    /// Bytes of the range that are in memory.
    fn resident(start: *mut c_void) -> usize {
        // SAFETY: it takes a number and gives one.
        let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap();
        let mut pages = vec![0; LEN / page];
        // SAFETY: the range is mapped, and there is a byte for each of its pages.
        assert_eq!(unsafe { libc::mincore(start, LEN, pages.as_mut_ptr()) }, 0);
        pages.iter().filter(|resident| **resident & 1 == 1).count() * page
    }

    #[test]
    fn locked_pages_are_given_back_and_come_again_empty_and_locked() {
        let (access, kind) = (
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
        );
        // SAFETY: a new mapping, wherever the kernel likes.
        let start = unsafe { libc::mmap(ptr::null_mut(), LEN, access, kind, -1, 0) };
        assert_ne!(start, libc::MAP_FAILED);
        // SAFETY: it was mapped above. 1 MiB is below every usual limit of locked memory.
        assert_eq!(unsafe { libc::mlock(start, LEN) }, 0, "locked");
        // SAFETY: mapped, writable, and so long.
        unsafe { ptr::write_bytes(start.cast::<u8>(), 7, LEN) };
        assert_eq!(resident(start), LEN);
        // SAFETY: nobody needs it.
        assert_eq!(unsafe { madvise(start, LEN, libc::MADV_DONTNEED) }, 0);
        assert_eq!(resident(start), 0);
        // SAFETY: mapped and readable.
        assert_eq!(unsafe { ptr::read(start.cast::<u8>()) }, 0);
        // SAFETY: ours, and used no more.
        assert_eq!(unsafe { libc::munmap(start, LEN) }, 0);
    }
}
