//! Beside the path: configuration, reload, admin, metrics, drain.

mod admin;
pub mod config;
pub mod log;
mod process;
mod supervisor;

pub use supervisor::run;
