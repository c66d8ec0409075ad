//! Hardening takes effect. A test binary of its own, because it changes the whole process.

use rustix::process::{DumpableBehavior, Resource, dumpable_behavior, getrlimit};
use sealgate_keys::process::harden;

#[test]
fn the_process_is_not_dumpable_and_leaves_no_core() {
    assert_eq!(harden(), []);
    assert_eq!(dumpable_behavior(), Ok(DumpableBehavior::NotDumpable));
    let limit = getrlimit(Resource::Core);
    assert_eq!((limit.current, limit.maximum), (Some(0), Some(0)));
    assert_eq!(harden(), [], "again is no error");
}
