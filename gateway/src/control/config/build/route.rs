//! Routes: which tenant, which listeners, which class, and that no two of them contradict.

use std::collections::HashMap;
use std::net::SocketAddr;

use super::super::draft::{Draft, Field, Located, RouteDraft, TenantDraft};
use super::super::errors::Report;
use super::super::nearest::nearest;
use super::super::pem::Files;
use super::super::problem::{Problem, Warning};
use super::listener::Owners;
use super::{tenant, upstream, values};
use crate::http::{HttpClass, HttpRouteSettings, Readers, SealedSettings};
use crate::relay::{TcpClass, TcpRouteSettings};
use crate::settings::{RouteSettings, RouteTarget};

const MAX_ALPN: usize = 16;

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
    fn name(self) -> &'static str {
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
    let mut occupied = HashMap::new();
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
        occupy(context, draft, &route, &mut occupied, report);
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
    let target = kind.and_then(|kind| match kind.protocol() {
        Protocol::Http => http(draft, kind, upstream, report).map(RouteTarget::Http),
        Protocol::Tcp => tcp(draft, kind, upstream, report).map(RouteTarget::Tcp),
    });
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

fn suggestions(given: &str, known: &[&str]) -> (Option<String>, Vec<String>) {
    let nearest = nearest(given, known.iter().copied()).map(str::to_owned);
    (
        nearest,
        known.iter().map(|name| (*name).to_owned()).collect(),
    )
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
    let label = tenant::label(tenant).to_owned();
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

fn http(
    draft: &RouteDraft,
    kind: Kind,
    upstream: Option<crate::upstream::UpstreamSettings>,
    report: &mut Report,
) -> Option<HttpRouteSettings> {
    let path_prefix = path(draft, report);
    let class = match kind {
        Kind::HttpSealed => sealed(draft, report).map(HttpClass::Sealed),
        _ => Some(HttpClass::Terminated),
    };
    Some(HttpRouteSettings {
        class: class?,
        path_prefix: path_prefix?,
        upstream: upstream?,
    })
}

fn path(draft: &RouteDraft, report: &mut Report) -> Option<String> {
    let given = match &draft.path {
        Field::Absent => return Some("/".to_owned()),
        Field::Broken => return None,
        Field::Given(given) => given,
    };
    let path = given.value.as_str();
    let visible = path
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !b"?#".contains(&byte));
    let dots = path
        .split('/')
        .any(|segment| segment == "." || segment == "..");
    if path.starts_with('/') && visible && !dots && !path.contains("//") {
        return Some(path.to_owned());
    }
    report.error(
        &given.at,
        Problem::BadPath {
            given: path.to_owned(),
        },
    );
    None
}

fn sealed(draft: &RouteDraft, report: &mut Report) -> Option<SealedSettings> {
    let readers = match &draft.readers {
        Field::Absent => {
            let at = super::At {
                key: format!("{}.readers", draft.at.key),
                ..draft.at.clone()
            };
            report.error(&at, Problem::NoReaders);
            None
        }
        Field::Broken => None,
        Field::Given(given) => {
            let readers = values::choice(
                given,
                &["mtls", "anyone"],
                &[Readers::Mtls, Readers::Anyone],
                report,
            );
            if readers == Some(Readers::Anyone) {
                let route = draft
                    .name
                    .given()
                    .map_or_else(String::new, |name| name.value.clone());
                report.warn(&given.at, Warning::ReadersAnyone { route });
            }
            readers
        }
    };
    let header = one_of(
        &draft.header_bytes,
        &[1024, 512, 4096],
        "512, 1024 or 4096",
        report,
    );
    let frame = one_of(
        &draft.frame_bytes,
        &[65536, 16384],
        "65536 or 16384",
        report,
    );
    Some(SealedSettings {
        readers: readers?,
        header_len_bytes: header?,
        frame_len_bytes: frame?,
    })
}

/// One of some numbers, the first of which is the default.
fn one_of(
    field: &Field<i64>,
    numbers: &[usize],
    options: &'static str,
    report: &mut Report,
) -> Option<usize> {
    let given = match field {
        Field::Absent => return numbers.first().copied(),
        Field::Broken => return None,
        Field::Given(given) => given,
    };
    if let Some(number) = numbers
        .iter()
        .find(|number| i64::try_from(**number) == Ok(given.value))
    {
        return Some(*number);
    }
    report.error(
        &given.at,
        Problem::NotOneOfNumbers {
            given: given.value,
            options,
        },
    );
    None
}

fn tcp(
    draft: &RouteDraft,
    kind: Kind,
    upstream: Option<crate::upstream::UpstreamSettings>,
    report: &mut Report,
) -> Option<TcpRouteSettings> {
    let class = match kind {
        Kind::TcpPassthrough => TcpClass::Passthrough,
        _ => TcpClass::Terminated,
    };
    let alpn = match draft.alpn.given() {
        Some(texts) => alpn(texts, report),
        None => Vec::new(),
    };
    Some(TcpRouteSettings {
        class,
        upstream: upstream?,
        alpn,
    })
}

fn alpn(texts: &Located<Vec<Located<String>>>, report: &mut Report) -> Vec<Vec<u8>> {
    if texts.value.len() > MAX_ALPN {
        let given = texts.value.len();
        report.error(
            &texts.at,
            Problem::TooManyAlpn {
                given,
                limit: MAX_ALPN,
            },
        );
    }
    let mut protocols: Vec<Vec<u8>> = Vec::new();
    for text in &texts.value {
        let protocol = text.value.as_bytes();
        if protocol.len() > 255 {
            report.error(
                &text.at,
                Problem::BadAlpn {
                    given: text.value.clone(),
                },
            );
        } else if protocols.iter().any(|known| known == protocol) {
            let value = text.value.clone();
            report.error(
                &text.at,
                Problem::Duplicate {
                    what: "protocol",
                    value,
                    first_line: None,
                },
            );
        } else {
            protocols.push(protocol.to_vec());
        }
    }
    protocols
}

/// What a (listener, tenant) pair is used for already.
struct Occupant {
    first: String,
    protocol: Protocol,
    paths: HashMap<String, String>,
}

/// One (listener, tenant) pair has one tcp route, or http routes with different paths.
fn occupy(
    context: &Context<'_>,
    draft: &RouteDraft,
    route: &Built,
    occupied: &mut HashMap<(usize, usize), Occupant>,
    report: &mut Report,
) {
    let (Some(tenant), Some(kind)) = (route.tenant, route.kind) else {
        return;
    };
    let name = draft
        .name
        .given()
        .map_or(draft.at.key.as_str(), |name| name.value.as_str())
        .to_owned();
    let path = draft
        .path
        .given()
        .map_or("/", |path| path.value.as_str())
        .to_owned();
    let path_at = draft.path.given().map_or(&draft.at, |path| &path.at);
    for listener in &route.listeners {
        let tenant_label = tenant::label(&context.draft.tenants[tenant]).to_owned();
        let listener_draft = &context.draft.listeners[*listener];
        let label = listener_draft
            .name
            .given()
            .map_or(listener_draft.at.key.as_str(), |name| name.value.as_str());
        let (tenant, listener, label) = (tenant_label, (*listener, tenant), label.to_owned());
        let Some(occupant) = occupied.get_mut(&listener) else {
            let paths = HashMap::from([(path.clone(), name.clone())]);
            let occupant = Occupant {
                first: name.clone(),
                protocol: kind.protocol(),
                paths,
            };
            occupied.insert(listener, occupant);
            continue;
        };
        let first = occupant.first.clone();
        match (occupant.protocol, kind.protocol()) {
            (Protocol::Tcp, Protocol::Tcp) => {
                report.error(
                    &draft.at,
                    Problem::SecondTcpRoute {
                        tenant,
                        listener: label,
                        first,
                    },
                );
            }
            (Protocol::Http, Protocol::Http) => {
                if let Some(first) = occupant.paths.get(&path).cloned() {
                    let path = path.clone();
                    report.error(
                        path_at,
                        Problem::PathTaken {
                            tenant,
                            listener: label,
                            first,
                            path,
                        },
                    );
                } else {
                    occupant.paths.insert(path.clone(), name.clone());
                }
            }
            (first_protocol, _) => {
                let first_protocol = first_protocol.name();
                report.error(
                    &draft.at,
                    Problem::MixedProtocols {
                        tenant,
                        listener: label,
                        first,
                        first_protocol,
                    },
                );
            }
        }
    }
}
