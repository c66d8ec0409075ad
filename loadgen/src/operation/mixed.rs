//! Several operations on one slot, as the schedule says.

use super::{
    bulk,
    echo::{self, Echoer},
    failure::Kind,
    handshake::{self, Handshaker},
    http1::template::Template,
    request::Requester,
};
use crate::{
    measure::interval,
    report::objective::{Judged, Objective},
    worker::slot::Slot,
};

/// The operations of a mix.
#[derive(Debug, Clone)]
pub struct Mixed(Vec<Part>);

/// One of them.
#[derive(Debug, Clone)]
pub struct Part {
    /// Its name in the report.
    pub name: String,
    /// What it does.
    pub does: Does,
    /// Where: an index into the endpoints of the plan.
    pub endpoint: usize,
    /// Objectives of its own.
    pub slo: Vec<Objective>,
}

/// What an operation of a mix does.
#[derive(Debug, Clone)]
pub enum Does {
    /// An HTTP request and its answer.
    Request(Box<Template>),
    /// Connect, shake hands, close.
    Handshake(handshake::Settings),
    /// A message there and back.
    Echo(echo::Settings),
    /// A transfer through the origin's source or sink.
    Bulk(bulk::Settings),
}

/// What a slot keeps of an operation between its turns.
enum Hand<'a> {
    Request(Box<Requester<'a>>),
    Handshake(Handshaker<'a>),
    Echo(Echoer<'a>),
    Bulk(&'a bulk::Settings),
}

impl Part {
    /// Names of the kinds that it can be of.
    fn kinds(&self) -> Vec<String> {
        match self.does {
            Does::Handshake(_) => Kind::ALL
                .iter()
                .map(|kind| format!("{} {kind}", self.name))
                .collect(),
            Does::Request(_) | Does::Echo(_) | Does::Bulk(_) => vec![self.name.clone()],
        }
    }
}

impl Mixed {
    /// A mix of these operations.
    pub fn new(parts: Vec<Part>) -> Self {
        Self(parts)
    }

    /// The operations, in their order.
    pub fn parts(&self) -> &[Part] {
        &self.0
    }

    /// Connections that a slot may have at once: one for each echo, which it keeps, and one for
    /// whatever else it does.
    pub fn connections_of_slot(&self) -> usize {
        let echoes = |part: &&Part| matches!(part.does, Does::Echo(_));
        let echoes = self.0.iter().filter(echoes).count();
        echoes + usize::from(echoes < self.0.len())
    }

    /// Names of all kinds, in the order of the operations.
    pub fn kinds(&self) -> Vec<String> {
        self.0.iter().flat_map(Part::kinds).collect()
    }

    /// Compares each operation's objectives with what was measured of its kinds.
    pub fn judge(&self, kinds: &[interval::Part], elapsed_s: f64) -> Vec<Judged> {
        let mut judged = Vec::new();
        for (index, part) in self.0.iter().enumerate() {
            let mut sum = interval::Part::default();
            let of_part = |(kind, _): &(usize, _)| self.part_of(*kind).0 == index;
            for (_, measured) in kinds.iter().enumerate().filter(of_part) {
                sum.add(measured);
            }
            judged.extend(part.slo.iter().map(|slo| {
                let mut judged = slo.judge(&sum, elapsed_s);
                judged.stored.text = format!("{}: {}", part.name, judged.stored.text);
                judged
            }));
        }
        judged
    }

    /// The operation that a kind belongs to, and which of its kinds that is.
    pub fn part_of(&self, kind: usize) -> (usize, usize) {
        let mut first = 0;
        for (index, part) in self.0.iter().enumerate() {
            let kinds = match part.does {
                Does::Handshake(_) => Kind::ALL.len(),
                Does::Request(_) | Does::Echo(_) | Does::Bulk(_) => 1,
            };
            if kind < first + kinds {
                return (index, kind - first);
            }
            first += kinds;
        }
        (0, 0)
    }
}

/// Runs what comes until the schedule ends.
pub async fn drive(slot: &Slot, mixed: &Mixed) {
    let hands = mixed.0.iter().map(|part| match &part.does {
        Does::Request(template) => Hand::Request(Box::new(Requester::new(slot, template))),
        Does::Handshake(settings) => Hand::Handshake(Handshaker::new(slot, settings)),
        Does::Echo(settings) => Hand::Echo(Echoer::new(slot, settings)),
        Does::Bulk(settings) => Hand::Bulk(settings),
    });
    let mut hands: Vec<_> = hands.collect();
    slot.start().await;
    while let Some(arrival) = slot.next().await {
        let (index, kind) = mixed.part_of(arrival.kind);
        slot.turn_to(mixed.0[index].endpoint);
        match &mut hands[index] {
            Hand::Request(requester) => requester.serve(arrival).await,
            Hand::Handshake(handshaker) => handshaker.serve(arrival, Kind::ALL[kind]).await,
            Hand::Echo(echoer) => echoer.serve(arrival).await,
            Hand::Bulk(settings) => {
                let connection = slot.redial().await;
                bulk::serve(slot, settings, arrival, connection).await;
            }
        }
    }
    for hand in hands {
        match hand {
            Hand::Request(requester) => requester.finish().await,
            Hand::Echo(echoer) => echoer.finish().await,
            Hand::Handshake(_) | Hand::Bulk(_) => {}
        }
    }
}
