//! One thread's own view of the cache.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Instant;

use super::{Held, KeyringCache, Lookup};
use crate::keyring::LocalKeyring;

/// A thread's view of a [`KeyringCache`]: what it found there, tenant by tenant, for as long as that is good. A lookup that finds something
/// good takes no lock and writes to nothing that other threads read or write.
pub struct LocalCache {
    cache: KeyringCache,
    views: RefCell<HashMap<Box<str>, View>>,
}

struct View {
    held: Held,
    keyring: Rc<LocalKeyring>,
}

impl LocalCache {
    /// A view that has seen nothing yet.
    #[must_use]
    pub fn new(cache: KeyringCache) -> Self {
        Self {
            cache,
            views: RefCell::default(),
        }
    }

    /// As [`KeyringCache::lookup`]. Cost where there is something good: a map lookup.
    #[must_use]
    pub fn lookup(&self, tenant: &str, now: Instant) -> Lookup<Rc<LocalKeyring>> {
        if let Some(view) = self.views.borrow().get(tenant)
            && view.held.is_good(now)
        {
            return Lookup::Fresh(Rc::clone(&view.keyring));
        }
        match self.cache.lookup(tenant, now) {
            Lookup::Fresh(held) => Lookup::Fresh(self.see(tenant, held)),
            Lookup::Stale(held, flight) => Lookup::Stale(self.see(tenant, held), flight),
            Lookup::Absent(flight) => {
                self.unsee(tenant);
                Lookup::Absent(flight)
            }
            Lookup::Wait(waiting) => {
                self.unsee(tenant);
                Lookup::Wait(waiting)
            }
            Lookup::Unavailable(unavailable) => {
                self.unsee(tenant);
                Lookup::Unavailable(unavailable)
            }
        }
    }

    /// Lets go of everything that is not good at `now`. Call it now and then, and when keys are taken away: until then a view keeps keys in
    /// memory that nobody may use any more.
    pub fn sweep(&self, now: Instant) {
        self.views
            .borrow_mut()
            .retain(|_, view| view.held.is_good(now));
    }

    fn see(&self, tenant: &str, held: Held) -> Rc<LocalKeyring> {
        let keyring = Rc::new(LocalKeyring::new(held.keyring().clone()));
        let view = View {
            held,
            keyring: Rc::clone(&keyring),
        };
        let mut views = self.views.borrow_mut();
        match views.get_mut(tenant) {
            Some(seen) => *seen = view,
            None => {
                views.insert(tenant.into(), view);
            }
        }
        keyring
    }

    fn unsee(&self, tenant: &str) {
        self.views.borrow_mut().remove(tenant);
    }
}
