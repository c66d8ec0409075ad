//! A draft becomes settings: the one place where a configuration is checked.
//!
//! Each part is built as far as it goes and says what is wrong with it; the whole is put together only
//! when nothing was. Time is an argument; files and the resolver are read here and in `pem`.

mod values;
mod keys;
mod listener;
mod tenant;
mod route;
mod upstream;
mod target;
mod placement;

use std::net::SocketAddr;

use sealgate_tls::Engine;
use sealgate_uring::Receive;

pub(super) use self::values::written;
use self::values::{
    CONNECT, DRAIN, HANDSHAKE, HANDSHAKES_PER_TURN, HEAD, IDLE, KEEP_ALIVE, MAX_CONNECTIONS,
    MAX_HEAD_BYTES, MAX_HEAD_FIELDS, MAX_IDLE_UPSTREAM, MAX_UPSTREAM_REQUESTS, RESPONSE, WORKERS,
};
use super::draft::{Draft, Field, LimitsDraft, TimeoutsDraft};
use super::errors::{At, Report};
use super::pem::Files;
use super::problem::{Problem, Warning};
use crate::settings::{
    IoUringSettings, LimitSettings, LogFormat, LogSettings, Settings, TimeoutSettings, TlsSettings,
};

/// The settings, or `None` where the report has errors.
pub(super) fn settings(draft: &Draft, files: &Files<'_>, report: &mut Report) -> Option<Settings> {
    let workers = match draft.workers.is_absent() {
        true => Some(None),
        false => values::number(&draft.workers, WORKERS, report).map(Some),
    };
    let io_uring = io_uring(draft, report);
    let log = log(draft, report);
    let tls = tls(draft, report);
    let limits = limits(&draft.limits, report);
    let timeouts = timeouts(&draft.timeouts, report);
    let keys = keys::build(&draft.keys, report);
    let listeners = listener::build(&draft.listeners, report);
    let admin = admin(&draft.admin, &listeners.owners, report);
    let tenants = tenant::build(&draft.tenants, files, report);

    let context = route::Context {
        draft,
        files,
        owners: &listeners.owners,
        admin: draft.admin.given().and_then(|_| admin.flatten()),
        tenant_index: &tenants.index,
        listener_index: &listeners.index,
    };
    let routes = route::build(&context, report);
    uses(draft, &routes, report);
    sections_exist(draft, report);
    if report.has_errors() {
        return None;
    }
    Some(Settings {
        workers: workers?,
        io_uring: io_uring?,
        listeners: listeners.settings.into_iter().collect::<Option<_>>()?,
        tenants: tenants.settings.into_iter().collect::<Option<_>>()?,
        routes: routes
            .into_iter()
            .map(|route| route.settings)
            .collect::<Option<_>>()?,
        admin: admin?,
        log: log?,
        tls: tls?,
        limits: limits?,
        timeouts: timeouts?,
        keys: keys?,
        warnings: Vec::new(),
    })
}

/// How a part is called in messages, also where its name is missing.
fn called<'a>(name: &'a Field<String>, at: &'a At) -> &'a str {
    name.given()
        .map_or(at.key.as_str(), |name| name.value.as_str())
}

fn io_uring(draft: &Draft, report: &mut Report) -> Option<IoUringSettings> {
    let receive = match &draft.io_uring_receive {
        Field::Absent => Some(Receive::default()),
        Field::Broken => None,
        Field::Given(given) => values::choice(
            given,
            &["multishot", "one-shot"],
            &[Receive::Multishot, Receive::OneShot],
            report,
        ),
    };
    Some(IoUringSettings { receive: receive? })
}

fn log(draft: &Draft, report: &mut Report) -> Option<LogSettings> {
    let format = match &draft.log_format {
        Field::Absent => Some(LogFormat::Text),
        Field::Broken => None,
        Field::Given(given) => values::choice(
            given,
            &["text", "json"],
            &[LogFormat::Text, LogFormat::Json],
            report,
        ),
    };
    let level = match &draft.log_level {
        Field::Absent => Some("info".to_owned()),
        Field::Broken => None,
        Field::Given(given) if !values::is_log_level(&given.value) => {
            report.error(
                &given.at,
                Problem::BadLevel {
                    given: given.value.clone(),
                },
            );
            None
        }
        Field::Given(given) => Some(given.value.clone()),
    };
    Some(LogSettings {
        format: format?,
        level: level?,
    })
}

fn tls(draft: &Draft, report: &mut Report) -> Option<TlsSettings> {
    let engine = match &draft.tls_engine {
        Field::Absent => Some(Engine::default()),
        Field::Broken => None,
        Field::Given(given) => values::choice(
            given,
            &["direct", "rustls"],
            &[Engine::Direct, Engine::Rustls],
            report,
        ),
    };
    Some(TlsSettings { engine: engine? })
}

fn limits(draft: &LimitsDraft, report: &mut Report) -> Option<LimitSettings> {
    let max_connections = values::number(&draft.max_connections, MAX_CONNECTIONS, report);
    let max_head_bytes = values::number(&draft.max_head_bytes, MAX_HEAD_BYTES, report);
    let max_head_fields = values::number(&draft.max_head_fields, MAX_HEAD_FIELDS, report);
    let max_idle_upstream = values::number(&draft.max_idle_upstream, MAX_IDLE_UPSTREAM, report);
    let max_upstream_requests =
        values::number(&draft.max_upstream_requests, MAX_UPSTREAM_REQUESTS, report);
    let handshakes_per_turn =
        values::number(&draft.handshakes_per_turn, HANDSHAKES_PER_TURN, report);
    Some(LimitSettings {
        max_connections: max_connections?,
        max_head_bytes: max_head_bytes?,
        max_head_fields: max_head_fields?,
        max_idle_upstream: max_idle_upstream?,
        max_upstream_requests: max_upstream_requests?,
        handshakes_per_turn: handshakes_per_turn?,
    })
}

fn timeouts(draft: &TimeoutsDraft, report: &mut Report) -> Option<TimeoutSettings> {
    let handshake = values::duration(&draft.handshake, HANDSHAKE, report);
    let connect = values::duration(&draft.connect, CONNECT, report);
    let idle = values::duration(&draft.idle, IDLE, report);
    let head = values::duration(&draft.head, HEAD, report);
    let keep_alive = values::duration(&draft.keep_alive, KEEP_ALIVE, report);
    let response = values::duration(&draft.response, RESPONSE, report);
    let drain = values::duration(&draft.drain, DRAIN, report);
    Some(TimeoutSettings {
        handshake: handshake?,
        connect: connect?,
        idle: idle?,
        head: head?,
        keep_alive: keep_alive?,
        response: response?,
        drain: drain?,
    })
}

/// `Some(None)`: none is wanted; `None`: the report says why not.
fn admin(
    field: &Field<String>,
    owners: &listener::Owners,
    report: &mut Report,
) -> Option<Option<SocketAddr>> {
    let given = match field {
        Field::Absent => return Some(None),
        Field::Broken => return None,
        Field::Given(given) => given,
    };
    let address = listener::address(given, report)?;
    if !address.ip().is_loopback() {
        report.error(&given.at, Problem::NotLoopback { given: address });
        return None;
    }
    if let Some(owner) = owners.get(&address) {
        let owner = format!("listener \"{owner}\"");
        report.error(&given.at, Problem::AddressTaken { address, owner });
        return None;
    }
    Some(Some(address))
}

/// An empty list of tables is an error of the whole; a list whose tables are broken is not empty.
fn sections_exist(draft: &Draft, report: &mut Report) {
    let lists = [
        (draft.listeners.is_empty(), "[[listener]]"),
        (draft.tenants.is_empty(), "[[tenant]]"),
        (draft.routes.is_empty(), "[[route]]"),
    ];
    for (empty, section) in lists {
        if empty {
            report.error(&At::whole(), Problem::NoSection { section });
        }
    }
}

/// What the routes make of tenants and listeners: unused ones, and policies that could never act.
fn uses(draft: &Draft, routes: &[route::Built], report: &mut Report) {
    // A route that could not be placed might have been the missing use.
    let all_placed = routes
        .iter()
        .all(|route| route.tenant.is_some() && route.kind.is_some());
    if draft.routes.is_empty() || !all_placed {
        return;
    }
    let mut kinds: Vec<Vec<route::Kind>> = vec![Vec::new(); draft.tenants.len()];
    let mut used = vec![false; draft.listeners.len()];
    for route in routes {
        if let (Some(tenant), Some(kind)) = (route.tenant, route.kind) {
            kinds[tenant].push(kind);
        }
        for listener in &route.listeners {
            used[*listener] = true;
        }
    }
    for (draft, kinds) in draft.tenants.iter().zip(&kinds) {
        tenant::warn_of_unused(draft, kinds, report);
    }
    for (draft, used) in draft.listeners.iter().zip(used) {
        if let (false, Some(name)) = (used, draft.name.given()) {
            report.warn(
                &name.at,
                Warning::ListenerWithoutRoute {
                    listener: name.value.clone(),
                },
            );
        }
    }
}
