//! How often the cipher is called: once for each frame that is whole and in its place, however it turns out, and never for another.
//!
//! A frame's kind is therefore known before it is opened: one that had to be tried as a regular frame and then as the final one would
//! show as two calls.

use std::io::Cursor;

use crate::frame::FrameKind::{Final, Regular};
use crate::message_key::calls::{self, Call};
use crate::{
    Context, DataKey, Header, Opener, ParsedHeader, RangeOpener, Recipient, RefusalReason,
    SealSettings, Sealer,
};

/// A regular frame: number, IV, 64 bytes, tag.
const FRAME: usize = 96;
const FRAME_LEN: usize = 64;

struct Message {
    header: Header,
    bytes: Vec<u8>,
    data_key: DataKey,
}

/// Three regular frames and a final one of ten bytes.
fn message() -> Message {
    let data_key = DataKey::from_bytes(&[3; 32]);
    let recipient = Recipient::new(b"id", b"info", b"wrapped").unwrap();
    let settings = SealSettings {
        frame_len_bytes: FRAME_LEN as u32,
        header_len_bytes: None,
    };
    let (mut sealer, mut bytes) =
        Sealer::begin(&data_key, &Context::empty(), &[recipient], settings)
            .ok()
            .unwrap();
    sealer.write(&[5; 3 * FRAME_LEN + 10], &mut bytes).unwrap();
    sealer.finish(&mut bytes).unwrap();
    let Ok(ParsedHeader::Complete { header, .. }) = Header::parse(&bytes) else {
        panic!("sealed here");
    };
    Message {
        header,
        bytes,
        data_key,
    }
}

impl Message {
    fn body(&self) -> &[u8] {
        &self.bytes[self.header.as_bytes().len()..]
    }

    /// The calls that opening `body` takes, in chunks of `chunk_len`, and the refusal.
    fn open(&self, body: &[u8], chunk_len: usize) -> (Vec<Call>, Option<RefusalReason>) {
        let mut opener = Opener::begin(&self.header, &self.data_key).ok().unwrap();
        calls::take();
        let mut refusal = None;
        // On to the end: what was refused once costs no more calls.
        for chunk in body.chunks(chunk_len) {
            refusal = opener.write(chunk, &mut Vec::new()).err();
        }
        let refusal = refusal.or(opener.finish().err());
        (calls::take(), refusal.map(|refusal| refusal.reason))
    }
}

const ALL: [Call; 4] = [
    Call::OpenFrame(Regular, 1),
    Call::OpenFrame(Regular, 2),
    Call::OpenFrame(Regular, 3),
    Call::OpenFrame(Final, 4),
];
const CHUNK_LENS: [usize; 4] = [1, 50, FRAME, 1000];

#[test]
fn each_frame_is_sealed_once_and_opened_once() {
    calls::take();
    let message = message();
    let sealed = [
        Call::SealHeader,
        Call::SealFrame(Regular, 1),
        Call::SealFrame(Regular, 2),
        Call::SealFrame(Regular, 3),
        Call::SealFrame(Final, 4),
    ];
    assert_eq!(calls::take(), sealed);
    drop(Opener::begin(&message.header, &message.data_key));
    assert_eq!(calls::take(), [Call::VerifyHeader]);
    for chunk_len in CHUNK_LENS {
        assert_eq!(
            message.open(message.body(), chunk_len),
            (ALL.to_vec(), None)
        );
    }
}

#[test]
fn a_corrupt_frame_costs_one_call_and_ends_them() {
    let message = message();
    for (bad, last) in ALL.iter().enumerate() {
        let mut body = message.body().to_vec();
        body[bad * FRAME + 24] ^= 1;
        for chunk_len in CHUNK_LENS {
            let (calls, refusal) = message.open(&body, chunk_len);
            assert_eq!(calls, ALL[..=bad], "chunks of {chunk_len}");
            assert_eq!(calls.last(), Some(last));
            let frame = bad as u32 + 1;
            assert_eq!(refusal, Some(RefusalReason::FrameTagMismatch { frame }));
        }
    }
}

#[test]
fn what_is_no_frame_of_the_message_costs_no_call() {
    let message = message();
    // Number, IV; the final frame's mark, number, IV, length.
    let last = 3 * FRAME;
    for at in [FRAME + 3, FRAME + 15, last, last + 7, last + 19, last + 21] {
        let mut body = message.body().to_vec();
        body[at] ^= 0x40;
        for chunk_len in CHUNK_LENS {
            let (calls, refusal) = message.open(&body, chunk_len);
            assert_eq!(calls, ALL[..at / FRAME], "byte {at}: {refusal:?}");
            assert!(refusal.is_some());
        }
    }
    // Cut short in each frame.
    for cut in 0..message.body().len() {
        let (calls, refusal) = message.open(&message.body()[..cut], 1000);
        assert_eq!(calls, ALL[..cut / FRAME], "cut at {cut}");
        assert_eq!(refusal, Some(RefusalReason::FinalFrameMissing));
    }
}

#[test]
fn a_range_opens_each_of_its_frames_once() {
    let mut message = message();
    let begin = |message: &Message| {
        let source = Cursor::new(message.bytes.clone());
        RangeOpener::begin(source, &message.header, &message.data_key)
            .ok()
            .unwrap()
    };
    let frames_of = |message: &Message, start, end| {
        let mut opener = begin(message);
        calls::take();
        let opened = opener.open(start..end, &mut Vec::new());
        (calls::take(), opened.is_ok())
    };
    assert_eq!(frames_of(&message, 0, 0), (vec![], true));
    assert_eq!(frames_of(&message, 63, 65), (ALL[..2].to_vec(), true));
    assert_eq!(frames_of(&message, 64, 128), (ALL[1..2].to_vec(), true));
    assert_eq!(frames_of(&message, 0, 202), (ALL.to_vec(), true));
    // Behind the end: only the frame that says where it is.
    assert_eq!(frames_of(&message, 0, 203), (ALL[3..].to_vec(), false));

    let second = message.header.as_bytes().len() + FRAME;
    message.bytes[second + 24] ^= 1;
    assert_eq!(frames_of(&message, 0, 202), (ALL[..2].to_vec(), false));
    assert_eq!(frames_of(&message, 70, 71), (ALL[1..2].to_vec(), false));
}

#[test]
fn another_data_key_is_refused_before_any_call() {
    let message = message();
    let other = DataKey::from_bytes(&[4; 32]);
    calls::take();
    let refused = Opener::begin(&message.header, &other).err().unwrap();
    assert_eq!(refused.reason, RefusalReason::CommitmentMismatch);
    assert_eq!(calls::take(), []);
}
