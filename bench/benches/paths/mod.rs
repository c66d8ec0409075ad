//! The gateway's paths in memory: what the instruction counts and the micro benches run, without sockets.
//!
//! ```text
//! hello -> handshake -> tenants -> relay          (bytes opened, and sealed for the service)
//!                               -> sealed         (a body sealed, a message opened; keyring)
//! ```
//!
//! Everything that is made before a path is run is made in its `new`: that is not counted. Certificates and keys are files, so that no run
//! differs from another in them.

pub mod handshake;
pub mod hello;
pub mod identity;
pub mod injected;
pub mod relay;
pub mod sealed;
pub mod tenants;
