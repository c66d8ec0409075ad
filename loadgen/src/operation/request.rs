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
    }
    slot.start().await;
    while let Some(arrival) = slot.next().await {
        requester.serve(arrival).await;
    }
    if let Some(connection) = requester.connection {
        connection.close(slot).await;
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
        self.template.write(body_len, &mut self.out);
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
