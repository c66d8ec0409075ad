//! HTTP requests on kept connections, one at a time on each.
//!
//! A request that finds no connection sets one up, and that is part of its time: it is what its
//! user waits for.

use super::{
    early::{self, Early},
    failure::{Cause, Failure},
    http1::{
        connection::{Broken, HttpConnection},
        template::{Lens, Template},
    },
};
use crate::{
    measure::recorder::Done,
    placeholder::Filling,
    schedule::{Arrival, random::Random},
    worker::{dial::Connection, slot::Slot},
};

/// The status of an answer to early data that the target wants to have again (RFC 8470 §5.2).
const TOO_EARLY: u16 = 425;

/// A slot that sends requests.
pub struct Requester<'a> {
    slot: &'a Slot,
    template: &'a Template,
    connection: Option<HttpConnection>,
    /// None where no request goes as early data.
    early: Option<Early<'a>>,
    /// The request as bytes, in memory that is used again.
    out: Vec<u8>,
    random: Random,
}

/// Sends requests until the schedule ends.
pub async fn drive(slot: &Slot, template: &Template) {
    let mut requester = Requester::new(slot, template);
    // Early data goes with the handshake, so there has to be a request first.
    if requester.early.is_none()
        && let Some(connection) = slot.establish().await
    {
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
            early: Early::new(slot, template.early_data_percent),
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
        self.template.write(filling, lens, &mut self.out);
        self.take_out();
        // A ticket is a condition of the operation and not its work.
        if let (None, Some(early)) = (&self.connection, &mut self.early) {
            early.prime().await;
        }
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

    /// One request; a second attempt on a new connection when a kept one turns out to be closed, and
    /// another one when the target finds early data too early (RFC 8470 §5.2).
    async fn request(&mut self, lens: Lens) -> Result<u64, Failure> {
        let mut request = early::Request::ToSend;
        if let (None, Some(early)) = (&self.connection, &mut self.early) {
            let (fresh, is) = early.dial(&self.out).await?;
            request = is;
            self.connection = Some(self.speak(fresh));
        }
        loop {
            let connection = match &mut self.connection {
                Some(connection) => connection,
                None => {
                    let fresh = self.slot.redial().await?;
                    let fresh = self.speak(fresh);
                    self.connection.insert(fresh)
                }
            };
            let is = std::mem::replace(&mut request, early::Request::ToSend);
            let out = match is {
                early::Request::ToSend => &self.out[..],
                early::Request::Taken => &[],
            };
            let exchanged = connection.exchange(self.slot, self.template, out, lens);
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
            if is == early::Request::Taken && matches!(failure.cause, Cause::Status(TOO_EARLY)) {
                self.slot.note_too_early();
                if let Some(spent) = self.connection.take_if(|kept| !kept.is_reusable()) {
                    spent.close(self.slot).await;
                }
                continue;
            }
            // A new connection is never stale, so there is one more attempt at most.
            if !(stale && self.template.is_idempotent()) {
                return Err(failure);
            }
        }
    }
}
