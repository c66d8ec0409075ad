//! The two ways in which short messages are received.

use sealgate_uring::{Receive, receive, run_with};

/// Runs `test` on a ring of either kind, and tells it which.
pub fn on_both(test: impl AsyncFn(Receive)) {
    for path in Receive::ALL {
        run_with(path, async {
            assert_eq!(receive(), path);
            test(path).await;
        })
        .unwrap();
    }
}
