//! A keyring as one thread uses it: no cache line that other threads write is written for each message.

use std::cell::Cell;
use std::ops::Deref;

use sealgate_envelope::{Context, SealSettings, Sealer};

use super::{Keyring, SealBeginError};
use crate::limits::WRAP_BLOCK;

/// A keyring in the hands of one thread, which takes wraps from the shared count a block at a time and returns what is left when it is
/// dropped. Share it within the thread by `Rc`: cloning the [`Keyring`] in it would write to a count that all threads share.
pub struct LocalKeyring {
    keyring: Keyring,
    /// Wraps that are counted and not done.
    wraps: Cell<u64>,
}

impl LocalKeyring {
    /// Takes a keyring in hand.
    #[must_use]
    pub fn new(keyring: Keyring) -> Self {
        Self {
            keyring,
            wraps: Cell::new(0),
        }
    }

    /// As [`Keyring::seal_begin`], with a shared atomic count once in [`WRAP_BLOCK`] messages.
    ///
    /// # Errors
    /// [`SealBeginError`]; nothing was written.
    pub fn seal_begin(
        &self,
        context: &Context,
        settings: SealSettings,
    ) -> Result<(Sealer, Vec<u8>), SealBeginError> {
        self.keyring
            .seal_begin_counted(context, settings, |current| {
                let wraps = match self.wraps.get() {
                    0 => current.take_wraps(WRAP_BLOCK)?,
                    wraps => wraps,
                };
                self.wraps.set(wraps - 1);
                Ok(())
            })
    }
}

/// All that does not count is the keyring's own.
impl Deref for LocalKeyring {
    type Target = Keyring;

    fn deref(&self) -> &Keyring {
        &self.keyring
    }
}

impl Drop for LocalKeyring {
    fn drop(&mut self) {
        self.keyring.current().return_wraps(self.wraps.get());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wraps_are_counted_in_blocks_and_what_is_left_is_returned() {
        let folder = tempfile::tempdir().unwrap();
        let keyring = Keyring::create(folder.path().join("acme"), "acme")
            .unwrap_or_else(|error| panic!("{error}"));
        let context = keyring.context("1", "/a").unwrap();
        let hands = [(); 2].map(|()| LocalKeyring::new(keyring.clone()));
        for hand in &hands {
            for _ in 0..3 {
                hand.seal_begin(&context, SealSettings::default())
                    .ok()
                    .unwrap();
            }
        }
        assert_eq!(keyring.current().wraps(), 2 * WRAP_BLOCK);
        drop(hands);
        assert_eq!(keyring.current().wraps(), 6);
    }
}
