//! What is measured: times of operations, CPU of generator and target, and of the host.
//!
//! ```text
//! worker: operation -> Recorder -> Interval of one second --(once a second)--> run: Collector
//!                          ^------------ an empty one back -----------------------+  |
//! run: CPU, memory, steal at each second's end -------------------------------------> Series
//! ```

pub mod collect;
pub mod cpu;
pub mod histogram;
pub mod http;
pub mod interval;
pub mod memory;
pub mod recorder;
pub mod weight;
pub mod wire;
