//! HTTP/2 from the client's side: many requests at once on one connection, each on a stream of its
//! own. The protocol is the `h2` crate's.
//!
//! ```text
//! slots of one connection (lanes) -> Link: the connection that takes requests -> exchange: a stream
//!                                      \-- settings: how many lanes may ask at once
//! ```
//!
//! An operation is one request on one stream. A connection has as many lanes as `-m` says, each with
//! one operation at a time, so the target's limit of concurrent streams is a number of lanes.

pub mod exchange;
pub mod fault;
pub mod head;
pub mod link;
pub mod tenants;

use std::rc::Rc;

use self::{
    exchange::{Broken, Moved, exchange},
    head::Heads,
    link::Link,
    tenants::Links,
};
use super::{
    failure::{Cause, Failure, Phase},
    http1::template::{Lens, Template},
};
use crate::{measure::recorder::Done, schedule::Arrival, worker::slot::Slot};

/// Connections on which one request may be tried: a target that ends every connection before it
/// takes anything would be tried for ever.
const ATTEMPTS: u32 = 10;

/// Settings of requests over HTTP/2.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The requests, without what depends on their bodies.
    pub heads: Heads,
    /// Their bodies, and what the answers have to be.
    pub template: Template,
    /// Requests that may be under way at once on each connection.
    pub streams: usize,
}

/// Sends requests on one lane of a connection until the schedule ends.
pub async fn drive(slot: &Slot, settings: &Settings, link: &Rc<Link>) {
    // The first lane connects for all; the others find the connection, or set one up when there
    // is none.
    if slot.lane() == 0 {
        link.establish(slot).await;
    }
    slot.start().await;
    while link.may_ask(slot.lane()).await
        && let Some(arrival) = slot.next().await
    {
        serve(slot, settings, link, arrival).await;
    }
    link.leave().await;
}

/// The same on a lane of a place where connections are tenants' own. How many streams a connection
/// allows is known only when its tenant is: what it does not take yet waits, and that is its time.
pub async fn drive_tenants(slot: &Slot, settings: &Settings, links: &Links) {
    slot.start().await;
    while let Some(arrival) = slot.next().await {
        let link = links.take(settings, arrival.tenant);
        serve(slot, settings, &link, arrival).await;
        drop(link);
        links.put_back(arrival.tenant).await;
    }
    links.close().await;
}

async fn serve(slot: &Slot, settings: &Settings, link: &Rc<Link>, arrival: Arrival) {
    let worker = slot.worker.index();
    let object = settings.template.object(worker, arrival.number);
    let lens = settings.template.lens(worker, arrival, object);
    let sent = slot.begin(arrival);
    match request(slot, settings, link, lens).await {
        Ok(moved) => slot.succeed(&Done {
            arrival,
            sent,
            done: slot.now(),
            sent_bytes: moved.sent_bytes,
            received_bytes: moved.received_bytes,
        }),
        Err(failure) => slot.fail(arrival, &failure).await,
    }
}

/// One request, on as many connections as it takes until one of them takes it.
async fn request(
    slot: &Slot,
    settings: &Settings,
    link: &Rc<Link>,
    lens: Lens,
) -> Result<Moved, Rc<Failure>> {
    let mut last = Failure::new(Phase::Send, Cause::Closed);
    for _ in 0..ATTEMPTS {
        let live = link.live(slot).await?;
        match exchange(slot, &live, settings, lens).await {
            Ok(moved) => return Ok(moved),
            Err(Broken {
                failure,
                connection,
                again,
            }) => {
                if connection == exchange::Connection::Broken {
                    link.retire(&live);
                }
                last = failure;
                if !again {
                    break;
                }
            }
        }
    }
    Err(Rc::new(last))
}
