//! Every bound of the gateway, and the memory budget as a sum with named terms.
//!
//! Bounds that an operator may set are in `settings::LimitSettings`; those of a crate of its own
//! (ClientHello, records, envelope header) stand there.

use std::fmt;
use std::time::Duration;

use sealgate_uring::{ARRIVALS_LEN, LARGE_BUF_LEN, SMALL_BUF_LEN};

use crate::settings::Settings;

/// Connections that the kernel holds for us until they are accepted, per listener and worker.
pub const LISTEN_BACKLOG: i32 = 4096;
/// Large buffers that one worker hands out at once; beyond, connections make do with small ones.
pub const LARGE_BUFFERS_PER_WORKER: usize = 128;
/// Handshakes of one tenant that wait on one worker for their first step; more are refused.
pub const HANDSHAKES_WAITING: usize = 512;
/// Control messages on their way to one worker.
pub const CONTROL_QUEUE: usize = 16;
/// Keyrings that wait to be loaded.
pub const KEY_LOADS_WAITING: usize = 1024;
/// Keyrings that are being loaded at once: a provider that hangs for so many tenants holds the others up.
pub const KEY_LOADS: usize = 64;
/// How long a message waits for its tenant's keyring.
pub const KEYS_WAIT: Duration = Duration::from_secs(10);
/// How often control looks which keyrings are due for a new epoch.
pub const ROTATION_LOOK: Duration = Duration::from_secs(60);
/// Log lines on their way to the writer; more are dropped and counted.
pub const LOG_LINES: usize = 16_384;
/// Bytes of log lines that are written at once, when so many have queued up.
pub const LOG_BATCH: usize = 64 * 1024;
/// Characters of a text from outside in one field of a log line.
pub const LOGGED_CHARS: usize = 512;
/// Groups of a ClientHello in a log line.
pub const LOGGED_GROUPS: usize = 16;
/// Small buffers that one connection holds at most: two directions, each with one before and one
/// behind the cipher, and one for control bytes.
const SMALL_BUFFERS_PER_CONNECTION: usize = 5;
/// How long an upstream address that failed is tried last.
pub const UPSTREAM_COOL_DOWN: Duration = Duration::from_secs(10);
/// Idle upstream connections older than this are not used again.
pub const UPSTREAM_IDLE: Duration = Duration::from_secs(60);
/// Bytes of a backend's body that are read in order to drop it; beyond, its connection is closed.
pub const DROPPED_BODY_BYTES: usize = 64 * 1024;
/// How long that may take.
pub const DROPPED_BODY_TIME: Duration = Duration::from_secs(5);
/// How often the send queue towards a service is looked at before its connection is closed.
pub const SEND_QUEUE_LOOK: Duration = Duration::from_millis(20);
/// A write that took so long had a slow receiver.
pub const QUICK: Duration = Duration::from_millis(100);
/// After so many quick writes in a row a direction is given large buffers: more than fits the send buffer of a
/// connection that has hardly begun.
pub const QUICK_WRITES: u8 = 8;
/// A relayed connection in which nothing moved for so long lets go of its expanded keys.
pub const PARK_AFTER: Duration = Duration::from_secs(1);
/// How often it is looked whether one that did so moved since, and has become quiet again.
pub const PARK_LOOK: Duration = Duration::from_secs(30);
/// How often a worker says how many bytes of buffers are in use, and gives back what its pool and its allocator keep free.
pub const BUFFERS_LOOK: Duration = Duration::from_secs(1);
/// How long an idle HTTP connection that we close has to end.
pub const CLOSE_TIME: Duration = Duration::from_secs(5);
/// How long connections that are cut at the end of a drain have to end.
pub const DRAIN_CUT: Duration = Duration::from_secs(1);
/// After a failed accept for want of descriptors, the listener rests this long.
pub const ACCEPT_REST: Duration = Duration::from_millis(50);
/// hyper's buffer per direction of an HTTP connection, at most: it holds body bytes in transit.
pub const HTTP_BUFFER_BYTES: usize = 256 * 1024;

/// The most user memory that buffers can take, as a sum.
pub struct MemoryBudget {
    workers: usize,
    connections: usize,
}

impl MemoryBudget {
    /// The budget of `settings` on `workers` threads.
    pub fn new(settings: &Settings, workers: usize) -> MemoryBudget {
        MemoryBudget {
            workers,
            connections: settings.limits.max_connections,
        }
    }

    fn large(&self) -> usize {
        self.workers * LARGE_BUFFERS_PER_WORKER * LARGE_BUF_LEN
    }

    fn arrivals(&self) -> usize {
        self.workers * ARRIVALS_LEN
    }

    fn small(&self) -> usize {
        self.connections * SMALL_BUFFERS_PER_CONNECTION * SMALL_BUF_LEN
    }
}

impl fmt::Display for MemoryBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MIB: usize = 1024 * 1024;
        write!(
            f,
            "arrival buffers {} MiB ({} workers x {} KiB) + large buffers {} MiB ({} workers x \
             {LARGE_BUFFERS_PER_WORKER} x {} KiB) + small buffers at most {} MiB ({} connections, all busy at once, x {SMALL_BUFFERS_PER_CONNECTION} x {} KiB)",
            self.arrivals() / MIB,
            self.workers,
            ARRIVALS_LEN / 1024,
            self.large() / MIB,
            self.workers,
            LARGE_BUF_LEN / 1024,
            self.small() / MIB,
            self.connections,
            SMALL_BUF_LEN / 1024,
        )
    }
}
