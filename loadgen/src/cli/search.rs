//! Flags of `loadgen search`.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand};

use super::{BulkArgs, HandshakeArgs, RequestArgs, ScenarioArgs, Standing};
use crate::{
    schedule::{curve::Rate, parse},
    units,
};

const EXAMPLES: &str = "\
Examples:
  loadgen search request https://127.0.0.1:8443/path --slo 'p99<5ms,errors<0.1%'
      the highest rate of requests at which both objectives hold
  loadgen search handshake 127.0.0.1:8443 --resume 80% --slo 'p99<20ms'
      the same of handshakes, four of five of them resumed
  loadgen search request https://127.0.0.1:8443/path --http 2 -c 4 -m 32 --slo 'p99<5ms'
      over HTTP/2; and of messages to a raw echo service with tls://... --echo
  loadgen search bulk https://127.0.0.1:8443/big --prepare --bytes 10MB -c 4 --slo 'p99<200ms'
      transfers of 10 MB per second
  loadgen search mix --to 5k loadgen/examples/mix.toml -c 32 --slo 'p99<20ms'
      operations of a scenario per second, in the shares that it gives them; flags of the search stand
      before it, flags of the load behind it
  loadgen search request https://127.0.0.1:8443/path --slo 'p99<5ms' --from 1k --to 20k -d 30s
      between two rates, with steps of 30 s
  loadgen search request https://127.0.0.1:8443/path --slo 'p99<5ms' --calibration host.json
      and never beyond what `loadgen calibrate` found that the generator can do here

The load is open, with Poisson arrivals, on connections that are kept from step to step. The first
rate is 5 % of what the connections make in a closed loop. It is doubled until it does not hold,
the range is halved down to 3 %, and the best rate has to hold three times more.

Response times hold whatever the generator was late, so a step that meets a bound of them has met
it however busy the machine. One that misses by no more than the generator can have added, or whose
objectives leave its lateness out (service times, errors alone), proves nothing: it is repeated and
never counts as one that held.

Exit codes: 0 a rate was found, 1 usage, 2 target unreachable or integrity failure, 3 not even the
lowest rate holds, 4 inconclusive.";

/// `loadgen search`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, subcommand_required = true)]
pub struct SearchArgs {
    /// What to search the highest rate of.
    #[command(subcommand)]
    pub operation: SearchOperation,
}

/// What has a highest rate.
#[derive(Debug, Subcommand)]
pub enum SearchOperation {
    /// The highest rate of requests.
    Request(Box<SearchRequest>),
    /// The highest rate of handshakes.
    Handshake(Box<SearchHandshake>),
    /// The highest rate of transfers.
    Bulk(Box<SearchBulk>),
    /// The highest rate of all operations of a scenario.
    Mix(SearchMix),
}

impl SearchOperation {
    /// Says on whose behalf it is read.
    pub fn stand(&mut self, standing: &Standing) {
        match self {
            SearchOperation::Request(args) => args.operation.load.stand(standing),
            SearchOperation::Handshake(args) => args.operation.load.stand(standing),
            SearchOperation::Bulk(args) => args.operation.load.stand(standing),
            SearchOperation::Mix(args) => args.scenario.standing = standing.clone(),
        }
    }
}

/// `loadgen search request`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct SearchRequest {
    /// The requests.
    #[command(flatten)]
    pub operation: RequestArgs,
    /// How to search.
    #[command(flatten)]
    pub search: SearchFlags,
}

/// `loadgen search handshake`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct SearchHandshake {
    /// The handshakes.
    #[command(flatten)]
    pub operation: HandshakeArgs,
    /// How to search.
    #[command(flatten)]
    pub search: SearchFlags,
}

/// `loadgen search bulk`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct SearchBulk {
    /// The transfers.
    #[command(flatten)]
    pub operation: BulkArgs,
    /// How to search.
    #[command(flatten)]
    pub search: SearchFlags,
}

/// `loadgen search mix`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct SearchMix {
    /// How to search.
    #[command(flatten)]
    pub search: SearchFlags,
    /// The scenario. Its operations have shares, and no rates.
    #[command(flatten)]
    pub scenario: ScenarioArgs,
}

/// How to search.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Search")]
pub struct SearchFlags {
    /// The lowest rate that is tried [default: 5 % of what a closed loop makes].
    #[arg(long, value_name = "RATE", value_parser = parse::rate)]
    pub from: Option<Rate>,
    /// The highest rate that is tried.
    #[arg(long, value_name = "RATE", value_parser = parse::rate)]
    pub to: Option<Rate>,
    /// Load without counting at each new rate.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = units::duration)]
    pub settle: Duration,
    /// Attempts at a rate whose steps prove nothing, because the machine or the generator was too
    /// busy.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=10))]
    pub attempts: u32,
    /// What `loadgen calibrate` stored: no rate beyond it is tried. For requests over HTTP/1.1 and for
    /// handshakes.
    #[arg(long, value_name = "FILE")]
    pub calibration: Option<PathBuf>,
    /// Use a calibration of another host or version.
    #[arg(long, requires = "calibration")]
    pub force: bool,
}
