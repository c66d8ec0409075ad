//! A load generator for TLS services that says how far its numbers can be trusted.
//!
//! ```text
//! cli -> command -> run -> worker (one per core): schedule -> dispatch -> slot -> operation -> target
//!                    |                                                     |
//!                    |                                                     v
//!                    +-- measure: collector <-------(once a second)----- recorder
//!                    v
//!                  report: verdict, JSON, summary -> exit
//!
//! cli -> command -> agents: the same load on several machines, their counts as if of one
//! cli -> command -> origin: the upstream that is not the bottleneck
//! ```
//!
//! Every operation has a planned start, and three times are always recorded: response (done −
//! planned), service (done − sent) and lag (sent − planned). What is measured is asserted: an
//! operation that is not what was asked for does not count.
//!
//! With a rate the loop is open: operations start when they are planned, whatever the target does.
//! Without one it is closed, and every rendering says so.

pub mod cli;
pub mod command;
pub mod run;
pub mod signals;
pub mod worker;
pub mod agents;
pub mod schedule;
pub mod operation;
pub mod target;
pub mod measure;
pub mod search;
pub mod sweep;
pub mod ab;
pub mod report;
pub mod exit;
pub mod origin;

pub mod affinity;
pub mod descriptors;
pub mod envelope;
pub mod files;
pub mod host;
pub mod pattern;
pub mod pem;
pub mod placeholder;
pub mod scenario;
pub mod tenants;
pub mod text;
pub mod units;
pub mod upstream;
