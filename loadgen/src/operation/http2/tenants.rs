//! The connections of one place where they are tenants' own: one for each, as many as are kept.

use std::{cell::RefCell, collections::HashMap, fmt, rc::Rc};

use super::{Settings, link::Link};
use crate::worker::{Plan, kept::Kept};

/// The links of one place, by tenant.
pub struct Links {
    index: usize,
    /// Those that lanes use, and how many of them. As many as there are lanes at most.
    used: RefCell<HashMap<usize, (Rc<Link>, usize)>>,
    /// Those that wait for another operation of their tenant.
    kept: RefCell<Kept<Rc<Link>>>,
}

impl fmt::Debug for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Links")
            .field("index", &self.index)
            .finish_non_exhaustive()
    }
}

impl Links {
    /// The place of connection `index` of the run.
    pub fn new(plan: &Plan, index: usize) -> Self {
        // Each place of a worker has its part of what the worker may keep.
        let places = plan.connections.div_ceil(plan.threads);
        let limit = plan.kept_for_tenants().div_ceil(places).max(1);
        Self {
            index,
            used: RefCell::default(),
            kept: RefCell::new(Kept::new(limit)),
        }
    }

    /// The link of a tenant, for one operation.
    pub fn take(&self, settings: &Settings, tenant: usize) -> Rc<Link> {
        let mut used = self.used.borrow_mut();
        let (link, users) = used.entry(tenant).or_insert_with(|| {
            let kept = self.kept.borrow_mut().take(tenant);
            let fresh = || Rc::new(Link::new(settings, self.index));
            (kept.unwrap_or_else(fresh), 0)
        });
        *users += 1;
        Rc::clone(link)
    }

    /// The operation is over. A link that nobody uses is kept; one that finds no room is closed.
    pub async fn put_back(&self, tenant: usize) {
        let unused = {
            let mut used = self.used.borrow_mut();
            match used.get_mut(&tenant) {
                Some((_, users @ 2..)) => {
                    *users -= 1;
                    None
                }
                _ => used.remove(&tenant),
            }
        };
        let Some((link, _)) = unused else {
            return;
        };
        let oldest = self.kept.borrow_mut().put(tenant, link);
        if let Some(oldest) = oldest {
            oldest.close().await;
        }
    }

    /// Closes all that are kept.
    pub async fn close(&self) {
        loop {
            let oldest = self.kept.borrow_mut().take_oldest();
            match oldest {
                Some(oldest) => oldest.close().await,
                None => return,
            }
        }
    }
}
