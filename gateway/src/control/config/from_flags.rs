//! Settings without a file: one listener, one default tenant, one route.
//!
//! The flags become the same drafts as the tables of a file and go through the same checks, all
//! errors at once. The structs are what `clap` parses, so a flag is described in one place.

use std::path::Path;
use std::time::SystemTime;

use clap::{Args, ValueEnum};

use super::build;
use super::draft::{
    Draft, Field, ListenerDraft, Located, RouteDraft, TenantDraft, Texts, UpstreamTlsDraft,
};
use super::errors::{At, ConfigErrors, Report};
use super::pem::Files;
use crate::settings::Settings;

/// Names the one listener, tenant and route in logs and metrics.
const MAIN: &str = "main";

/// Flags of `sealgate tcp`.
#[derive(Clone, Debug, Args)]
pub struct TcpFlags {
    /// Where clients connect, and who the gateway is for them.
    #[command(flatten)]
    pub front: FrontFlags,
    /// A service behind the gateway; repeat it for more, they take turns
    #[arg(long, value_name = "HOST:PORT", required = true)]
    pub upstream: Vec<String>,
    /// Use TLS towards the upstream too; it is always verified
    #[arg(long, requires = "upstream_ca")]
    pub upstream_tls: bool,
    /// Trusted roots (PEM) for the upstream's certificate
    #[arg(long, value_name = "FILE", requires = "upstream_tls")]
    pub upstream_ca: Option<String>,
    /// Name that the upstream's certificate has to carry [default: its host]
    #[arg(long, value_name = "NAME", requires = "upstream_tls")]
    pub upstream_name: Option<String>,
    /// Client certificate (PEM) shown to the upstream
    #[arg(
        long,
        value_name = "FILE",
        requires = "upstream_tls",
        requires = "upstream_key"
    )]
    pub upstream_cert: Option<String>,
    /// Private key (PEM) of the client certificate
    #[arg(long, value_name = "FILE", requires = "upstream_cert")]
    pub upstream_key: Option<String>,
    /// How the process runs.
    #[command(flatten)]
    pub process: ProcessFlags,
}

/// Flags of `sealgate http`.
#[derive(Clone, Debug, Args)]
pub struct HttpFlags {
    /// Where clients connect, and who the gateway is for them.
    #[command(flatten)]
    pub front: FrontFlags,
    /// A service behind the gateway, http:// or https://; repeat it for more, they take turns
    #[arg(long, value_name = "URL", required = true)]
    pub upstream: Vec<String>,
    /// Trusted roots (PEM) for the certificate of an https:// upstream
    #[arg(long, value_name = "FILE")]
    pub upstream_ca: Option<String>,
    /// Name that the upstream's certificate has to carry [default: its host]
    #[arg(long, value_name = "NAME", requires = "upstream_ca")]
    pub upstream_name: Option<String>,
    /// Client certificate (PEM) shown to the upstream
    #[arg(
        long,
        value_name = "FILE",
        requires = "upstream_ca",
        requires = "upstream_key"
    )]
    pub upstream_cert: Option<String>,
    /// Private key (PEM) of the client certificate
    #[arg(long, value_name = "FILE", requires = "upstream_cert")]
    pub upstream_key: Option<String>,
    /// Whether and how bodies are sealed.
    #[command(flatten)]
    pub seal: SealFlags,
    /// How the process runs.
    #[command(flatten)]
    pub process: ProcessFlags,
}

/// Where clients connect, and who the gateway is for them.
#[derive(Clone, Debug, Args)]
pub struct FrontFlags {
    /// Address to listen on; repeat it for more
    #[arg(long, value_name = "IP:PORT", required = true)]
    pub listen: Vec<String>,
    /// Certificate chain (PEM), the server's own certificate first
    #[arg(long, value_name = "FILE")]
    pub cert: String,
    /// Private key (PEM) of the certificate
    #[arg(long, value_name = "FILE")]
    pub key: String,
    /// Demand client certificates that verify against these roots (PEM)
    #[arg(long, value_name = "FILE")]
    pub client_ca: Option<String>,
}

/// Whether and how bodies are sealed.
#[derive(Clone, Debug, Args)]
pub struct SealFlags {
    /// Seal request bodies and open response bodies with this keyring
    #[arg(
        long,
        value_name = "KEYRING",
        requires = "readers",
        requires = "tenant"
    )]
    pub seal: Option<String>,
    /// The tenant whose keyring it is
    #[arg(long, value_name = "ID", requires = "seal")]
    pub tenant: Option<String>,
    /// Who may read what is sealed: mtls (clients with a certificate of --client-ca) or anyone
    #[arg(long, value_enum, requires = "seal")]
    pub readers: Option<ReadersFlag>,
}

/// Values of `--readers`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReadersFlag {
    /// Clients whose certificate verified
    Mtls,
    /// Anyone who reaches the listener
    Anyone,
}

/// How the process runs.
#[derive(Clone, Debug, Args)]
pub struct ProcessFlags {
    /// Worker threads [default: one per core]
    #[arg(long, value_name = "N")]
    pub workers: Option<i64>,
    /// Serve health, status and metrics on this loopback address
    #[arg(long, value_name = "IP:PORT")]
    pub admin: Option<String>,
    /// How log lines look [default: text]
    #[arg(long, value_enum)]
    pub log_format: Option<LogFormatFlag>,
    /// Log level: off, error, warn, info, debug, trace, or info,sealgate=debug [default: info]
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
}

/// Values of `--log-format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormatFlag {
    /// For people
    Text,
    /// One JSON object a line, for machines
    Json,
}

/// The settings of `sealgate tcp`: one listener, one default tenant, one terminated route.
///
/// Reads the files that the flags name and resolves the upstreams.
///
/// # Errors
/// Everything that is wrong, at once; the operator's fault.
pub fn tcp(flags: TcpFlags) -> Result<Settings, ConfigErrors> {
    let route = RouteDraft {
        protocol: flag_text("tcp", "tcp"),
        class: flag_text("tcp", "terminated"),
        upstream: texts("--upstream", flags.upstream),
        upstream_tls: upstream_tls([
            flags.upstream_ca,
            flags.upstream_name,
            flags.upstream_cert,
            flags.upstream_key,
        ]),
        ..RouteDraft::default()
    };
    settings(flags.front, TenantDraft::default(), route, flags.process)
}

/// The settings of `sealgate http`: one listener, one default tenant, one terminated or sealed route.
///
/// Reads the files that the flags name and resolves the upstreams.
///
/// # Errors
/// Everything that is wrong, at once; the operator's fault.
pub fn http(flags: HttpFlags) -> Result<Settings, ConfigErrors> {
    let seal = flags.seal;
    let readers = seal.readers.map(|readers| match readers {
        ReadersFlag::Mtls => "mtls".to_owned(),
        ReadersFlag::Anyone => "anyone".to_owned(),
    });
    let class = if seal.seal.is_some() {
        "sealed"
    } else {
        "terminated"
    };
    let tenant = TenantDraft {
        id: Field::maybe_flag("--tenant", seal.tenant),
        keyring: Field::maybe_flag("--seal", seal.seal),
        ..TenantDraft::default()
    };
    let route = RouteDraft {
        protocol: flag_text("http", "http"),
        class: flag_text("http", class),
        upstream: texts("--upstream", flags.upstream),
        readers: Field::maybe_flag("--readers", readers),
        upstream_tls: upstream_tls([
            flags.upstream_ca,
            flags.upstream_name,
            flags.upstream_cert,
            flags.upstream_key,
        ]),
        ..RouteDraft::default()
    };
    settings(flags.front, tenant, route, flags.process)
}

fn settings(
    front: FrontFlags,
    tenant: TenantDraft,
    route: RouteDraft,
    process: ProcessFlags,
) -> Result<Settings, ConfigErrors> {
    let id = match tenant.id {
        Field::Absent => flag_text("--tenant", MAIN),
        given => given,
    };
    let client_auth = match front.client_ca {
        Some(_) => flag_text("--client-ca", "required"),
        None => Field::Absent,
    };
    let log_format = process.log_format.map(|format| match format {
        LogFormatFlag::Text => "text".to_owned(),
        LogFormatFlag::Json => "json".to_owned(),
    });
    let draft = Draft {
        workers: Field::maybe_flag("--workers", process.workers),
        admin: Field::maybe_flag("--admin", process.admin),
        log_format: Field::maybe_flag("--log-format", log_format),
        log_level: Field::maybe_flag("--log-level", process.log_level),
        listeners: vec![ListenerDraft {
            at: At::flag("--listen"),
            name: flag_text("--listen", MAIN),
            listen: texts("--listen", front.listen),
        }],
        tenants: vec![TenantDraft {
            at: At::flag("--cert"),
            id: id.clone(),
            default: Field::flag("--cert", true),
            certificate: Field::flag("--cert", front.cert),
            key: Field::flag("--key", front.key),
            client_auth,
            client_ca: Field::maybe_flag("--client-ca", front.client_ca),
            ..tenant
        }],
        routes: vec![RouteDraft {
            at: At::flag("--upstream"),
            name: flag_text("--upstream", MAIN),
            tenant: id,
            ..route
        }],
        ..Draft::default()
    };
    let mut report = Report::on_flags();
    let files = Files {
        directory: Path::new(""),
        now: SystemTime::now(),
    };
    let settings = build::settings(&draft, &files, &mut report);
    report.finish(settings)
}

fn flag_text(flag: &str, value: &str) -> Field<String> {
    Field::flag(flag, value.to_owned())
}

fn texts(flag: &str, values: Vec<String>) -> Texts {
    let located = |value| Located {
        value,
        at: At::flag(flag),
    };
    Field::flag(flag, values.into_iter().map(located).collect())
}

fn upstream_tls([ca, name, cert, key]: [Option<String>; 4]) -> Field<UpstreamTlsDraft> {
    // Without roots there is no TLS; the other flags demand them.
    if ca.is_none() {
        return Field::Absent;
    }
    let draft = UpstreamTlsDraft {
        ca: Field::maybe_flag("--upstream-ca", ca),
        server_name: Field::maybe_flag("--upstream-name", name),
        certificate: Field::maybe_flag("--upstream-cert", cert),
        key: Field::maybe_flag("--upstream-key", key),
    };
    Field::flag("--upstream-ca", draft)
}
