//! One tenant in the cache: its keyring, the one flight that loads it, who waits for that.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;
use std::time::{Duration, Instant};

use super::{CacheSettings, Held, LoadFault};
use crate::branch_key::WrapCounts;
use crate::keyring::Keyring;
use crate::limits::LOOK_AGAIN;

#[derive(Default)]
pub(super) struct Tenant {
    kept: Option<Kept>,
    /// The flight under way.
    flight: Option<u64>,
    /// The next flight's or waiter's number; none is used twice, so an old flight cannot land in a new one's place.
    number: u64,
    /// `None` for who was not polled yet.
    waiters: BTreeMap<u64, Option<Waker>>,
    failure: Option<Failure>,
    suspicion: Suspicion,
    /// Outlives the keyring, so that a key that was dropped and loaded again goes on counting.
    counts: WrapCounts,
}

struct Kept {
    keyring: Keyring,
    loaded_at: Instant,
    used_at: Instant,
    /// In the hands of who looked it up.
    ended: Arc<AtomicBool>,
}

/// However it goes, those who looked it up hear of it.
impl Drop for Kept {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
    }
}

struct Failure {
    fault: LoadFault,
    retry_at: Instant,
    wait: Duration,
}

/// Loads that were made because somebody's message let one suspect a change.
#[derive(Default)]
struct Suspicion {
    /// The flight under way, where it is one of them.
    flight: Option<u64>,
    /// The age from which what is held is loaded anew on the next suspicion, where the last ones came to nothing.
    wait: Duration,
}

/// What a lookup does next.
pub(super) enum Step {
    Use(Held),
    UseAndLoad(Held, u64),
    Load(u64),
    Wait { flight: u64, slot: u64 },
    Crowded(usize),
    Failed(LoadFault, Duration),
}

impl Tenant {
    /// With nothing. Its flights and waiters get numbers above `number`.
    pub(super) fn numbered_from(number: u64) -> Self {
        Self {
            number,
            ..Self::default()
        }
    }

    pub(super) fn last_number(&self) -> u64 {
        self.number
    }

    pub(super) fn step(&mut self, settings: &CacheSettings, now: Instant) -> Step {
        self.expire(settings, now);
        let is_too_early = |failure: &&Failure| now < failure.retry_at;
        let failure = self.failure.as_ref().filter(is_too_early);
        if let Some(kept) = &mut self.kept {
            kept.used_at = now;
            let held = Held {
                keyring: kept.keyring.clone(),
                until: (now + settings.look_again()).min(kept.loaded_at + settings.hard),
                ended: Arc::clone(&kept.ended),
            };
            let is_young = now.saturating_duration_since(kept.loaded_at) < settings.soft;
            return if is_young || failure.is_some() || self.flight.is_some() {
                Step::Use(held)
            } else {
                Step::UseAndLoad(held, self.begin_flight())
            };
        }
        if let Some(failure) = failure {
            return Step::Failed(failure.fault.clone(), failure.retry_at - now);
        }
        if self.flight.is_none() {
            return Step::Load(self.begin_flight());
        }
        match self.join(settings) {
            Some((flight, slot)) => Step::Wait { flight, slot },
            None => Step::Crowded(self.waiters.len()),
        }
    }

    /// A place among those who wait for the flight under way: its number and the place's.
    pub(super) fn join(&mut self, settings: &CacheSettings) -> Option<(u64, u64)> {
        let flight = self
            .flight
            .filter(|_| self.waiters.len() < settings.waiters)?;
        let slot = self.next_number();
        self.waiters.insert(slot, None);
        Some((flight, slot))
    }

    /// Drops the keyring where its time is over.
    pub(super) fn expire(&mut self, settings: &CacheSettings, now: Instant) {
        let is_over = |kept: &Kept| {
            now.saturating_duration_since(kept.loaded_at) >= settings.hard
                || now.saturating_duration_since(kept.used_at) >= settings.unused
        };
        if self.kept.as_ref().is_some_and(is_over) {
            self.kept = None;
        }
    }

    pub(super) fn land(
        &mut self,
        flight: u64,
        loaded: Result<Keyring, LoadFault>,
        [begun, now]: [Instant; 2],
        settings: &CacheSettings,
    ) {
        if !self.is_in_flight(flight) {
            return;
        }
        match loaded {
            Ok(mut keyring) => {
                keyring.continue_counts(&mut self.counts);
                self.judge_suspicion(flight, &keyring, settings);
                self.failure = None;
                // A load anew is no use of it.
                let used_at = self.kept.as_ref().map_or(now, |kept| kept.used_at);
                self.kept = Some(Kept {
                    keyring,
                    loaded_at: begun,
                    used_at,
                    ended: Arc::default(),
                });
            }
            Err(fault) => {
                // The source's own word ends what is held; its silence does not.
                if fault.is_refusal() {
                    self.kept = None;
                }
                let doubled = self.failure.as_ref().map(|failure| failure.wait * 2);
                let wait = doubled
                    .unwrap_or(settings.retry_first)
                    .min(settings.retry_most);
                let asked = fault.retry_after().unwrap_or_default();
                self.failure = Some(Failure {
                    fault,
                    retry_at: now + wait.max(asked.min(settings.hard)),
                    wait,
                });
            }
        }
        self.end_flight();
    }

    pub(super) fn abandon(&mut self, flight: u64) {
        if self.is_in_flight(flight) {
            self.end_flight();
        }
    }

    pub(super) fn purge(&mut self) {
        self.kept = None;
        self.failure = None;
        self.end_flight();
    }

    pub(super) fn wait(&mut self, slot: u64, waker: &Waker) {
        self.waiters.insert(slot, Some(waker.clone()));
    }

    pub(super) fn leave(&mut self, slot: u64) {
        self.waiters.remove(&slot);
    }

    pub(super) fn is_in_flight(&self, flight: u64) -> bool {
        self.flight == Some(flight)
    }

    pub(super) fn held(&self) -> Option<&Keyring> {
        self.kept.as_ref().map(|kept| &kept.keyring)
    }

    pub(super) fn is_refused(&self) -> bool {
        self.failure
            .as_ref()
            .is_some_and(|failure| failure.fault.is_refusal())
    }

    pub(super) fn renew(&mut self, now: Instant) -> Option<u64> {
        let is_too_early = |failure: &Failure| now < failure.retry_at;
        let may_ask = self.kept.is_some()
            && self.flight.is_none()
            && !self.failure.as_ref().is_some_and(is_too_early);
        may_ask.then(|| self.begin_flight())
    }

    pub(super) fn renew_on_suspicion(&mut self, now: Instant) -> Option<u64> {
        let age = now.saturating_duration_since(self.kept.as_ref()?.loaded_at);
        if age < self.suspicion.wait.max(LOOK_AGAIN) {
            return None;
        }
        let flight = self.renew(now)?;
        self.suspicion.flight = Some(flight);
        Some(flight)
    }

    /// Before what was loaded takes the place of what is held.
    fn judge_suspicion(&mut self, flight: u64, loaded: &Keyring, settings: &CacheSettings) {
        let newest = |keyring: &Keyring| keyring.epochs().last();
        let is_as_before = self.held().and_then(newest) == newest(loaded);
        let was_in_vain = self.suspicion.flight == Some(flight) && is_as_before;
        self.suspicion.wait = match was_in_vain {
            true => (self.suspicion.wait.max(LOOK_AGAIN) * 2).min(settings.retry_most),
            false => Duration::ZERO,
        };
    }

    pub(super) fn is_idle(&self) -> bool {
        self.kept.is_none() && self.flight.is_none() && self.waiters.is_empty()
    }

    fn begin_flight(&mut self) -> u64 {
        let flight = self.next_number();
        self.flight = Some(flight);
        flight
    }

    fn end_flight(&mut self) {
        self.flight = None;
        let waiters = std::mem::take(&mut self.waiters);
        waiters.into_values().flatten().for_each(Waker::wake);
    }

    fn next_number(&mut self) -> u64 {
        self.number += 1;
        self.number
    }
}
