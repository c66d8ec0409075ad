//! Looks for secret bytes in the process's own memory.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is looked for, never in the clear itself.
pub struct Needle {
    masked: Vec<u8>,
}

const MASK: u8 = 0xA5;
const LEN_BYTES: usize = 16;
const CHUNK_LEN_BYTES: usize = 1 << 20;

impl Needle {
    /// The last 16 bytes: an allocator writes over the first ones of what it is given back, which would hide the rest.
    pub fn of(secret: &[u8]) -> Self {
        let tail = &secret[secret.len() - LEN_BYTES..];
        Self {
            masked: tail.iter().map(|byte| byte ^ MASK).collect(),
        }
    }

    fn is_at(&self, bytes: &[u8]) -> bool {
        bytes
            .iter()
            .zip(&self.masked)
            .all(|(found, masked)| found ^ MASK == *masked)
    }
}

/// One search at a time in a process: another one's buffer holds copies of whatever it has just read.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A search that takes no memory of its own while it runs: it would be given what was just freed, and write over what is looked for.
pub struct Search {
    buffer: Vec<u8>,
    maps: String,
    _alone: MutexGuard<'static, ()>,
}

impl Search {
    pub fn new() -> Self {
        // A test that failed while it searched leaves nothing behind that another one would find.
        let alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        Self {
            buffer: vec![0; CHUNK_LEN_BYTES + LEN_BYTES],
            maps: String::with_capacity(1 << 20),
            _alone: alone,
        }
    }

    /// How often each needle stands in memory that the process can write.
    pub fn count<const N: usize>(&mut self, needles: [&Needle; N]) -> [usize; N] {
        self.maps.clear();
        let mut maps = File::open("/proc/self/maps").unwrap();
        maps.read_to_string(&mut self.maps).unwrap();
        let memory = File::open("/proc/self/mem").unwrap();
        let own = self.buffer.as_ptr() as u64;
        let own = own..own + self.buffer.len() as u64;
        let mut counts = [0; N];
        for line in self.maps.lines() {
            let (range, rest) = line.split_once(' ').unwrap();
            if !rest.starts_with("rw") || rest.contains("[vv") {
                continue;
            }
            let (start, end) = range.split_once('-').unwrap();
            let [start, end] = [start, end].map(|text| u64::from_str_radix(text, 16).unwrap());
            let mut at = start;
            while at < end {
                let len = (CHUNK_LEN_BYTES + LEN_BYTES).min((end - at) as usize);
                // A page may have gone since the list was made.
                let read = memory.read_at(&mut self.buffer[..len], at).unwrap_or(0);
                let found = &self.buffer[..read];
                for (offset, window) in found.windows(LEN_BYTES).take(CHUNK_LEN_BYTES).enumerate() {
                    if own.contains(&(at + offset as u64)) {
                        continue;
                    }
                    for (count, needle) in counts.iter_mut().zip(needles) {
                        *count += usize::from(needle.is_at(window));
                    }
                }
                at += CHUNK_LEN_BYTES as u64;
            }
        }
        self.buffer.fill(0);
        counts
    }
}
