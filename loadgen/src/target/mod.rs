//! Reaching the target: its name, its address, and TLS towards it.

pub mod client_certificate;
pub mod key_update;
pub mod sni;
pub mod source;
pub mod tenant_tls;
pub mod tickets;
pub mod tls;
pub mod url;
