//! The object store: bodies are kept as shared chunks, so that a GET copies nothing.
//!
//! Memory is bounded. An [`Upload`] reserves a chunk before it fills it and gives
//! everything back when it is dropped before [`Store::put`], so an aborted upload leaves no trace.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{
        Arc, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use aws_lc_rs::digest::{Context, SHA256};
use bytes::{Bytes, BytesMut};
use hyper::HeaderMap;
use thiserror::Error;

/// Bytes in a full chunk. As large as one read of the stream, so one chunk is one write.
pub const CHUNK_LEN_BYTES: usize = 256 * 1024;

/// Independent locks: readers on different cores seldom meet on one cache line.
const SHARDS: usize = 64;

/// The store is full.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("the store holds {used} bytes of at most {limit}")]
pub struct Full {
    /// Bytes reserved when the upload was refused.
    pub used: usize,
    /// The bound of the store.
    pub limit: usize,
}

/// Bytes the store may hold, shared by everything that holds some.
#[derive(Debug)]
struct Budget {
    used: AtomicUsize,
    limit: usize,
}

impl Budget {
    fn reserve(&self, len: usize) -> Result<(), Full> {
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(len).filter(|sum| *sum <= self.limit)
            })
            .map(drop)
            .map_err(|used| Full {
                used,
                limit: self.limit,
            })
    }

    fn release(&self, len: usize) {
        self.used.fetch_sub(len, Ordering::Relaxed);
    }
}

/// Bytes reserved from a [`Budget`], given back on drop.
#[derive(Debug)]
struct Reservation {
    budget: Arc<Budget>,
    len: usize,
}

impl Reservation {
    fn grow(&mut self, len: usize) -> Result<(), Full> {
        self.budget.reserve(len)?;
        self.len += len;
        Ok(())
    }

    fn shrink_to(&mut self, len: usize) {
        self.budget.release(self.len.saturating_sub(len));
        self.len = self.len.min(len);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.release(self.len);
    }
}

/// A stored object. Immutable: a change stores a new one.
#[derive(Debug)]
pub struct Object {
    chunks: Vec<Bytes>,
    len: u64,
    generation: u64,
    headers: HeaderMap,
    // Held for its drop: the bytes count until the last GET in flight is done.
    _reservation: Reservation,
}

impl Object {
    /// Length of the body in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether the body has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Header fields that came with the upload and are given back with the object.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The strong entity tag: one per stored generation, not a digest of the content.
    pub fn etag(&self) -> String {
        format!("\"{:x}-{:x}\"", self.generation, self.len)
    }

    /// The chunks of `[start, end)` as shared slices; no byte is copied.
    pub fn slice(&self, start: u64, end: u64) -> Vec<Bytes> {
        let (start, end) = (start.min(self.len), end.min(self.len));
        let mut slices = Vec::new();
        let mut chunk_start = 0u64;
        for chunk in &self.chunks {
            let chunk_end = chunk_start + chunk.len() as u64;
            if chunk_end > start && chunk_start < end {
                let from = start.saturating_sub(chunk_start) as usize;
                let to = (end.min(chunk_end) - chunk_start) as usize;
                slices.push(chunk.slice(from..to));
            }
            chunk_start = chunk_end;
        }
        slices
    }
}

/// A body on its way into the store.
#[derive(Debug)]
pub struct Upload {
    chunks: Vec<Bytes>,
    filling: BytesMut,
    len: u64,
    expected_len: Option<u64>,
    reservation: Reservation,
}

impl Upload {
    /// Appends `data`.
    ///
    /// # Errors
    ///
    /// [`Full`] when the store has no room; the upload is then of no further use.
    pub fn push(&mut self, mut data: &[u8]) -> Result<(), Full> {
        while !data.is_empty() {
            if self.filling.capacity() == self.filling.len() {
                self.next_chunk(data.len())?;
            }
            let room = self.filling.capacity() - self.filling.len();
            let (now, later) = data.split_at(room.min(data.len()));
            self.filling.extend_from_slice(now);
            self.len += now.len() as u64;
            data = later;
        }
        Ok(())
    }

    /// The digest of the bytes so far.
    pub fn sha256(&self) -> [u8; 32] {
        let mut digest = Context::new(&SHA256);
        for chunk in &self.chunks {
            digest.update(chunk);
        }
        digest.update(&self.filling);
        let digest = digest.finish();
        digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
    }

    /// The bytes, without storing them. They count against the limit no longer.
    pub fn into_chunks(mut self) -> Vec<Bytes> {
        self.seal_chunk();
        self.chunks
    }

    fn next_chunk(&mut self, at_hand: usize) -> Result<(), Full> {
        self.seal_chunk();
        let expected = match self.expected_len {
            Some(total) => usize::try_from(total.saturating_sub(self.len)).unwrap_or(usize::MAX),
            // Doubling: a short body of unknown length takes little, a long one few chunks.
            None => usize::try_from(self.len).unwrap_or(usize::MAX),
        };
        let len = expected.max(at_hand).min(CHUNK_LEN_BYTES);
        self.reservation.grow(len)?;
        self.filling = BytesMut::with_capacity(len);
        Ok(())
    }

    fn seal_chunk(&mut self) {
        let filled = std::mem::take(&mut self.filling);
        if filled.is_empty() {
            return;
        }
        // A mostly empty chunk would occupy more than the reservation says once it is shrunk.
        let sparse = filled.len() < filled.capacity() / 2;
        self.chunks.push(match sparse {
            true => Bytes::copy_from_slice(&filled),
            false => filled.freeze(),
        });
    }
}

/// What a put did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// The key was free.
    Created,
    /// An older object made way.
    Replaced,
}

type Shard = RwLock<HashMap<Box<str>, Arc<Object>>>;

/// Objects by path, shared by all threads of the origin.
#[derive(Debug)]
pub struct Store {
    shards: Vec<Shard>,
    hasher: RandomState,
    generation: AtomicU64,
    budget: Arc<Budget>,
}

impl Store {
    /// An empty store that will hold at most `limit_bytes` of bodies.
    pub fn new(limit_bytes: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            hasher: RandomState::new(),
            generation: AtomicU64::new(1),
            budget: Arc::new(Budget {
                used: AtomicUsize::new(0),
                limit: limit_bytes,
            }),
        }
    }

    /// Bytes reserved by stored objects, uploads, and downloads of replaced objects.
    pub fn used_bytes(&self) -> usize {
        self.budget.used.load(Ordering::Relaxed)
    }

    /// The object at `key`.
    pub fn find(&self, key: &str) -> Option<Arc<Object>> {
        self.read(key).get(key).cloned()
    }

    /// Starts an upload; `expected_len` is the announced length, if there is one.
    ///
    /// # Errors
    ///
    /// [`Full`] when the announced length cannot fit, before a byte of it is read.
    pub fn upload(&self, expected_len: Option<u64>) -> Result<Upload, Full> {
        let limit = self.budget.limit;
        let used = self.used_bytes();
        if expected_len.is_some_and(|len| len > (limit.saturating_sub(used)) as u64) {
            return Err(Full { used, limit });
        }
        Ok(Upload {
            chunks: Vec::new(),
            filling: BytesMut::new(),
            len: 0,
            expected_len,
            reservation: Reservation {
                budget: Arc::clone(&self.budget),
                len: 0,
            },
        })
    }

    /// Stores a finished upload at `key`; returns the object and whether it is new.
    pub fn put(&self, key: &str, mut upload: Upload, headers: HeaderMap) -> (Arc<Object>, Put) {
        upload.seal_chunk();
        upload.reservation.shrink_to(upload.len as usize);
        self.insert(key, upload.chunks, headers, upload.reservation)
    }

    fn insert(
        &self,
        key: &str,
        chunks: Vec<Bytes>,
        headers: HeaderMap,
        reservation: Reservation,
    ) -> (Arc<Object>, Put) {
        let object = Arc::new(Object {
            len: chunks.iter().map(|chunk| chunk.len() as u64).sum(),
            chunks,
            generation: self.generation.fetch_add(1, Ordering::Relaxed),
            headers,
            _reservation: reservation,
        });
        // The old object is dropped after the lock: freeing a large body takes a while.
        let old = self.write(key).insert(key.into(), Arc::clone(&object));
        let put = if old.is_some() {
            Put::Replaced
        } else {
            Put::Created
        };
        (object, put)
    }

    /// Removes the object at `key`; false when there was none.
    pub fn delete(&self, key: &str) -> bool {
        let old = self.write(key).remove(key);
        old.is_some()
    }

    /// Stores the object of `from` at `to` as well. The chunks are shared but counted twice.
    ///
    /// # Errors
    ///
    /// [`Full`] when the copy does not fit; `None` inside when `from` does not exist.
    pub fn copy(&self, from: &str, to: &str) -> Result<Option<Put>, Full> {
        let Some(object) = self.find(from) else {
            return Ok(None);
        };
        let reservation = self.reserve(object.len)?;
        let (_, put) = self.insert(
            to,
            object.chunks.clone(),
            object.headers.clone(),
            reservation,
        );
        Ok(Some(put))
    }

    /// Flips the lowest bit of the byte at `offset`; false when there is no such object or byte.
    ///
    /// # Errors
    ///
    /// [`Full`] when the changed object does not fit beside the old one.
    pub fn flip(&self, key: &str, offset: u64) -> Result<bool, Full> {
        let Some(object) = self.find(key) else {
            return Ok(false);
        };
        if offset >= object.len {
            return Ok(false);
        }
        let mut chunks = object.chunks.clone();
        let mut chunk_start = 0u64;
        for chunk in &mut chunks {
            let chunk_end = chunk_start + chunk.len() as u64;
            if offset < chunk_end {
                let mut changed = BytesMut::from(&chunk[..]);
                changed[(offset - chunk_start) as usize] ^= 1;
                *chunk = changed.freeze();
                break;
            }
            chunk_start = chunk_end;
        }
        let reservation = self.reserve(object.len)?;
        self.insert(key, chunks, object.headers.clone(), reservation);
        Ok(true)
    }

    fn reserve(&self, len: u64) -> Result<Reservation, Full> {
        let mut reservation = Reservation {
            budget: Arc::clone(&self.budget),
            len: 0,
        };
        reservation.grow(usize::try_from(len).unwrap_or(usize::MAX))?;
        Ok(reservation)
    }

    fn shard(&self, key: &str) -> &Shard {
        &self.shards[self.hasher.hash_one(key) as usize % SHARDS]
    }

    // A poisoned lock holds a map that is still whole: inserts and removals are single calls.
    fn read(&self, key: &str) -> RwLockReadGuard<'_, HashMap<Box<str>, Arc<Object>>> {
        self.shard(key)
            .read()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn write(&self, key: &str) -> RwLockWriteGuard<'_, HashMap<Box<str>, Arc<Object>>> {
        self.shard(key)
            .write()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(store: &Store, key: &str, body: &[u8]) -> Put {
        let mut upload = store.upload(None).unwrap();
        upload.push(body).unwrap();
        store.put(key, upload, HeaderMap::new()).1
    }

    fn body(store: &Store, key: &str) -> Vec<u8> {
        store.find(key).unwrap().slice(0, u64::MAX).concat()
    }

    #[test]
    fn slices_cross_chunks_exactly() {
        let store = Store::new(usize::MAX);
        let data: Vec<u8> = (0..CHUNK_LEN_BYTES * 2 + 77)
            .map(|i| (i % 251) as u8)
            .collect();
        assert_eq!(put(&store, "/a", &data), Put::Created);
        let object = store.find("/a").unwrap();
        assert_eq!(object.len(), data.len() as u64);
        let edge = CHUNK_LEN_BYTES;
        for (start, end) in [(0, 1), (edge - 1, edge + 1), (edge, edge), (3, data.len())] {
            let got = object.slice(start as u64, end as u64).concat();
            assert_eq!(got, &data[start..end], "{start}..{end}");
        }
    }

    #[test]
    fn dropped_uploads_and_deleted_objects_give_their_bytes_back() {
        let store = Store::new(1000);
        let mut upload = store.upload(Some(600)).unwrap();
        upload.push(&[7; 300]).unwrap();
        assert_eq!(store.used_bytes(), 600);
        assert!(store.upload(Some(600)).is_err());
        drop(upload);
        assert_eq!(store.used_bytes(), 0);
        put(&store, "/a", &[1; 900]);
        assert_eq!(store.used_bytes(), 900);
        let mut upload = store.upload(None).unwrap();
        assert!(upload.push(&[0; 101]).is_err());
        drop(upload);
        let reading = store.find("/a").unwrap();
        assert!(store.delete("/a"));
        assert!(!store.delete("/a"));
        assert_eq!(
            store.used_bytes(),
            900,
            "a download in flight still holds the bytes"
        );
        drop(reading);
        assert_eq!(store.used_bytes(), 0);
    }

    #[test]
    fn flip_changes_one_bit_and_the_tag() {
        let store = Store::new(1 << 20);
        put(&store, "/a", &[0; 10]);
        assert_eq!(store.copy("/a", "/b").unwrap(), Some(Put::Created));
        let tag = store.find("/a").unwrap().etag();
        assert!(store.flip("/a", 9).unwrap());
        assert!(!store.flip("/a", 10).unwrap());
        assert_eq!(body(&store, "/a"), [0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(body(&store, "/b"), [0; 10], "the copy is untouched");
        assert_ne!(store.find("/a").unwrap().etag(), tag);
        assert_eq!(store.copy("/none", "/b").unwrap(), None);
    }
}
