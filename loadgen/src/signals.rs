//! Ctrl-C: the first ends the run with a report, the second ends the program at once.
//!
//! Signals belong to the process, so there is one watcher, whatever number of runs a command makes.

use std::{
    io, process,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    thread,
};

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::Exit;

/// What the watcher and the runs share.
#[derive(Default)]
struct Watched {
    interrupted: bool,
    /// Tells the run that is under way.
    tell: Option<Box<dyn Fn() + Send>>,
}

static WATCHED: OnceLock<Mutex<Watched>> = OnceLock::new();

fn watched() -> MutexGuard<'static, Watched> {
    let watched = WATCHED.get_or_init(Mutex::default);
    // Both fields are whole at every moment, so a panic elsewhere spoils nothing.
    watched.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Calls `tell`, and what was given before it no more, at the first SIGINT or SIGTERM, even for one
/// that has come already. The second one ends the process.
///
/// # Errors
///
/// When the system refuses a handler or a thread.
pub fn watch(tell: impl Fn() + Send + 'static) -> io::Result<()> {
    let mut watched = watched();
    if watched.interrupted {
        tell();
    }
    let first = watched.tell.replace(Box::new(tell)).is_none();
    if first {
        listen()?;
    }
    Ok(())
}

/// Whether somebody asked for the end.
pub fn interrupted() -> bool {
    watched().interrupted
}

fn listen() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    // Before the thread: whoever sees the run begin may send the signal.
    let (mut interrupt, mut terminate) = {
        let _inside = runtime.enter();
        (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        )
    };
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                next(&mut interrupt, &mut terminate).await;
                note();
                next(&mut interrupt, &mut terminate).await;
            });
            process::exit(Exit::Invalid.code());
        })?;
    Ok(())
}

fn note() {
    let mut watched = watched();
    watched.interrupted = true;
    if let Some(tell) = &watched.tell {
        tell();
    }
}

async fn next(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
