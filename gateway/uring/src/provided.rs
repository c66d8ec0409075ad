//! Small buffers that the kernel picks from when bytes have come (`io_uring_register_buf_ring(3)`): a receive that
//! waits holds none.

use std::cell::Cell;
use std::ffi::c_void;
use std::io;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::Submitter;
use io_uring::types::BufRingEntry;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

/// How many: what may come in between two turns of the ring before a receive is told that there is none. A power
/// of two.
const COUNT: u16 = 256;
/// Bytes of each. A longer message is read on into a pooled buffer.
pub const ARRIVAL_LEN: usize = 8192;
/// The only group of buffers on a ring.
pub(crate) const GROUP: u16 = 0;
/// The ring of entries fills one page, and starts one, as the kernel wants it.
const ENTRIES_LEN: usize = COUNT as usize * size_of::<BufRingEntry>();
const MAPPED_LEN: usize = ENTRIES_LEN + ARRIVALS_LEN;
/// Bytes that the buffers of one thread take together.
pub const ARRIVALS_LEN: usize = COUNT as usize * ARRIVAL_LEN;

/// The buffers of one ring. Each is either the kernel's, in the ring of entries, or ours, between the completion
/// that named it and [`give_back`](Self::give_back).
pub(crate) struct Provided {
    /// `COUNT` entries, then `COUNT` buffers.
    mapped: NonNull<c_void>,
    /// Entries written so far, modulo 2^16.
    tail: Cell<u16>,
    /// Buffers that are ours.
    taken: Cell<u16>,
}

impl Provided {
    /// Maps the memory and fills the ring of entries.
    ///
    /// # Errors
    /// What `mmap(2)` reports.
    pub(crate) fn new() -> io::Result<Provided> {
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a mapping of its own, at an address that the kernel chooses.
        let mapped =
            unsafe { mmap_anonymous(ptr::null_mut(), MAPPED_LEN, protection, MapFlags::PRIVATE) }?;
        let provided = Provided {
            mapped: NonNull::new(mapped).ok_or(io::ErrorKind::OutOfMemory)?,
            tail: Cell::new(0),
            // `give_back` counts each down.
            taken: Cell::new(COUNT),
        };
        for id in 0..COUNT {
            provided.give_back(id);
        }
        Ok(provided)
    }

    /// Tells the kernel of it.
    ///
    /// # Errors
    /// What `io_uring_register(2)` reports.
    ///
    /// # Safety
    /// `self` is dropped only after the last operation of the ring that takes from it has completed.
    pub(crate) unsafe fn register(&self, submitter: &Submitter<'_>) -> io::Result<()> {
        let address = self.entries() as u64;
        // SAFETY: the mapping begins with `COUNT` entries, and our caller says that it stays.
        unsafe { submitter.register_buf_ring_with_flags(address, COUNT, GROUP, 0) }
    }

    fn entries(&self) -> *mut BufRingEntry {
        self.mapped.as_ptr().cast()
    }

    fn buffer(&self, id: u16) -> *mut u8 {
        let offset = ENTRIES_LEN + usize::from(id % COUNT) * ARRIVAL_LEN;
        self.mapped.as_ptr().cast::<u8>().wrapping_add(offset)
    }

    /// The first `len` bytes of a buffer, at most all of it.
    ///
    /// # Safety
    /// A completion named this buffer, and it was not given back since, nor is while the slice lives.
    pub(crate) unsafe fn bytes(&self, id: u16, len: usize) -> &[u8] {
        // SAFETY: within the mapping, initialised (zeroes, or what the kernel wrote), and ours as the caller says.
        unsafe { std::slice::from_raw_parts(self.buffer(id), len.min(ARRIVAL_LEN)) }
    }

    /// Notes that the kernel has picked a buffer, which is ours from now on.
    pub(crate) fn take(&self) {
        self.taken.set(self.taken.get() + 1);
    }

    /// Whether so many are ours that the tasks which hold them had better go on before more is received.
    pub(crate) fn is_short(&self) -> bool {
        self.taken.get() >= COUNT / 2
    }

    #[cfg(test)]
    pub(crate) fn taken(&self) -> u16 {
        self.taken.get()
    }

    /// Lets the kernel have a buffer (again).
    pub(crate) fn give_back(&self, id: u16) {
        self.taken.set(self.taken.get() - 1);
        let tail = self.tail.get();
        let place = self.entries().wrapping_add(usize::from(tail % COUNT));
        // SAFETY: within the mapping and aligned; entries from the tail on are ours, and only this thread writes them.
        // The tail that the kernel reads overlaps no field that is set here.
        let entry = unsafe { &mut *place };
        entry.set_addr(self.buffer(id) as u64);
        entry.set_len(ARRIVAL_LEN as u32);
        entry.set_bid(id);
        let tail = tail.wrapping_add(1);
        self.tail.set(tail);
        // SAFETY: the first entry of the ring is within the mapping and initialised.
        let shared = unsafe { BufRingEntry::tail(self.entries()) };
        // SAFETY: valid and aligned as the line above has it; the kernel reads it atomically, and nobody else does.
        let shared = unsafe { AtomicU16::from_ptr(shared.cast_mut()) };
        shared.store(tail, Ordering::Release);
    }
}

impl Drop for Provided {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, no slice outlives `self`, and the kernel is done with it as `register` has it.
        let _ = unsafe { munmap(self.mapped.as_ptr(), MAPPED_LEN) };
    }
}
