//! Commands that do one thing and end: what stands behind `sealgate keys ...`.
//!
//! They print results on standard output and everything else on standard error.

pub mod arguments;
pub mod keys;

mod answer;
