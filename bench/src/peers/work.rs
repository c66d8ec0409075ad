//! The kinds of work that are put through a proxy.

use clap::ValueEnum;

/// Which raw service of the origin stands behind the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Sends as many bytes as it is asked for.
    Source,
    /// Swallows what comes.
    Sink,
    /// Sends back what comes.
    Echo,
    /// An HTTP object store.
    Http,
}

/// How the proxy speaks to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    Plain,
    /// Verified.
    Tls,
}

/// Key of the certificate that the proxy shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyType {
    EcdsaP256,
    Rsa2048,
}

/// How much of the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// Enough for numbers: one to four seconds of proxy CPU.
    Full,
    /// Enough to see that it runs.
    Quick,
}

/// A kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Work {
    /// Downloads on one connection
    Down1,
    /// Downloads on 8 connections
    Down8,
    /// Downloads on 64 connections
    Down64,
    /// Uploads on one connection
    Up1,
    /// Uploads on 8 connections
    Up8,
    /// Uploads on 64 connections
    Up64,
    /// Downloads on 8 connections, TLS on both sides
    Reencrypt,
    /// 100 bytes there and back, on 64 connections
    Echo100,
    /// 4 KiB there and back, on 64 connections
    Echo4k,
    /// Full handshakes: X25519, ECDSA P-256
    Full,
    /// Full handshakes: X25519MLKEM768, ECDSA P-256
    FullHybrid,
    /// Full handshakes: X25519, RSA-2048
    FullRsa,
    /// Resumed handshakes: X25519
    Resumed,
    /// Time to answer 100 bytes at a fixed rate, on 64 connections
    Latency,
    /// The same while recorded ClientHellos come at twice the rate of full handshakes that the proxy can do;
    /// ours also with its budget of handshakes off, and without the flood
    Flood,
    /// Idle TLS connections with their upstream connected
    Idle,
    /// Idle TLS connections of an HTTP route: no upstream yet
    IdleHttp,
}

const MB: u64 = 1_000_000;
/// How long answers are timed.
const SECONDS: u64 = 4;
/// Two descriptors each in the proxy: with what else it holds, within a usual limit of 20,000.
const IDLE: u64 = 4500;

impl Work {
    /// As in the table, in the JSON and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Work::Down1 => "down1",
            Work::Down8 => "down8",
            Work::Down64 => "down64",
            Work::Up1 => "up1",
            Work::Up8 => "up8",
            Work::Up64 => "up64",
            Work::Reencrypt => "reencrypt",
            Work::Echo100 => "echo100",
            Work::Echo4k => "echo4k",
            Work::Full => "full",
            Work::FullHybrid => "full-hybrid",
            Work::FullRsa => "full-rsa",
            Work::Resumed => "resumed",
            Work::Latency => "latency",
            Work::Flood => "flood",
            Work::Idle => "idle",
            Work::IdleHttp => "idle-http",
        }
    }

    /// What is done, for a reader.
    pub fn describe(self) -> String {
        let help = self.to_possible_value().and_then(|value| {
            let help = value.get_help()?;
            Some(help.to_string())
        });
        let help = help.unwrap_or_default();
        match self {
            Work::Down1 | Work::Down8 | Work::Up1 | Work::Up8 | Work::Reencrypt => {
                format!("{help}, 100 MB each")
            }
            Work::Down64 | Work::Up64 => format!("{help}, 25 MB each"),
            Work::Latency | Work::Flood => format!("{help}: {} per second", self.rate()),
            Work::Idle | Work::IdleHttp => format!("{help}: {IDLE} of them"),
            _ => help,
        }
    }

    /// What the cost is counted in; less is better.
    pub fn unit(self) -> &'static str {
        match self {
            Work::Echo100 | Work::Echo4k => "CPU-µs/echo",
            Work::Full | Work::FullHybrid | Work::FullRsa | Work::Resumed => "CPU-µs/handshake",
            Work::Latency | Work::Flood => "µs, p99",
            Work::Idle | Work::IdleHttp => "B/connection",
            _ => "CPU-s/GB",
        }
    }

    /// Digits behind the point.
    pub fn digits(self) -> usize {
        match self.unit() {
            "CPU-s/GB" => 3,
            "B/connection" => 0,
            _ => 1,
        }
    }

    /// What stands behind the proxy.
    pub fn service(self) -> Service {
        match self {
            Work::Up1 | Work::Up8 | Work::Up64 => Service::Sink,
            Work::Down1 | Work::Down8 | Work::Down64 | Work::Reencrypt => Service::Source,
            Work::IdleHttp => Service::Http,
            _ => Service::Echo,
        }
    }

    /// How the proxy speaks to it.
    pub fn wire(self) -> Wire {
        match self {
            Work::Reencrypt => Wire::Tls,
            _ => Wire::Plain,
        }
    }

    /// What the proxy shows.
    pub fn key_type(self) -> KeyType {
        match self {
            Work::FullRsa => KeyType::Rsa2048,
            _ => KeyType::EcdsaP256,
        }
    }

    /// The group that has to be negotiated.
    pub fn group(self) -> &'static str {
        match self {
            Work::FullHybrid => "X25519MLKEM768",
            _ => "X25519",
        }
    }

    /// The kind of handshake that has to be made.
    pub fn kind(self) -> &'static str {
        match self {
            Work::Resumed => "resumed",
            _ => "full",
        }
    }

    /// Bytes of one transfer, where it is one.
    fn transfer(self) -> Option<u64> {
        match self {
            Work::Down64 | Work::Up64 => Some(25 * MB),
            _ => (self.unit() == "CPU-s/GB").then_some(100 * MB),
        }
    }

    /// Echoes per second, where that is fixed: so many that the proxy and the origin beside it have half of their core
    /// to do. Above that it is the scheduler's slices that are timed.
    fn rate(self) -> u64 {
        match self {
            Work::Flood => 2000,
            _ => 5000,
        }
    }

    fn connections(self) -> u64 {
        match self {
            Work::Down1 | Work::Up1 => 1,
            Work::Down64
            | Work::Up64
            | Work::Echo100
            | Work::Echo4k
            | Work::Latency
            | Work::Flood => 64,
            Work::Idle | Work::IdleHttp => IDLE,
            _ => 8,
        }
    }

    /// Operations of one sample.
    pub fn operations(self, amount: Amount) -> u64 {
        let full = match self {
            Work::Down1 | Work::Up1 => 12,
            Work::Down8 | Work::Up8 | Work::Reencrypt => 16,
            Work::Down64 | Work::Up64 => 128,
            Work::Echo100 | Work::Echo4k => 80_000,
            Work::Full | Work::FullHybrid | Work::Resumed => 6000,
            Work::FullRsa => 3000,
            Work::Latency | Work::Flood => self.rate() * SECONDS,
            Work::Idle | Work::IdleHttp => IDLE,
        };
        match amount {
            Amount::Full => full,
            // Each connection has something to do.
            Amount::Quick => (full / 8).max(self.connections().min(full)),
        }
    }

    /// How many of `unit` one operation is.
    pub fn units(self) -> f64 {
        match self.transfer() {
            Some(bytes) => bytes as f64 / 1e9,
            None => 1e-6,
        }
    }

    /// The load generator's arguments, without its target.
    pub fn arguments(self, amount: Amount) -> Vec<String> {
        let (c, n) = (self.connections(), self.operations(amount));
        let size = if self == Work::Echo4k { 4096 } else { 100 };
        let rate = self.rate();
        let text = match self {
            Work::Latency | Work::Flood => {
                // The first second warms up.
                let seconds = n.div_ceil(rate) + 1;
                format!("request --echo --size {size} -c {c} -R {rate} -d {seconds}s --warmup 1s")
            }
            Work::Echo100 | Work::Echo4k => format!("request --echo --size {size} -c {c} -n {n}"),
            Work::Resumed => format!("handshake -c {c} -n {n} --resume 100% --close notify"),
            Work::Full | Work::FullHybrid | Work::FullRsa => {
                format!("handshake -c {c} -n {n} --close notify")
            }
            // Idle is who has been so for a while: until then a program may keep what its handshakes took.
            Work::Idle | Work::IdleHttp => {
                format!("conns -c {n} --hold 0s --settle 3s --timeout 120s")
            }
            _ => {
                let way = match self.service() {
                    Service::Sink => "--up",
                    _ => "--down",
                };
                let bytes = self.transfer().unwrap_or_default();
                format!("bulk {way} --bytes {bytes} -c {c} -n {n}")
            }
        };
        let common = format!("{text} -k --tls 1.3 --groups {} --json -", self.group());
        common.split_whitespace().map(str::to_owned).collect()
    }

    /// Whether the proxy's CPU time is what counts.
    pub fn is_cpu(self) -> bool {
        !matches!(
            self,
            Work::Latency | Work::Flood | Work::Idle | Work::IdleHttp
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_command_line() {
        for work in Work::value_variants() {
            let value = work.to_possible_value().expect("none is hidden");
            assert_eq!(value.get_name(), work.name());
            assert!(!work.describe().is_empty());
        }
    }

    #[test]
    fn every_connection_has_something_to_do_in_a_quick_run_too() {
        for work in Work::value_variants() {
            for amount in [Amount::Full, Amount::Quick] {
                assert!(work.operations(amount) >= work.connections(), "{work:?}");
            }
        }
    }
}
