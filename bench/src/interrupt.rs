//! Ctrl-C and SIGTERM. What is under way is given up, what was measured before it is reported, and whatever was started is ended, as at
//! any other end.
//!
//! Ctrl-C in a terminal reaches the load and the servers too, which then end by themselves; SIGTERM reaches this process alone, and what is
//! under way ends first: all of it is bounded.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::error::BenchError;

/// Signals belong to the process.
static CAME: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// From now on, the signals are noted and end nothing by themselves.
///
/// # Errors
///
/// The system refuses a handler.
pub fn watch() -> io::Result<()> {
    for signal in [SIGINT, SIGTERM] {
        flag::register(signal, Arc::clone(&CAME))?;
    }
    Ok(())
}

/// Asked after everything that takes time: what a signal fell into does not count, however it ended.
///
/// # Errors
///
/// [`BenchError::Interrupted`] once a signal has come.
pub fn check() -> Result<(), BenchError> {
    match CAME.load(Ordering::Relaxed) {
        true => Err(BenchError::Interrupted),
        false => Ok(()),
    }
}
