//! What grows, how far, and what of the gateway is measured meanwhile. Pure.

use clap::ValueEnum;
use serde::Serialize;

use crate::loadgen::words;

/// What grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Axis {
    /// Connections that are all in use, 1 to 10k.
    Connections,
    /// Tenants of the configuration, 1 to 100k, each with names of its own.
    Tenants,
    /// Bytes of a download, 64 to 1 GB.
    Size,
    /// Workers, 1 to as many as there are cores.
    Workers,
}

/// A cost over what grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cost {
    /// CPU time of an echo, over connections.
    EchoByConnections,
    /// CPU time from start to listening, over tenants.
    StartByTenants,
    /// CPU time of a full handshake, over tenants that are asked for alike.
    HandshakeByTenants,
    /// CPU time of a download, over its size.
    DownloadBySize,
    /// CPU time of an echo, over workers.
    EchoByWorkers,
}

/// How much is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// Enough for numbers.
    Full,
    /// Enough to see that it runs.
    Quick,
}

/// Connections where another number grows.
const ECHOING: u64 = 64;
const SHAKING: u64 = 8;
const DOWNLOADING: u64 = 4;

impl Axis {
    /// All, in the order of the table.
    pub const ALL: [Self; 4] = [Self::Connections, Self::Tenants, Self::Size, Self::Workers];

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Tenants => "tenants",
            Self::Size => "bytes",
            Self::Workers => "workers",
        }
    }

    /// How far it grows, before limits of the machine.
    pub fn most(self, amount: Amount, cores: u64) -> u64 {
        match (self, amount) {
            (Self::Connections, Amount::Full) => 10_000,
            (Self::Tenants, Amount::Full) => 100_000,
            (Self::Size, Amount::Full) => 1_000_000_000,
            (Self::Connections | Self::Tenants, Amount::Quick) => 100,
            (Self::Size, Amount::Quick) => 1 << 20,
            (Self::Workers, _) => cores,
        }
    }

    /// The sizes that are measured, up to `most`.
    pub fn ladder(self, most: u64) -> Vec<u64> {
        let (first, factor) = match self {
            Self::Connections | Self::Tenants => (1_u64, 10),
            Self::Size => (64, 16),
            Self::Workers => (1, 2),
        };
        let steps = std::iter::successors(Some(first), |size| size.checked_mul(factor));
        let mut ladder: Vec<_> = steps.take_while(|size| *size < most).collect();
        ladder.push(most.max(first));
        ladder
    }

    /// What is measured at each size.
    pub fn costs(self) -> &'static [Cost] {
        match self {
            Self::Connections => &[Cost::EchoByConnections],
            Self::Tenants => &[Cost::StartByTenants, Cost::HandshakeByTenants],
            Self::Size => &[Cost::DownloadBySize],
            Self::Workers => &[Cost::EchoByWorkers],
        }
    }

    /// How many operations at a size.
    pub fn operations(self, size: u64, amount: Amount) -> u64 {
        let quick = amount == Amount::Quick;
        match self {
            Self::Connections if quick => 1000.max(2 * size),
            Self::Connections => 40_000.max(4 * size),
            Self::Tenants if quick => 60,
            Self::Tenants => 2000,
            // Some transfers, and no more bytes than pass in a second or two.
            Self::Size if quick => ((8 << 20) / size).clamp(2, 400),
            Self::Size => (1_000_000_000 / size).clamp(2, 20_000),
            Self::Workers if quick => 1000,
            Self::Workers => 60_000,
        }
    }

    /// The load, as words of loadgen.
    pub fn load(self, size: u64, operations: u64, threads: u64) -> Vec<String> {
        let (text, connections) = match self {
            Self::Connections => (
                String::from("request tls://t1.example:443 --echo --size 100"),
                size,
            ),
            Self::Workers => (
                String::from("request tls://t1.example:443 --echo --size 100"),
                ECHOING,
            ),
            Self::Tenants => (
                format!("handshake {{tenant}}.example:443 --tenants {size}"),
                SHAKING,
            ),
            Self::Size => (
                format!("bulk tls://t1.example:443 --down --bytes {size}"),
                DOWNLOADING,
            ),
        };
        let connections = connections.min(operations);
        let threads = threads.min(connections);
        words(&format!(
            "{text} -c {connections} -t {threads} -n {operations} --quiet"
        ))
    }

    /// Tenants and workers of the gateway at a size.
    pub fn gateway(self, size: u64) -> (u64, u64) {
        match self {
            Self::Tenants => (size, 1),
            Self::Workers => (1, size),
            Self::Connections | Self::Size => (1, 1),
        }
    }
}

impl Cost {
    /// What is done, for a reader.
    pub fn name(self) -> &'static str {
        match self {
            Self::EchoByConnections => "echo of 100 bytes, by connections in use",
            Self::StartByTenants => "start until it listens, by tenants",
            Self::HandshakeByTenants => "full handshake, by tenants",
            Self::DownloadBySize => "download, by bytes",
            Self::EchoByWorkers => "echo of 100 bytes, by workers",
        }
    }

    /// What is counted.
    pub fn unit(self) -> &'static str {
        match self {
            Self::EchoByConnections | Self::EchoByWorkers => "CPU-µs/echo",
            Self::StartByTenants => "CPU-µs/start",
            Self::HandshakeByTenants => "CPU-µs/handshake",
            Self::DownloadBySize => "CPU-µs/download",
        }
    }

    /// The exponent at which all the work together grows linearly: 0 where the cost is one operation's
    /// among as many as there are connections, tenants or workers; 1 where it is that of the whole.
    pub fn linear(self) -> f64 {
        match self {
            Self::EchoByConnections | Self::HandshakeByTenants | Self::EchoByWorkers => 0.0,
            Self::StartByTenants | Self::DownloadBySize => 1.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ladders_end_at_their_bound() {
        assert_eq!(Axis::Connections.ladder(9868), [1, 10, 100, 1000, 9868]);
        assert_eq!(Axis::Connections.ladder(10), [1, 10]);
        assert_eq!(Axis::Workers.ladder(6), [1, 2, 4, 6]);
        assert_eq!(Axis::Workers.ladder(1), [1]);
        let sizes = Axis::Size.ladder(1_000_000_000);
        assert_eq!((sizes[0], sizes[1], sizes.len()), (64, 1024, 7));
        assert_eq!(Axis::Size.ladder(3), [64]);
    }

    #[test]
    fn no_load_is_smaller_than_its_connections_or_larger_than_some_gigabytes() {
        for amount in [Amount::Full, Amount::Quick] {
            for axis in Axis::ALL {
                for size in axis.ladder(axis.most(amount, 8)) {
                    let operations = axis.operations(size, amount);
                    assert!(operations >= 2, "{axis:?} {size}");
                    if axis == Axis::Size {
                        assert!(operations * size <= 2_000_000_000, "{size}");
                    }
                    if axis == Axis::Connections {
                        assert!(operations >= 2 * size, "{size}");
                    }
                }
            }
        }
    }

    #[test]
    fn loads_are_said_in_words_of_loadgen() {
        for (axis, said) in [
            (
                Axis::Connections,
                "request tls://t1.example:443 --echo --size 100 -c 10 -t 2 -n 99 --quiet",
            ),
            (
                Axis::Tenants,
                "handshake {tenant}.example:443 --tenants 10 -c 8 -t 2 -n 99 --quiet",
            ),
            (
                Axis::Size,
                "bulk tls://t1.example:443 --down --bytes 10 -c 4 -t 2 -n 99 --quiet",
            ),
            (
                Axis::Workers,
                "request tls://t1.example:443 --echo --size 100 -c 64 -t 2 -n 99 --quiet",
            ),
        ] {
            assert_eq!(axis.load(10, 99, 2).join(" "), said);
        }
        assert!(
            Axis::Connections
                .load(1, 9, 4)
                .join(" ")
                .contains("-c 1 -t 1 ")
        );
    }
}
