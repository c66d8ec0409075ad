//! What the log has said of each tenant, so that it says what is new: a provider that is away for thousands of tenants, asked again and
//! again, fills no disk.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The fault that each tenant has now. As many as there are tenants, after [`Faults::retain`].
pub(super) struct Faults<F> {
    by_tenant: Mutex<HashMap<Box<str>, F>>,
}

impl<F> Default for Faults<F> {
    fn default() -> Self {
        Self {
            by_tenant: Mutex::default(),
        }
    }
}

impl<F: PartialEq + Clone> Faults<F> {
    /// Notes a fault. Gives whether it is another one than the tenant had.
    pub(super) fn is_new(&self, tenant: &str, fault: &F) -> bool {
        let mut by_tenant = self.lock();
        if by_tenant.get(tenant) == Some(fault) {
            return false;
        }
        by_tenant.insert(tenant.into(), fault.clone());
        true
    }

    /// Notes that there is none. Gives whether there was one.
    pub(super) fn is_over(&self, tenant: &str) -> bool {
        self.lock().remove(tenant).is_some()
    }

    /// Forgets tenants.
    pub(super) fn retain(&self, is_kept: impl Fn(&str) -> bool) {
        self.lock().retain(|tenant, _| is_kept(tenant));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, F>> {
        self.by_tenant
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_news_once_and_again_when_it_changes_or_comes_back() {
        let faults = Faults::default();
        let news = ["away", "away", "damaged", "away"].map(|fault| faults.is_new("one", &fault));
        assert_eq!(news, [true, false, true, true]);
        assert!(faults.is_new("two", &"away"));
        assert!(faults.is_over("one"));
        assert!(!faults.is_over("one"));
        assert!(faults.is_new("one", &"away"));
        faults.retain(|tenant| tenant == "two");
        assert!(!faults.is_over("one"));
        assert!(faults.is_over("two"));
    }
}
