//! `loadgen compare`: two stored reports side by side.

use super::{
    CommandError,
    report::{read, write},
};
use crate::{
    cli::CompareArgs,
    exit::Exit,
    report::compare::{self, Noise, sameness, text::Text},
};

/// `loadgen compare`.
///
/// # Errors
///
/// When a file is no report, or the runs are not comparable and `--force` is not given.
pub fn compare(args: &CompareArgs) -> Result<Exit, CommandError> {
    let (base, head) = (read(&args.base)?, read(&args.head)?);
    let differences = sameness::differences(&base, &head);
    if !differences.is_empty() && !args.force {
        return Err(CommandError::NotComparable(differences));
    }
    let share = |percent: f64| percent / 100.0;
    let noise = args.noise.map_or(Noise::OF_A_NOISY_MACHINE, |noise| {
        Noise::of_all(share(noise))
    });
    let margin = args.margin.map(share);
    let comparison = compare::compare(&base, &head, noise, margin);
    let text = Text {
        comparison: &comparison,
        differences: &differences,
        noise,
        margin,
    };
    write(None, &text.to_string())?;
    Ok(comparison.exit())
}
