//! A script for the forging peer, and what it comes to with a session of either engine.

use rustls::{AlertDescription, Error};
use sealgate_tls::{Engine, Progress, TlsError};

use super::forger::{Forger, PeerSide, established};

/// What the peer does.
#[derive(Clone, Debug)]
pub enum Step {
    /// Application data of this length, and so much padding.
    Data { len: usize, padding: usize },
    /// A record of this inner content type.
    Record { content_type: u8, content: Vec<u8> },
    /// A KeyUpdate, and the next key from then on.
    KeyUpdate { requested: bool },
    /// A record of which the last bit is wrong.
    BadTag,
    /// A header with this content type and length, and as many bytes.
    Clear { content_type: u8, len: usize },
    /// The end of the stream: what was sent last loses this many bytes.
    Truncate(usize),
}

/// What it came to.
#[derive(Debug, PartialEq)]
pub struct Outcome {
    pub plaintext: Vec<u8>,
    pub end: End,
    /// What the session told its peer at the end.
    pub alert: Option<AlertDescription>,
    /// KeyUpdates that it answered.
    pub answers: usize,
}

#[derive(Debug, PartialEq)]
pub enum End {
    Open,
    Closed,
    Failed(Error),
}

fn wire_of(forger: &mut Forger, steps: &[Step]) -> Vec<u8> {
    let mut wire = Vec::new();
    for step in steps {
        match step {
            Step::Data { len, padding } => {
                let data: Vec<u8> = (0..*len).map(|at| (at * 7 + wire.len()) as u8).collect();
                wire.extend(forger.seal(23, &data, *padding));
            }
            Step::Record {
                content_type,
                content,
            } => wire.extend(forger.seal(*content_type, content, 0)),
            Step::KeyUpdate { requested } => {
                wire.extend(forger.seal(22, &[24, 0, 0, 1, u8::from(*requested)], 0));
                forger.next_sealing_key();
            }
            Step::BadTag => {
                let mut record = forger.seal(23, b"never seen", 0);
                *record.last_mut().unwrap() ^= 1;
                wire.extend(record);
            }
            Step::Clear { content_type, len } => {
                wire.extend([*content_type, 3, 3]);
                wire.extend(u16::try_from(*len).unwrap().to_be_bytes());
                wire.extend(vec![1; *len]);
            }
            Step::Truncate(by) => wire.truncate(wire.len() - by),
        }
    }
    wire
}

/// Hands `wire` over in pieces of `piece` bytes, sealing a little in between as a gateway does.
pub fn run(engine: Engine, peer: PeerSide, steps: &[Step], piece: usize) -> Outcome {
    let (mut session, mut forger) = established(engine, peer);
    let wire = wire_of(&mut forger, steps);
    let mut outcome = Outcome {
        plaintext: Vec::new(),
        end: End::Open,
        alert: None,
        answers: 0,
    };
    let (mut sent, mut held) = (Vec::new(), Vec::new());
    let mut room = vec![0; 40_000];
    'wire: for piece in wire.chunks(piece) {
        held.extend_from_slice(piece);
        loop {
            room.fill(0);
            match session.open(&mut held, &mut room) {
                Ok(opened) => {
                    held.drain(..opened.consumed);
                    outcome
                        .plaintext
                        .extend_from_slice(&room[..opened.produced]);
                    match opened.progress {
                        Progress::PlaintextFull => {}
                        Progress::NeedInput => break,
                        Progress::PeerClosed => {
                            outcome.end = End::Closed;
                            break 'wire;
                        }
                    }
                }
                Err(TlsError::Protocol(error)) => {
                    let again = session.open(&mut held, &mut room);
                    assert_eq!(again, Err(TlsError::Protocol(error.clone())));
                    outcome.end = End::Failed(error);
                    break 'wire;
                }
                Err(error) => panic!("{error}"),
            }
        }
        let mut out = vec![0; 4000];
        let sealed = session.seal(b"ours", &mut out).unwrap();
        sent.extend_from_slice(&out[..sealed.produced]);
    }
    assert_eq!(session.peer_closed(), outcome.end == End::Closed);
    let mut control = vec![0; 100_000];
    let n = session.transmit(&mut control);
    sent.extend_from_slice(&control[..n]);
    for (content_type, content) in forger.open_all(&sent) {
        match (content_type, &content[..]) {
            (21, [_, description]) => outcome.alert = Some((*description).into()),
            (22, [24, 0, 0, 1, 0]) => outcome.answers += 1,
            (23, b"ours") => {}
            // A server's ticket.
            (22, [4, ..]) => {}
            other => panic!("{other:?}"),
        }
    }
    outcome
}

/// Requests for new keys that came together are answered once, so how often depends on the pieces.
pub fn assert_same(first: &Outcome, other: Outcome, case: &str) {
    assert_eq!(first.answers > 0, other.answers > 0, "{case}");
    let answers = first.answers;
    assert_eq!(*first, Outcome { answers, ..other }, "{case}");
}

impl End {
    pub fn class(&self) -> &'static str {
        match self {
            End::Open => "open",
            End::Closed => "closed",
            End::Failed(_) => "failed",
        }
    }
}
