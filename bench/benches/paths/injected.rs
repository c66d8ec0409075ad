//! What the gates have to catch, put in to see that they do. Without the features there is nothing of it.

use std::hint::black_box;

/// What the features put in, for each record that was relayed: five instructions, and a dozen for the loop around the records of a read.
/// That is 1 % of what a message of 1 MiB takes outside aws-lc on the direct engine, opened and sealed, and 2 % of one record's. Or an
/// allocation.
pub fn for_each_record(records: usize) {
    for record in 0..records {
        if cfg!(feature = "injected-instructions") {
            black_box(record);
            black_box(records);
        }
        if cfg!(feature = "injected-allocation") {
            black_box(Box::new(0_u8));
        }
    }
}
