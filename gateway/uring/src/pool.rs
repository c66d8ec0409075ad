//! Buffers of one worker thread, in two sizes.
//!
//! Idle connections hold none. Busy ones hold a small buffer, and a large one while their reads
//! fill it: bytes per socket operation is the strongest lever on cost.
//!
//! A buffer that goes back is not wiped: at 0.1 s per GB that would cost a quarter of the relay.
//! The process cannot be dumped, and what a buffer held is overwritten by its next user, or given back to the
//! system with its page once nobody wants it any more ([`Pool::trim`]).

use std::cell::{Cell, RefCell};
use std::ops::{Deref, DerefMut};
use std::rc::Rc;

/// A small buffer: two TLS records of any kind, with what sealing adds.
pub const SMALL_BUF_LEN: usize = 36 * 1024;
/// A large buffer: sixteen TLS records, with what sealing adds. Half of that costs a download 18 % more; twice that
/// costs 64 downloads at once 6 % more.
pub const LARGE_BUF_LEN: usize = 260 * 1024;
/// Plaintext that, sealed into records, still fits a small buffer.
pub const SMALL_PLAINTEXT_LEN: usize = 32 * 1024;
/// Plaintext that, sealed into records, still fits a large buffer.
pub const LARGE_PLAINTEXT_LEN: usize = 256 * 1024;

/// Free buffers that are kept; more go back to the allocator.
const KEPT_SMALL: usize = 256;
const KEPT_LARGE: usize = 32;

/// Which size is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SizeClass {
    /// [`SMALL_BUF_LEN`].
    Small,
    /// [`LARGE_BUF_LEN`], or [`SMALL_BUF_LEN`] while the pool's limit of large ones is reached.
    Large,
}

/// The buffers of one thread. Clones share them.
#[derive(Clone)]
pub struct Pool {
    shelves: Rc<Shelves>,
}

struct Shelves {
    small: RefCell<Shelf>,
    large: RefCell<Shelf>,
    large_taken: Cell<usize>,
    large_limit: usize,
    in_use_bytes: Cell<usize>,
}

/// Free buffers of one size: what came back last is taken first, so that those at the bottom are not needed.
struct Shelf {
    free: Vec<Box<[u8]>>,
    /// The fewest that lay here since the last trim.
    fewest: usize,
    kept: usize,
}

impl Shelf {
    fn new(kept: usize) -> Shelf {
        Shelf {
            free: Vec::new(),
            fewest: 0,
            kept,
        }
    }

    fn take(&mut self) -> Option<Box<[u8]>> {
        let block = self.free.pop();
        self.fewest = self.fewest.min(self.free.len());
        block
    }

    fn put(&mut self, block: Box<[u8]>) {
        if self.free.len() < self.kept {
            self.free.push(block);
        }
    }

    fn trim(&mut self) {
        self.free.drain(..self.fewest);
        self.fewest = self.free.len();
    }
}

impl Pool {
    /// An empty pool that hands out at most `large_limit` large buffers at once.
    pub fn new(large_limit: usize) -> Pool {
        Pool {
            shelves: Rc::new(Shelves {
                small: RefCell::new(Shelf::new(KEPT_SMALL)),
                large: RefCell::new(Shelf::new(KEPT_LARGE)),
                large_taken: Cell::new(0),
                large_limit,
                in_use_bytes: Cell::new(0),
            }),
        }
    }

    /// An empty buffer. Allocates when no free one is kept.
    pub fn take(&self, class: SizeClass) -> Buf {
        let shelves = &self.shelves;
        let large = class == SizeClass::Large && shelves.large_taken.get() < shelves.large_limit;
        let (shelf, len) = if large {
            (&shelves.large, LARGE_BUF_LEN)
        } else {
            (&shelves.small, SMALL_BUF_LEN)
        };
        if large {
            shelves.large_taken.set(shelves.large_taken.get() + 1);
        }
        let block = shelf
            .borrow_mut()
            .take()
            .unwrap_or_else(|| vec![0; len].into_boxed_slice());
        shelves.in_use_bytes.set(shelves.in_use_bytes.get() + len);
        Buf {
            block,
            start: 0,
            end: 0,
            shelves: Rc::clone(shelves),
        }
    }

    /// Frees the buffers that nobody has needed since the last call. To be called at intervals: what a crowd needed is
    /// then given back when it has gone, and what bursts need within an interval stays.
    pub fn trim(&self) {
        self.shelves.small.borrow_mut().trim();
        self.shelves.large.borrow_mut().trim();
    }

    /// Bytes of all buffers handed out at present.
    pub fn in_use_bytes(&self) -> usize {
        self.shelves.in_use_bytes.get()
    }
}

/// A buffer from a [`Pool`], to which it returns when dropped. It derefs to the bytes it holds;
/// behind them is spare room.
pub struct Buf {
    block: Box<[u8]>,
    start: usize,
    end: usize,
    shelves: Rc<Shelves>,
}

impl Buf {
    /// The room behind the bytes held.
    pub fn spare_mut(&mut self) -> &mut [u8] {
        &mut self.block[self.end..]
    }

    /// How much room there is behind the bytes held.
    pub fn spare_len(&self) -> usize {
        self.block.len() - self.end
    }

    /// Its whole size.
    pub fn capacity(&self) -> usize {
        self.block.len()
    }

    /// Whether it is of the large size.
    pub fn class(&self) -> SizeClass {
        if self.block.len() == LARGE_BUF_LEN {
            SizeClass::Large
        } else {
            SizeClass::Small
        }
    }

    /// How much plaintext it may take so that, sealed, it fits a buffer of the same size.
    pub fn plaintext_capacity(&self) -> usize {
        match self.class() {
            SizeClass::Small => SMALL_PLAINTEXT_LEN,
            SizeClass::Large => LARGE_PLAINTEXT_LEN,
        }
    }

    /// Counts `n` bytes of the spare room as held.
    ///
    /// # Panics
    /// When there is less spare room.
    pub fn advance(&mut self, n: usize) {
        assert!(n <= self.spare_len(), "advance past the buffer");
        self.end += n;
    }

    /// Lets go of the first `n` bytes.
    ///
    /// # Panics
    /// When fewer are held.
    pub fn consume(&mut self, n: usize) {
        assert!(n <= self.end - self.start, "consume past the bytes held");
        self.start += n;
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Appends as much of `bytes` as fits; returns how much that was.
    pub fn extend(&mut self, bytes: &[u8]) -> usize {
        let n = bytes.len().min(self.spare_len());
        self.block[self.end..self.end + n].copy_from_slice(&bytes[..n]);
        self.end += n;
        n
    }

    /// Lets go of all bytes.
    pub fn clear(&mut self) {
        (self.start, self.end) = (0, 0);
    }

    /// Moves the bytes held to the front, so that all room is behind them.
    pub fn compact(&mut self) {
        if self.start > 0 {
            self.block.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
    }
}

impl Deref for Buf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.block[self.start..self.end]
    }
}

impl DerefMut for Buf {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.block[self.start..self.end]
    }
}

impl AsRef<[u8]> for Buf {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Drop for Buf {
    fn drop(&mut self) {
        let block = std::mem::take(&mut self.block);
        let shelves = &self.shelves;
        shelves
            .in_use_bytes
            .set(shelves.in_use_bytes.get() - block.len());
        let shelf = if block.len() == LARGE_BUF_LEN {
            shelves.large_taken.set(shelves.large_taken.get() - 1);
            &shelves.large
        } else {
            &shelves.small
        };
        shelf.borrow_mut().put(block);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_buffers_are_limited_and_come_back() {
        let pool = Pool::new(1);
        let first = pool.take(SizeClass::Large);
        assert_eq!(first.class(), SizeClass::Large);
        assert_eq!(pool.take(SizeClass::Large).class(), SizeClass::Small);
        assert_eq!(pool.in_use_bytes(), LARGE_BUF_LEN);
        drop(first);
        assert_eq!(pool.take(SizeClass::Large).class(), SizeClass::Large);
        assert_eq!(pool.in_use_bytes(), 0);
    }

    #[test]
    fn what_nobody_has_needed_between_two_trims_is_freed() {
        let pool = Pool::new(1);
        let free = |pool: &Pool| {
            let shelves = &pool.shelves;
            (
                shelves.small.borrow().free.len(),
                shelves.large.borrow().free.len(),
            )
        };
        let crowd: Vec<Buf> = (0..5).map(|_| pool.take(SizeClass::Small)).collect();
        drop((crowd, pool.take(SizeClass::Large)));
        pool.trim();
        assert_eq!(free(&pool), (5, 1), "all were needed just now");
        // From here on two at a time are needed.
        for _ in 0..3 {
            drop((pool.take(SizeClass::Small), pool.take(SizeClass::Small)));
        }
        pool.trim();
        assert_eq!(free(&pool), (2, 0));
        let one = pool.take(SizeClass::Small);
        pool.trim();
        assert_eq!(free(&pool), (0, 0), "one is in use, and one was not");
        drop(one);
        pool.trim();
        assert_eq!(free(&pool), (1, 0));
        pool.trim();
        assert_eq!(free(&pool), (0, 0));
    }

    #[test]
    fn bytes_are_held_consumed_and_compacted() {
        let pool = Pool::new(0);
        let mut buf = pool.take(SizeClass::Small);
        assert_eq!(buf.extend(b"abcdef"), 6);
        buf.consume(4);
        assert_eq!(&*buf, b"ef");
        buf.compact();
        assert_eq!((&*buf, buf.spare_len()), (&b"ef"[..], SMALL_BUF_LEN - 2));
        buf.consume(2);
        assert_eq!(buf.spare_len(), SMALL_BUF_LEN);
        assert_eq!(buf.extend(&vec![1; SMALL_BUF_LEN + 1]), SMALL_BUF_LEN);
    }
}
