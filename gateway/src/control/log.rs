//! Logging: structured lines, written by a thread of their own.

use std::io::{self, BufWriter};

use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::limits::{LOG_BATCH, LOG_LINES};
use crate::settings::{LogFormat, LogSettings};

/// Starts logging to standard error. Keep the guard until the end: it writes what is left.
///
/// A worker never waits for the writer: lines that do not fit the queue are dropped. What has queued up is written
/// at once, and nothing is held back while the queue is empty.
pub fn start(settings: &LogSettings) -> WorkerGuard {
    let (writer, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(LOG_LINES)
        .lossy(true)
        .finish(BufWriter::with_capacity(LOG_BATCH, io::stderr()));
    // The level was checked with the configuration.
    let filter = EnvFilter::try_new(&settings.level).unwrap_or_else(|_| EnvFilter::new("info"));
    let registry = tracing_subscriber::registry().with(filter);
    let layer = tracing_subscriber::fmt::layer().with_writer(writer);
    // A second start in one process, as tests do it, keeps the first subscriber.
    let _ = match settings.format {
        LogFormat::Text => registry.with(layer.with_ansi(false)).try_init(),
        LogFormat::Json => registry
            .with(layer.json().flatten_event(true).with_current_span(false))
            .try_init(),
    };
    guard
}
