//! What one connection does over and over.
//!
//! ```text
//! Slot::establish -> Slot::start -> { Slot::next -> Slot::begin -> operation -> Recorder } ... -> end
//! ```
//!
//! Every operation runs on one [`Slot`] of a worker and reports each of its arrivals exactly once,
//! as done or as failed.

pub mod bulk;
pub mod echo;
pub mod failure;
pub mod handshake;
pub mod http1;
pub mod request;
pub mod reuse;
pub mod size;

use crate::worker::slot::Slot;

/// What to do, with everything that is particular to it.
#[derive(Debug, Clone)]
pub enum Operation {
    /// Connect, shake hands, close.
    Handshake(handshake::Settings),
    /// An HTTP request and its answer.
    Request(Box<http1::template::Template>),
    /// A message there and back.
    Echo(echo::Settings),
    /// A transfer through the origin's source or sink.
    Bulk(bulk::Settings),
}

impl Operation {
    /// Names of the kinds that it can be of; an arrival's kind is an index into these.
    pub fn kinds(&self) -> &'static [&'static str] {
        match self {
            Operation::Handshake(_) => &["full", "resumed"],
            Operation::Request(_) => &["request"],
            Operation::Echo(_) => &["echo"],
            Operation::Bulk(settings) => match settings.direction {
                bulk::Direction::Down => &["down"],
                bulk::Direction::Up => &["up"],
            },
        }
    }
}

/// Runs the operation on `slot` until the schedule ends.
pub async fn drive(slot: &Slot) {
    match &slot.worker.plan.operation {
        Operation::Handshake(settings) => handshake::drive(slot, settings).await,
        Operation::Request(template) => request::drive(slot, template).await,
        Operation::Echo(settings) => echo::drive(slot, settings).await,
        Operation::Bulk(settings) => bulk::drive(slot, settings).await,
    }
    slot.settle();
}
