//! Session tickets whose keys are derived, so that a ticket dies with the policy it was issued
//! under.
//!
//! ```text
//! epoch secret --ratchet--> epoch secret' --ratchet--> ...        old ones are wiped
//!      |
//!      +-- HKDF(epoch secret, tenant || listener || digest of the authentication policy) -> key
//! ```
//!
//! A ticket of one tenant, listener or earlier policy is sealed under a key that no other scope
//! derives: it is not refused by a check that could be forgotten, it cannot be opened.

use std::fmt;
use std::sync::{Arc, RwLock};

use aws_lc_rs::aead::{AES_256_GCM, Aad, RandomizedNonceKey};
use aws_lc_rs::{digest, hkdf, rand};
use rustls::server::ProducesTickets;
use zeroize::Zeroizing;

/// How long a ticket may be used: two epochs, since the previous one still opens.
const TICKET_LIFETIME_SECONDS: u32 = 2 * 6 * 3600;

/// The secrets of the current and the previous epoch, shared by all tickets of the process.
///
/// [`advance`](EpochSecrets::advance) ratchets forward every six hours: what was issued two epochs
/// ago cannot be opened any more, not even by who takes the process over.
pub struct EpochSecrets {
    epochs: RwLock<Epochs>,
}

struct Epochs {
    number: u64,
    current: Zeroizing<[u8; 32]>,
    previous: Option<Zeroizing<[u8; 32]>>,
}

impl EpochSecrets {
    /// How long an epoch lasts.
    pub const EPOCH: std::time::Duration = std::time::Duration::from_secs(6 * 3600);

    /// A fresh random first epoch.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn generate() -> Result<EpochSecrets, rustls::Error> {
        let mut current = Zeroizing::new([0; 32]);
        rand::fill(&mut *current).map_err(|_| rustls::Error::FailedToGetRandomBytes)?;
        Ok(EpochSecrets {
            epochs: RwLock::new(Epochs {
                number: 0,
                current,
                previous: None,
            }),
        })
    }

    /// Starts the next epoch and wipes the one before the last.
    pub fn advance(&self) {
        let mut epochs = self
            .epochs
            .write()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        let next = expand(&epochs.current, &[b"sealgate ticket ratchet"]);
        let current = std::mem::replace(&mut epochs.current, next);
        epochs.previous = Some(current);
        epochs.number += 1;
    }

    fn keys(&self, scope: &[u8; 32]) -> (u64, TicketKey, Option<TicketKey>) {
        let epochs = self
            .epochs
            .read()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        let derive = |secret: &[u8; 32]| TicketKey::derive(secret, scope);
        (
            epochs.number,
            derive(&epochs.current),
            epochs.previous.as_ref().map(|s| derive(s)),
        )
    }

    fn number(&self) -> u64 {
        self.epochs
            .read()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .number
    }
}

/// Whom a ticket is for. Everything that decides who may connect belongs in it.
pub struct TicketScope<'a> {
    /// The tenant's id.
    pub tenant: &'a str,
    /// The listener's name.
    pub listener: &'a str,
    /// What the tenant's authentication policy consists of: mode, roots, certificate, protocol.
    pub policy: &'a [&'a [u8]],
}

impl TicketScope<'_> {
    fn digest(&self) -> [u8; 32] {
        let mut context = digest::Context::new(&digest::SHA256);
        let parts = [self.tenant.as_bytes(), self.listener.as_bytes()];
        // Lengths go in, so that no two scopes concatenate to the same bytes.
        for part in parts.iter().chain(self.policy) {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut out = [0; 32];
        out.copy_from_slice(context.finish().as_ref());
        out
    }
}

/// Seals and opens the tickets of one scope.
///
/// Each worker has its own, so its lock is never contended: it guards the keys derived for the
/// epoch at hand against the next call's finding a new epoch.
pub struct Ticketer {
    secrets: Arc<EpochSecrets>,
    scope: [u8; 32],
    keys: RwLock<(u64, TicketKey, Option<TicketKey>)>,
}

impl Ticketer {
    /// The ticketer of `scope`.
    pub fn new(secrets: Arc<EpochSecrets>, scope: &TicketScope<'_>) -> Ticketer {
        let scope = scope.digest();
        let keys = RwLock::new(secrets.keys(&scope));
        Ticketer {
            secrets,
            scope,
            keys,
        }
    }

    fn with_keys<T>(&self, f: impl FnOnce(&TicketKey, Option<&TicketKey>) -> T) -> T {
        if self.keys.read().unwrap_or_else(|p| p.into_inner()).0 != self.secrets.number() {
            *self.keys.write().unwrap_or_else(|p| p.into_inner()) = self.secrets.keys(&self.scope);
        }
        let keys = self.keys.read().unwrap_or_else(|p| p.into_inner());
        f(&keys.1, keys.2.as_ref())
    }
}

impl fmt::Debug for Ticketer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticketer")
    }
}

impl ProducesTickets for Ticketer {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        TICKET_LIFETIME_SECONDS
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.with_keys(|current, _| current.seal(plain))
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        self.with_keys(|current, previous| {
            current
                .open(ticket)
                .or_else(|| previous.and_then(|key| key.open(ticket)))
        })
    }
}

/// A derived key and the name by which tickets say that they are under it.
struct TicketKey {
    name: [u8; 16],
    key: RandomizedNonceKey,
}

impl TicketKey {
    fn derive(secret: &[u8; 32], scope: &[u8; 32]) -> TicketKey {
        let key = expand(secret, &[b"sealgate ticket key", scope]);
        let full_name = expand(secret, &[b"sealgate ticket name", scope]);
        let mut name = [0; 16];
        name.copy_from_slice(&full_name[..16]);
        let key = RandomizedNonceKey::new(&AES_256_GCM, &*key)
            .expect("an AES-256 key of 32 bytes is never refused");
        TicketKey { name, key }
    }

    /// name ‖ nonce ‖ ciphertext ‖ tag
    fn seal(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let mut body = plain.to_vec();
        let nonce = self
            .key
            .seal_in_place_append_tag(Aad::from(&self.name), &mut body)
            .ok()?;
        let mut ticket = Vec::with_capacity(self.name.len() + 12 + body.len());
        ticket.extend_from_slice(&self.name);
        ticket.extend_from_slice(nonce.as_ref());
        ticket.extend_from_slice(&body);
        Some(ticket)
    }

    fn open(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let body = ticket.strip_prefix(&self.name)?;
        let (nonce, body) = body.split_first_chunk::<12>()?;
        let mut body = body.to_vec();
        let nonce = aws_lc_rs::aead::Nonce::from(nonce);
        let len = self
            .key
            .open_in_place(nonce, Aad::from(&self.name), &mut body)
            .ok()?
            .len();
        body.truncate(len);
        Some(body)
    }
}

fn expand(secret: &[u8; 32], info: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let mut out = Zeroizing::new([0; 32]);
    hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, secret)
        .expand(info, hkdf::HKDF_SHA256)
        .and_then(|okm| okm.fill(&mut *out))
        .expect("32 bytes are within what HKDF-SHA256 gives");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticketer(secrets: &Arc<EpochSecrets>, tenant: &str, listener: &str, ca: &[u8]) -> Ticketer {
        let policy = [&b"required"[..], ca];
        Ticketer::new(
            Arc::clone(secrets),
            &TicketScope {
                tenant,
                listener,
                policy: &policy,
            },
        )
    }

    #[test]
    fn a_ticket_opens_in_its_own_scope_only() {
        let secrets = Arc::new(EpochSecrets::generate().unwrap());
        let ticket = ticketer(&secrets, "a", "l", b"ca")
            .encrypt(b"session")
            .unwrap();
        assert_eq!(
            ticketer(&secrets, "a", "l", b"ca")
                .decrypt(&ticket)
                .unwrap(),
            b"session"
        );
        for other in [
            ticketer(&secrets, "b", "l", b"ca"),
            ticketer(&secrets, "a", "m", b"ca"),
            ticketer(&secrets, "a", "l", b"other ca"),
            ticketer(&secrets, "al", "", b"ca"),
        ] {
            assert_eq!(other.decrypt(&ticket), None);
        }
    }

    #[test]
    fn a_ticket_outlives_one_epoch_and_not_two() {
        let secrets = Arc::new(EpochSecrets::generate().unwrap());
        let ticketer = ticketer(&secrets, "a", "l", b"ca");
        let ticket = ticketer.encrypt(b"session").unwrap();
        secrets.advance();
        assert!(ticketer.decrypt(&ticket).is_some());
        secrets.advance();
        assert!(ticketer.decrypt(&ticket).is_none());
    }

    #[test]
    fn a_damaged_or_short_ticket_is_refused() {
        let secrets = Arc::new(EpochSecrets::generate().unwrap());
        let ticketer = ticketer(&secrets, "a", "l", b"ca");
        let ticket = ticketer.encrypt(b"session").unwrap();
        for at in 0..ticket.len() {
            let mut damaged = ticket.clone();
            damaged[at] ^= 1;
            assert!(ticketer.decrypt(&damaged).is_none(), "byte {at}");
            assert!(ticketer.decrypt(&ticket[..at]).is_none(), "cut at {at}");
        }
    }
}
