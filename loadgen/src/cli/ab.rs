//! Flags of `loadgen ab`.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::{BulkArgs, HandshakeArgs, RequestArgs};
use crate::{target::url::Target, units};

const EXAMPLES: &str = "\
Examples:
  loadgen ab request https://127.0.0.1:8443/ https://127.0.0.1:9443/ -c 16 -d 20s \\
      --target-pids $(pidof old),$(pidof new)
      CPU time per request, throughput and latency of the second beside the first
  loadgen ab handshake 127.0.0.1:8443 127.0.0.1:9443 127.0.0.1:9444 -c 8 --slice 50ms
      two others beside the first; a copy of the first shows what of a difference is noise
  loadgen ab request https://app.example/ https://app.example/ -R 2k \\
      --connect-to 127.0.0.1:8443,127.0.0.1:9443
      at a rate that both can do, with one name at two addresses

Connections to all targets stand for the whole run, and the load goes to one target at a time, in
short slices: A B B A, then B A A B. What is under way ends before another target has its turn. The
result is the median over the blocks of four slices (six with three targets) of the ratio of the
two targets. One such run says what differs between two processes; what differs between two
programs needs several of each, as `bench ab` starts them.

Exit codes: 0 ok, 1 usage, 2 target unreachable or integrity failure, 4 invalid.";

/// `loadgen ab`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, subcommand_required = true)]
pub struct AbArgs {
    /// What to do to the targets.
    #[command(subcommand)]
    pub operation: AbOperation,
}

/// What targets are compared by.
#[derive(Debug, Subcommand)]
pub enum AbOperation {
    /// Compare with requests.
    Request(Box<AbRequest>),
    /// Compare with handshakes.
    Handshake(Box<AbHandshake>),
    /// Compare with large bodies.
    Bulk(Box<AbBulk>),
}

/// `loadgen ab request`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct AbRequest {
    /// The requests.
    #[command(flatten)]
    pub operation: RequestArgs,
    /// How to compare.
    #[command(flatten)]
    pub ab: AbFlags,
}

/// `loadgen ab handshake`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct AbHandshake {
    /// The handshakes.
    #[command(flatten)]
    pub operation: HandshakeArgs,
    /// How to compare.
    #[command(flatten)]
    pub ab: AbFlags,
}

/// `loadgen ab bulk`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct AbBulk {
    /// The transfers.
    #[command(flatten)]
    pub operation: BulkArgs,
    /// How to compare.
    #[command(flatten)]
    pub ab: AbFlags,
}

/// How to compare.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Comparison")]
pub struct AbFlags {
    /// The target that is compared with the first one, and perhaps a third: a copy of the first as
    /// a control.
    #[arg(required = true, num_args = 1..=2, value_name = "OTHER")]
    pub others: Vec<Target>,
    /// Processes of the targets, in their order, to read the CPU time of: PID,PID or PID,PID,PID.
    #[arg(long, value_name = "PID,...", value_delimiter = ',')]
    pub target_pids: Vec<u32>,
    /// How long one target has the load: 5ms to 1s. 20 to 50 ms is shorter than what a host does
    /// to its guests, and longer than what a cache takes to warm up.
    #[arg(long, value_name = "TIME", default_value = "25ms", value_parser = units::duration)]
    pub slice: Duration,
}
