//! A progress bar on standard error, for people who wait. In a pipe, in a log and for short work there is none.

use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::answer::Voice;

/// Work that is done sooner needs no bar.
const SHOWN_AFTER: Duration = Duration::from_millis(500);
/// More would only be work for the terminal.
const DRAWS_PER_SECOND: u8 = 10;
const OF_KNOWN_LENGTH: &str =
    "{msg} {wide_bar} {bytes} of {total_bytes}, {binary_bytes_per_sec}, {eta} left";
const OF_UNKNOWN_LENGTH: &str = "{msg} {bytes}, {binary_bytes_per_sec}, {elapsed}";

/// How far a command is, in bytes.
pub(super) struct Progress {
    bar: ProgressBar,
    begun: Instant,
    display: Display,
    done: u64,
}

/// Whether there is a bar.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Display {
    /// Nobody wants one.
    Never,
    /// The work may be done before one is worth it.
    NotYet,
    Shown,
}

impl Progress {
    /// A bar that says `words`, once the work has taken a moment. There is none where `voice` wants none or standard error is no terminal.
    pub(super) fn begin(voice: Voice, words: &'static str, len_bytes: Option<u64>) -> Self {
        let template = if len_bytes.is_some() {
            OF_KNOWN_LENGTH
        } else {
            OF_UNKNOWN_LENGTH
        };
        let bar = ProgressBar::with_draw_target(len_bytes, ProgressDrawTarget::hidden());
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(words);
        let display = match voice.shows_progress() && stderr().is_terminal() {
            true => Display::NotYet,
            false => Display::Never,
        };
        Self {
            bar,
            begun: Instant::now(),
            display,
            done: 0,
        }
    }

    /// So many more bytes are done.
    pub(super) fn advance(&mut self, len_bytes: usize) {
        self.done += len_bytes as u64;
        if self.display == Display::NotYet && self.begun.elapsed() >= SHOWN_AFTER {
            let target = ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND);
            self.bar.set_draw_target(target);
            self.display = Display::Shown;
        }
        if self.display == Display::Shown {
            self.bar.set_position(self.done);
        }
    }

    /// Says something beside the bar, which stands aside meanwhile.
    pub(super) fn aside(&self, say: impl FnOnce()) {
        self.bar.suspend(say);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.display == Display::Shown {
            // What is said next begins on a clean line.
            self.bar.finish_and_clear();
        }
    }
}
