//! Hardening of the process that holds the keys.

use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// A protection that the system did not grant. The process runs on without it; the operator should hear of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unprotected {
    /// `PR_SET_DUMPABLE 0` failed: other processes of the same user may read this one's memory.
    #[error("the process stays dumpable: {0}")]
    Dumpable(Errno),
    /// `RLIMIT_CORE 0` failed: a crash may write the keys to disk.
    #[error("core dumps stay allowed: {0}")]
    CoreDumps(Errno),
}

/// Makes the process not dumpable and forbids core dumps, for good: the hard limit goes to zero too. Call it first in `main`, before any
/// key is read and any thread is started.
///
/// Gives what could not be done; empty where everything was. It does not lock memory: swap is the operator's to encrypt or forbid.
#[must_use]
pub fn harden() -> Vec<Unprotected> {
    let dumpable =
        set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(Unprotected::Dumpable);
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let core_dumps = setrlimit(Resource::Core, none).map_err(Unprotected::CoreDumps);
    [dumpable, core_dumps]
        .into_iter()
        .filter_map(Result::err)
        .collect()
}
