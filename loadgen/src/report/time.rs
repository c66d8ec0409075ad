//! The three times of every operation, by name.

use super::model::{Distribution, Latency};

/// One of the three times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Time {
    /// Done − planned: what somebody who asked on schedule had to wait.
    Response,
    /// Done − sent: what the target took.
    Service,
    /// Sent − planned: what the generator, or a wait for a free connection, added.
    Lag,
}

impl Time {
    /// All of them; the first is the one that counts.
    pub const ALL: [Time; 3] = [Time::Response, Time::Service, Time::Lag];

    /// Its name in files.
    pub fn name(self) -> &'static str {
        match self {
            Time::Response => "response",
            Time::Service => "service",
            Time::Lag => "lag",
        }
    }

    /// Its name for people, with what it is.
    pub fn meaning(self) -> &'static str {
        match self {
            Time::Response => "response (done − planned)",
            Time::Service => "service (done − sent)",
            Time::Lag => "send lag (sent − planned)",
        }
    }

    /// Its distribution.
    pub fn of(self, latency: &Latency) -> &Distribution {
        match self {
            Time::Response => &latency.response,
            Time::Service => &latency.service,
            Time::Lag => &latency.lag,
        }
    }
}
