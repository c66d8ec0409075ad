//! Sealgate beside haproxy, nginx, hitch and stunnel: the same work through each, in the same run, in turn.
//!
//! ```text
//! loadgen (core 2) --TLS 1.3--> proxy (core 1) --TCP or TLS--> loadgen origin (core 2)
//! ```
//!
//! Compared is the CPU time of the proxy per unit of work, the time to answer or the memory per connection, as the
//! median over the rounds; the proxy is a fresh process every time. What ksoftirqd does is in nobody's numbers.

mod flood;
mod load;
mod page;
mod proxy;
mod report;
mod work;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use self::load::{Backend, Sample};
use self::proxy::{Post, Proxy};
use self::report::{Comparison, Series};
use self::work::{Amount, KeyType, Work};
use crate::certificate::{self, Certificate};
use crate::error::BenchError;
use crate::promise::Outcome;
use crate::turns::{Effort, Turns};
use crate::workplace::Workplace;
use crate::{host, output, process};

const EXAMPLES: &str = "\
Examples:
  scripts/bench peers
      everything, five rounds: some half an hour
  scripts/bench peers down8 up8 echo100 --rounds 3 --html peers.html
      three kinds of work, fewer rounds, and a page with plots

Ctrl-C and SIGTERM end a run with what there is: the table, JSON and page of the kinds of work that
everybody has done. So does anything that fails on the way.

Exit codes: 0 every ratio that was measured is what Sealgate promises; 3 one is not; 1 usage, or a
program is missing; 2 something does not start or fails; 4 a load was another than was asked for,
or the run was interrupted.";

/// Arguments of `bench peers`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct PeersArgs {
    /// What is compared [default: all]
    #[arg(value_enum)]
    work: Vec<Work>,
    #[command(flatten)]
    turns: Turns,
    /// Write a page with plots too
    #[arg(long, value_name = "FILE", value_parser = output::file())]
    html: Option<PathBuf>,
}

impl PeersArgs {
    fn work(&self) -> &[Work] {
        match self.work.is_empty() {
            true => Work::value_variants(),
            false => &self.work,
        }
    }

    fn amount(&self) -> Amount {
        match self.turns.quick {
            true => Amount::Quick,
            false => Amount::Full,
        }
    }
}

/// Measures, and prints what was found: also what there is when something comes between.
///
/// # Errors
/// [`BenchError`]: nothing was measured, or not all.
pub fn run(args: &PeersArgs) -> Result<Outcome, BenchError> {
    let proxies = proxy::all()?;
    let bench = Bench::set_up(args.amount())?;
    let mut series: Vec<Series> = Vec::new();
    for work in args.work() {
        let takes_part = |proxy: &usize| proxies[*proxy].setup.does(*work);
        series.extend((0..proxies.len()).filter(takes_part).map(|proxy| {
            if args.turns.configs {
                eprint!("{}", bench.describe(&proxies[proxy], *work));
            }
            Series::new(*work, proxy)
        }));
    }
    let ended = bench.rounds(args.turns.rounds(), &proxies, &mut series);
    let mut effort = Effort::of(args.turns.rounds());
    if let Err(error) = &ended {
        effort.cut_short(error);
    }
    let comparison = Comparison::new(proxies, series, effort, args.amount());
    if ended.is_ok() || !comparison.is_empty() {
        args.turns
            .publish(&comparison.table(), &comparison.json())?;
        if let Some(path) = &args.html {
            output::write(path, page::page(&comparison))?;
        }
    }
    ended.map(|()| comparison.outcome())
}

/// What all samples of a run share. The fields end in this order: processes before their files.
struct Bench {
    backend: Backend,
    ecdsa: Certificate,
    rsa: Certificate,
    proxy_core: usize,
    amount: Amount,
    place: Workplace,
}

impl Bench {
    fn set_up(amount: Amount) -> Result<Self, BenchError> {
        let [proxy_core, load_core, ..] = host::cores()[..] else {
            return Err(BenchError::OneCore);
        };
        let place = Workplace::new()?;
        let ecdsa = certificate::self_signed(place.path())?;
        let rsa = certificate::self_signed_rsa(place.path())?;
        let backend = Backend::start((proxy_core, load_core), place.path(), &ecdsa)?;
        Ok(Self {
            backend,
            ecdsa,
            rsa,
            proxy_core,
            amount,
            place,
        })
    }

    fn post(&self, proxy: &Proxy, work: Work, listen: SocketAddr) -> Post<'_> {
        Post {
            listen,
            upstream: self.backend.address(work, proxy.setup.wire(work)),
            certificate: match work.key_type() {
                KeyType::EcdsaP256 => &self.ecdsa,
                KeyType::Rsa2048 => &self.rsa,
            },
            authority: &self.ecdsa,
            directory: self.place.path(),
        }
    }

    fn describe(&self, proxy: &Proxy, work: Work) -> String {
        let listen = SocketAddr::from(([127, 0, 0, 1], 8443));
        proxy.describe(work, &self.post(proxy, work, listen))
    }

    /// All rounds, in turn. What was measured until something fails is in `series`.
    fn rounds(
        &self,
        rounds: u32,
        proxies: &[Proxy],
        series: &mut [Series],
    ) -> Result<(), BenchError> {
        for round in 1..=rounds {
            for turns in series.chunk_by_mut(|one, next| one.work == next.work) {
                // Another one is the first in each round, so that none always follows the same one.
                turns.rotate_left(1);
                for series in turns {
                    let proxy = &proxies[series.proxy];
                    let (work, name) = (series.work.name(), proxy.name);
                    eprintln!("round {round}: {work} through {name}");
                    series.samples.push(self.measure(proxy, series.work)?);
                }
            }
        }
        Ok(())
    }

    /// One load through one fresh process of `proxy`.
    fn measure(&self, proxy: &Proxy, work: Work) -> Result<Sample, BenchError> {
        let listen = process::free_address()?;
        let place = self.place.path();
        let command = proxy.command(work, &self.post(proxy, work, listen))?;
        let mut server = process::Server::start(proxy.name, &command, &[self.proxy_core], place)?;
        server.ready(&[listen])?;
        let load = (work, self.amount);
        self.backend.load(proxy, load, listen, server.pid())
    }
}
