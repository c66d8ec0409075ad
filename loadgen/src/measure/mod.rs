//! What is measured: times of operations, CPU of generator and target, and of the host.

pub mod cpu;
pub mod histogram;
pub mod tally;
