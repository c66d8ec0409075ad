//! What the generators are compared by.

use clap::ValueEnum;

/// Bytes of the small answer.
pub const SMALL_LEN_BYTES: usize = 100;
/// Bytes of the large one.
pub const LARGE_LEN_BYTES: usize = 100_000_000;
/// Connections of small requests.
pub const CONNECTIONS: u32 = 64;
/// Operations per second at the fixed rate.
pub const RATE: u32 = 2000;

/// A kind of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Work {
    /// Small requests on kept connections, as many as go.
    Requests,
    /// Full handshakes, one request on each connection where the generator cannot do without.
    Handshakes,
    /// Downloads of 100 MB on one connection.
    Bulk,
    /// Small requests at a fixed rate that is far from too much.
    Latency,
    /// Idle TLS connections, and what each costs the generator.
    Idle,
    /// How late the generator notices that an operation is due, when it waits without sleep.
    Timer,
}

/// How much of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// Enough for numbers.
    Full,
    /// Enough to see that it runs.
    Quick,
}

impl Work {
    /// In the order of the table.
    pub const ALL: [Self; 6] = [
        Self::Requests,
        Self::Handshakes,
        Self::Bulk,
        Self::Latency,
        Self::Idle,
        Self::Timer,
    ];

    /// As it stands in the table and in the JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Handshakes => "handshakes",
            Self::Bulk => "bulk",
            Self::Latency => "latency",
            Self::Idle => "idle",
            Self::Timer => "timer",
        }
    }

    /// What is done, for a reader.
    pub fn describe(self) -> String {
        match self {
            Self::Requests => format!(
                "GET of {SMALL_LEN_BYTES} bytes on {CONNECTIONS} kept connections, as many as go"
            ),
            Self::Handshakes => "full TLS 1.3 handshakes, X25519 and ECDSA P-256".into(),
            Self::Bulk => "GET of 100 MB, one after the other".into(),
            Self::Latency => {
                format!("{RATE} GETs per second on {CONNECTIONS} kept connections")
            }
            Self::Idle => format!(
                "memory that each of {} idle TLS connections adds",
                self.operations(Amount::Full)
            ),
            Self::Timer => "planned starts of `loadgen calibrate`, without sleep".into(),
        }
    }

    /// What [`super::tool::Reading::cost`] is counted in.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Requests => "CPU-µs/request",
            Self::Handshakes => "CPU-µs/handshake",
            Self::Bulk => "CPU-s/GB",
            Self::Latency => "µs, median as read",
            Self::Idle => "B/connection",
            Self::Timer => "µs late, p99",
        }
    }

    /// So many operations, where the generator takes a number.
    pub fn operations(self, amount: Amount) -> u64 {
        let full = match self {
            Self::Requests => 300_000,
            Self::Handshakes => 6000,
            Self::Bulk => 30,
            Self::Latency => u64::from(RATE) * self.seconds(Amount::Full),
            Self::Idle => 9000,
            Self::Timer => 1,
        };
        match amount {
            Amount::Full => full,
            Amount::Quick => full.div_ceil(10),
        }
    }

    /// So many seconds, where it takes a time.
    pub fn seconds(self, amount: Amount) -> u64 {
        match amount {
            Amount::Full => 8,
            Amount::Quick => 1,
        }
    }
}
