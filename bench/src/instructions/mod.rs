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
use judge::Verdict;
use toolchain::Toolchain;

/// Where the baseline is, from the root of the repository.
const BASELINE: &str = "bench/baseline.json";
/// Counts that a baseline rests on: the fewest that have quartiles worth the name.
const ROUNDS: usize = 5;

/// What `bench instructions` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  scripts/bench instructions
  scripts/bench instructions --accept 'tls: check the record length twice'

Exit status: 0 nothing grew, or not comparable; 1 something grew; 2 it could not be counted.")]
pub struct InstructionsArgs {
    /// Write the counts as the new baseline, and say why: the reason is stored, and belongs in the commit.
    #[arg(long, value_name = "REASON", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    accept: Option<String>,
    /// How often to count: 1 to compare, 5 to accept, unless said otherwise.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: Option<u16>,
    /// The baseline.
    #[arg(long, value_name = "FILE", default_value = BASELINE)]
    baseline: PathBuf,
    /// Counts there are already, in this folder, instead of counting.
    #[arg(long, value_name = "FOLDER")]
    from: Option<PathBuf>,
}

/// What it came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing grew, or there was nothing to compare with.
    Held,
    /// Something grew, or is not counted any more.
    Grew,
}

/// Counts, and compares or accepts.
///
/// # Errors
/// [`InstructionsError`]; the baseline is as it was.
pub fn run(args: &InstructionsArgs) -> Result<Outcome, InstructionsError> {
    let toolchain = Toolchain::of_this_machine()?;
    let rounds = args.rounds.map(usize::from);
    if let Some(reason) = &args.accept {
        let counts = count::rounds(rounds.unwrap_or(ROUNDS), args.from.as_deref())?;
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
    let counts = count::rounds(rounds.unwrap_or(1), args.from.as_deref())?;
    let differences = baseline.made_with.differences(&toolchain);
    let comparisons = judge::compare(&baseline, &counts);
    print!("{}", table::compared(&comparisons));
    if !differences.is_empty() {
        print!("{}", table::not_comparable(&differences));
        return Ok(Outcome::Held);
    }
    print!("{}", table::findings(&comparisons, &baseline));
    Ok(
        match comparisons
            .iter()
            .any(|comparison| comparison.verdict() == Verdict::Grew)
        {
            true => Outcome::Grew,
            false => Outcome::Held,
        },
    )
}
