//! Flags that spread a load over tenants.

use clap::{ArgAction, Args};

use crate::{
    files::Files,
    tenants::{Asked, Noisy},
};

/// Flags that spread a load over tenants.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Tenants")]
pub struct TenantArgs {
    /// Spread the operations over N tenants, by a seeded draw: 16 or 16:uniform alike, 16:zipf(1.1)
    /// with the n-th in proportion to 1/n^1.1, 3:weights.csv by lines NAME,WEIGHT. {tenant} in the
    /// target's host and path, in -H, --sni, --cert and --key is replaced by the tenant's name.
    #[arg(long, value_name = "N[:SPREAD]")]
    pub tenants: Option<Asked>,
    /// What tenants are called, where no file names them; {n} counts from 1.
    #[arg(
        long,
        value_name = "NAME",
        default_value = "t{n}",
        requires = "tenants"
    )]
    pub tenant_name: String,
    /// Multiply the share of one tenant, by name or number: t3=10x; may be repeated.
    #[arg(long, value_name = "ID=FACTOR", requires = "tenants", action = ArgAction::Append)]
    pub noisy_tenant: Vec<Noisy>,
    /// Where files are read from.
    #[arg(skip)]
    pub files: Files,
}
