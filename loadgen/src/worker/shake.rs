//! Shaking hands on a connection of a slot, and what is counted of TLS beside its operations.

use std::{rc::Rc, sync::Arc};

use rustls::ClientConfig;
use sealgate_stream::{HandshakeError, Stream};
use sealgate_tls::{EarlyData, KeyUpdates, Session, client_session, early_data_session};
use sealgate_uring::Socket;

use super::slot::Slot;
use crate::{
    measure::interval::count,
    operation::failure::{Cause, Failure, Phase},
    target::{
        key_update::{Meter, Rekeyed},
        tls::{Configs, Protocol},
    },
};

impl Slot {
    /// The handshake of a connection, and whether it came to a protocol that was asked for.
    ///
    /// # Errors
    ///
    /// When it fails, or came to none.
    pub(super) async fn shake_hands(
        &self,
        socket: &Socket,
        config: &Arc<ClientConfig>,
        configs: &Configs,
        early_data: Option<&[u8]>,
    ) -> Result<Stream, Failure> {
        let failed = |error| self.blame(Phase::Handshake, Cause::Handshake(error));
        let (config, name) = (Arc::clone(config), configs.server_name_of(self.tenant()));
        let stream = match early_data {
            None => match client_session(config, name) {
                Ok(session) => self.connect_session(socket, configs, session).await,
                Err(error) => Err(HandshakeError::Tls(error)),
            },
            Some(data) => match early_data_session(config, name, data) {
                Ok(session) => self.connect_session(socket, configs, session).await,
                Err(error) => Err(HandshakeError::Tls(error)),
            },
        };
        assert_protocol(stream.map_err(failed)?, configs.protocol)
    }

    async fn connect_session(
        &self,
        socket: &Socket,
        configs: &Configs,
        session: impl Session + 'static,
    ) -> Result<Stream, HandshakeError> {
        let (socket, pool) = (socket.clone(), self.pool.clone());
        match configs.key_update {
            None => Stream::connect_session(socket, pool, session).await,
            Some(every) => {
                let meter = Rc::new(Meter::new(Rc::clone(&self.worker.key_updates)));
                self.meter.replace(Some(Rc::clone(&meter)));
                let session = Rekeyed::new(session, every, meter);
                Stream::connect_session(socket, pool, session).await
            }
        }
    }

    /// Notes what became of early data that was to be sent.
    pub fn note_early_data(&self, outcome: EarlyData) {
        let name = match outcome {
            EarlyData::None => return,
            EarlyData::NotAllowed => "not_allowed",
            EarlyData::Accepted => "accepted",
            EarlyData::Rejected => "rejected",
        };
        self.count_early_data(name);
    }

    /// Notes that the target took a request as early data, and wants to have it again.
    pub fn note_too_early(&self) {
        self.count_early_data("too_early");
    }

    fn count_early_data(&self, name: &'static str) {
        let mut recorder = self.worker.recorder.borrow_mut();
        count(&mut recorder.connections().negotiated.early_data, name, 1);
    }

    /// Tells the connection that an operation on it is over, and counts what else happened.
    pub(super) fn operation_over(&self) {
        if let Some(meter) = &*self.meter.borrow() {
            meter.done();
        }
        self.settle();
    }

    /// Counts what happened on connections beside their operations.
    pub fn settle(&self) {
        let updates = self.worker.key_updates.take();
        if updates != KeyUpdates::default() {
            let mut recorder = self.worker.recorder.borrow_mut();
            let sum = &mut recorder.connections().key_updates;
            sum.sent += updates.sent;
            sum.received += updates.received;
        }
    }
}

/// What was asked for is asserted.
fn assert_protocol(stream: Stream, protocol: Protocol) -> Result<Stream, Failure> {
    let chosen = stream.facts().is_some_and(|facts| facts.alpn.is_some());
    match protocol {
        Protocol::OfThose if !chosen => {
            stream.socket().reset();
            Err(Failure::new(Phase::Handshake, Cause::NoProtocol))
        }
        Protocol::OfThose | Protocol::Any => Ok(stream),
    }
}
