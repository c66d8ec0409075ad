//! Both engines against the same scripted peer, which writes records that no honest one would: the outcome has to be the same.
//!
//! Where it may not be is said beside the script.
#![allow(clippy::unwrap_used, missing_docs)]

mod forger;
mod script;

use forger::PeerSide;
use proptest::collection::vec;
use proptest::prelude::*;
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, Error, PeerMisbehaved};
use script::{End, Outcome, Step, assert_same, run};
use sealgate_tls::{Engine, Progress, Session, client_session, server_session};
use std::sync::Arc;

const CLOSE: [u8; 2] = [1, 0];
const TICKET_FRONT: [u8; 6] = [4, 0, 0, 60, 0, 0];

fn data(len: usize) -> Step {
    Step::Data { len, padding: 0 }
}

fn record(content_type: u8, content: &[u8]) -> Step {
    Step::Record {
        content_type,
        content: content.to_vec(),
    }
}

/// Runs both engines as both sides under several fragmentations; gives the outcome that all had.
fn agreed(steps: &[Step]) -> Outcome {
    let mut agreed: Option<Outcome> = None;
    for peer in [PeerSide::Client, PeerSide::Server] {
        for piece in [usize::MAX, 1, 7, 1460, 16_406] {
            for engine in [Engine::Rustls, Engine::Direct] {
                let outcome = run(engine, peer, steps, piece);
                match &agreed {
                    None => agreed = Some(outcome),
                    Some(first) => {
                        let case = format!("{engine:?}, {peer:?}, {piece}: {steps:?}");
                        assert_same(first, outcome, &case);
                    }
                }
            }
        }
    }
    agreed.unwrap()
}

/// The outcome of our own engine alone, the same as both sides and under every fragmentation.
fn direct(steps: &[Step]) -> Outcome {
    let mut outcomes = Vec::new();
    for peer in [PeerSide::Client, PeerSide::Server] {
        for piece in [usize::MAX, 1, 7, 1460] {
            outcomes.push(run(Engine::Direct, peer, steps, piece));
        }
    }
    let first = outcomes.remove(0);
    for outcome in outcomes {
        assert_same(&first, outcome, &format!("{steps:?}"));
    }
    first
}

#[test]
fn data_padding_and_empty_records_open_alike() {
    let outcome = agreed(&[
        data(1),
        data(16_384),
        data(0),
        Step::Data { len: 5, padding: 1 },
        Step::Data {
            len: 0,
            padding: 300,
        },
        Step::Data {
            len: 100,
            padding: 16_000,
        },
        Step::Data {
            len: 16_300,
            padding: 84,
        },
        data(3000),
        record(21, &CLOSE),
    ]);
    assert_eq!(
        outcome.plaintext.len(),
        1 + 16_384 + 5 + 100 + 16_300 + 3000
    );
    assert_eq!(outcome.end, End::Closed);
}

#[test]
fn key_updates_are_followed_and_answered_once_each() {
    let outcome = agreed(&[
        Step::KeyUpdate { requested: true },
        data(10),
        Step::KeyUpdate { requested: false },
        data(20),
        Step::KeyUpdate { requested: true },
        data(30),
    ]);
    assert_eq!((outcome.plaintext.len(), outcome.end), (60, End::Open));
    assert!(outcome.answers >= 1, "{}", outcome.answers);
}

#[test]
fn requests_for_keys_that_come_together_are_answered_once() {
    let steps = vec![[Step::KeyUpdate { requested: true }, data(1)]; 200].concat();
    for engine in [Engine::Rustls, Engine::Direct] {
        let together = run(engine, PeerSide::Client, &steps, usize::MAX);
        assert_eq!(
            (together.answers, together.plaintext.len()),
            (1, 200),
            "{engine:?}"
        );
        // Taken apart, each is: an answer that has left answers nothing that is asked later.
        let apart = run(engine, PeerSide::Client, &steps[..6], 27);
        assert_eq!((apart.answers, apart.plaintext.len()), (3, 3), "{engine:?}");
    }
}

#[test]
fn what_is_not_allowed_ends_the_session_alike() {
    let failures = [
        vec![data(5), Step::BadTag],
        vec![Step::Clear {
            content_type: 23,
            len: 17,
        }],
        vec![Step::Clear {
            content_type: 23,
            len: 16_641,
        }],
        // An inner plaintext that is nothing but padding.
        vec![Step::Record {
            content_type: 0,
            content: vec![0; 20],
        }],
        vec![data(5), record(21, &[2, 40])],
        vec![record(21, &[1, 0, 0])],
        vec![record(21, &[1])],
        // HelloRequest, Certificate.
        vec![record(22, &[0, 0, 0, 0])],
        vec![record(22, &[11, 0, 0, 1, 0])],
        vec![record(22, &[24, 0, 0, 1, 2])],
        vec![record(22, &[24, 0, 0, 2, 0, 0])],
        // Something behind a KeyUpdate in its record.
        vec![record(22, &[24, 0, 0, 1, 0, 24, 0, 0, 1, 0])],
    ];
    for steps in failures {
        let [rustls, direct] = [Engine::Rustls, Engine::Direct].map(|engine| {
            let outcome = run(engine, PeerSide::Client, &steps, usize::MAX);
            assert!(
                matches!(outcome.end, End::Failed(_)),
                "{engine:?}: {steps:?}"
            );
            outcome
        });
        assert_eq!(rustls.plaintext, direct.plaintext, "{steps:?}");
        // rustls sends none where a record says nothing of its content.
        let was_told = matches!(direct.end, End::Failed(Error::AlertReceived(_)));
        assert_eq!(direct.alert.is_none(), was_told, "{steps:?}");
        assert!(rustls.alert.is_none() || !was_told, "{steps:?}");
    }
}

fn honest_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..16_385_usize).prop_map(data),
        2 => (1..400_usize).prop_map(data),
        1 => (0..4_000_usize, 0..12_000_usize).prop_map(|(len, padding)| Step::Data { len, padding }),
        1 => any::<bool>().prop_map(|requested| Step::KeyUpdate { requested }),
        1 => Just(record(21, &[1, 90])),
    ]
}

fn last_step() -> impl Strategy<Value = Vec<Step>> {
    prop_oneof![
        Just(Vec::new()),
        Just(vec![record(21, &CLOSE), data(3)]),
        Just(vec![Step::BadTag, data(3)]),
        // A fatal user_canceled ends rustls; the level says nothing (RFC 8446 §6), so we go on.
        any::<u8>()
            .prop_filter("user_canceled", |alert| *alert != 90)
            .prop_map(|alert| vec![record(21, &[2, alert])]),
        (0..5_000_usize).prop_map(|by| vec![data(6_000), Step::Truncate(by)]),
        (17..17_000_usize).prop_map(|len| vec![Step::Clear {
            content_type: 23,
            len
        }]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    /// Four alerts and no more: rustls's bound on warnings is lower than ours.
    #[test]
    fn random_scripts_end_alike(
        honest in vec(honest_step(), 0..20),
        last in last_step(),
        peer in prop_oneof![Just(PeerSide::Client), Just(PeerSide::Server)],
        piece in prop_oneof![Just(usize::MAX), 1..40_usize, 40..20_000_usize],
    ) {
        let warnings = honest.iter().filter(|step| matches!(step, Step::Record { .. })).count();
        prop_assume!(warnings <= 4);
        let steps = [honest, last].concat();
        let [rustls, direct] = [Engine::Rustls, Engine::Direct]
            .map(|engine| run(engine, peer, &steps, piece));
        prop_assert_eq!(&rustls.plaintext, &direct.plaintext);
        prop_assert_eq!(rustls.end.class(), direct.end.class(), "{:?} {:?}", rustls.end, direct.end);
    }
}

#[test]
fn a_stream_that_ends_anywhere_leaves_the_session_open() {
    for by in [1, 15, 16, 20, 24] {
        let outcome = agreed(&[data(100), record(21, &CLOSE), Step::Truncate(by)]);
        assert_eq!((outcome.plaintext.len(), outcome.end), (100, End::Open));
    }
}

#[test]
fn nothing_is_read_behind_a_close() {
    let outcome = agreed(&[data(1), record(21, &CLOSE), data(2), Step::BadTag]);
    assert_eq!((outcome.plaintext.len(), outcome.end), (1, End::Closed));
}

#[test]
fn records_without_data_are_bounded() {
    // Data first: a client has just had a ticket.
    let storm = |step: Step, count: usize| [vec![data(1)], vec![step; count]].concat();
    for (step, otherwise) in [
        (data(0), PeerMisbehaved::TooManyEmptyFragments),
        (
            Step::KeyUpdate { requested: false },
            PeerMisbehaved::TooManyKeyUpdateRequests,
        ),
        (
            Step::KeyUpdate { requested: true },
            PeerMisbehaved::TooManyKeyUpdateRequests,
        ),
        (
            record(21, &[1, 90]),
            PeerMisbehaved::TooManyWarningAlertsReceived,
        ),
    ] {
        assert_eq!(direct(&storm(step.clone(), 32)).end, End::Open, "{step:?}");
        let over = direct(&storm(step.clone(), 33));
        assert_eq!(over.end, End::Failed(otherwise.into()), "{step:?}");
        assert_eq!(over.alert, Some(AlertDescription::UnexpectedMessage));
        // Data in between makes up for it.
        let mut relieved = storm(step.clone(), 32);
        relieved.extend(storm(step, 32));
        assert_eq!(direct(&relieved).end, End::Open);
    }
}

#[test]
fn a_clear_record_is_refused_after_the_handshake() {
    for content_type in [20, 21, 22, 24, 0, 255] {
        let outcome = direct(&[
            data(1),
            Step::Clear {
                content_type,
                len: 2,
            },
        ]);
        assert!(matches!(outcome.end, End::Failed(_)), "{content_type}");
        assert_eq!(outcome.alert, Some(AlertDescription::UnexpectedMessage));
    }
}

#[test]
fn an_empty_handshake_record_is_refused() {
    let outcome = direct(&[record(22, &[])]);
    assert_eq!(outcome.alert, Some(AlertDescription::DecodeError));
}

#[test]
fn a_key_update_comes_whole_in_one_record() {
    for front in [1, 2, 4] {
        let message = [24, 0, 0, 1, 0];
        let outcome = direct(&[record(22, &message[..front]), record(22, &message[front..])]);
        assert!(matches!(outcome.end, End::Failed(_)));
    }
}

#[test]
fn only_handshake_records_stand_between_the_parts_of_a_ticket() {
    for between in [data(1), record(21, &CLOSE)] {
        let steps = [record(22, &TICKET_FRONT), between];
        for piece in [usize::MAX, 1] {
            let outcome = run(Engine::Direct, PeerSide::Server, &steps, piece);
            let what = PeerMisbehaved::MessageInterleavedWithHandshakeMessage;
            assert_eq!(outcome.end, End::Failed(what.into()));
        }
    }
}

#[test]
fn a_server_takes_no_ticket() {
    let outcome = run(
        Engine::Direct,
        PeerSide::Client,
        &[record(22, &TICKET_FRONT)],
        1,
    );
    assert!(matches!(outcome.end, End::Failed(_)));
    let outcome = run(
        Engine::Direct,
        PeerSide::Server,
        &[record(22, &TICKET_FRONT)],
        1,
    );
    assert_eq!(outcome.end, End::Open);
}

#[test]
fn a_long_message_is_refused_before_it_comes() {
    let steps = [record(22, &[4, 1, 0, 0, 0])];
    let outcome = run(Engine::Direct, PeerSide::Server, &steps, usize::MAX);
    assert_eq!(outcome.alert, Some(AlertDescription::DecodeError));
}

/// A client that speaks before it reads, and a server that sends no ticket: what comes behind the Finished is not the handshake's.
#[test]
fn data_that_comes_with_the_finished_waits_for_room() {
    use std::io::Write;
    for engine in [Engine::Rustls, Engine::Direct] {
        let pki = forger::pki();
        let mut config = forger::server(&pki, engine);
        config.send_tls13_tickets = 0;
        let mut session = server_session(Arc::new(config)).unwrap();
        let name = ServerName::try_from("a.test").unwrap();
        let client = Arc::new(forger::client(&pki, Engine::Rustls));
        let mut client = rustls::ClientConnection::new(client, name).unwrap();
        let (mut wire, mut control) = (Vec::new(), vec![0; 50_000]);
        while client.is_handshaking() {
            client.write_tls(&mut wire).unwrap();
            let opened = session.open(&mut wire, &mut []).unwrap();
            wire.drain(..opened.consumed);
            let n = session.transmit(&mut control);
            client.read_tls(&mut &control[..n]).unwrap();
            client.process_new_packets().unwrap();
        }
        client.writer().write_all(&[7; 40_000]).unwrap();
        client.send_close_notify();
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        let opened = session.open(&mut wire, &mut []).unwrap();
        assert_eq!(opened.progress, Progress::PlaintextFull, "{engine:?}");
        assert!(!session.is_handshaking());
        wire.drain(..opened.consumed);
        let mut room = vec![0; 60_000];
        let opened = session.open(&mut wire, &mut room).unwrap();
        assert_eq!(opened.progress, Progress::PeerClosed, "{engine:?}");
        assert!(opened.produced == 40_000 && room[..40_000].iter().all(|byte| *byte == 7));
    }
}

/// Handshake messages over many records, and records in pieces.
#[test]
fn a_handshake_in_small_records_is_put_together() {
    for engine in [Engine::Rustls, Engine::Direct] {
        for piece in [usize::MAX, 1, 33] {
            let pki = forger::pki();
            let mut config = forger::server(&pki, engine);
            config.max_fragment_size = Some(40);
            let mut server = server_session(Arc::new(config)).unwrap();
            let mut config = forger::client(&pki, engine);
            config.max_fragment_size = Some(40);
            let name = ServerName::try_from("a.test").unwrap();
            let mut client = client_session(Arc::new(config), name).unwrap();
            let (mut to_server, mut to_client) = (Vec::new(), Vec::new());
            for _ in 0..4 {
                feed(&mut client, &mut to_client, piece);
                take_control(&mut client, &mut to_server);
                feed(&mut server, &mut to_server, piece);
                take_control(&mut server, &mut to_client);
            }
            assert!(!client.is_handshaking() && !server.is_handshaking());
            let mut out = vec![0; 1000];
            let n = client.seal(b"hello", &mut out).unwrap().produced;
            let mut room = vec![0; 20_000];
            let opened = server.open(&mut out[..n], &mut room).unwrap();
            assert_eq!(&room[..opened.produced], b"hello");
        }
    }
}

fn take_control(session: &mut dyn Session, wire: &mut Vec<u8>) {
    let mut control = vec![0; 50_000];
    let n = session.transmit(&mut control);
    wire.extend_from_slice(&control[..n]);
}

fn feed(session: &mut dyn Session, wire: &mut Vec<u8>, piece: usize) {
    let mut held = Vec::new();
    for piece in wire.chunks(piece) {
        held.extend_from_slice(piece);
        let opened = session.open(&mut held, &mut []).unwrap();
        held.drain(..opened.consumed);
    }
    *wire = held;
}
