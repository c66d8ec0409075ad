//! What of TLS differs between tenants: the name asked for, and the client certificate.

use std::{borrow::Cow, sync::Arc};

use rustls::{ClientConfig, pki_types::ServerName};

use super::tls::TlsError;
use crate::{
    placeholder::{Filling, Text},
    tenants::{OWN_ROWS, Tenants},
};

/// Most tenants with certificates of their own: each takes a few kilobytes, and two files.
pub const MAX_CERTIFICATES: usize = 10_000;

/// The names and certificates of tenants.
#[derive(Debug, Clone)]
pub struct TenantTls {
    tenants: Arc<Tenants>,
    /// Server names; none when all tenants share one.
    server_name: Option<Text>,
    /// Configurations by tenant; empty when all tenants share one.
    configs: Vec<Arc<ClientConfig>>,
}

impl TenantTls {
    /// Checks the names of all tenants.
    ///
    /// # Errors
    ///
    /// When one is no server name.
    pub fn new(
        tenants: &Arc<Tenants>,
        server_name: Option<Text>,
        configs: Vec<Arc<ClientConfig>>,
    ) -> Result<Self, TlsError> {
        let all = Self {
            tenants: Arc::clone(tenants),
            server_name,
            configs,
        };
        if all.server_name.is_some() {
            for tenant in 0..tenants.count() {
                all.parse_name(tenant)?;
            }
        }
        Ok(all)
    }

    /// The configuration of a tenant; none when all share one.
    pub fn config(&self, tenant: usize) -> Option<&Arc<ClientConfig>> {
        self.configs.get(tenant)
    }

    /// The server name of a tenant; none when all share one.
    pub fn server_name(&self, tenant: usize) -> Option<ServerName<'static>> {
        self.server_name.as_ref()?;
        // Every name was parsed before.
        self.parse_name(tenant).ok()
    }

    /// The name to count a connection of this tenant under; none when all share one.
    pub fn counted_name(&self, tenant: usize) -> Option<Cow<'static, str>> {
        let text = self.server_name.as_ref()?;
        let filled = || Cow::Owned(self.fill(text, tenant));
        Some(match tenant < OWN_ROWS {
            true => filled(),
            false => Cow::Borrowed("(others)"),
        })
    }

    fn parse_name(&self, tenant: usize) -> Result<ServerName<'static>, TlsError> {
        let text = self.server_name.as_ref();
        let name = text.map_or(String::new(), |text| self.fill(text, tenant));
        ServerName::try_from(name.clone()).map_err(|error| TlsError::ServerName { name, error })
    }

    fn fill(&self, text: &Text, tenant: usize) -> String {
        text.filled(Filling {
            tenants: Some(&self.tenants),
            tenant,
            object: 0,
        })
    }
}
