//! From the flags for tenants to tenants, and whether names in braces fit them.

use std::{path::Path, sync::Arc};

use super::{CommandError, load::Job};
use crate::{
    cli::LoadArgs,
    operation::Operation,
    placeholder::Text,
    report::model::TenantConfiguration,
    schedule::choice::Spread,
    target::sni::{Names, Sni},
    tenants::{Asked, Tenants},
};

/// The tenants that the flags ask for; none without `--tenants` or several names in `--sni`.
///
/// # Errors
///
/// When a file, a name or a number is of no use.
pub fn tenants(load: &LoadArgs) -> Result<Option<Arc<Tenants>>, CommandError> {
    let args = &load.tenants;
    let seed = load.schedule.seed;
    let asked = match (&args.tenants, names(load)) {
        (None, None) => return Ok(None),
        (None, Some(names)) => return Ok(Some(names.tenants(seed, &args.files)?)),
        (Some(_), Some(_)) => return Err(CommandError::NamesAndTenants),
        (Some(asked), None) => asked,
    };
    let (name, noisy) = (&args.tenant_name, &args.noisy_tenant);
    let tenants = Tenants::new(asked, name, noisy, seed, &args.files)?;
    Ok(Some(Arc::new(tenants)))
}

/// The server names, where several are asked for.
fn names(load: &LoadArgs) -> Option<&Names> {
    load.tls.sni.as_ref().and_then(Sni::mix)
}

/// The tenants for the report.
pub fn describe(load: &LoadArgs, tenants: Option<&Arc<Tenants>>) -> Option<TenantConfiguration> {
    let (tenants, args) = (tenants?, &load.tenants);
    let numbered = || Some(args.tenant_name.clone());
    let (spread, name) = match (&args.tenants, names(load)) {
        (Some(Asked { spread, .. }), _) => match spread {
            Spread::Weights(_) => (spread.to_string(), None),
            Spread::Uniform | Spread::Zipf(_) => (spread.to_string(), numbered()),
        },
        (None, Some(names)) => (names.shares(), None),
        (None, None) => return None,
    };
    Some(TenantConfiguration {
        count: tenants.count() as u64,
        spread,
        name,
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
    let has_tenants = load.tenants.tenants.is_some() || names(load).is_some();
    let host = Text::strict(&target.host)?;
    let mixed = matches!(job.operation, Operation::Mixed(_));
    if !mixed && Text::strict(&target.path)?.names_object() {
        return Err(CommandError::NoObjects(target.path.clone()));
    }
    if has_tenants && host.names_tenant() && load.reach.connect_to.is_none() {
        return Err(CommandError::TenantAddress(target.clone()));
    }
    if has_tenants {
        return match &job.operation {
            Operation::Conns(_) => Err(CommandError::NamesOfConns),
            _ => Ok(()),
        };
    }
    let path = |path: &Path| path.display().to_string();
    let tls = &load.tls;
    let written = [
        Some(target.to_string()),
        tls.sni.as_ref().map(ToString::to_string),
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
