//! A configuration as it was written: typed, located, unchecked.
//!
//! The file reader and the command line both make a draft; `build` alone turns one into settings.

use super::errors::At;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Located<T> {
    pub(super) value: T,
    pub(super) at: At,
}

/// A key that may have been written. `Broken` was written, and its error is reported already:
/// what depends on it keeps silent, so that one mistake is one error.
#[derive(Clone, Debug, Default)]
pub(super) enum Field<T> {
    #[default]
    Absent,
    Broken,
    Given(Located<T>),
}

impl<T> Field<T> {
    /// A value that stands at a flag of the command line.
    pub(super) fn flag(name: &str, value: T) -> Self {
        Self::Given(Located {
            value,
            at: At::flag(name),
        })
    }

    /// A value that may stand at a flag of the command line.
    pub(super) fn maybe_flag(name: &str, value: Option<T>) -> Self {
        value.map_or(Self::Absent, |value| Self::flag(name, value))
    }

    /// The value, where there is a usable one.
    pub(super) fn given(&self) -> Option<&Located<T>> {
        match self {
            Self::Given(located) => Some(located),
            Self::Absent | Self::Broken => None,
        }
    }

    /// Whether the key was not written at all.
    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

/// A list of texts, each with its own place.
pub(super) type Texts = Field<Vec<Located<String>>>;

/// The whole.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) workers: Field<i64>,
    pub(super) io_uring_receive: Field<String>,
    pub(super) admin: Field<String>,
    pub(super) log_format: Field<String>,
    pub(super) log_level: Field<String>,
    pub(super) tls_engine: Field<String>,
    pub(super) limits: LimitsDraft,
    pub(super) timeouts: TimeoutsDraft,
    pub(super) keys: KeysDraft,
    pub(super) listeners: Vec<ListenerDraft>,
    pub(super) tenants: Vec<TenantDraft>,
    pub(super) routes: Vec<RouteDraft>,
}

/// `[limits]`
#[derive(Default)]
pub(super) struct LimitsDraft {
    pub(super) max_connections: Field<i64>,
    pub(super) max_head_bytes: Field<i64>,
    pub(super) max_head_fields: Field<i64>,
    pub(super) max_idle_upstream: Field<i64>,
    pub(super) max_upstream_requests: Field<i64>,
    pub(super) handshakes_per_turn: Field<i64>,
}

/// `[timeouts]`
#[derive(Default)]
pub(super) struct TimeoutsDraft {
    pub(super) handshake: Field<String>,
    pub(super) connect: Field<String>,
    pub(super) idle: Field<String>,
    pub(super) head: Field<String>,
    pub(super) keep_alive: Field<String>,
    pub(super) response: Field<String>,
    pub(super) drain: Field<String>,
}

/// `[keys]`
#[derive(Default)]
pub(super) struct KeysDraft {
    pub(super) soft_lifetime: Field<String>,
    pub(super) hard_lifetime: Field<String>,
    pub(super) unused_lifetime: Field<String>,
    pub(super) rotate_epoch_after: Field<String>,
}

/// `[[listener]]`
#[derive(Default)]
pub(super) struct ListenerDraft {
    pub(super) at: At,
    pub(super) name: Field<String>,
    pub(super) listen: Texts,
}

/// `[[tenant]]`
#[derive(Default)]
pub(super) struct TenantDraft {
    pub(super) at: At,
    pub(super) id: Field<String>,
    pub(super) names: Texts,
    pub(super) default: Field<bool>,
    pub(super) certificate: Field<String>,
    pub(super) key: Field<String>,
    pub(super) client_auth: Field<String>,
    pub(super) client_ca: Field<String>,
    pub(super) keyring: Field<String>,
}

/// `[[route]]`
#[derive(Default)]
pub(super) struct RouteDraft {
    pub(super) at: At,
    pub(super) name: Field<String>,
    pub(super) tenant: Field<String>,
    pub(super) listeners: Texts,
    pub(super) protocol: Field<String>,
    pub(super) class: Field<String>,
    pub(super) path: Field<String>,
    pub(super) upstream: Texts,
    pub(super) readers: Field<String>,
    pub(super) header_bytes: Field<i64>,
    pub(super) frame_bytes: Field<i64>,
    pub(super) alpn: Texts,
    pub(super) upstream_tls: Field<UpstreamTlsDraft>,
}

/// `[route.upstream_tls]`
#[derive(Clone, Debug, Default)]
pub(super) struct UpstreamTlsDraft {
    pub(super) ca: Field<String>,
    pub(super) server_name: Field<String>,
    pub(super) certificate: Field<String>,
    pub(super) key: Field<String>,
}
