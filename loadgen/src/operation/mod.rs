//! What one connection does over and over.
//!
//! ```text
//! Slot::establish -> Slot::start -> { ClosedLoop::next -> operation -> Tally } ... -> end
//! ```
//!
//! Every operation runs on one [`Slot`] of a worker and reports each of its arrivals exactly once,
//! as done or as failed.

pub mod body;
pub mod bulk;
pub mod echo;
pub mod failure;
pub mod handshake;
pub mod http;
pub mod request;

use crate::worker::slot::Slot;

/// What to do, with everything that is particular to it.
#[derive(Debug, Clone)]
pub enum Operation {
    /// Connect, shake hands, close.
    Handshake(handshake::Settings),
    /// An HTTP request and its answer.
    Request(Box<http::Template>),
    /// A message there and back.
    Echo(echo::Settings),
    /// A transfer through the origin's source or sink.
    Bulk(bulk::Settings),
}

/// Runs the operation on `slot` until the schedule ends.
pub async fn drive(slot: &Slot) {
    match &slot.worker.plan.operation {
        Operation::Handshake(settings) => handshake::drive(slot, settings).await,
        Operation::Request(template) => request::drive(slot, template).await,
        Operation::Echo(settings) => echo::drive(slot, settings).await,
        Operation::Bulk(settings) => bulk::drive(slot, settings).await,
    }
}
