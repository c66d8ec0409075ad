//! A value that threads change and tests wait on.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use super::DEADLINE;

/// A shared value with a bell.
pub struct Watch<T>(Arc<(Mutex<T>, Condvar)>);

impl<T> Clone for Watch<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Watch<T> {
    pub fn new(value: T) -> Self {
        Self(Arc::new((Mutex::new(value), Condvar::new())))
    }

    pub fn change<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let result = change(&mut self.0.0.lock().unwrap());
        self.0.1.notify_all();
        result
    }

    pub fn read<R>(&self, read: impl FnOnce(&T) -> R) -> R {
        read(&self.0.0.lock().unwrap())
    }

    /// Waits until `found` finds something; `None` after the deadline.
    pub fn try_wait<R>(&self, mut found: impl FnMut(&mut T) -> Option<R>) -> Option<R> {
        let until = Instant::now() + DEADLINE;
        let mut value = self.0.0.lock().unwrap();
        loop {
            if let Some(result) = found(&mut value) {
                return Some(result);
            }
            let left = until.checked_duration_since(Instant::now())?;
            value = self.0.1.wait_timeout(value, left).unwrap().0;
        }
    }

    /// Waits until `found` finds something, which `what` describes.
    pub fn wait<R>(&self, what: &str, found: impl FnMut(&mut T) -> Option<R>) -> R {
        self.try_wait(found)
            .unwrap_or_else(|| panic!("waited in vain for {what}"))
    }
}
