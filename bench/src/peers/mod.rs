//! Sealgate beside haproxy, nginx, hitch and stunnel: the same work through each, in the same run, in turn.
//!
//! ```text
//! loadgen (core 2) --TLS 1.3--> proxy (core 1) --TCP--> loadgen origin (core 2)
//! ```
//!
//! Compared is the CPU time of the proxy per unit of work, as the median over the rounds; the
//! proxy is a fresh process every time. What ksoftirqd does is in nobody's numbers.

mod load;
mod page;
mod proxy;
mod report;

use std::path::PathBuf;

use clap::Args;

use self::load::{Kind, Sample};
use self::proxy::Proxy;
use self::report::{Comparison, Series};
use crate::certificate::{Certificate, self_signed};
use crate::error::BenchError;
use crate::turns::Turns;
use crate::workplace::Workplace;
use crate::{host, output, process};

/// Arguments of `bench peers`.
#[derive(Debug, Args)]
pub struct PeersArgs {
    #[command(flatten)]
    turns: Turns,
    /// Write a page with plots too
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// Measures, and prints what was found.
pub fn run(args: &PeersArgs) -> Result<(), BenchError> {
    let proxies = proxy::all()?;
    let bench = Bench::set_up(args.turns.quick)?;
    if args.turns.configs {
        for proxy in &proxies {
            let upstream = bench.backend.address(Kind::Download);
            eprint!("{}", proxy.describe(&bench.certificate, upstream));
        }
    }

    let mut series: Vec<Series> = Kind::ALL
        .into_iter()
        .flat_map(|kind| (0..proxies.len()).map(move |proxy| Series::new(kind, proxy)))
        .collect();
    for round in 0..args.turns.rounds() as usize {
        for turns in series.chunks_mut(proxies.len()) {
            // Another one is the first in each round, so that none always follows the same one.
            turns.rotate_left(1);
            for series in turns {
                let proxy = &proxies[series.proxy];
                if !proxy.carries(series.kind) {
                    continue;
                }
                eprintln!(
                    "round {}: {} through {}",
                    round + 1,
                    series.kind.name(),
                    proxy.name
                );
                series.samples.push(bench.measure(proxy, series.kind)?);
            }
        }
    }
    let comparison = Comparison::new(proxies, series, args.turns.rounds(), args.turns.quick);
    args.turns
        .publish(&comparison.table(), &comparison.json())?;
    match &args.html {
        Some(path) => output::write(path, page::page(&comparison)),
        None => Ok(()),
    }
}

/// What all samples of a run share. The fields end in this order: processes before their files.
struct Bench {
    backend: load::Backend,
    certificate: Certificate,
    proxy_core: usize,
    quick: bool,
    place: Workplace,
}

impl Bench {
    fn set_up(quick: bool) -> Result<Self, BenchError> {
        let [proxy_core, load_core, ..] = host::cores()[..] else {
            return Err(BenchError::OneCore);
        };
        let loadgen = process::find("loadgen", "build it: cargo build --release")?;
        let place = Workplace::new()?;
        let certificate = self_signed(place.path())?;
        let backend = load::Backend::start(&loadgen, load_core, place.path())?;
        Ok(Self {
            backend,
            certificate,
            proxy_core,
            quick,
            place,
        })
    }

    /// One load through one fresh process of `proxy`.
    fn measure(&self, proxy: &Proxy, kind: Kind) -> Result<Sample, BenchError> {
        let listen = process::free_address()?;
        let upstream = self.backend.address(kind);
        let place = self.place.path();
        let command = proxy.command(listen, upstream, &self.certificate, place)?;
        let mut server = process::Server::start(proxy.name, &command, &[self.proxy_core], place)?;
        server.ready(&[listen])?;
        self.backend
            .load(proxy.name, kind, self.quick, listen, server.pid())
    }
}
