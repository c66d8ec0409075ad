//! Beside the path: configuration, reload, admin, metrics, drain.

pub mod config;
