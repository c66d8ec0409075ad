//! Hardening takes effect, or says that it did not. A test binary of its own, because it changes the whole process.

#![allow(clippy::unwrap_used, reason = "a test's panic is its report")]

use rustix::process::{DumpableBehavior, Resource, dumpable_behavior, getrlimit};
use sealgate_keys::process::{Unprotected, harden};

fn locked_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmLck:"));
    line.unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap()
}

#[test]
fn the_process_is_not_dumpable_leaves_no_core_and_does_not_swap() {
    assert_eq!(locked_kib(), 0);
    let unprotected = harden();
    assert_eq!(dumpable_behavior(), Ok(DumpableBehavior::NotDumpable));
    let limit = getrlimit(Resource::Core);
    assert_eq!((limit.current, limit.maximum), (Some(0), Some(0)));
    match unprotected[..] {
        [] => assert!(locked_kib() > 0, "locked"),
        [Unprotected::Memory(_)] => assert_eq!(locked_kib(), 0, "and it was said"),
        _ => panic!("{unprotected:?}"),
    }
    println!("locked: {} KiB, not granted: {unprotected:?}", locked_kib());
    // Whether locked or not, allocations far beyond the usual limit of 8 MiB go on.
    let large = vec![1_u8; 64 << 20];
    assert_eq!(large[large.len() - 1], 1);
    assert_eq!(harden(), unprotected, "again is no error");
}
