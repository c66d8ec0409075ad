//! How much plaintext the next record takes.
//!
//! A receiver can use nothing of a record before all of it has come. At the beginning, and after a pause,
//! TCP's window holds few segments, and a full record would take several round trips; so the first ones
//! are small. Once bytes flow, full records cost less CPU per byte.

use std::time::{Duration, Instant};

use sealgate_tls::MAX_FRAGMENT_LEN;

/// Plaintext of a small record: three segments of an Ethernet path.
const SMALL: usize = 4 * 1024;
/// So much is sent in small records.
const RAMP: usize = 32 * 1024;
/// A pause as long as this begins anew.
const PAUSE: Duration = Duration::from_secs(1);

/// The records of one direction.
#[derive(Debug, Default)]
pub(crate) struct RecordSize {
    /// Since the beginning or the last pause, as far as the ramp.
    sent: usize,
    last: Option<Instant>,
}

impl RecordSize {
    /// A write begins.
    pub(crate) fn begin(&mut self, now: Instant) {
        if self
            .last
            .is_some_and(|last| now.duration_since(last) >= PAUSE)
        {
            self.sent = 0;
        }
        self.last = Some(now);
    }

    /// Of so many bytes that are left to be sealed, how many go into one call of `Session::seal`: one small record's,
    /// or all of them.
    pub(crate) fn next(&self, left: usize) -> usize {
        match self.sent < RAMP && left > SMALL {
            // What is left of the ramp is no record of its own.
            true => SMALL,
            false => left,
        }
    }

    /// So many were sealed.
    pub(crate) fn sealed(&mut self, n: usize) {
        self.sent = self.sent.saturating_add(n).min(RAMP);
    }
}

const _: () = assert!(SMALL < MAX_FRAGMENT_LEN && RAMP.is_multiple_of(SMALL));

#[cfg(test)]
mod tests {
    use super::*;

    /// The calls of a write of `len` bytes.
    fn write(size: &mut RecordSize, now: Instant, mut len: usize) -> Vec<usize> {
        size.begin(now);
        let mut calls = Vec::new();
        while len > 0 {
            let n = size.next(len);
            size.sealed(n);
            calls.push(n);
            len -= n;
        }
        calls
    }

    #[test]
    fn the_first_bytes_go_in_small_records_and_all_others_in_one_call() {
        let (mut size, now) = (RecordSize::default(), Instant::now());
        let mut expected = vec![SMALL; RAMP / SMALL];
        expected.push(200_000);
        assert_eq!(write(&mut size, now, RAMP + 200_000), expected);
        assert_eq!(write(&mut size, now, 200_000), [200_000]);
    }

    #[test]
    fn what_is_small_anyway_is_one_record_and_counts() {
        let (mut size, now) = (RecordSize::default(), Instant::now());
        for _ in 0..RAMP / 100 + 1 {
            assert_eq!(write(&mut size, now, 100), [100]);
        }
        assert_eq!(write(&mut size, now, SMALL + 1), [SMALL + 1]);
    }

    #[test]
    fn a_pause_begins_anew_and_less_than_one_does_not() {
        let (mut size, mut now) = (RecordSize::default(), Instant::now());
        write(&mut size, now, RAMP);
        now += PAUSE - Duration::from_millis(1);
        assert_eq!(write(&mut size, now, 10_000), [10_000]);
        now += PAUSE;
        assert_eq!(
            write(&mut size, now, 10_000),
            [SMALL, SMALL, 10_000 - 2 * SMALL]
        );
    }
}
