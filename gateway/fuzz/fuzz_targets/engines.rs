//! Random scripts of a peer that shook hands honestly and then writes whatever records it likes, against both TLS engines.
//!
//! Input, by `arbitrary`: the steps, which side the peer is, and the pieces in which the bytes come.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use rustls::AlertDescription;
use sealgate_tls::Engine;

#[path = "../../tls/tests/forger/mod.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod forger;
#[path = "../../tls/tests/script/mod.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod script;

use forger::PeerSide;
use script::{Step, assert_same, run};

/// Steps that are looked at; a script of more only takes longer.
const STEPS: usize = 48;
/// Bytes of one record's plaintext, padding included.
const INNER: usize = 16_384;
/// rustls takes fewer records without data in a row than we do: four warnings, and 32 of the others together with
/// what its handshake counted.
const IDLE: usize = 4;

#[derive(Arbitrary, Debug)]
struct Script {
    steps: Vec<Part>,
    peer_is_client: bool,
    piece: u16,
}

#[derive(Arbitrary, Debug)]
enum Part {
    Data {
        len: u16,
        padding: u16,
    },
    Record {
        content_type: u8,
        content: Vec<u8>,
    },
    KeyUpdate {
        requested: bool,
    },
    Close,
    UserCanceled,
    BadTag,
    Clear {
        content_type: u8,
        len: u16,
    },
    /// As the last step only.
    Truncate(u16),
}

impl Part {
    fn step(&self) -> Step {
        match self {
            Part::Data { len, padding } => {
                let len = usize::from(*len) % (INNER + 1);
                let padding = usize::from(*padding) % (INNER + 1 - len);
                Step::Data { len, padding }
            }
            Part::Record {
                content_type,
                content,
            } => Step::Record {
                content_type: *content_type,
                content: content.clone(),
            },
            Part::KeyUpdate { requested } => Step::KeyUpdate {
                requested: *requested,
            },
            Part::Close => alert(AlertDescription::CloseNotify),
            Part::UserCanceled => alert(AlertDescription::UserCanceled),
            Part::BadTag => Step::BadTag,
            Part::Clear { content_type, len } => Step::Clear {
                content_type: *content_type,
                len: usize::from(*len) % 20_000,
            },
            Part::Truncate(_) => Step::Data { len: 1, padding: 0 },
        }
    }

    /// Whether RFC 8446 leaves both engines one way to take it.
    fn is_plain(&self) -> bool {
        !matches!(self, Part::Record { .. } | Part::Clear { .. })
    }

    fn is_idle(&self) -> bool {
        matches!(
            self,
            Part::KeyUpdate { .. } | Part::UserCanceled | Part::Data { len: 0, .. }
        )
    }
}

fn alert(description: AlertDescription) -> Step {
    Step::Record {
        content_type: 21,
        content: vec![1, description.into()],
    }
}

fuzz_target!(|script: Script| {
    let parts = &script.steps[..script.steps.len().min(STEPS)];
    let mut steps: Vec<Step> = parts.iter().map(Part::step).collect();
    if let Some(Part::Truncate(by)) = parts.last() {
        // The byte that `step` made of it is 23 long.
        steps.push(Step::Truncate(usize::from(*by) % 23));
    }
    let peer = match script.peer_is_client {
        true => PeerSide::Client,
        false => PeerSide::Server,
    };
    let piece = usize::from(script.piece).max(1);
    let whole = run(Engine::Direct, peer, &steps, usize::MAX);
    let direct = run(Engine::Direct, peer, &steps, piece);
    let case = format!("{peer:?}, {piece}: {steps:?}");
    let plaintext_len = direct.plaintext.len();
    let answers = direct.answers;
    assert_same(&whole, direct, &case);
    let sent: usize = steps
        .iter()
        .map(|step| match step {
            Step::Data { len, .. } => *len,
            Step::Record {
                content_type: 23,
                content,
            } => content.len(),
            _ => 0,
        })
        .sum();
    assert!(plaintext_len <= sent, "{case}");
    assert!(answers <= steps.len(), "{case}");

    let rustls = run(Engine::Rustls, peer, &steps, piece);
    let is_prefix = |a: &[u8], b: &[u8]| a.starts_with(b) || b.starts_with(a);
    assert!(is_prefix(&rustls.plaintext, &whole.plaintext), "{case}");
    let idle = parts.iter().filter(|part| part.is_idle()).count();
    if parts.iter().all(Part::is_plain) && idle <= IDLE {
        assert_eq!(rustls.plaintext, whole.plaintext, "{case}");
        assert_eq!(rustls.end.class(), whole.end.class(), "{case}");
    }
});
