//! Routes of one tenant on one listener, as a worker runs them.

use std::rc::Rc;

use super::{HttpClass, HttpRouteSettings, RequestBody, SealedSettings};
use crate::metrics::Class;
use crate::settings::Settings;
use crate::tenant::TenantSettings;
use crate::upstream::{HttpPool, Upstream};

/// A layer 7 route.
pub struct HttpRoute {
    /// Its name.
    pub name: Rc<str>,
    /// Requests whose path starts with this.
    pub path_prefix: String,
    /// What is done to bodies.
    pub handling: Handling,
    /// Connections to the service. Of this tenant's alone.
    pub pool: Rc<HttpPool<RequestBody>>,
}

/// What a route does to bodies.
pub enum Handling {
    /// Forward them.
    Forward,
    /// Seal those of requests, open those of responses. The keys are looked up for each message.
    Seal(SealedSettings),
}

impl HttpRoute {
    /// Makes it from its settings.
    ///
    /// # Errors
    /// [`rustls::Error`] when the upstream's TLS settings are unusable, or a sealed route's tenant
    /// has no keyring.
    pub fn build(
        name: &str,
        route: &HttpRouteSettings,
        tenant: &TenantSettings,
        settings: &Settings,
    ) -> Result<HttpRoute, rustls::Error> {
        let handling = match &route.class {
            HttpClass::Terminated => Handling::Forward,
            HttpClass::Sealed(_) if tenant.keyring.is_none() => {
                return Err(rustls::Error::General("it has no keyring".to_owned()));
            }
            HttpClass::Sealed(sealed) => Handling::Seal(sealed.clone()),
        };
        let upstream = Upstream::build(&route.upstream, &[b"http/1.1"], settings.tls.engine)?;
        let limits = &settings.limits;
        let pool = HttpPool::new(
            upstream,
            limits.max_idle_upstream,
            limits.max_upstream_requests,
        );
        Ok(HttpRoute {
            name: name.into(),
            path_prefix: route.path_prefix.clone(),
            handling,
            pool: Rc::new(pool),
        })
    }

    /// Its exposure class.
    pub fn class(&self) -> Class {
        match self.handling {
            Handling::Forward => Class::Terminated,
            Handling::Seal(_) => Class::Sealed,
        }
    }
}
