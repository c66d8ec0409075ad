//! The sealed message: AWS Encryption SDK message format, version 2, with key commitment (`ENVELOPE.md`).
//!
//! ```text
//! seal:  data key --wrap--> recipients ┐
//!        context ----------------------┴-> header -> frame 1 .. frame R -> final frame
//! open:  bytes -> header -> recipient --unwrap--> data key -> commitment -> header tag -> frames -> final frame (-> footer)
//! ```
//!
//! Everything here is sans-I/O: bytes in, bytes out. The crate opens no file, reads no clock and no socket; [`RangeOpener`] asks a source
//! that it was given for the bytes of the frames it needs. The one thing it takes from the
//! system is randomness for message ids, data keys and wrapping nonces: a caller who could choose those could repeat them, and a
//! repeated message id is a repeated GCM nonce.
//!
//! # Context, recipients, and who reads them
//! By default all of a message's context is stored in its header, for all to read. Required context is authenticated but not stored
//! ([`Sealer::begin_with_required`]): a reader brings the same pairs or is refused. Not every SDK can:
//!
//! | AWS Encryption SDK | stored context | required context | raw AES | raw RSA | raw ECDH |
//! |---|---|---|---|---|---|
//! | Python 4.x, Rust | yes | yes | yes | yes | yes |
//! | Node 5.x | yes | no | yes | yes | no |
//!
//! The X-Wing recipient is this crate's own; SDKs skip it.
//!
//! # Buffers and cost
//! A [`Sealer`] or [`Opener`] holds one frame at most, allocated once for a message; no frame allocates (`tests/allocations.rs`). Whole
//! frames go straight from the caller's bytes to the output. The forms that end in `_into` fill a buffer that the caller keeps and uses
//! again, and are the fast ones: a vector can be grown by zeros only, so each frame is written twice. The lengths to reserve are known
//! beforehand: [`Sealer::write_len`], [`Sealer::finish_len`], [`Opener::output_len_most`].
//!
//! ```text
//! read a chunk -> write_into(chunk, buffer) -> write buffer[..n] -> .. -> finish_into(buffer) -> write buffer[..n]
//! ```
//!
//! What the crate does not do: keep keys (that is `sealgate-keys`), choose recipients, or rewrite a header. A header is
//! written once: a second header tag under one message id gives the authentication key away. A further recipient gets a [`grant`]; to take one away, [`reseal`].

pub mod limits;

#[cfg(test)]
mod calls_test;
mod context;
mod data_key;
mod frame;
pub mod grant;
mod header;
mod message_key;
mod open;
mod output;
mod range;
mod recipient;
mod refusal;
pub mod reseal;
mod seal;
mod signature;
pub mod sizes;
mod suite;

pub use context::{Context, ContextError, ContextFault};
pub use data_key::{DATA_KEY_LEN_BYTES, DataKey, RandomUnavailable};
pub use header::{Header, HeaderLimits, ParsedHeader};
pub use open::{OpenIntoError, Opener, WholeMessage};
pub use range::{RangeError, RangeOpener, ReadAt, VerifiedEnd, read_header};
pub use recipient::raw_aes::RawAesKey;
pub use recipient::raw_ecdh::{Curve, RawEcdhPrivateKey, RawEcdhPublicKey};
pub use recipient::raw_rsa::{OaepHash, RawRsaPrivateKey, RawRsaPublicKey};
pub use recipient::xwing::{
    XWING_PRIVATE_KEY_LEN_BYTES, XWING_PROVIDER_ID, XWING_PUBLIC_KEY_LEN_BYTES, XwingPrivateKey,
    XwingPublicKey,
};
pub use recipient::xwing_seed::{XWING_SEED_LEN_BYTES, XwingSeed};
pub use recipient::{
    KeyError, PAD_PROVIDER_ID, Recipient, RecipientError, RecipientField, RecipientRef,
    UnwrapError, WrapError,
};
pub use refusal::{Refusal, RefusalReason};
pub use seal::{SealError, SealSettings, Sealer};
pub use signature::Signer;
pub use suite::Suite;
