//! What the reader sees.

use std::fmt::Write;

use super::baseline::Baseline;
use super::judge::{Change, Comparison, Standing, Verdict};
use super::toolchain::Difference;

/// Functions listed for each scenario that grew.
const FUNCTIONS: usize = 8;

/// The counts of a new baseline, and how much they vary.
pub fn accepted(baseline: &Baseline) -> String {
    let mut text = format!(
        "{:24} {:>14} {:>9} {:>14} {:>9}\n",
        "scenario", "own", "spread", "all", "spread"
    );
    for (name, scenario) in &baseline.scenarios {
        let (own, total) = (&scenario.own, &scenario.total);
        let _ = writeln!(
            text,
            "{name:24} {:>14} {:>9} {:>14} {:>9}",
            own.iter().max().copied().unwrap_or_default(),
            percent(spread(own)),
            total.iter().max().copied().unwrap_or_default(),
            percent(spread(total)),
        );
    }
    text
}

/// From the least to the most, as a ratio of the least.
fn spread(counts: &[u64]) -> f64 {
    match (counts.iter().min(), counts.iter().max()) {
        (Some(&least), Some(&most)) if least > 0 => most as f64 / least as f64 - 1.0,
        _ => 0.0,
    }
}

/// One line for each scenario.
pub fn compared(comparisons: &[Comparison]) -> String {
    let mut text = String::from(
        "Instructions outside aws-lc (own) and in all, beside the baseline's; in brackets, growth that is chance.\n\n",
    );
    let _ = writeln!(
        text,
        "{:24} {:>14} {:>20} {:>14} {:>20}",
        "scenario", "own", "", "all", ""
    );
    for Comparison { name, standing } in comparisons {
        let _ = match standing {
            Standing::Compared { own, total, .. } => writeln!(
                text,
                "{name:24} {:>14} {:>20} {:>14} {:>20}",
                own.here,
                change(own),
                total.here,
                change(total)
            ),
            Standing::New { own, total } => {
                writeln!(text, "{name:24} {own:>14} {:>20} {total:>14}", "new")
            }
            Standing::Missing => writeln!(text, "{name:24} {:>14}", "not counted"),
        };
    }
    text
}

fn change(change: &Change) -> String {
    let mark = match change.verdict() {
        Verdict::Held => "",
        Verdict::Grew => " GREW",
        Verdict::Shrank => " less",
    };
    format!(
        "{:+.2} % ({:.1}){mark}",
        100.0 * change.growth(),
        100.0 * change.limit
    )
}

/// What grew, in which functions, and what to do.
pub fn findings(comparisons: &[Comparison], baseline: &Baseline) -> String {
    let mut text = String::new();
    for Comparison { name, standing } in comparisons
        .iter()
        .filter(|comparison| comparison.verdict() == Verdict::Grew)
    {
        let Standing::Compared { functions, .. } = standing else {
            let _ = writeln!(text, "\n{name} is in the baseline and was not counted.");
            continue;
        };
        let _ = writeln!(
            text,
            "\n{name} grew. Functions, by the instructions that they take more by themselves:"
        );
        for function in functions
            .iter()
            .filter(|function| function.growth() > 0)
            .take(FUNCTIONS)
        {
            let before = function
                .before
                .map_or_else(|| "unlisted".to_owned(), |before| before.to_string());
            let _ = writeln!(
                text,
                "  {:>+12}  {before:>12} -> {:<12} {}",
                function.growth(),
                function.here,
                function.name
            );
        }
    }
    let of = |verdict| {
        comparisons
            .iter()
            .filter(|comparison| comparison.verdict() == verdict)
            .count()
    };
    let (grew, shrank) = (of(Verdict::Grew), of(Verdict::Shrank));
    let _ = match (grew, shrank) {
        (0, 0) => writeln!(
            text,
            "\nNothing grew since the baseline ({}).",
            baseline.reason
        ),
        (0, shrank) => writeln!(
            text,
            "\nNothing grew; {shrank} take less than the baseline says. To hold what was won:\n  \
             scripts/bench instructions --accept REASON"
        ),
        (grew, _) => writeln!(
            text,
            "\n{grew} of {} grew. Where that is wanted, say why, and commit bench/baseline.json with the reason:\n  \
             scripts/bench instructions --accept REASON",
            comparisons.len()
        ),
    };
    text
}

/// Why the counts say nothing here.
pub fn not_comparable(differences: &[Difference]) -> String {
    let mut text = String::from(
        "\nNOT COMPARED: the baseline was made with other tools, and counts depend on them.\n",
    );
    for Difference { what, before, here } in differences {
        let _ = writeln!(text, "  {what}: {before} in the baseline, {here} here");
    }
    text.push_str(
        "config/ci/gate.sh BASE HEAD counts both revisions with the tools that there are. If these are the tools from \
         now on, count the revision of the baseline with them:\n  \
         scripts/bench instructions --accept 'counted with the new tools'\n",
    );
    text
}

fn percent(ratio: f64) -> String {
    format!("{:.3} %", 100.0 * ratio)
}
