//! Layer A of the gates: instruction counts of the paths in memory, against those in `bench/baseline.json`.
//!
//! ```text
//! cargo bench --bench instructions -> callgrind's files -> Profile -> Counts -> judge -> table, exit status
//!                                                                       ^
//!                                                    Baseline ----------+
//! ```
//!
//! A count says nothing about time, and nothing about AEAD speed: valgrind hides AVX-512 and VAES. It guards the code around the ciphers,
//! and says exactly where it grew.

mod baseline;
mod count;
mod error;
mod judge;
mod profile;
mod table;
mod toolchain;

use std::path::PathBuf;

use clap::Args;

pub use error::InstructionsError;

use baseline::Baseline;
use count::{Counts, Source};
use judge::{Comparison, Verdict};
use toolchain::{Difference, Toolchain};

/// Where the baseline is, from the root of the repository.
const BASELINE: &str = "bench/baseline.json";
/// Counts that a baseline rests on: the fewest that have quartiles worth the name.
const ROUNDS: usize = 5;
/// Counts beside it, and what there is of them before anything is called growth: hash tables have random seeds, and the median of three
/// is rarely off.
const FIRST: usize = 1;
const SURE: usize = 3;
/// Puts 1 % of instructions into the relays.
const INJECTED: &str = "injected-instructions";

/// What `bench instructions` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  scripts/bench instructions
  scripts/bench instructions --accept 'tls: check the record length twice'
  scripts/bench instructions --inject
      whether 1 % more in the relays is found: ends with 3 if it is

Ctrl-C and SIGTERM end the count, and leave the baseline as it was.

Exit codes: 0 nothing grew, or the counts are not comparable; 3 something grew; 1 usage, or a file
is of no use; 2 it could not be counted; 4 interrupted or, with --comparable, the counts are not.")]
pub struct InstructionsArgs {
    /// Write the counts as the new baseline, and say why: the reason is stored, and belongs in the commit.
    #[arg(long, value_name = "REASON", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    accept: Option<String>,
    /// How often to count [default: 5 to accept; 1 to compare, and 3 before anything is said to have grown]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: Option<u16>,
    /// The baseline.
    #[arg(long, value_name = "FILE", default_value = BASELINE)]
    baseline: PathBuf,
    /// Counts there are already, in this folder, instead of counting.
    #[arg(long, value_name = "FOLDER")]
    from: Option<PathBuf>,
    /// Put 1 % of instructions into the relays first, to see that it is found.
    #[arg(long, conflicts_with_all = ["accept", "from"])]
    inject: bool,
    /// Count nothing: only tell whether the baseline was made with the tools that there are here.
    #[arg(long, conflicts_with_all = ["accept", "from", "inject", "rounds"])]
    comparable: bool,
}

impl InstructionsArgs {
    fn source(&self) -> Source<'_> {
        match (&self.from, self.inject) {
            (Some(folder), _) => Source::Folder(folder),
            (None, true) => Source::Injected(INJECTED),
            (None, false) => Source::Benches,
        }
    }
}

/// What it came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing grew, or there was nothing to compare with.
    Held,
    /// Something grew, or is not counted any more.
    Grew,
    /// Asked for that alone: counts made here say nothing beside the baseline's.
    NotComparable,
}

impl Outcome {
    /// The exit status.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Held => 0,
            Self::Grew => 3,
            Self::NotComparable => 4,
        }
    }
}

/// Counts, and compares or accepts.
///
/// # Errors
/// [`InstructionsError`]; the baseline is as it was.
pub fn run(args: &InstructionsArgs) -> Result<Outcome, InstructionsError> {
    let toolchain = Toolchain::of_this_machine()?;
    let rounds = args.rounds.map(usize::from);
    let mut counts = Counts::new();
    if let Some(reason) = &args.accept {
        count::add(args.source(), rounds.unwrap_or(ROUNDS), &mut counts)?;
        let baseline = Baseline::new(reason.clone(), toolchain, counts);
        baseline.write(&args.baseline)?;
        println!(
            "{} rests on these counts now. Commit it with the reason.",
            args.baseline.display()
        );
        print!("{}", table::accepted(&baseline));
        return Ok(Outcome::Held);
    }
    let baseline = Baseline::read(&args.baseline)?;
    let differences = baseline.made_with.differences(&toolchain);
    if args.comparable {
        return Ok(comparable(&differences));
    }
    count::add(args.source(), rounds.unwrap_or(FIRST), &mut counts)?;
    let mut comparisons = judge::compare(&baseline, &counts);
    let unsure = args.from.is_none() && rounds.is_none() && differences.is_empty();
    if unsure && outcome(&comparisons) == Outcome::Grew {
        eprintln!("something seems to have grown: counting again, for the median of {SURE}");
        count::add(args.source(), SURE - FIRST, &mut counts)?;
        comparisons = judge::compare(&baseline, &counts);
    }
    print!("{}", table::compared(&comparisons));
    if !differences.is_empty() {
        print!("{}", table::not_comparable(&differences));
        return Ok(Outcome::Held);
    }
    print!("{}", table::findings(&comparisons, &baseline));
    Ok(outcome(&comparisons))
}

fn comparable(differences: &[Difference]) -> Outcome {
    match differences.is_empty() {
        true => {
            println!("The baseline was made with the tools that there are here.");
            Outcome::Held
        }
        false => {
            print!("{}", table::not_comparable(differences));
            Outcome::NotComparable
        }
    }
}

fn outcome(comparisons: &[Comparison]) -> Outcome {
    let mut verdicts = comparisons.iter().map(Comparison::verdict);
    match verdicts.any(|verdict| verdict == Verdict::Grew) {
        true => Outcome::Grew,
        false => Outcome::Held,
    }
}
