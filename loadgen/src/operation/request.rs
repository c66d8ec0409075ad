//! HTTP requests on kept connections, one at a time on each.
//!
//! A request that finds no connection sets one up, and that is part of its time: it is what its
//! user waits for.

use super::{
    failure::Failure,
    http1::{
        connection::{Broken, HttpConnection},
        template::Template,
    },
};
use crate::{
    measure::recorder::Done,
    placeholder::Filling,
    schedule::{Arrival, random::Random},
    worker::slot::{Connection, Slot},
};

/// A slot that sends requests.
struct Requester<'a> {
    slot: &'a Slot,
    template: &'a Template,
    connection: Option<HttpConnection>,
    /// The request as bytes, in memory that is used again.
    out: Vec<u8>,
    random: Random,
}

/// Sends requests until the schedule ends.
pub async fn drive(slot: &Slot, template: &Template) {
    let mut requester = Requester {
        slot,
        template,
        connection: None,
        out: Vec::new(),
        // Streams above those of the arrivals and of the sizes.
        random: Random::new(template.seed, u64::MAX - slot.index as u64),
    };
    if let Some(connection) = slot.establish().await {
        requester.connection = Some(requester.speak(connection));
        requester.put_back(slot.tenant()).await;
    }
    slot.start().await;
    while let Some(arrival) = slot.next().await {
        requester.serve(arrival).await;
    }
    if let Some(connection) = requester.connection {
        connection.close(slot).await;
    }
    while let Some(kept) = slot.worker.take_oldest() {
        kept.close(slot).await;
    }
}

impl Requester<'_> {
    fn speak(&mut self, connection: Connection) -> HttpConnection {
        self.slot.note_http("1.1");
        let exchanges = self.template.reuse.draw(&mut self.random);
        HttpConnection::new(connection, exchanges)
    }

    async fn serve(&mut self, arrival: Arrival) {
        let slot = self.slot;
        let body_len = self.template.body_len(slot.worker.index(), arrival.number);
        let filling = Filling {
            tenants: slot.tenants(),
            tenant: arrival.tenant,
            object: 0,
        };
        self.template.write(filling, body_len, &mut self.out);
        self.take_out(arrival.tenant);
        let sent = slot.begin(arrival);
        match self.request(body_len).await {
            Ok(received_bytes) => slot.succeed(&Done {
                arrival,
                sent,
                done: slot.now(),
                sent_bytes: body_len,
                received_bytes,
            }),
            Err(failure) => slot.fail(arrival, &failure).await,
        }
        // Behind the operation: closing is not its time.
        if let Some(connection) = self.connection.take_if(|kept| !kept.is_reusable()) {
            connection.close(slot).await;
        }
        self.put_back(arrival.tenant).await;
    }

    /// Where connections are a tenant's own: takes one of this tenant's, if there is any.
    fn take_out(&mut self, tenant: usize) {
        if self.slot.belongs_to_tenant() {
            self.connection = self.slot.worker.take_kept(tenant);
            if let Some(connection) = &self.connection {
                self.slot.adopt(connection.socket());
            }
        }
    }

    /// Where connections are a tenant's own: leaves this one for the next operation of the tenant,
    /// on whichever slot. One that finds no room is closed.
    async fn put_back(&mut self, tenant: usize) {
        if self.slot.belongs_to_tenant()
            && let Some(connection) = self.connection.take()
        {
            self.slot.disarm();
            if let Some(oldest) = self.slot.worker.keep(tenant, connection) {
                oldest.close(self.slot).await;
            }
        }
    }

    /// One request; a second attempt on a new connection when a kept one turns out to be closed.
    async fn request(&mut self, body_len: u64) -> Result<u64, Failure> {
        loop {
            let connection = match &mut self.connection {
                Some(connection) => connection,
                None => {
                    let fresh = self.slot.redial().await?;
                    let fresh = self.speak(fresh);
                    self.connection.insert(fresh)
                }
            };
            let exchanged = connection.exchange(self.slot, self.template, &self.out, body_len);
            let Broken {
                failure,
                usable,
                stale,
            } = match exchanged.await {
                Ok(received) => return Ok(received),
                Err(broken) => broken,
            };
            if !usable {
                self.slot.reset();
                self.connection = None;
            }
            // A new connection is never stale, so there is one more attempt at most.
            if !(stale && self.template.is_idempotent()) {
                return Err(failure);
            }
        }
    }
}
