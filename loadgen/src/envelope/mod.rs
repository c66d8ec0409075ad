//! Sealed messages: ready ones to send on a route whose devices alone have keys, and opening those that
//! come back. The format is `sealgate-envelope`'s.
//!
//! ```text
//! --keyring, --raw-aes -> Holders of Keys -> Ready: messages that are sealed before the run, sent in turn
//!                                         \-> Opening: an answer, opened while it comes
//! ```

pub mod holders;
pub mod keys;
pub mod opening;
pub mod ready;
