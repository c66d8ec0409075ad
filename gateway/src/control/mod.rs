//! Beside the path: configuration, reload, admin, metrics, drain.

mod admin;
pub mod config;
mod faults;
mod keys;
pub mod log;
mod process;
mod supervisor;
mod workers;

pub use supervisor::run;
