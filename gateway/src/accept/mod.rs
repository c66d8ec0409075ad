//! Listeners and admission.

use std::net::SocketAddr;

/// One listener: a name and the addresses it binds.
pub struct ListenerSettings {
    /// Its name in logs, metrics and routes; unique.
    pub name: String,
    /// At least one address; `[::]` binds IPv6 only, so that `0.0.0.0` can stand beside it.
    pub addresses: Vec<SocketAddr>,
}
