//! A time limit that does not drop what it limits.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

/// The time was over: `give_up` was called and the future awaited to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

/// Awaits `future`; when `limit` passes first, calls `give_up`, which has to make the future end
/// (by resetting its socket), and still awaits it. Nothing in flight is dropped.
///
/// # Errors
/// [`Elapsed`] when the limit passed, whatever the future then returned.
pub async fn deadline<F: Future>(
    limit: Duration,
    future: F,
    give_up: impl FnOnce(),
) -> Result<F::Output, Elapsed> {
    let mut future = pin!(future);
    tokio::select! {
        biased;
        output = &mut future => Ok(output),
        () = tokio::time::sleep(limit) => {
            give_up();
            future.await;
            Err(Elapsed)
        }
    }
}
