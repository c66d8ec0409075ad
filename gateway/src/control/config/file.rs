//! The TOML file: every key it may have, and how it becomes a draft.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use toml::de::DeTable;

use super::draft::{
    Draft, Field, KeysDraft, LimitsDraft, ListenerDraft, Located, RouteDraft, TenantDraft,
    TimeoutsDraft, UpstreamTlsDraft,
};
use super::errors::{At, Report};
use super::problem::Problem;
use super::section::{Kind, Lines, Section};

/// Room for a hundred thousand tenants; a configuration beyond it is the wrong file.
const MAX_FILE_BYTES: usize = 64 << 20;
/// A broken file is one mistake, mostly: the parser's later complaints only follow from it.
const MAX_SYNTAX_ERRORS: usize = 20;

static ROOT: Kind = Kind {
    header: "the top of the file",
    keys: &[
        "workers", "io_uring", "admin", "log", "tls", "limits", "timeouts", "keys", "listener",
        "tenant", "route",
    ],
};
static IO_URING: Kind = Kind {
    header: "[io_uring]",
    keys: &["receive"],
};
static ADMIN: Kind = Kind {
    header: "[admin]",
    keys: &["listen"],
};
static LOG: Kind = Kind {
    header: "[log]",
    keys: &["format", "level"],
};
static TLS: Kind = Kind {
    header: "[tls]",
    keys: &["engine"],
};
static LIMITS: Kind = Kind {
    header: "[limits]",
    keys: &[
        "max_connections",
        "max_head_bytes",
        "max_head_fields",
        "max_idle_upstream",
        "max_upstream_requests",
        "handshakes_per_turn",
    ],
};
static TIMEOUTS: Kind = Kind {
    header: "[timeouts]",
    keys: &[
        "handshake",
        "connect",
        "idle",
        "head",
        "keep_alive",
        "response",
        "drain",
    ],
};
static KEYS: Kind = Kind {
    header: "[keys]",
    keys: &[
        "soft_lifetime",
        "hard_lifetime",
        "unused_lifetime",
        "rotate_epoch_after",
    ],
};
static LISTENER: Kind = Kind {
    header: "[[listener]]",
    keys: &["name", "listen"],
};
static TENANT: Kind = Kind {
    header: "[[tenant]]",
    keys: &[
        "id",
        "names",
        "default",
        "certificate",
        "key",
        "client_auth",
        "client_ca",
        "keyring",
    ],
};
static ROUTE: Kind = Kind {
    header: "[[route]]",
    keys: &[
        "name",
        "tenant",
        "listener",
        "protocol",
        "class",
        "path",
        "upstream",
        "readers",
        "header_bytes",
        "frame_bytes",
        "alpn",
        "upstream_tls",
    ],
};
static UPSTREAM_TLS: Kind = Kind {
    header: "[route.upstream_tls]",
    keys: &["ca", "server_name", "certificate", "key"],
};
static KINDS: [&Kind; 12] = [
    &ROOT,
    &IO_URING,
    &ADMIN,
    &LOG,
    &TLS,
    &LIMITS,
    &TIMEOUTS,
    &KEYS,
    &LISTENER,
    &TENANT,
    &ROUTE,
    &UPSTREAM_TLS,
];

/// Reads the file; `None` where there is nothing to build from, which is then in the report.
pub(super) fn read(path: &Path, report: &mut Report) -> Option<Draft> {
    let bytes = match read_bounded(path) {
        Ok(bytes) if bytes.len() <= MAX_FILE_BYTES => bytes,
        Ok(_) => {
            report.error(
                &At::whole(),
                Problem::TooLong {
                    limit: MAX_FILE_BYTES,
                },
            );
            return None;
        }
        Err(error) => {
            report.error(&At::whole(), Problem::Unreadable(error.kind()));
            return None;
        }
    };
    let text = match std::str::from_utf8(&bytes) {
        Ok(text) => text,
        Err(error) => {
            let good = &bytes[..error.valid_up_to()];
            let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
            report.error(
                &At {
                    line: Some(line),
                    ..At::default()
                },
                Problem::NotUtf8,
            );
            return None;
        }
    };
    parse(text, report)
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(MAX_FILE_BYTES as u64 + 1)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The text of a file to a draft; `None` where it is not TOML.
pub(super) fn parse(text: &str, report: &mut Report) -> Option<Draft> {
    let lines = Lines::of(text);
    let (table, errors) = DeTable::parse_recoverable(text);
    let offsets = errors
        .iter()
        .map(|error| error.span().map_or(0, |span| span.start));
    let mut syntax: Vec<(usize, &str)> = offsets
        .zip(errors.iter().map(|error| error.message()))
        .collect();
    syntax.sort_by_key(|(offset, _)| *offset);
    // One line breaks in one place; what follows on it are echoes.
    syntax.dedup_by_key(|(offset, _)| lines.line(*offset));
    for (offset, message) in syntax.into_iter().take(MAX_SYNTAX_ERRORS) {
        let (line, column) = (lines.line(offset), lines.column(offset));
        let at = At {
            line: Some(line),
            column: Some(column),
            key: String::new(),
        };
        report.error(
            &at,
            Problem::Syntax {
                message: message.to_owned(),
            },
        );
    }
    if !errors.is_empty() {
        return None;
    }
    Some(whole(
        &Section::root(table.get_ref(), &ROOT, &lines),
        report,
    ))
}

fn whole(root: &Section<'_>, report: &mut Report) -> Draft {
    let mut draft = Draft {
        workers: root.integer("workers", report),
        ..Draft::default()
    };
    if let Field::Given(Located { value: ring, .. }) = root.table("io_uring", &IO_URING, report) {
        draft.io_uring_receive = ring.text("receive", "\"multishot\" or \"one-shot\"", report);
        finish(&ring, report);
    }
    if let Field::Given(Located { value: admin, .. }) = root.table("admin", &ADMIN, report) {
        draft.admin = admin.required_text("listen", "\"127.0.0.1:9900\"", report);
        finish(&admin, report);
    }
    if let Field::Given(Located { value: log, .. }) = root.table("log", &LOG, report) {
        draft.log_format = log.text("format", "\"text\" or \"json\"", report);
        draft.log_level = log.text("level", "\"info\"", report);
        finish(&log, report);
    }
    if let Field::Given(Located { value: tls, .. }) = root.table("tls", &TLS, report) {
        draft.tls_engine = tls.text("engine", "\"direct\" or \"rustls\"", report);
        finish(&tls, report);
    }
    if let Field::Given(Located { value: limits, .. }) = root.table("limits", &LIMITS, report) {
        draft.limits = self::limits(&limits, report);
    }
    if let Field::Given(Located {
        value: timeouts, ..
    }) = root.table("timeouts", &TIMEOUTS, report)
    {
        draft.timeouts = self::timeouts(&timeouts, report);
    }
    if let Field::Given(Located { value: keys, .. }) = root.table("keys", &KEYS, report) {
        draft.keys = self::keys(&keys, report);
    }
    for section in root.tables("listener", &LISTENER, report) {
        draft.listeners.push(listener(&section, report));
    }
    for section in root.tables("tenant", &TENANT, report) {
        draft.tenants.push(tenant(&section, report));
    }
    for section in root.tables("route", &ROUTE, report) {
        draft.routes.push(route(&section, report));
    }
    finish(root, report);
    draft
}

fn finish(section: &Section<'_>, report: &mut Report) {
    section.refuse_unknown_keys(&KINDS, report);
}

fn limits(section: &Section<'_>, report: &mut Report) -> LimitsDraft {
    finish(section, report);
    LimitsDraft {
        max_connections: section.integer("max_connections", report),
        max_head_bytes: section.integer("max_head_bytes", report),
        max_head_fields: section.integer("max_head_fields", report),
        max_idle_upstream: section.integer("max_idle_upstream", report),
        max_upstream_requests: section.integer("max_upstream_requests", report),
        handshakes_per_turn: section.integer("handshakes_per_turn", report),
    }
}

fn timeouts(section: &Section<'_>, report: &mut Report) -> TimeoutsDraft {
    finish(section, report);
    let mut duration = |key| section.text(key, "a duration in quotes, like \"10s\"", report);
    TimeoutsDraft {
        handshake: duration("handshake"),
        connect: duration("connect"),
        idle: duration("idle"),
        head: duration("head"),
        keep_alive: duration("keep_alive"),
        response: duration("response"),
        drain: duration("drain"),
    }
}

fn keys(section: &Section<'_>, report: &mut Report) -> KeysDraft {
    finish(section, report);
    let mut duration = |key| section.text(key, "a duration in quotes, like \"5m\"", report);
    KeysDraft {
        soft_lifetime: duration("soft_lifetime"),
        hard_lifetime: duration("hard_lifetime"),
        unused_lifetime: duration("unused_lifetime"),
        rotate_epoch_after: duration("rotate_epoch_after"),
    }
}

fn listener(section: &Section<'_>, report: &mut Report) -> ListenerDraft {
    finish(section, report);
    ListenerDraft {
        at: section.at(),
        name: section.required_text("name", "\"public\"", report),
        listen: section.required_texts("listen", "\"0.0.0.0:8443\"", report),
    }
}

fn tenant(section: &Section<'_>, report: &mut Report) -> TenantDraft {
    finish(section, report);
    TenantDraft {
        at: section.at(),
        id: section.required_text("id", "\"acme\"", report),
        names: section.texts("names", "[\"acme.example\"]", report),
        default: section.boolean("default", report),
        certificate: section.text("certificate", "\"acme.pem\"", report),
        key: section.text("key", "\"acme.key\"", report),
        client_auth: section.text(
            "client_auth",
            "\"none\", \"optional\" or \"required\"",
            report,
        ),
        client_ca: section.text("client_ca", "\"acme-clients.pem\"", report),
        keyring: section.text("keyring", "\"acme.keyring\"", report),
    }
}

fn route(section: &Section<'_>, report: &mut Report) -> RouteDraft {
    finish(section, report);
    RouteDraft {
        at: section.at(),
        name: section.required_text("name", "\"acme-objects\"", report),
        tenant: section.required_text("tenant", "\"acme\"", report),
        listeners: section.texts("listener", "\"public\"", report),
        protocol: section.required_text("protocol", "\"http\" or \"tcp\"", report),
        class: section.required_text("class", "\"terminated\"", report),
        path: section.text("path", "\"/objects/\"", report),
        upstream: section.required_texts(
            "upstream",
            "\"http://127.0.0.1:9080\" (http) or \"127.0.0.1:9000\" (tcp)",
            report,
        ),
        readers: section.text("readers", "\"mtls\" or \"anyone\"", report),
        header_bytes: section.integer("header_bytes", report),
        frame_bytes: section.integer("frame_bytes", report),
        alpn: section.texts("alpn", "[\"foo/1\"]", report),
        upstream_tls: match section.table("upstream_tls", &UPSTREAM_TLS, report) {
            Field::Absent => Field::Absent,
            Field::Broken => Field::Broken,
            Field::Given(Located { value, at }) => Field::Given(Located {
                value: upstream_tls(&value, report),
                at,
            }),
        },
    }
}

fn upstream_tls(section: &Section<'_>, report: &mut Report) -> UpstreamTlsDraft {
    finish(section, report);
    UpstreamTlsDraft {
        ca: section.required_text("ca", "\"backend-ca.pem\"", report),
        server_name: section.text("server_name", "\"backend.internal\"", report),
        certificate: section.text("certificate", "\"acme-to-backend.pem\"", report),
        key: section.text("key", "\"acme-to-backend.key\"", report),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFERENCE: &str = include_str!("../../../../config/gateway.toml");

    #[test]
    fn the_reference_file_shows_every_key() {
        for kind in KINDS {
            for key in kind.keys {
                let header = [
                    format!("[{key}]"),
                    format!("[[{key}]]"),
                    format!("[route.{key}]"),
                ];
                let shown = REFERENCE.lines().any(|line| {
                    line.starts_with(&format!("{key} = ")) || header.contains(&line.to_owned())
                });
                assert!(shown, "{key} of {}", kind.header);
            }
        }
    }

    #[test]
    fn truncations_of_the_reference_at_every_byte_do_not_panic() {
        for end in 0..REFERENCE.len() {
            let mut report = Report::on_file(Path::new("gateway.toml"));
            if let Some(text) = REFERENCE.get(..end) {
                let draft = parse(text, &mut report);
                assert!(draft.is_some() || report.has_errors(), "{end}");
            }
        }
    }
}
