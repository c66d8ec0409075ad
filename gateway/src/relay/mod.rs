//! Layer 4: one pump, instantiated twice.

use crate::upstream::UpstreamSettings;

/// A layer 4 route.
pub struct TcpRouteSettings {
    /// Its exposure class.
    pub class: TcpClass,
    /// Where it goes.
    pub upstream: UpstreamSettings,
    /// ALPN protocols offered to clients, most wanted first; empty: ALPN is not answered.
    pub alpn: Vec<Vec<u8>>,
}

/// Exposure classes of layer 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TcpClass {
    /// TLS ends here.
    Terminated,
    /// TLS goes through unopened, routed by SNI.
    Passthrough,
}
