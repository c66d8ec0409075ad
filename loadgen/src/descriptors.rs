//! File descriptors: each connection takes one.

use rustix::process::{Resource, getrlimit, setrlimit};
use thiserror::Error;

/// What a run opens besides connections: streams, the signal handler, and files of `/proc` while they
/// are read.
const FIXED: u64 = 40;

/// What each thread opens besides: its ring, its timers, what wakes it.
const PER_THREAD: u64 = 12;

/// More connections than descriptors. The operator's matter.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "{asked} connections do not fit: this process may open {limit} files, which leaves room for \
     {fit}; lower -c to that, or raise the hard limit (`ulimit -Hn`, LimitNOFILE= in a unit file, \
     --ulimit nofile= for a container) to {needed}"
)]
pub struct TooManyConnections {
    asked: u64,
    limit: u64,
    fit: u64,
    needed: u64,
}

/// Lets the process open as many descriptors as the system allows it.
pub fn raise_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // A refusal leaves the limit as it was; running out of descriptors is reported when it happens.
    let _ = setrlimit(Resource::Nofile, limit);
}

/// Whether `connections` at once on `threads` threads fit under the limit.
///
/// # Errors
///
/// When they do not.
pub fn check(connections: u64, threads: u64) -> Result<(), TooManyConnections> {
    fits(connections, threads, getrlimit(Resource::Nofile).current)
}

fn fits(asked: u64, threads: u64, limit: Option<u64>) -> Result<(), TooManyConnections> {
    let own = FIXED + PER_THREAD * threads;
    match limit {
        Some(limit) if asked.saturating_add(own) > limit => Err(TooManyConnections {
            asked,
            limit,
            fit: limit.saturating_sub(own),
            needed: asked + own,
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_said_and_fits() {
        let refused = fits(10_000, 2, Some(1024)).unwrap_err();
        assert_eq!(fits(refused.fit, 2, Some(1024)), Ok(()));
        assert!(fits(refused.fit + 1, 2, Some(1024)).is_err());
        assert_eq!(fits(10_000, 2, Some(refused.needed)), Ok(()));
        assert_eq!(fits(u64::from(u32::MAX), 1, None), Ok(()));
        let text = refused.to_string();
        assert!(
            text.contains("room for 960") && text.contains("10064"),
            "{text}"
        );
    }
}
