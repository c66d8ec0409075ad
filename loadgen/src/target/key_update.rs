//! New keys under load: a session that asks its peer for a KeyUpdate every so often.

use std::{cell::Cell, fmt, rc::Rc, str::FromStr};

use sealgate_tls::{Facts, KeyUpdates, Opened, Sealed, Session, TlsError};
use thiserror::Error;

use crate::units;

/// How much a connection carries before it asks for new keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Every {
    /// Payload, both ways together.
    Bytes(u64),
    /// Operations.
    Requests(u64),
}

/// An amount that is none. The message is printed behind the flag and the value.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "not an amount between KeyUpdates: write 64MiB for bytes, or 1000req for requests, at least 1"
)]
pub struct EveryError;

impl FromStr for Every {
    type Err = EveryError;

    fn from_str(text: &str) -> Result<Self, EveryError> {
        let amount = |text, what: fn(u64) -> Every| match units::size(text) {
            Ok(amount @ 1..) => Ok(what(amount)),
            _ => Err(EveryError),
        };
        match text.strip_suffix("req") {
            Some(requests) => amount(requests, Every::Requests),
            // A bare number says neither.
            None if text.ends_with(|last: char| last.is_ascii_digit()) => Err(EveryError),
            None => amount(text, Every::Bytes),
        }
    }
}

impl fmt::Display for Every {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Every::Bytes(bytes) => write!(f, "{bytes}B"),
            Every::Requests(requests) => write!(f, "{requests}req"),
        }
    }
}

/// What one connection's session is told, and tells: operations go in, KeyUpdates come out. It goes
/// with the connection, whichever slot uses it.
#[derive(Debug)]
pub struct Meter {
    /// Operations on the connection.
    done: Cell<u64>,
    /// KeyUpdates on all connections of the worker.
    counted: Rc<Cell<KeyUpdates>>,
}

impl Meter {
    /// That of a new connection, whose KeyUpdates are added to `counted`.
    pub fn new(counted: Rc<Cell<KeyUpdates>>) -> Self {
        Self {
            done: Cell::new(0),
            counted,
        }
    }

    /// An operation is done.
    pub fn done(&self) {
        self.done.set(self.done.get() + 1);
    }
}

/// A session that asks for new keys every so often.
pub struct Rekeyed<S> {
    session: S,
    /// None when nothing more is sent.
    every: Option<Every>,
    meter: Rc<Meter>,
    /// Payload since it asked last.
    bytes: u64,
    /// What `meter` had counted when it asked last.
    done: u64,
    /// What `meter` was told.
    told: KeyUpdates,
}

impl<S: Session> Rekeyed<S> {
    /// `session`, which asks for new keys after `every` so much.
    pub fn new(session: S, every: Every, meter: Rc<Meter>) -> Self {
        Self {
            session,
            every: Some(every),
            bytes: 0,
            done: meter.done.get(),
            meter,
            told: KeyUpdates::default(),
        }
    }

    fn is_due(&self) -> bool {
        match self.every {
            Some(Every::Bytes(most)) => self.bytes >= most,
            Some(Every::Requests(most)) => self.meter.done.get() - self.done >= most,
            None => false,
        }
    }

    /// Asks if it is time. While an earlier request has no answer the session queues none, so it
    /// stays time.
    fn ask(&mut self) -> Result<(), TlsError> {
        if !self.is_due() {
            return Ok(());
        }
        let before = self.session.key_updates();
        self.session.request_key_update()?;
        // An engine that does not count does not hold back.
        if before.is_none() || self.session.key_updates() != before {
            (self.bytes, self.done) = (0, self.meter.done.get());
        }
        Ok(())
    }

    fn tell(&mut self) {
        let now = self.session.key_updates().unwrap_or_default();
        if now != self.told {
            let counted = self.meter.counted.get();
            self.meter.counted.set(KeyUpdates {
                sent: counted.sent + now.sent - self.told.sent,
                received: counted.received + now.received - self.told.received,
            });
            self.told = now;
        }
    }
}

impl<S: Session> Session for Rekeyed<S> {
    fn open(&mut self, incoming: &mut [u8], plaintext: &mut [u8]) -> Result<Opened, TlsError> {
        let opened = self.session.open(incoming, plaintext)?;
        self.bytes += opened.produced as u64;
        // Nobody seals while a long answer comes, so here as well; a peer that has closed may be
        // gone.
        let asked = match self.every {
            Some(Every::Bytes(_)) if !self.session.peer_closed() => self.ask(),
            _ => Ok(()),
        };
        self.tell();
        asked.map(|()| opened)
    }

    fn seal(&mut self, plaintext: &[u8], outgoing: &mut [u8]) -> Result<Sealed, TlsError> {
        let asked = self.ask();
        let sealed = asked.and_then(|()| self.session.seal(plaintext, outgoing))?;
        self.bytes += sealed.consumed as u64;
        self.tell();
        Ok(sealed)
    }

    fn request_key_update(&mut self) -> Result<(), TlsError> {
        self.session.request_key_update()
    }

    fn key_updates(&self) -> Option<KeyUpdates> {
        self.session.key_updates()
    }

    fn close(&mut self) {
        self.every = None;
        self.session.close();
    }

    fn wants_transmit(&self) -> bool {
        self.session.wants_transmit()
    }

    fn transmit(&mut self, outgoing: &mut [u8]) -> usize {
        self.session.transmit(outgoing)
    }

    fn is_handshaking(&self) -> bool {
        self.session.is_handshaking()
    }

    fn peer_closed(&self) -> bool {
        self.session.peer_closed()
    }

    fn facts(&self) -> Facts {
        self.session.facts()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_bytes_or_requests_and_never_both_or_none() {
        let parsed = |text: &str| text.parse::<Every>();
        assert_eq!(parsed("64MiB"), Ok(Every::Bytes(64 << 20)));
        assert_eq!(parsed("1000req"), Ok(Every::Requests(1000)));
        assert_eq!(parsed("1kreq").unwrap().to_string(), "1000req");
        for text in [
            "",
            "64",
            "0req",
            "0B",
            "req",
            "1.5req",
            "-1MiB",
            "10requests",
        ] {
            assert_eq!(parsed(text), Err(EveryError), "{text}");
        }
    }
}
