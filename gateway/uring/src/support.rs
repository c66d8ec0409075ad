//! What this kernel's io_uring can do, of what is used here.

use io_uring::{Probe, opcode};

use crate::receive::Receive;
use crate::ring::Ring;
use crate::runtime::StartError;

/// One thing that a kernel may have, and whether it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feature {
    /// As `io_uring_setup(2)` and `io_uring_enter(2)` name it.
    pub name: &'static str,
    /// Whether this kernel has it.
    pub is_there: bool,
}

/// Sets up a ring exactly as [`run`](crate::run) does, and asks it for the operations that are used.
///
/// # Errors
/// [`StartError`], as [`run`](crate::run) would give it.
pub fn features() -> Result<Vec<Feature>, StartError> {
    let ring = Ring::new(Receive::default()).map_err(StartError::from)?;
    let mut probe = Probe::new();
    ring.probe(&mut probe).map_err(StartError::from)?;
    let operations = [
        ("IORING_OP_ACCEPT", opcode::Accept::CODE),
        ("IORING_OP_CONNECT", opcode::Connect::CODE),
        ("IORING_OP_POLL_ADD", opcode::PollAdd::CODE),
        ("IORING_OP_RECV", opcode::Recv::CODE),
        ("IORING_OP_SEND", opcode::Send::CODE),
        ("IORING_OP_ASYNC_CANCEL", opcode::AsyncCancel::CODE),
    ]
    .map(|(name, code)| Feature {
        name,
        is_there: probe.is_supported(code),
    });
    // Without these two there would be no ring: the kernel refuses flags and registrations that it does not know.
    let set_up = ["IORING_SETUP_DEFER_TASKRUN", "IORING_REGISTER_PBUF_RING"].map(|name| Feature {
        name,
        is_there: true,
    });
    let kept = Feature {
        name: "IORING_FEAT_NODROP",
        is_there: ring.keeps_completions(),
    };
    Ok(set_up.into_iter().chain(operations).chain([kept]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_on_which_tests_run_has_all_of_it() {
        let features = features().unwrap();
        assert_eq!(features.len(), 9);
        let missing = features.iter().filter(|feature| !feature.is_there);
        assert_eq!(missing.collect::<Vec<_>>(), Vec::<&Feature>::new());
    }
}
