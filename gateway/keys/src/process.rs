//! Hardening of the process that holds the keys.

use rustix::io::Errno;
use rustix::mm::{MlockAllFlags, mlockall, munlockall};
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit,
};
use rustix::thread::{CapabilitySet, capabilities};

/// A protection that the system did not grant. The process runs on without it; the operator should hear of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unprotected {
    /// `PR_SET_DUMPABLE 0` failed: other processes of the same user may read this one's memory.
    #[error("the process stays dumpable: {0}")]
    Dumpable(Errno),
    /// `RLIMIT_CORE 0` failed: a crash may write the keys to disk.
    #[error("core dumps stay allowed: {0}")]
    CoreDumps(Errno),
    /// Memory could not be locked: the system may write keys to swap.
    #[error(
        "memory is not locked, keys may be written to swap: {0}; set LimitMEMLOCK=infinity, or encrypt the swap"
    )]
    Memory(Errno),
}

/// Makes the process not dumpable, forbids core dumps, for good: the hard limit goes to zero too; and locks its memory, present and future,
/// where that cannot make a later allocation fail. Call it first in `main`, before any key is read and any thread is started.
///
/// Gives what could not be done; empty where everything was.
#[must_use]
pub fn harden() -> Vec<Unprotected> {
    let dumpable =
        set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(Unprotected::Dumpable);
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let core_dumps = setrlimit(Resource::Core, none).map_err(Unprotected::CoreDumps);
    let memory = lock_memory().map_err(Unprotected::Memory);
    [dumpable, core_dumps, memory]
        .into_iter()
        .filter_map(Result::err)
        .collect()
}

/// Locks pages as they are touched; whole arenas, which an allocator only reserves, would otherwise be filled at once.
///
/// Under a finite limit every allocation beyond it would fail, so the lock is taken only without a limit or with the capability that lifts it.
fn lock_memory() -> Result<(), Errno> {
    const MARGIN: u64 = 1024 * 1024;
    let limit = getrlimit(Resource::Memlock).current;
    let is_capable =
        capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::IPC_LOCK));
    if limit.is_some() && !is_capable {
        return Err(Errno::PERM);
    }
    mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT)?;
    // In a user namespace the capability is shown and does not count. It shows when something larger than the limit is asked for, which no
    // arena that fits under the limit can hold. Nothing of it is touched.
    if let Some(limit) = limit {
        let len = usize::try_from(limit.saturating_add(MARGIN)).unwrap_or(usize::MAX);
        if Vec::<u8>::new().try_reserve_exact(len).is_err() {
            munlockall()?;
            return Err(Errno::PERM);
        }
    }
    Ok(())
}
