//! Flags of `loadgen conns`.

use std::{path::PathBuf, str::FromStr, time::Duration};

use clap::{Args, Parser};

use super::{LoadArgs, ReachArgs, TlsArgs};
use crate::{
    operation::handshake::Close,
    report::objective::Objective,
    schedule::{curve::Rate, parse},
    target::url::{Target, TargetError},
    units,
    worker::pace::Spin,
};

/// `loadgen conns`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  loadgen conns 127.0.0.1:8443 -c 9000 --hold 60s --target-pid $(pidof sealgate)
      9000 idle TLS connections, opened by quarters: memory of the target for each
  loadgen conns 127.0.0.1:8443 -c 5k -R 500 --churn 100 --hold 5m --probe 10/s
      opened at 500/s, 100/s replaced while they are held, handshakes probed meanwhile
  loadgen conns 127.0.0.1:8443 -c 9000 --probe https://127.0.0.1:8443/health --slo 'p99<5ms'
      the latency of a request, before, while they are there (judged), and after
  loadgen conns tcp://10.0.0.9:5432 -c 100k --source 10.0.0.100/30 --hold 1m
      plain TCP, from two addresses of this machine")]
pub struct ConnsArgs {
    /// `host:port`, or a URL.
    pub target: Target,
    /// Connections to hold, spread over the threads.
    #[arg(short = 'c', long, value_name = "N", default_value = "1000", value_parser = units::count)]
    pub connections: u64,
    /// Threads, each pinned to a core. The probe has one more.
    #[arg(short = 't', long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub threads: u32,
    /// Connections opened per second, each at its planned time [default: as fast as --at-once of
    /// them go].
    #[arg(short = 'R', long, value_name = "RATE", value_parser = parse::rate)]
    pub rate: Option<Rate>,
    /// Connections that are set up at one time.
    #[arg(long, value_name = "M", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub at_once: u32,
    /// Connections opened and closed before all else, which count nowhere: so that what both sides
    /// allocate once is not taken for a cost of each connection [default: --at-once].
    #[arg(long, value_name = "N", value_parser = units::count)]
    pub warmup: Option<u64>,
    /// How long to hold them.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = units::duration)]
    pub hold: Duration,
    /// Connections per second that are replaced while they are held, the oldest first.
    #[arg(long, value_name = "RATE", value_parser = parse::rate)]
    pub churn: Option<Rate>,
    /// How long nothing happens before memory is looked at: empty, at each quarter, held, closed.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = units::duration)]
    pub settle: Duration,
    /// How connections end: politely, or by a reset.
    #[arg(long, value_enum, default_value = "notify")]
    pub close: Close,
    /// Measure another operation before, during and after: RATE for handshakes with the target,
    /// http(s)://... for a request, tls://... or tcp://... for an echo, each on connections of its
    /// own.
    #[arg(long, value_name = "RATE|URL")]
    pub probe: Option<Probe>,
    /// Probes per second, of a --probe with a URL.
    #[arg(long, value_name = "RATE", default_value = "10/s", value_parser = parse::rate, requires = "probe")]
    pub probe_rate: Rate,
    /// How long to probe before the first connection, and after the last.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = units::duration)]
    pub aside: Duration,
    /// A connection or a probe in which nothing moves for this long is broken off, and so is a
    /// connection that the target does not end after us.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = units::duration)]
    pub timeout: Duration,
    /// How to reach it.
    #[command(flatten)]
    pub reach: ReachArgs,
    /// Measure memory and CPU time of this process: the point of it all.
    #[arg(long, value_name = "PID")]
    pub target_pid: Option<u32>,
    /// Objective that probes have to hold while there are connections: p99<5ms; may be repeated.
    #[arg(
        long,
        value_name = "OBJECTIVE",
        value_delimiter = ',',
        requires = "probe"
    )]
    pub slo: Vec<Objective>,
    /// Write the result as JSON; `-` is standard output, instead of the summary.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Whether the probe waits for planned starts without sleep.
    #[arg(long, value_enum, default_value = "auto")]
    pub spin: Spin,
    /// How to speak TLS.
    #[command(flatten)]
    pub tls: TlsArgs,
    /// What other loads have: refused here, with why.
    #[arg(long, hide = true, value_parser = not_by_agents, aliases = ["agents-cert", "agents-key", "agents-ca", "agents-skew"])]
    pub agents: Option<String>,
}

/// Steps of held connections are looked at as a whole.
fn not_by_agents(_: &str) -> Result<String, &'static str> {
    Err(
        "connections are held by one machine, which looks at the target's memory between its steps: drop --agents, and \
         use more addresses of this machine (--source) where its ports are too few; or start `loadgen conns` on each \
         machine by itself",
    )
}

/// What `--probe` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// Handshakes with the target, so many per second.
    Handshakes(Rate),
    /// Requests or echoes there.
    Operations(Target),
}

impl FromStr for Probe {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        match parse::rate(text) {
            Ok(rate) => Ok(Probe::Handshakes(rate)),
            Err(_) if text.contains("://") => Ok(Probe::Operations(text.parse()?)),
            Err(_) => Err(TargetError::Probe(text.to_owned())),
        }
    }
}

#[derive(Debug, Parser)]
struct Defaults {
    #[command(flatten)]
    load: LoadArgs,
}

impl ConnsArgs {
    /// The flags that all loads have in common; what is no flag here has its default.
    ///
    /// # Errors
    ///
    /// Never: there is nothing to be wrong.
    pub fn load(&self) -> Result<LoadArgs, clap::Error> {
        let mut load = Defaults::try_parse_from(["conns"])?.load;
        load.threads = self.threads;
        load.timeout = self.timeout;
        load.reach = self.reach.clone();
        load.target_pid = self.target_pid;
        load.slo.clone_from(&self.slo);
        load.json.clone_from(&self.json);
        load.schedule.spin = self.spin;
        load.tls = self.tls.clone();
        Ok(load)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_is_a_rate_or_a_url() {
        assert_eq!(
            "10/s".parse::<Probe>().unwrap(),
            Probe::Handshakes(Rate(10_000))
        );
        let url: Probe = "https://localhost/x".parse().unwrap();
        assert!(matches!(url, Probe::Operations(target) if target.path == "/x"));
        for text in ["", "localhost:1", "0", "ftp://x"] {
            let said = text.parse::<Probe>().unwrap_err().to_string();
            assert!(said.contains("https://"), "{said}");
        }
    }
}
