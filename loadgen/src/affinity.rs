//! Threads and cores.

/// Cores this process may run on, at least one.
pub fn cores() -> usize {
    core_affinity::get_core_ids().map_or(1, |cores| cores.len().max(1))
}

/// Pins this thread to the `index`th core it may run on, counting round.
///
/// A refusal is ignored: an unpinned thread is slower, not wrong.
pub fn pin(index: usize) {
    let Some(cores) = core_affinity::get_core_ids() else {
        return;
    };
    if let Some(core) = cores.get(index % cores.len().max(1)) {
        core_affinity::set_for_current(*core);
    }
}
