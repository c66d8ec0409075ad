//! Sealgate, an encryption gateway.
//!
//! ```text
//! accept -> handshake -> tenant -> relay (L4: pump)                          -> upstream
//!                               -> http  (L7: route -> seal | open -> pool)  -> upstream
//! control (config, reload, admin, metrics, drain) stands beside the path, never on it
//! ```

pub mod accept;
pub mod tenant;
pub mod relay;
pub mod http;
pub mod upstream;
pub mod cli;
pub mod control;
pub mod settings;
