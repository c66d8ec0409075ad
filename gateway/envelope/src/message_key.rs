//! The message key, and every AEAD call that is made under it: one for the header's tag, one for each frame.

use aws_lc_rs::aead::{Aad, LessSafeKey, NONCE_LEN, Nonce};
use aws_lc_rs::error::Unspecified;

use crate::frame::{self, Frame, FrameAad, FrameKind};
use crate::header::TAG_LEN_BYTES;
use crate::suite::MESSAGE_ID_LEN_BYTES;

#[cfg(test)]
use calls::Call;

/// One message's AES-256-GCM key and the message's id, which every frame's tag authenticates. It has no `Debug`; the library wipes the key
/// on drop.
pub(crate) struct MessageKey {
    key: LessSafeKey,
    message_id: [u8; MESSAGE_ID_LEN_BYTES],
}

impl MessageKey {
    pub(crate) fn new(key: LessSafeKey, message_id: [u8; MESSAGE_ID_LEN_BYTES]) -> Self {
        Self { key, message_id }
    }

    /// The header's tag. The only place that seals under IV 0, called once per message id.
    pub(crate) fn seal_header(
        &self,
        authenticated: &[u8],
    ) -> Result<[u8; TAG_LEN_BYTES], Unspecified> {
        #[cfg(test)]
        calls::note(Call::SealHeader);
        let mut tag = [0; TAG_LEN_BYTES];
        let aad = Aad::from(authenticated);
        self.key
            .seal_out_of_place_scatter(header_nonce(), aad, &[], &mut [], &[], &mut tag)?;
        Ok(tag)
    }

    /// Whether the header's tag verifies.
    pub(crate) fn verifies_header(&self, authenticated: &[u8], tag: &[u8]) -> bool {
        #[cfg(test)]
        calls::note(Call::VerifyHeader);
        let aad = Aad::from(authenticated);
        self.key
            .open_separate_gather(header_nonce(), aad, &[], tag, &mut [])
            .is_ok()
    }

    /// Seals frame `number`: fills `sealed`, which has the frame's length. Each number is sealed once.
    pub(crate) fn seal_frame(
        &self,
        kind: FrameKind,
        number: u32,
        plaintext: &[u8],
        sealed: &mut [u8],
    ) -> Result<(), Unspecified> {
        #[cfg(test)]
        calls::note(Call::SealFrame(kind, number));
        let body = frame::write_head(kind, number, plaintext.len(), sealed);
        let (ciphertext, tag) = body.split_at_mut(plaintext.len());
        let aad = FrameAad::new(&self.message_id, kind, number, plaintext.len());
        self.key.seal_out_of_place_scatter(
            frame_nonce(number),
            Aad::from(aad),
            plaintext,
            ciphertext,
            &[],
            tag,
        )
    }

    /// Opens `frame`, whole in `sealed`: fills `plaintext`, which has its plaintext's length. On failure the caller wipes it.
    pub(crate) fn open_frame(
        &self,
        frame: &Frame,
        sealed: &[u8],
        plaintext: &mut [u8],
    ) -> Result<(), Unspecified> {
        #[cfg(test)]
        calls::note(Call::OpenFrame(frame.kind, frame.number));
        let (ciphertext, tag) = sealed[frame.head_len..].split_at(frame.plaintext_len);
        let aad = FrameAad::new(
            &self.message_id,
            frame.kind,
            frame.number,
            frame.plaintext_len,
        );
        self.key.open_separate_gather(
            frame_nonce(frame.number),
            Aad::from(aad),
            ciphertext,
            tag,
            plaintext,
        )
    }
}

fn frame_nonce(number: u32) -> Nonce {
    Nonce::assume_unique_for_key(frame::iv(number))
}

fn header_nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

/// For tests: which AEAD calls this thread has made.
#[cfg(test)]
pub(crate) mod calls {
    use std::cell::RefCell;

    use crate::frame::FrameKind;

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) enum Call {
        SealHeader,
        VerifyHeader,
        SealFrame(FrameKind, u32),
        OpenFrame(FrameKind, u32),
    }

    thread_local! {
        static CALLS: RefCell<Vec<Call>> = const { RefCell::new(Vec::new()) };
    }

    pub(super) fn note(call: Call) {
        CALLS.with_borrow_mut(|calls| calls.push(call));
    }

    /// The calls since it was last asked.
    pub(crate) fn take() -> Vec<Call> {
        CALLS.take()
    }
}
