//! HTTP requests on kept connections, one at a time on each.
//!
//! A request that finds no connection sets one up, and that is part of its time: it is what its
//! user waits for.

use super::{
    failure::Failure,
    http1::{
        connection::{Broken, HttpConnection},
        template::{Lens, Template},
    },
};
use crate::{
    measure::recorder::Done,
    placeholder::Filling,
    schedule::{Arrival, random::Random},
    worker::slot::{Connection, Slot},
};

/// A slot that sends requests.
pub struct Requester<'a> {
    slot: &'a Slot,
    template: &'a Template,
    connection: Option<HttpConnection>,
    /// The request as bytes, in memory that is used again.
    out: Vec<u8>,
    random: Random,
}

/// Sends requests until the schedule ends.
pub async fn drive(slot: &Slot, template: &Template) {
    let mut requester = Requester::new(slot, template);
    if let Some(connection) = slot.establish().await {
        requester.connection = Some(requester.speak(connection));
        requester.put_back().await;
    }
    slot.start().await;
    while let Some(arrival) = slot.next().await {
        requester.serve(arrival).await;
    }
    requester.finish().await;
}

impl<'a> Requester<'a> {
    /// A slot that sends requests made of `template`.
    pub fn new(slot: &'a Slot, template: &'a Template) -> Self {
        Self {
            slot,
            template,
            connection: None,
            out: Vec::new(),
            // Streams above those of the arrivals and of the sizes.
            random: Random::new(template.seed, u64::MAX - slot.index as u64),
        }
    }

    fn speak(&mut self, connection: Connection) -> HttpConnection {
        self.slot.note_http("1.1");
        let exchanges = self.template.reuse.draw(&mut self.random);
        HttpConnection::new(connection, exchanges)
    }

    /// Closes its connection, and those that are kept.
    pub async fn finish(self) {
        if let Some(connection) = self.connection {
            connection.close(self.slot).await;
        }
        while let Some(kept) = self.slot.worker.take_oldest() {
            kept.close(self.slot).await;
        }
    }

    /// One operation, counted.
    pub async fn serve(&mut self, arrival: Arrival) {
        let slot = self.slot;
        let worker = slot.worker.index();
        let object = self.template.object(worker, arrival.number);
        let lens = self.template.lens(worker, arrival, object);
        let filling = Filling {
            tenants: slot.tenants(),
            tenant: arrival.tenant,
            object,
        };
        self.template.write(filling, lens.sent, &mut self.out);
        self.take_out();
        let sent = slot.begin(arrival);
        match self.request(lens).await {
            Ok(received_bytes) => slot.succeed(&Done {
                arrival,
                sent,
                done: slot.now(),
                sent_bytes: lens.sent,
                received_bytes,
            }),
            Err(failure) => slot.fail(arrival, &failure).await,
        }
        // Behind the operation: closing is not its time.
        if let Some(connection) = self.connection.take_if(|kept| !kept.is_reusable()) {
            connection.close(slot).await;
        }
        self.put_back().await;
    }

    /// Where connections are not for every operation: takes one for this, if there is any.
    fn take_out(&mut self) {
        if let Some(key) = self.slot.connection_key() {
            self.connection = self.slot.worker.take_kept(key);
            if let Some(connection) = &self.connection {
                connection.adopt_by(self.slot);
            }
        }
    }

    /// Where connections are not for every operation: leaves this one for the next one of the same
    /// tenant and place, on whichever slot. One that finds no room is closed.
    async fn put_back(&mut self) {
        if let Some(key) = self.slot.connection_key()
            && let Some(connection) = self.connection.take()
        {
            self.slot.disarm();
            if let Some(oldest) = self.slot.worker.keep(key, connection) {
                oldest.close(self.slot).await;
            }
        }
    }

    /// One request; a second attempt on a new connection when a kept one turns out to be closed.
    async fn request(&mut self, lens: Lens) -> Result<u64, Failure> {
        loop {
            let connection = match &mut self.connection {
                Some(connection) => connection,
                None => {
                    let fresh = self.slot.redial().await?;
                    let fresh = self.speak(fresh);
                    self.connection.insert(fresh)
                }
            };
            let exchanged = connection.exchange(self.slot, self.template, &self.out, lens);
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
