//! Ctrl-C: the first ends the run with a report, the second ends the program at once.

use std::{io, process, sync::mpsc, thread};

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{exit::Exit, worker::Message};

/// Tells the run of the first SIGINT or SIGTERM, and ends the process at the second.
///
/// # Errors
///
/// When the system refuses a handler or a thread.
pub fn watch(run: mpsc::Sender<Message>) -> io::Result<()> {
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
                // A run that has ended meanwhile is about to print its report.
                let _ = run.send(Message::Interrupt);
                next(&mut interrupt, &mut terminate).await;
            });
            process::exit(Exit::Invalid.code());
        })?;
    Ok(())
}

async fn next(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
