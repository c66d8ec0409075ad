//! What the gates have to catch, put in to see that they do. Without the features there is nothing of it.

use std::hint::black_box;

/// Turns of a loop of two instructions: some 1 % of what a record of 1 KiB or 16 KiB takes outside aws-lc on the direct engine, opened
/// and sealed.
const TURNS: usize = 4;

/// What the features put in, for each record that was relayed.
pub fn for_each_record(records: usize) {
    for _ in 0..records {
        if cfg!(feature = "injected-instructions") {
            for turn in 0..TURNS {
                black_box(turn);
            }
        }
        if cfg!(feature = "injected-allocation") {
            black_box(Box::new(0_u8));
        }
    }
}
