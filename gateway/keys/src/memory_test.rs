//! Looks for key bytes in the process's own memory after their owners are dropped.

use std::fs::File;
use std::os::unix::fs::FileExt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroize;

use crate::keyring::Keyring;
use crate::secret::Secret;

/// What is looked for, never in the clear itself.
struct Needle {
    masked: Vec<u8>,
}

const MASK: u8 = 0xA5;
const LEN_BYTES: usize = 16;

impl Needle {
    /// The last 16 bytes: an allocator writes over the first ones of what it is given back, which would hide the rest.
    fn of(secret: &[u8]) -> Self {
        let tail = &secret[secret.len() - LEN_BYTES..];
        Self {
            masked: tail.iter().map(|byte| byte ^ MASK).collect(),
        }
    }

    fn of_base64(secret: &[u8]) -> Self {
        let mut text = STANDARD.encode(secret);
        let needle = Self::of(text.as_bytes());
        text.zeroize();
        needle
    }

    fn is_at(&self, bytes: &[u8]) -> bool {
        bytes
            .iter()
            .zip(&self.masked)
            .all(|(found, masked)| found ^ MASK == *masked)
    }
}

/// How often each needle stands in memory that the process can write.
fn count(needles: &[&Needle]) -> Vec<usize> {
    const CHUNK: usize = 1 << 20;
    let mut buffer = vec![0; CHUNK + LEN_BYTES];
    let own = buffer.as_ptr() as u64..buffer.as_ptr() as u64 + buffer.len() as u64;
    let memory = File::open("/proc/self/mem").unwrap();
    let mut counts = vec![0; needles.len()];
    for line in std::fs::read_to_string("/proc/self/maps").unwrap().lines() {
        let (range, rest) = line.split_once(' ').unwrap();
        if !rest.starts_with("rw") || rest.contains("[vv") {
            continue;
        }
        let (start, end) = range.split_once('-').unwrap();
        let [start, end] = [start, end].map(|text| u64::from_str_radix(text, 16).unwrap());
        let mut at = start;
        while at < end {
            let len = (CHUNK + LEN_BYTES).min((end - at) as usize);
            // A page may have gone since the list was made.
            let read = memory.read_at(&mut buffer[..len], at).unwrap_or(0);
            for offset in 0..read.min(CHUNK) {
                if own.contains(&(at + offset as u64)) {
                    continue;
                }
                for (count, needle) in counts.iter_mut().zip(needles) {
                    let fits = offset + LEN_BYTES <= read;
                    *count += usize::from(fits && needle.is_at(&buffer[offset..read]));
                }
            }
            at += CHUNK as u64;
        }
    }
    buffer.zeroize();
    counts
}

#[test]
fn a_secret_is_found_while_it_lives_and_not_after() {
    let secret = Secret::<32>::generate().unwrap();
    let needle = Needle::of(secret.expose());
    assert_eq!(count(&[&needle]), [1], "the search finds what is there");
    drop(secret);
    assert_eq!(count(&[&needle]), [0]);
}

#[test]
fn no_key_of_a_keyring_is_in_memory_after_it_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("acme.keyring");
    drop(Keyring::create(&path, "acme").unwrap());
    let (kek, kek_text, branch_key) = Keyring::show_secrets(&path, |kek, branch_key| {
        (
            Needle::of(kek),
            Needle::of_base64(kek),
            Needle::of(branch_key),
        )
    });
    let needles = [&kek, &kek_text, &branch_key];
    assert_eq!(count(&needles), [0; 3], "after it was created");

    let keyring = Keyring::load(&path).unwrap_or_else(|error| panic!("{error}"));
    let [kek_count, kek_text_count, branch_key_count] = count(&needles)[..] else {
        panic!("three needles")
    };
    assert_eq!(
        (kek_count, kek_text_count),
        (0, 0),
        "the KEK is needed no more"
    );
    assert!(branch_key_count > 0, "the search finds what is there");
    let rotated = keyring
        .rotate_epoch()
        .unwrap_or_else(|error| panic!("{error}"));
    drop((keyring, rotated));
    assert_eq!(
        count(&needles),
        [0; 3],
        "after it was loaded, rotated and dropped"
    );
}
