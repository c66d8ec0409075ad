//! Which routes share a listener and a tenant, and that they do not contradict each other.

use std::collections::HashMap;

use super::super::draft::{Draft, Field, RouteDraft};
use super::super::errors::Report;
use super::super::problem::Problem;
use super::called;
use super::route::{Built, Protocol};

/// The (listener, tenant) pairs that routes took so far.
#[derive(Default)]
pub(super) struct Placement {
    taken: HashMap<(usize, usize), Occupant>,
}

/// What a pair is used for already.
struct Occupant {
    /// The first route, and its protocol.
    first: String,
    protocol: Protocol,
    /// Path prefix to route; for http.
    paths: HashMap<String, String>,
}

impl Placement {
    /// Places one more route: a pair has one tcp route, or http routes with different paths.
    pub(super) fn add(
        &mut self,
        draft: &Draft,
        route: &RouteDraft,
        built: &Built,
        report: &mut Report,
    ) {
        let (Some(tenant), Some(kind)) = (built.tenant, built.kind) else {
            return;
        };
        let name = called(&route.name, &route.at);
        let (path, path_at) = match &route.path {
            Field::Absent => ("/", &route.at),
            Field::Broken => return,
            Field::Given(path) => (path.value.as_str(), &path.at),
        };
        for listener in &built.listeners {
            let occupant = self
                .taken
                .entry((*listener, tenant))
                .or_insert_with(|| Occupant {
                    first: name.to_owned(),
                    protocol: kind.protocol(),
                    paths: HashMap::new(),
                });
            let pair = || {
                let (tenant, listener) = (&draft.tenants[tenant], &draft.listeners[*listener]);
                let tenant = called(&tenant.id, &tenant.at).to_owned();
                (tenant, called(&listener.name, &listener.at).to_owned())
            };
            if let Some((at, problem)) = occupant.conflict(kind.protocol(), path, pair) {
                let at = if at == Culprit::Path {
                    path_at
                } else {
                    &route.at
                };
                report.error(at, problem);
            }
            occupant
                .paths
                .entry(path.to_owned())
                .or_insert_with(|| name.to_owned());
        }
    }
}

/// What of the later route an error points at.
#[derive(PartialEq, Eq)]
enum Culprit {
    Route,
    Path,
}

impl Occupant {
    fn conflict(
        &self,
        protocol: Protocol,
        path: &str,
        pair: impl FnOnce() -> (String, String),
    ) -> Option<(Culprit, Problem)> {
        // Its first route is just being placed.
        if self.paths.is_empty() {
            return None;
        }
        let first = self.first.clone();
        match (self.protocol, protocol) {
            (Protocol::Tcp, Protocol::Tcp) => {
                let (tenant, listener) = pair();
                let problem = Problem::SecondTcpRoute {
                    tenant,
                    listener,
                    first,
                };
                Some((Culprit::Route, problem))
            }
            (Protocol::Http, Protocol::Http) => {
                let first = self.paths.get(path)?.clone();
                let (tenant, listener) = pair();
                let path = path.to_owned();
                Some((
                    Culprit::Path,
                    Problem::PathTaken {
                        tenant,
                        listener,
                        first,
                        path,
                    },
                ))
            }
            (Protocol::Http, Protocol::Tcp) | (Protocol::Tcp, Protocol::Http) => {
                let (tenant, listener) = pair();
                let first_protocol = self.protocol.name();
                let problem = Problem::MixedProtocols {
                    tenant,
                    listener,
                    first,
                    first_protocol,
                };
                Some((Culprit::Route, problem))
            }
        }
    }
}
