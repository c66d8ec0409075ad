//! Routes: which tenant, which listeners, which class, and that no two of them contradict.

use std::collections::HashMap;
use std::net::SocketAddr;

use super::super::draft::{Draft, Field, RouteDraft, TenantDraft};
use super::super::errors::Report;
use super::super::nearest::nearest;
use super::super::pem::Files;
use super::super::problem::{MAX_SUGGESTIONS, Problem};
use super::listener::Owners;
use super::placement::Placement;
use super::{called, target, upstream, values};
use crate::settings::RouteSettings;

/// What the routes refer to.
pub(super) struct Context<'a> {
    pub(super) draft: &'a Draft,
    pub(super) files: &'a Files<'a>,
    pub(super) owners: &'a Owners,
    pub(super) admin: Option<SocketAddr>,
    pub(super) tenant_index: &'a HashMap<String, usize>,
    pub(super) listener_index: &'a HashMap<String, usize>,
}

/// One route as far as it could be built.
pub(super) struct Built {
    pub(super) tenant: Option<usize>,
    pub(super) listeners: Vec<usize>,
    pub(super) kind: Option<Kind>,
    pub(super) settings: Option<RouteSettings>,
}

/// Layer 4 or 7.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http,
    Tcp,
}

impl Protocol {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Tcp => "tcp",
        }
    }
}

/// Protocol and exposure class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    HttpTerminated,
    HttpSealed,
    TcpTerminated,
    TcpPassthrough,
}

impl Kind {
    pub(super) fn protocol(self) -> Protocol {
        match self {
            Self::HttpTerminated | Self::HttpSealed => Protocol::Http,
            Self::TcpTerminated | Self::TcpPassthrough => Protocol::Tcp,
        }
    }

    fn class(self) -> &'static str {
        match self {
            Self::HttpTerminated | Self::TcpTerminated => "terminated",
            Self::HttpSealed => "sealed",
            Self::TcpPassthrough => "passthrough",
        }
    }
}

/// Builds every route.
pub(super) fn build(context: &Context<'_>, report: &mut Report) -> Vec<Built> {
    let mut lines = HashMap::new();
    let mut placement = Placement::default();
    let mut routes = Vec::with_capacity(context.draft.routes.len());
    for draft in &context.draft.routes {
        if let Some(name) = values::identifier(&draft.name, report)
            && let Some(first_line) = lines.insert(name.value.clone(), name.at.line)
        {
            let value = name.value.clone();
            report.error(
                &name.at,
                Problem::Duplicate {
                    what: "route",
                    value,
                    first_line,
                },
            );
        }
        let route = one(context, draft, report);
        placement.add(context.draft, draft, &route, report);
        routes.push(route);
    }
    routes
}

fn one(context: &Context<'_>, draft: &RouteDraft, report: &mut Report) -> Built {
    let tenant = tenant_of(context, draft, report);
    let listeners = listeners_of(context, draft, report);
    let protocol = draft.protocol.given().and_then(|given| {
        values::choice(
            given,
            &["http", "tcp"],
            &[Protocol::Http, Protocol::Tcp],
            report,
        )
    });
    let kind = protocol.and_then(|protocol| kind(draft, protocol, report));
    if let Some(kind) = kind {
        refuse_foreign_keys(draft, kind, report);
        if let Some(tenant) = tenant {
            tenant_serves(&context.draft.tenants[tenant], draft, kind, report);
        }
    }
    let upstream =
        protocol.and_then(|protocol| upstream::build(context, draft, protocol, kind, report));
    let target = kind.and_then(|kind| target::build(draft, kind, upstream, report));
    let settings = match (draft.name.given(), tenant, target) {
        (Some(name), Some(tenant), Some(target)) => Some(RouteSettings {
            name: name.value.clone(),
            tenant,
            listeners: listeners.clone(),
            target,
        }),
        _ => None,
    };
    Built {
        tenant,
        listeners,
        kind,
        settings,
    }
}

fn tenant_of(context: &Context<'_>, draft: &RouteDraft, report: &mut Report) -> Option<usize> {
    let given = draft.tenant.given()?;
    if let Some(index) = context.tenant_index.get(&given.value) {
        return Some(*index);
    }
    // Without any tenant, or with one whose id is broken, that is the error.
    let ids: Vec<&str> = context
        .draft
        .tenants
        .iter()
        .filter_map(|tenant| Some(tenant.id.given()?.value.as_str()))
        .collect();
    if !ids.is_empty() && ids.len() == context.draft.tenants.len() {
        let (nearest, known) = suggestions(&given.value, &ids);
        report.error(
            &given.at,
            Problem::UnknownTenant {
                given: given.value.clone(),
                nearest,
                known,
            },
        );
    }
    None
}

fn listeners_of(context: &Context<'_>, draft: &RouteDraft, report: &mut Report) -> Vec<usize> {
    let drafts = &context.draft.listeners;
    let texts = match &draft.listeners {
        Field::Absent => return (0..drafts.len()).collect(),
        Field::Broken => return Vec::new(),
        Field::Given(texts) => &texts.value,
    };
    let names: Vec<&str> = drafts
        .iter()
        .filter_map(|listener| Some(listener.name.given()?.value.as_str()))
        .collect();
    let mut listeners = Vec::new();
    for text in texts {
        match context.listener_index.get(&text.value) {
            Some(index) if listeners.contains(index) => {
                let value = text.value.clone();
                report.error(
                    &text.at,
                    Problem::Duplicate {
                        what: "listener",
                        value,
                        first_line: None,
                    },
                );
            }
            Some(index) => listeners.push(*index),
            None if !names.is_empty() && names.len() == drafts.len() => {
                let (nearest, known) = suggestions(&text.value, &names);
                report.error(
                    &text.at,
                    Problem::UnknownListener {
                        given: text.value.clone(),
                        nearest,
                        known,
                    },
                );
            }
            None => {}
        }
    }
    listeners
}

/// The nearest name, and some to choose from: there may be a hundred thousand.
fn suggestions(given: &str, known: &[&str]) -> (Option<String>, Vec<String>) {
    let nearest = nearest(given, known.iter().copied()).map(str::to_owned);
    let some = known.iter().take(MAX_SUGGESTIONS + 1);
    (nearest, some.map(|name| (*name).to_owned()).collect())
}

fn kind(draft: &RouteDraft, protocol: Protocol, report: &mut Report) -> Option<Kind> {
    const HTTP: &[&str] = &["terminated", "sealed"];
    const TCP: &[&str] = &["terminated", "passthrough"];
    let class = draft.class.given()?;
    let options = match protocol {
        Protocol::Http => "\"terminated\" or \"sealed\"",
        Protocol::Tcp => "\"terminated\" or \"passthrough\"",
    };
    let problem = match (class.value.as_str(), protocol) {
        ("ingest", _) => Problem::NotAvailableYet {
            class: "ingest",
            options,
        },
        ("end-to-end", _) => Problem::NotAvailableYet {
            class: "end-to-end",
            options,
        },
        ("sealed", Protocol::Tcp) => Problem::ClassOfOtherProtocol {
            class: "sealed",
            home: "http",
            options,
        },
        ("passthrough", Protocol::Http) => Problem::ClassOfOtherProtocol {
            class: "passthrough",
            home: "tcp",
            options,
        },
        (_, Protocol::Http) => {
            return values::choice(
                class,
                HTTP,
                &[Kind::HttpTerminated, Kind::HttpSealed],
                report,
            );
        }
        (_, Protocol::Tcp) => {
            return values::choice(
                class,
                TCP,
                &[Kind::TcpTerminated, Kind::TcpPassthrough],
                report,
            );
        }
    };
    report.error(&class.at, problem);
    None
}

/// A key without effect is a misunderstanding, and here it may be one about who can read.
fn refuse_foreign_keys(draft: &RouteDraft, kind: Kind, report: &mut Report) {
    const SEALED: &str = "sealed http routes";
    let is_http = kind.protocol() == Protocol::Http;
    let is_sealed = kind == Kind::HttpSealed;
    let keys = [
        (
            draft.path.given().map(|path| &path.at),
            is_http,
            "http routes",
        ),
        (
            draft.readers.given().map(|readers| &readers.at),
            is_sealed,
            SEALED,
        ),
        (
            draft.header_bytes.given().map(|bytes| &bytes.at),
            is_sealed,
            SEALED,
        ),
        (
            draft.frame_bytes.given().map(|bytes| &bytes.at),
            is_sealed,
            SEALED,
        ),
        (
            draft.alpn.given().map(|alpn| &alpn.at),
            kind == Kind::TcpTerminated,
            "terminated tcp routes",
        ),
        (
            draft.upstream_tls.given().map(|tls| &tls.at),
            kind != Kind::TcpPassthrough,
            "terminated tcp routes and http routes with https:// upstreams",
        ),
    ];
    for (at, applies, home) in keys {
        if let (Some(at), false) = (at, applies) {
            let problem = Problem::KeyDoesNotApply {
                class: kind.class(),
                protocol: kind.protocol().name(),
                home,
            };
            report.error(at, problem);
        }
    }
}

/// What the tenant has to have for this kind of route.
fn tenant_serves(tenant: &TenantDraft, draft: &RouteDraft, kind: Kind, report: &mut Report) {
    let Some(named) = draft.tenant.given() else {
        return;
    };
    let label = called(&tenant.id, &tenant.at).to_owned();
    if kind != Kind::TcpPassthrough && tenant.certificate.is_absent() && tenant.key.is_absent() {
        let (class, protocol) = (kind.class(), kind.protocol().name());
        report.error(
            &named.at,
            Problem::TenantWithoutCertificate {
                class,
                protocol,
                tenant: label.clone(),
            },
        );
    }
    if kind != Kind::HttpSealed {
        return;
    }
    if tenant.keyring.is_absent() {
        report.error(
            &named.at,
            Problem::TenantWithoutKeyring {
                tenant: label.clone(),
            },
        );
    }
    if let Some(readers) = draft.readers.given()
        && readers.value == "mtls"
        && (tenant.client_auth.is_absent()
            || tenant
                .client_auth
                .given()
                .is_some_and(|auth| auth.value == "none"))
    {
        report.error(&readers.at, Problem::ReadersWithoutAuth { tenant: label });
    }
}
