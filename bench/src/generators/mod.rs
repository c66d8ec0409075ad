//! loadgen beside the generators that Debian has: the same work against the same nginx, in the same run, in turn.
//!
//! ```text
//! generator (core 2) --TLS 1.3--> nginx (core 1)
//! ```
//!
//! Compared is the CPU time of the generator per operation, from its start to its end, as the median over the rounds; what it read as
//! latency at a fixed rate; and how much it got out of the target.

mod report;
mod target;
mod tool;
mod work;

use clap::Args;

use self::report::Comparison;
use self::target::Target;
use self::tool::Tool;
use self::work::Work;
use crate::error::BenchError;
use crate::promise::Outcome;
use crate::turns::Turns;
use crate::workplace::Workplace;
use crate::{command, host, process};

const EXAMPLES: &str = "\
Examples:
  scripts/bench loadgen
      everything, five rounds: about three minutes
  scripts/bench loadgen requests handshakes --rounds 7 --json loadgen.json
      two kinds of work, more rounds, with every sample

Ctrl-C and SIGTERM end a run with what there is, and so does anything that fails on the way.

Exit codes: 0 loadgen is ahead by as much as promised; 3 it is not; 1 usage, or a program is
missing; 2 something does not start or fails; 4 a load was another than was asked for, or the run
was interrupted.";

/// Arguments of `bench loadgen`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct GeneratorsArgs {
    /// What is compared [default: all]
    #[arg(value_enum)]
    work: Vec<Work>,
    #[command(flatten)]
    turns: Turns,
}

impl GeneratorsArgs {
    fn work(&self) -> &[Work] {
        match self.work.is_empty() {
            true => &Work::ALL,
            false => &self.work,
        }
    }
}

/// Measures, and prints what was found: also what there is when something comes between.
///
/// # Errors
/// [`BenchError`]: nothing was measured, or not all.
pub fn run(args: &GeneratorsArgs) -> Result<Outcome, BenchError> {
    let [target_core, load_core, ..] = host::cores()[..] else {
        return Err(BenchError::OneCore);
    };
    let place = Workplace::new()?;
    let target = Target::start(target_core, place.path())?;
    if args.turns.configs {
        eprintln!("{}", target.configuration());
    }
    let amount = match args.turns.quick {
        true => work::Amount::Quick,
        false => work::Amount::Full,
    };
    let mut comparison = Comparison::new(args.turns.rounds(), amount);
    let ended = measure(args, (&target, load_core), amount, &mut comparison);
    if let Err(error) = &ended {
        comparison.effort.cut_short(error);
    }
    if ended.is_ok() || !comparison.is_empty() {
        args.turns
            .publish(&comparison.table(), &comparison.json())?;
    }
    ended.map(|()| comparison.outcome())
}

/// All rounds, in turn.
fn measure(
    args: &GeneratorsArgs,
    (target, load_core): (&Target, usize),
    amount: work::Amount,
    comparison: &mut Comparison,
) -> Result<(), BenchError> {
    for round in 0..args.turns.rounds() as usize {
        for work in args.work() {
            let mut tools = Tool::of(*work).to_vec();
            // Another one is the first in each round, so that none always follows the same one.
            let turn = round % tools.len();
            tools.rotate_left(turn);
            for tool in tools {
                eprintln!("round {}: {} by {}", round + 1, work.name(), tool.name());
                let words = tool.command(*work, amount, target)?;
                if args.turns.configs && round == 0 {
                    eprintln!("  {}", words.join(" "));
                }
                let command = process::pinned(&words, &[load_core]);
                let ended = command::run(tool.name(), command, tool.statuses())?;
                comparison.add(*work, tool, tool.read(*work, amount, &ended)?);
            }
        }
    }
    Ok(())
}
