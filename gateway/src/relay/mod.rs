//! Layer 4: bytes between client and service.

mod pump;

use std::rc::Rc;

pub use pump::{HalfClose, Relay, Relayed};

use sealgate_tls::Engine;

use crate::metrics::Class;
use crate::upstream::{Upstream, UpstreamSettings};

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

impl TcpClass {
    /// As a metric and log label.
    pub fn label(self) -> Class {
        match self {
            TcpClass::Terminated => Class::Terminated,
            TcpClass::Passthrough => Class::Passthrough,
        }
    }
}

/// A layer 4 route as one worker runs it.
pub struct TcpRoute {
    /// Its name.
    pub name: Rc<str>,
    /// Where it goes.
    pub upstream: Upstream,
}

impl TcpRoute {
    /// Makes it from its settings.
    ///
    /// # Errors
    /// [`rustls::Error`] when the upstream's TLS settings are unusable.
    pub fn build(
        name: &str,
        settings: &TcpRouteSettings,
        engine: Engine,
    ) -> Result<TcpRoute, rustls::Error> {
        Ok(TcpRoute {
            name: name.into(),
            upstream: Upstream::build(&settings.upstream, &[], engine)?,
        })
    }
}
