//! A configuration as one worker runs it: immutable, swapped whole.
//!
//! Each worker builds its own from the shared settings, so that no reference count is shared
//! between cores.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use rustls::RootCertStore;
use sealgate_tls::{
    ClientVerification, EpochSecrets, ServerConfigs, ServerSettings, TicketScope, Ticketer,
    server_configs,
};

use crate::http::HttpRoute;
use crate::relay::{TcpClass, TcpRoute};
use crate::settings::{RouteTarget, Settings, TlsSettings};
use crate::tenant::{ClientAuth, DefaultTenant, NameTable, NoTenant, TenantSettings};

/// What one worker runs.
pub struct Snapshot {
    /// By listener, in the order of the settings.
    pub listeners: Vec<ListenerTable>,
    /// The settings it was built from.
    pub settings: Arc<Settings>,
}

/// The names of one listener.
pub struct ListenerTable {
    names: NameTable<Rc<Binding>>,
}

/// A tenant on a listener: what happens to a connection that is bound to it.
pub struct Binding {
    /// The tenant's id.
    pub tenant: Rc<str>,
    /// The listener's name.
    pub listener: Rc<str>,
    /// What happens.
    pub plan: Plan,
}

/// What happens to a connection.
pub enum Plan {
    /// TLS goes through unopened.
    Passthrough(Rc<TcpRoute>),
    /// TLS ends here, bytes are relayed.
    Tcp(ServerConfigs, Rc<TcpRoute>),
    /// TLS ends here, HTTP is served.
    Http(ServerConfigs, Vec<HttpRoute>),
}

/// Why a snapshot cannot be built from settings that were checked.
#[derive(Debug)]
pub struct BuildError {
    /// The tenant concerned.
    pub tenant: String,
    /// What the TLS engine says.
    pub error: rustls::Error,
}

impl std::fmt::Display for BuildError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "tenant {}: {}", self.tenant, self.error)
    }
}

impl std::error::Error for BuildError {}

impl ListenerTable {
    /// Whom a server name, or its absence, belongs to on this listener.
    ///
    /// # Errors
    /// [`NoTenant`].
    pub fn resolve(&self, name: Option<&str>) -> Result<&Rc<Binding>, NoTenant> {
        self.names.resolve(name)
    }
}

impl Snapshot {
    /// Builds what one worker runs.
    ///
    /// # Errors
    /// [`BuildError`]; control builds once before it hands settings out, so workers do not see it.
    pub fn build(
        settings: Arc<Settings>,
        secrets: &Arc<EpochSecrets>,
    ) -> Result<Snapshot, BuildError> {
        let mut listeners = Vec::with_capacity(settings.listeners.len());
        for (index, listener) in settings.listeners.iter().enumerate() {
            let mut names = NameTable::default();
            for (tenant, routes) in routes_by_tenant(&settings, index) {
                let tenant = &settings.tenants[tenant];
                let plan =
                    plan(&settings, &listener.name, tenant, &routes, secrets).map_err(|error| {
                        BuildError {
                            tenant: tenant.id.clone(),
                            error,
                        }
                    })?;
                let binding = Rc::new(Binding {
                    tenant: tenant.id.as_str().into(),
                    listener: listener.name.as_str().into(),
                    plan,
                });
                for pattern in &tenant.names {
                    names.insert(pattern, Rc::clone(&binding));
                }
                if tenant.default == DefaultTenant::Yes {
                    names.set_default(binding);
                }
            }
            listeners.push(ListenerTable { names });
        }
        Ok(Snapshot {
            listeners,
            settings,
        })
    }
}

/// Route indices of one listener, by tenant index.
fn routes_by_tenant(settings: &Settings, listener: usize) -> HashMap<usize, Vec<usize>> {
    let mut by_tenant: HashMap<usize, Vec<usize>> = HashMap::new();
    for (index, route) in settings.routes.iter().enumerate() {
        if route.listeners.contains(&listener) {
            by_tenant.entry(route.tenant).or_default().push(index);
        }
    }
    by_tenant
}

fn plan(
    settings: &Settings,
    listener: &str,
    tenant: &TenantSettings,
    routes: &[usize],
    secrets: &Arc<EpochSecrets>,
) -> Result<Plan, rustls::Error> {
    let mut http = Vec::new();
    for index in routes {
        let route = &settings.routes[*index];
        match &route.target {
            RouteTarget::Tcp(tcp) => {
                let relayed = Rc::new(TcpRoute::build(&route.name, tcp, settings.tls.engine)?);
                if tcp.class == TcpClass::Passthrough {
                    return Ok(Plan::Passthrough(relayed));
                }
                let configs = terminate(listener, tenant, (&tcp.alpn, settings.tls), secrets)?;
                return Ok(Plan::Tcp(configs, relayed));
            }
            RouteTarget::Http(target) => {
                http.push(HttpRoute::build(&route.name, target, tenant, settings)?);
            }
        }
    }
    http.sort_by_key(|route| std::cmp::Reverse(route.path_prefix.len()));
    let configs = terminate(
        listener,
        tenant,
        (&[b"http/1.1".to_vec()], settings.tls),
        secrets,
    )?;
    Ok(Plan::Http(configs, http))
}

/// The TLS configurations of a tenant on a listener.
fn terminate(
    listener: &str,
    tenant: &TenantSettings,
    (alpn, tls): (&[Vec<u8>], TlsSettings),
    secrets: &Arc<EpochSecrets>,
) -> Result<ServerConfigs, rustls::Error> {
    let no_certificate = || rustls::Error::General("it has no certificate".to_owned());
    let certificate = tenant.certificate.clone().ok_or_else(no_certificate)?;
    // Everything that decides who may connect: a ticket dies when any of it changes.
    let mut policy: Vec<&[u8]> = Vec::new();
    let (mode, roots): (&[u8], Option<&RootCertStore>) = match &tenant.client_auth {
        ClientAuth::None => (b"none", None),
        ClientAuth::Optional(roots) => (b"optional", Some(roots)),
        ClientAuth::Required(roots) => (b"required", Some(roots)),
    };
    policy.push(mode);
    for anchor in roots.iter().flat_map(|roots| &roots.roots) {
        policy.push(anchor.subject.as_ref());
        policy.push(anchor.subject_public_key_info.as_ref());
        policy.push(anchor.name_constraints.as_deref().unwrap_or_default());
    }
    policy.extend(certificate.cert.iter().map(AsRef::<[u8]>::as_ref));
    policy.extend(alpn.iter().map(Vec::as_slice));
    let scope = TicketScope {
        tenant: &tenant.id,
        listener,
        policy: &policy,
    };
    server_configs(ServerSettings {
        certificate: Arc::clone(&certificate),
        client_verification: match &tenant.client_auth {
            ClientAuth::None => ClientVerification::None,
            ClientAuth::Optional(roots) => ClientVerification::Optional(Arc::clone(roots)),
            ClientAuth::Required(roots) => ClientVerification::Required(Arc::clone(roots)),
        },
        alpn: alpn.to_vec(),
        tickets: Ticketer::new(Arc::clone(secrets), &scope),
        engine: tls.engine,
    })
}
