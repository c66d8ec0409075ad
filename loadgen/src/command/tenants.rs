//! From the flags for tenants to tenants, and whether names in braces fit them.

use std::{path::Path, sync::Arc};

use super::{CommandError, load::Job};
use crate::{
    cli::{LoadArgs, TenantArgs},
    operation::Operation,
    placeholder::Text,
    report::model::TenantConfiguration,
    schedule::choice::Spread,
    tenants::Tenants,
};

/// The tenants that the flags ask for; none without `--tenants`.
///
/// # Errors
///
/// When a file, a name or a number is of no use.
pub fn tenants(load: &LoadArgs) -> Result<Option<Arc<Tenants>>, CommandError> {
    let args = &load.tenants;
    let Some(asked) = &args.tenants else {
        return Ok(None);
    };
    let seed = load.schedule.seed;
    let tenants = Tenants::new(asked, &args.tenant_name, &args.noisy_tenant, seed)?;
    Ok(Some(Arc::new(tenants)))
}

/// The tenants for the report.
pub fn describe(args: &TenantArgs, tenants: Option<&Arc<Tenants>>) -> Option<TenantConfiguration> {
    let tenants = tenants?;
    let named = matches!(tenants.spread(), Spread::Weights(_));
    Some(TenantConfiguration {
        count: tenants.count() as u64,
        spread: tenants.spread().to_string(),
        name: (!named).then(|| args.tenant_name.clone()),
        noisy: args.noisy_tenant.iter().map(ToString::to_string).collect(),
    })
}

/// Refuses names of tenants where there are none, and hosts of tenants without an address.
///
/// # Errors
///
/// When the flags do not fit together.
pub fn check_placeholders(job: &Job<'_>) -> Result<(), CommandError> {
    let (load, target) = (job.load, &job.target);
    let has_tenants = load.tenants.tenants.is_some();
    let host = Text::strict(&target.host)?;
    let mixed = matches!(job.operation, Operation::Mixed(_));
    if !mixed && Text::strict(&target.path)?.names_object() {
        return Err(CommandError::NoObjects(target.path.clone()));
    }
    if has_tenants && host.names_tenant() && load.connect_to.is_none() {
        return Err(CommandError::TenantAddress(target.clone()));
    }
    if has_tenants {
        return match &job.operation {
            Operation::Http2(_) => Err(CommandError::TenantsOverHttp2),
            _ => Ok(()),
        };
    }
    let path = |path: &Path| path.display().to_string();
    let tls = &load.tls;
    let written = [
        Some(target.to_string()),
        tls.sni.clone(),
        tls.cert.as_deref().map(path),
        tls.key.as_deref().map(path),
    ];
    let fields = job.particulars["headers"].as_array().into_iter().flatten();
    let fields = fields.filter_map(|field| Some(field.as_str()?.to_owned()));
    let mut written = written.into_iter().flatten().chain(fields);
    match written.find(|text| Text::of_tenant(text).names_tenant()) {
        Some(text) => Err(CommandError::NoTenants(text)),
        None => Ok(()),
    }
}
