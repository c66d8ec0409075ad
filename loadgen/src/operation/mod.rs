//! What one connection does over and over.
//!
//! ```text
//! Slot::establish -> Slot::start -> { Slot::next -> Slot::begin -> operation -> Recorder } ... -> end
//! ```
//!
//! Every operation runs on one [`Slot`] of a worker and reports each of its arrivals exactly once,
//! as done or as failed.

pub mod bulk;
pub mod conns;
pub mod early;
pub mod echo;
pub mod failure;
pub mod handshake;
pub mod http1;
pub mod http2;
pub mod mixed;
pub mod request;
pub mod reuse;
pub mod sessions;
pub mod size;
pub mod variant;

use std::{rc::Rc, sync::Arc};

use crate::{
    target::tls::Configs,
    worker::{Plan, slot::Slot},
};

/// What to do, with everything that is particular to it.
#[derive(Debug, Clone)]
pub enum Operation {
    /// Connect, shake hands, close.
    Handshake(handshake::Settings),
    /// An HTTP request and its answer.
    Request(Box<http1::template::Template>),
    /// An HTTP/2 request and its answer, many at once on a connection.
    Http2(Box<http2::Settings>),
    /// A message there and back.
    Echo(echo::Settings),
    /// A transfer through the origin's source or sink.
    Bulk(bulk::Settings),
    /// Connections that are only held.
    Conns(Arc<conns::Settings>),
    /// Several of these.
    Mixed(mixed::Mixed),
}

impl Operation {
    /// Names of the kinds that it can be of; an arrival's kind is an index into these.
    pub fn kinds(&self) -> Vec<String> {
        let names: &[&str] = match self {
            // As `failure::Kind::ALL` has them.
            Operation::Handshake(_) => &["full", "resumed", "early_data", "mtls"],
            Operation::Request(_) | Operation::Http2(_) => &["request"],
            Operation::Conns(_) => &["open", "reopen"],
            Operation::Echo(_) => &["echo"],
            Operation::Bulk(settings) => match settings.direction {
                bulk::Direction::Down => &["down"],
                bulk::Direction::Up => &["up"],
                bulk::Direction::Duplex => &["duplex"],
            },
            Operation::Mixed(mixed) => return mixed.kinds(),
        };
        names.iter().map(ToString::to_string).collect()
    }

    /// Operations that may be under way at once on one connection.
    pub fn streams(&self) -> usize {
        match self {
            Operation::Http2(settings) => settings.streams,
            _ => 1,
        }
    }

    /// Connections that may be in use at once in the place of one.
    pub fn connections_at_once(&self, own: Owner) -> usize {
        match (self, own) {
            (Operation::Mixed(mixed), _) => mixed.connections_of_slot(),
            // Each lane may have an operation of another tenant.
            (Operation::Http2(settings), Owner::Tenant) => settings.streams,
            _ => 1,
        }
    }
}

/// Whose a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// Everybody's.
    Nobody,
    /// One tenant's, by its server name or client certificate.
    Tenant,
}

/// What the slots of one connection share.
#[derive(Debug, Clone)]
pub enum Shared {
    /// Nothing: it has one slot.
    Nothing,
    /// The connection.
    Link(Rc<http2::link::Link>),
    /// Those of tenants.
    Links(Rc<http2::tenants::Links>),
}

impl Shared {
    /// For connection `index` of the run.
    pub fn new(plan: &Plan, index: usize) -> Self {
        let own = plan.tls.as_ref().is_some_and(Configs::belong_to_tenants);
        match &plan.operation {
            Operation::Http2(_) if own => {
                Shared::Links(Rc::new(http2::tenants::Links::new(plan, index)))
            }
            Operation::Http2(settings) => {
                Shared::Link(Rc::new(http2::link::Link::new(settings, index)))
            }
            _ => Shared::Nothing,
        }
    }
}

/// Runs the operation on `slot` until the schedule ends.
pub async fn drive(slot: &Slot, shared: &Shared) {
    match &slot.worker.plan.operation {
        Operation::Handshake(settings) => handshake::drive(slot, settings).await,
        Operation::Request(template) => request::drive(slot, template).await,
        Operation::Http2(settings) => match shared {
            Shared::Link(link) => http2::drive(slot, settings, link).await,
            Shared::Links(links) => http2::drive_tenants(slot, settings, links).await,
            Shared::Nothing => {}
        },
        Operation::Echo(settings) => echo::drive(slot, settings).await,
        Operation::Bulk(settings) => bulk::drive(slot, settings).await,
        Operation::Conns(settings) => conns::drive(slot, settings).await,
        Operation::Mixed(mixed) => mixed::drive(slot, mixed).await,
    }
    slot.settle();
}
