//! A progress bar on standard error, for people who wait. In a pipe, in a log and for short work there is none.

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
    done: u64,
}

impl Progress {
    /// A bar that says `words`. It stays hidden where `voice` wants none or standard error is no terminal.
    pub(super) fn begin(voice: Voice, words: &'static str, len_bytes: Option<u64>) -> Self {
        let bar = if voice.shows_progress() {
            let target = ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND);
            ProgressBar::with_draw_target(len_bytes, target)
        } else {
            ProgressBar::hidden()
        };
        let template = if len_bytes.is_some() {
            OF_KNOWN_LENGTH
        } else {
            OF_UNKNOWN_LENGTH
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(words);
        Self {
            bar,
            begun: Instant::now(),
            done: 0,
        }
    }

    /// So many more bytes are done.
    pub(super) fn advance(&mut self, len_bytes: usize) {
        self.done += len_bytes as u64;
        if !self.bar.is_hidden() && self.begun.elapsed() >= SHOWN_AFTER {
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
        // What is said next begins on a clean line.
        self.bar.finish_and_clear();
    }
}
