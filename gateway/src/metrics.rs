//! Counters of one worker, and the one list of metric names.
//!
//! Each worker counts in its own block, so that no cache line is shared between cores; the admin
//! listener adds the blocks up when it is asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use rustls::{HandshakeKind, NamedGroup, ProtocolVersion};
use sealgate_keys::cache::KeyringCache;
use sealgate_tls::Facts;

use crate::error::Cause;

/// Handshakes are counted by version (2), group (5) and kind (2).
const HANDSHAKES: usize = 2 * 5 * 2;
const VERSIONS: [&str; 2] = ["TLSv1.2", "TLSv1.3"];
const GROUPS: [&str; 5] = ["none", "X25519MLKEM768", "X25519", "P-256", "P-384"];
const KINDS: [&str; 2] = ["full", "resumed"];
const CLASSES: [&str; 3] = ["terminated", "sealed", "passthrough"];
/// 1xx is not counted; 2xx to 5xx.
const STATUSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

const KEY_LOADS: [&str; 3] = ["loaded", "refused", "failed"];
const KEY_ROTATIONS: [&str; 2] = ["rotated", "failed"];

/// Exposure class, as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// TLS ends at the gateway; the backend reads.
    Terminated,
    /// The backend holds ciphertext only.
    Sealed,
    /// TLS goes through unopened.
    Passthrough,
}

impl Class {
    /// As in config, log and status.
    pub fn name(self) -> &'static str {
        CLASSES[self as usize]
    }
}

/// Counters of one worker. All loads and stores are relaxed: they are statistics.
#[derive(Default)]
#[repr(align(128))]
pub struct Counters {
    /// Connections accepted.
    pub accepted: AtomicU64,
    /// Connections open now.
    pub open: AtomicU64,
    /// Steps of handshakes that waited for a later turn of the ring.
    pub handshake_waits: AtomicU64,
    /// Bytes of the buffers that are in use; looked at once a second.
    pub buffer_bytes: AtomicU64,
    /// Bytes of plaintext (ciphertext where nothing is opened) from clients, by class.
    bytes_in: [AtomicU64; 3],
    /// Bytes to clients, by class.
    bytes_out: [AtomicU64; 3],
    handshakes: [AtomicU64; HANDSHAKES],
    requests: [[AtomicU64; 4]; 3],
    errors: PerCause,
}

/// One counter per cause.
struct PerCause([AtomicU64; Cause::ALL.len()]);

impl Default for PerCause {
    fn default() -> Self {
        PerCause(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

fn add(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Ordering::Relaxed);
}

impl Counters {
    /// Counts an error.
    pub fn error(&self, cause: Cause) {
        add(&self.errors.0[cause.index()], 1);
    }

    /// Counts bytes that came from a client.
    pub fn bytes_in(&self, class: Class, n: u64) {
        add(&self.bytes_in[class as usize], n);
    }

    /// Counts bytes that went to a client.
    pub fn bytes_out(&self, class: Class, n: u64) {
        add(&self.bytes_out[class as usize], n);
    }

    /// Counts an answered request.
    pub fn request(&self, class: Class, status: u16) {
        let status = usize::from(status / 100).saturating_sub(2).min(3);
        add(&self.requests[class as usize][status], 1);
    }

    /// Counts a step of a handshake that has to wait for a later turn.
    pub fn handshake_waits(&self) {
        add(&self.handshake_waits, 1);
    }

    /// Counts a finished handshake.
    pub fn handshake(&self, facts: &Facts) {
        let version = usize::from(facts.version == Some(ProtocolVersion::TLSv1_3));
        let group = match facts.group {
            Some(NamedGroup::X25519MLKEM768) => 1,
            Some(NamedGroup::X25519) => 2,
            Some(NamedGroup::secp256r1) => 3,
            Some(NamedGroup::secp384r1) => 4,
            _ => 0,
        };
        let kind = usize::from(facts.kind == Some(HandshakeKind::Resumed));
        add(
            &self.handshakes[(version * GROUPS.len() + group) * KINDS.len() + kind],
            1,
        );
    }
}

/// Adds up the workers' counters when scraped.
#[derive(Clone)]
pub struct CounterSum(pub Vec<Arc<Counters>>);

impl std::fmt::Debug for CounterSum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CounterSum of {} workers", self.0.len())
    }
}

impl CounterSum {
    /// The sum of one counter over all workers.
    pub fn sum(&self, pick: impl Fn(&Counters) -> &AtomicU64) -> u64 {
        self.0
            .iter()
            .map(|counters| pick(counters).load(Ordering::Relaxed))
            .sum()
    }
}

/// How loading a keyring went, as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyLoad {
    /// It is there.
    Loaded,
    /// The provider refused: disabled, shredded, denied.
    Refused,
    /// It could not be loaded.
    Failed,
}

impl KeyLoad {
    /// As in the log.
    pub fn name(self) -> &'static str {
        KEY_LOADS[self as usize]
    }
}

/// How rotating an epoch went, as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyRotation {
    /// A new epoch seals.
    Rotated,
    /// The old one goes on.
    Failed,
}

/// What control does with keyrings.
#[derive(Default)]
pub struct KeyCounters {
    loads: [AtomicU64; KEY_LOADS.len()],
    rotations: [AtomicU64; KEY_ROTATIONS.len()],
}

impl KeyCounters {
    /// Counts a load.
    pub fn load(&self, outcome: KeyLoad) {
        add(&self.loads[outcome as usize], 1);
    }

    /// Counts a rotation.
    pub fn rotation(&self, outcome: KeyRotation) {
        add(&self.rotations[outcome as usize], 1);
    }
}

/// The keys of the process, when scraped.
#[derive(Clone)]
pub struct KeyMetrics {
    /// What was done with them.
    pub counters: Arc<KeyCounters>,
    /// Those that are held.
    pub cache: KeyringCache,
}

impl std::fmt::Debug for KeyMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyMetrics of {} keyrings", self.cache.held())
    }
}

impl Collector for KeyMetrics {
    /// The list of metrics of keys.
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let counters = &self.counters;
        family(
            &mut encoder,
            "sealgate_key_loads",
            "Keyrings loaded, by outcome",
            rows(KEY_LOADS, &counters.loads),
        )?;
        family(
            &mut encoder,
            "sealgate_key_rotations",
            "Epochs that the gateway rotated, by outcome",
            rows(KEY_ROTATIONS, &counters.rotations),
        )?;
        let keyrings = self.cache.keyrings();
        let wraps = keyrings
            .iter()
            .map(|(_, keyring)| keyring.current().wraps());
        for (name, help, value) in [
            (
                "sealgate_keyrings_held",
                "Keyrings in memory",
                keyrings.len() as u64,
            ),
            (
                "sealgate_key_wraps_most",
                "Messages that this process sealed under one epoch, at most over all tenants; sealing stops at 2^30",
                wraps.max().unwrap_or(0),
            ),
        ] {
            gauge(&mut encoder, name, help, value)?;
        }
        Ok(())
    }
}

fn rows<const N: usize>(
    outcomes: [&'static str; N],
    counters: &[AtomicU64; N],
) -> impl Iterator<Item = ([(&'static str, &'static str); 1], u64)> {
    let values = counters
        .iter()
        .map(|counter| counter.load(Ordering::Relaxed));
    outcomes
        .into_iter()
        .zip(values)
        .map(|(outcome, value)| ([("outcome", outcome)], value))
}

fn gauge(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    value: u64,
) -> Result<(), std::fmt::Error> {
    let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
    let kind = gauge.metric_type();
    gauge.encode(encoder.encode_descriptor(name, help, None, kind)?)
}

/// One family of labelled counters.
fn family<const L: usize>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    rows: impl Iterator<Item = ([(&'static str, &'static str); L], u64)>,
) -> Result<(), std::fmt::Error> {
    let kind = prometheus_client::metrics::MetricType::Counter;
    let mut family = encoder.encode_descriptor(name, help, None, kind)?;
    for (labels, value) in rows {
        ConstCounter::new(value).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

impl Collector for CounterSum {
    /// The list of all metrics.
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        for (name, help, value) in [
            (
                "sealgate_connections_accepted",
                "Connections accepted",
                self.sum(|c| &c.accepted),
            ),
            (
                "sealgate_handshake_waits",
                "Steps of TLS handshakes that waited for a later turn, since limits.handshakes_per_turn had gone on already",
                self.sum(|c| &c.handshake_waits),
            ),
        ] {
            let counter = ConstCounter::new(value);
            let kind = counter.metric_type();
            counter.encode(encoder.encode_descriptor(name, help, None, kind)?)?;
        }
        for (name, help, value) in [
            (
                "sealgate_connections_open",
                "Connections open now",
                self.sum(|c| &c.open),
            ),
            (
                "sealgate_buffer_bytes",
                "Bytes of the buffers that connections hold now",
                self.sum(|c| &c.buffer_bytes),
            ),
        ] {
            gauge(&mut encoder, name, help, value)?;
        }
        family(
            &mut encoder,
            "sealgate_handshakes",
            "TLS handshakes that succeeded",
            (0..HANDSHAKES).filter_map(|i| {
                let value = self.sum(|c| &c.handshakes[i]);
                let labels = [
                    ("version", VERSIONS[i / (GROUPS.len() * KINDS.len())]),
                    ("group", GROUPS[i / KINDS.len() % GROUPS.len()]),
                    ("kind", KINDS[i % KINDS.len()]),
                ];
                // Most combinations never happen.
                (value > 0).then_some((labels, value))
            }),
        )?;
        let by_class = |pick: fn(&Counters) -> &[AtomicU64; 3]| {
            CLASSES
                .into_iter()
                .enumerate()
                .map(move |(i, class)| ([("class", class)], self.sum(|c| &pick(c)[i])))
        };
        family(
            &mut encoder,
            "sealgate_bytes_received",
            "Payload bytes from clients",
            by_class(|c| &c.bytes_in),
        )?;
        family(
            &mut encoder,
            "sealgate_bytes_sent",
            "Payload bytes to clients",
            by_class(|c| &c.bytes_out),
        )?;
        family(
            &mut encoder,
            "sealgate_requests",
            "HTTP requests answered",
            CLASSES.into_iter().enumerate().flat_map(|(i, class)| {
                STATUSES.into_iter().enumerate().map(move |(j, status)| {
                    let labels = [("class", class), ("status", status)];
                    (labels, self.sum(|c| &c.requests[i][j]))
                })
            }),
        )?;
        family(
            &mut encoder,
            "sealgate_errors",
            "Connections and requests that failed",
            Cause::ALL.into_iter().map(|cause| {
                (
                    [("cause", cause.label())],
                    self.sum(|c| &c.errors.0[cause.index()]),
                )
            }),
        )
    }
}
