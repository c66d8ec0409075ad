//! Holds the envelope to its speed, beside the same calls made by hand with aws-lc-rs:
//!
//! ```text
//! cargo bench -p sealgate-envelope --bench judged
//! ```
//!
//! One core, CPU time of the thread, both sides in turn in slices of a few milliseconds in one run, so that what else the machine does
//! meets both. Exit status 1 where a target is missed. Absolute times are not to be compared between runs.

#![allow(missing_docs, reason = "a program")]

mod by_hand;
mod frames;
mod interleave;
mod range;
mod small;

use std::process::ExitCode;

use interleave::{Measured, Target};

fn main() -> ExitCode {
    // `cargo test --benches` runs this too, and a test does not measure.
    if !std::env::args().any(|arg| arg == "--bench") {
        println!("not measured: run it with `cargo bench`");
        return ExitCode::SUCCESS;
    }
    let targets = [
        frames::seal_aligned(),
        frames::open_aligned(),
        small::seal(),
        small::open(),
        range::beside_small_message(),
        range::beside_frames_by_hand(),
    ];
    println!("judged:");
    for (measured, target) in &targets {
        println!("{}", line(measured, Some(*target)));
    }
    println!("beside it, without a target:");
    for measured in [
        frames::seal_records(),
        frames::open_records(),
        frames::seal_aligned_into_vec(),
        frames::open_aligned_into_vec(),
    ] {
        println!("{}", line(&measured, None));
    }
    if targets
        .iter()
        .all(|(measured, target)| target.is_met_by(measured))
    {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn line(measured: &Measured, target: Option<Target>) -> String {
    let Measured {
        what,
        ours_ns,
        by_hand_ns,
        cost,
    } = measured;
    let figures = format!(
        "  {what:<58} {:>9.2} us {:>9.2} us by hand   cost {:.3} ({:.3} to {:.3})   speed {:>5.1} %",
        ours_ns / 1000.0,
        by_hand_ns / 1000.0,
        cost.median,
        cost.lower_quartile,
        cost.upper_quartile,
        100.0 / cost.median,
    );
    match target {
        None => figures,
        Some(target) if target.is_met_by(measured) => format!("{figures}   {target}: met"),
        Some(target) => format!("{figures}   {target}: NOT met"),
    }
}
