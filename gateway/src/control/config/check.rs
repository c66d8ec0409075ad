//! `sealgate check`: everything a start would do, short of binding addresses, and a summary.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use super::build::written;
use super::load;
use crate::http::{HttpClass, Readers};
use crate::relay::TcpClass;
use crate::settings::{RouteSettings, RouteTarget, Settings};
use crate::tenant::{ClientAuth, DefaultTenant, NamePattern, TenantSettings};
use crate::upstream::UpstreamSettings;

/// Checks a configuration file: the summary goes to standard output, errors and warnings to standard error.
///
/// Exit status 0 where the file is good, warnings or not; 1 where it is not.
pub fn check(path: &Path) -> ExitCode {
    // A closed pipe takes nothing from the verdict.
    match check_to(path, &mut io::stdout().lock(), &mut io::stderr().lock()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) | Err(_) => ExitCode::FAILURE,
    }
}

/// Checks a configuration file with other outputs; whether it is good.
///
/// # Errors
/// Where an output cannot be written.
pub fn check_to(path: &Path, out: &mut impl Write, err: &mut impl Write) -> io::Result<bool> {
    match load(path) {
        Ok(settings) => {
            for warning in &settings.warnings {
                writeln!(err, "warning: {warning}")?;
            }
            summary(path, &settings, out)?;
            Ok(true)
        }
        Err(errors) => {
            writeln!(err, "{errors}")?;
            Ok(false)
        }
    }
}

fn summary(path: &Path, settings: &Settings, out: &mut impl Write) -> io::Result<()> {
    let count = |number: usize, what: &str| {
        format!("{number} {what}{}", if number == 1 { "" } else { "s" })
    };
    writeln!(
        out,
        "{} is good: {}, {}, {}, {}",
        path.display(),
        count(settings.listeners.len(), "listener"),
        count(settings.tenants.len(), "tenant"),
        count(settings.routes.len(), "route"),
        count(settings.warnings.len(), "warning"),
    )?;
    for listener in &settings.listeners {
        let addresses: Vec<String> = listener.addresses.iter().map(ToString::to_string).collect();
        writeln!(out, "listener {}: {}", listener.name, addresses.join(", "))?;
    }
    if let Some(admin) = settings.admin {
        writeln!(out, "admin: {admin}")?;
    }
    if settings
        .tenants
        .iter()
        .any(|tenant| tenant.keyring.is_some())
    {
        writeln!(
            out,
            "keys: loaded anew after {}, dropped after {} at most: so long after `sealgate keys disable` no message begins any more",
            written(settings.keys.soft),
            written(settings.keys.hard)
        )?;
    }
    for tenant in &settings.tenants {
        writeln!(out, "tenant {}: {}", tenant.id, tenant_line(tenant))?;
    }
    for route in &settings.routes {
        writeln!(out, "route {}: {}", route.name, route_line(route, settings))?;
    }
    Ok(())
}

fn tenant_line(tenant: &TenantSettings) -> String {
    let mut names: Vec<String> = tenant
        .names
        .iter()
        .map(|name| match name {
            NamePattern::Exact(name) => name.clone(),
            NamePattern::Wildcard(base) => format!("*.{base}"),
        })
        .collect();
    if tenant.default == DefaultTenant::Yes {
        names.push("every other name".to_owned());
    }
    let clients = match tenant.client_auth {
        ClientAuth::None => "no client certificates",
        ClientAuth::Optional(_) => "client certificates optional",
        ClientAuth::Required(_) => "client certificates required",
    };
    let keyring = match tenant.keyring {
        None => "",
        Some(_) => ", keyring",
    };
    format!("{}; {clients}{keyring}", names.join(", "))
}

fn route_line(route: &RouteSettings, settings: &Settings) -> String {
    let tenant = settings
        .tenants
        .get(route.tenant)
        .map_or("", |tenant| tenant.id.as_str());
    let listeners: Vec<&str> = route
        .listeners
        .iter()
        .filter_map(|index| Some(settings.listeners.get(*index)?.name.as_str()))
        .collect();
    let (what, upstream) = match &route.target {
        RouteTarget::Tcp(tcp) => {
            let class = match tcp.class {
                TcpClass::Terminated => "terminated",
                TcpClass::Passthrough => "passthrough",
            };
            (format!("tcp, class {class}"), &tcp.upstream)
        }
        RouteTarget::Http(http) => {
            let class = match &http.class {
                HttpClass::Terminated => "terminated".to_owned(),
                HttpClass::Sealed(sealed) => match sealed.readers {
                    Readers::Mtls => "sealed, readers mtls".to_owned(),
                    Readers::Anyone => "sealed, readers anyone".to_owned(),
                },
            };
            (
                format!("http {}, class {class}", http.path_prefix),
                &http.upstream,
            )
        }
    };
    format!(
        "tenant {tenant} on {}, {what} -> {}",
        listeners.join(", "),
        upstream_words(upstream)
    )
}

fn upstream_words(upstream: &UpstreamSettings) -> String {
    let addresses = upstream.addresses.len();
    let tls = if upstream.tls.is_some() { ", TLS" } else { "" };
    let more = if addresses == 1 {
        String::new()
    } else {
        format!(" ({addresses} addresses)")
    };
    format!("{}{more}{tls}", upstream.display)
}
