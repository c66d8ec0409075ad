//! Which version of HTTP a load speaks: from flags, or from what the target prefers.

use std::time::Duration;

use hyper::http::uri::Scheme;
use serde_json::json;
use thiserror::Error;

use super::{
    CommandError,
    load::{self, Job},
    tenants,
};
use crate::{
    cli::{HttpArgs, HttpVersion, LoadArgs, Place},
    operation::{
        Operation, handshake,
        http1::template::Template,
        http2::{self, head::Heads},
    },
    report::advice::advice,
    run,
    schedule::{Extent, mix::Mix},
    target::{
        client_certificate::Shown,
        tls::Configs,
        url::{Scheme as Spoken, Target},
    },
};

/// What is offered where the target may choose: the first is what we prefer.
const BOTH: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Flags of HTTP that do not fit together, or not the target. The operator's fault.
#[derive(Debug, Error)]
pub enum HttpError {
    /// Nobody chooses without ALPN.
    #[error(
        "--http auto lets the target choose by ALPN, and without TLS there is none: write --http 1.1, or --http 2 for prior knowledge"
    )]
    AutoWithoutTls,
    /// Each would ask for itself.
    #[error(
        "--http auto asks the target from one machine, and there are agents: write --http 1.1 or --http 2"
    )]
    AutoWithAgents,
    /// HTTP/1.1 has no streams.
    #[error(
        "-m {0} is for HTTP/2, and {1} is spoken here, one request at a time on each connection: add --http 2, or raise -c instead"
    )]
    StreamsWithoutHttp2(u32, &'static str),
    /// The target does not tell what it prefers.
    #[error("cannot ask for the version of HTTP: {0}")]
    Probe(String),
}

/// The version that is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 with so many streams at once on each connection.
    Http2(usize),
}

impl Version {
    /// The version that the flags ask for; with `auto`, the target is asked.
    ///
    /// # Errors
    ///
    /// When the flags are of no use, or the target cannot be asked.
    pub fn choose(args: &HttpArgs, target: &Target, load: &LoadArgs) -> Result<Self, CommandError> {
        let is_http2 = match args.version.unwrap_or(HttpVersion::Http1) {
            HttpVersion::Http1 => false,
            HttpVersion::Http2 => true,
            HttpVersion::Auto if !target.scheme.encrypted() => {
                return Err(HttpError::AutoWithoutTls.into());
            }
            HttpVersion::Auto if load.agents.place != Place::Alone => {
                return Err(HttpError::AutoWithAgents.into());
            }
            HttpVersion::Auto => prefers_http2(target, load)?,
        };
        match (is_http2, args.streams) {
            (true, streams) => Ok(Version::Http2(streams.unwrap_or(1) as usize)),
            (false, None | Some(1)) => Ok(Version::Http1),
            (false, Some(streams)) => {
                let spoken = match args.version {
                    Some(HttpVersion::Auto) => "HTTP/1.1, which the target prefers,",
                    _ => "HTTP/1.1",
                };
                Err(HttpError::StreamsWithoutHttp2(streams, spoken).into())
            }
        }
    }

    /// The operation that sends requests as `template` says.
    ///
    /// # Errors
    ///
    /// When HTTP/2 cannot carry them.
    pub fn operation(
        self,
        template: Template,
        target: &Target,
        load: &LoadArgs,
    ) -> Result<Operation, CommandError> {
        match self {
            Version::Http1 => Ok(Operation::Request(Box::new(template))),
            Version::Http2(streams) => {
                let scheme = match target.scheme {
                    Spoken::Https | Spoken::Tls => Scheme::HTTPS,
                    Spoken::Http | Spoken::Tcp => Scheme::HTTP,
                };
                let tenants = tenants::tenants(load)?;
                let heads = Heads::new(&template, scheme, tenants.as_deref())?;
                Ok(Operation::Http2(Box::new(http2::Settings {
                    heads,
                    template,
                    streams,
                })))
            }
        }
    }

    /// Its name in the report.
    pub fn name(self) -> &'static str {
        match self {
            Version::Http1 => "1.1",
            Version::Http2(_) => "2",
        }
    }

    /// Requests under way at once on each connection; none where there can only be one.
    pub fn streams(self) -> Option<usize> {
        match self {
            Version::Http1 => None,
            Version::Http2(streams) => Some(streams),
        }
    }
}

/// Shakes hands once, offering both; a target without ALPN speaks HTTP/1.1.
fn prefers_http2(target: &Target, load: &LoadArgs) -> Result<bool, CommandError> {
    let settings = handshake::Settings {
        close: handshake::Close::Notify,
        certificate: Shown::Always,
        resumes: false,
    };
    let mut plan = load::plan(&Job {
        name: "probe",
        target: target.clone(),
        operation: Operation::Handshake(settings),
        mix: Mix::default(),
        load,
        others: Vec::new(),
        particulars: json!({}),
    })?;
    let tls = Configs::new(&load.tls, &target.host, &BOTH, plan.mix.tenants())?;
    plan.tls = Some(tls);
    (plan.connections, plan.threads, plan.open) = (1, 1, None);
    plan.extent = Extent {
        duration: None,
        operations: Some(1),
        warmup: Duration::ZERO,
    };
    let sums = run::run(plan, None)?.collected.totals;
    if sums.connections.established == 0 {
        return Err(HttpError::Probe(advice(&sums, &target.to_string())).into());
    }
    Ok(sums.connections.negotiated.alpn.contains_key("h2"))
}
