//! Re-encryption: what a client's session sealed is opened, and sealed for the service.

use sealgate_tls::{Engine, MAX_FRAGMENT_LEN, Session, sealed_len_bound};

use super::handshake::{Handshake, Kind, Pair};
use super::injected;

/// Plaintext that the gateway moves at a time: its large buffers.
pub const MOVED_LEN_MOST: usize = 256 * 1024;

/// Both connections of one relay, established, and messages that wait to be relayed.
pub struct Relay {
    downstream: Pair,
    upstream: Pair,
    message: Vec<u8>,
    /// Sealed by the client, in pieces that the gateway reads at once.
    waiting: Vec<Vec<u8>>,
    plaintext: Vec<u8>,
    outgoing: Vec<u8>,
}

impl Relay {
    /// A relay of `count` messages of `len` bytes on `engine`.
    pub fn new(engine: Engine, len: usize, count: usize) -> Self {
        let handshake = Handshake::new(Kind::Full, engine);
        let mut relay = Self {
            downstream: handshake.run(),
            upstream: handshake.run(),
            message: (0..len).map(|at| (at % 251) as u8).collect(),
            waiting: Vec::new(),
            // Before each record, there has to be room for one.
            plaintext: vec![0; MOVED_LEN_MOST + MAX_FRAGMENT_LEN],
            outgoing: vec![0; sealed_len_bound(MOVED_LEN_MOST)],
        };
        // A first message in each direction: what only happens once has happened.
        relay.refill(1);
        relay.run();
        relay.refill(count);
        relay
    }

    /// The client seals `count` messages.
    pub fn refill(&mut self, count: usize) {
        for _ in 0..count {
            for piece in self.message.chunks(MOVED_LEN_MOST) {
                let mut sealed = vec![0; sealed_len_bound(piece.len())];
                let len = seal(&mut *self.downstream.client, piece, &mut sealed);
                sealed.truncate(len);
                self.waiting.push(sealed);
            }
        }
    }

    /// Relays what waits; gives how many plaintext bytes that were.
    pub fn run(&mut self) -> usize {
        let mut moved = 0;
        for mut incoming in self.waiting.drain(..) {
            let opened = open(
                &mut *self.downstream.server,
                &mut incoming,
                &mut self.plaintext,
            );
            let plaintext = &self.plaintext[..opened];
            seal(&mut *self.upstream.client, plaintext, &mut self.outgoing);
            injected::for_each_record(opened.div_ceil(MAX_FRAGMENT_LEN));
            moved += opened;
        }
        moved
    }

    /// Only opens what waits; gives how many plaintext bytes that were.
    pub fn open(&mut self) -> usize {
        let Self {
            downstream,
            plaintext,
            waiting,
            ..
        } = self;
        let opened = waiting
            .drain(..)
            .map(|mut incoming| open(&mut *downstream.server, &mut incoming, plaintext));
        opened.sum()
    }

    /// Only seals one message for the service; gives how many bytes go out.
    pub fn seal(&mut self) -> usize {
        let Self {
            upstream,
            message,
            outgoing,
            ..
        } = self;
        let sealed = message
            .chunks(MOVED_LEN_MOST)
            .map(|piece| seal(&mut *upstream.client, piece, outgoing));
        sealed.sum()
    }
}

fn open(session: &mut dyn Session, incoming: &mut [u8], plaintext: &mut [u8]) -> usize {
    let opened = session.open(incoming, plaintext).expect("an honest peer");
    assert_eq!(opened.consumed, incoming.len());
    opened.produced
}

fn seal(session: &mut dyn Session, plaintext: &[u8], outgoing: &mut [u8]) -> usize {
    let sealed = session
        .seal(plaintext, outgoing)
        .expect("an established session");
    assert_eq!(sealed.consumed, plaintext.len());
    sealed.produced
}
