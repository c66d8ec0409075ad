//! Sessions to resume, kept where the generator can see and count them.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard},
};

use rustls::{
    NamedGroup,
    client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue},
    pki_types::ServerName,
};
use tokio::sync::Notify;

/// Tickets kept; servers send one to four after a handshake.
const TICKETS: usize = 8;

/// The sessions of one connection slot, for one server name. TLS 1.3 tickets are used once
/// (RFC 8446 §C.4).
#[derive(Debug, Default)]
pub struct Tickets {
    kept: Mutex<Kept>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct Kept {
    group: Option<NamedGroup>,
    tls12: Option<Tls12ClientSessionValue>,
    tls13: VecDeque<Tls13ClientSessionValue>,
}

impl Tickets {
    /// Whether there is a session to resume.
    pub fn any(&self) -> bool {
        let kept = self.kept();
        kept.tls12.is_some() || !kept.tls13.is_empty()
    }

    /// Waits until there is a session to resume.
    pub async fn arrival(&self) {
        while !self.any() {
            // A permit is kept when the ticket comes between the check and the wait.
            self.arrived.notified().await;
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl ClientSessionStore for Tickets {
    fn set_kx_hint(&self, _: ServerName<'static>, group: NamedGroup) {
        self.kept().group = Some(group);
    }

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        self.kept().group
    }

    fn set_tls12_session(&self, _: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.kept().tls12 = Some(value);
        self.arrived.notify_one();
    }

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.kept().tls12.clone()
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {
        self.kept().tls12 = None;
    }

    fn insert_tls13_ticket(&self, _: ServerName<'static>, value: Tls13ClientSessionValue) {
        let mut kept = self.kept();
        if kept.tls13.len() == TICKETS {
            kept.tls13.pop_front();
        }
        kept.tls13.push_back(value);
        self.arrived.notify_one();
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        // The newest: the oldest may have expired.
        self.kept().tls13.pop_back()
    }
}
