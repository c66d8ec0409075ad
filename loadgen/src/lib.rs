//! A load generator for TLS services that says how far its numbers can be trusted.
pub mod affinity;
pub mod cli;
pub mod command;
pub mod exit;
pub mod measure;
pub mod operation;
pub mod origin;
pub mod pattern;
pub mod pem;
pub mod report;
pub mod run;
pub mod schedule;
pub mod target;
pub mod units;
pub mod worker;
