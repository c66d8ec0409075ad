//! Sealgate, an encryption gateway.
//!
//! ```text
//! accept -> handshake -> tenant -> relay (L4: pump)                          -> upstream
//!                               -> http  (L7: route -> seal | open -> pool)  -> upstream
//! control (config, reload, admin, metrics, drain) stands beside the path, never on it
//! ```

//! A file is a station of that path or a tool used on it; [`connection`] alone knows the order.

pub mod accept;
pub mod connection;
pub mod handshake;
pub mod tenant;
pub mod relay;
pub mod http;
pub mod upstream;

pub mod cli;
pub mod command;
pub mod control;
pub mod error;
pub mod limits;
pub mod metrics;
pub mod settings;
pub mod snapshot;
#[cfg(feature = "injected-slowdown")]
mod slowdown;
pub mod worker;
