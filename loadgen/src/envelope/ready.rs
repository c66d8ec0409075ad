//! Messages that are sealed before a run, so that sealing is no part of its times.

use std::sync::Arc;

use bytes::Bytes;

use super::keys::{EnvelopeError, Keys};
use crate::{
    operation::{
        http1::check::{sha256, write_digest},
        size::Size,
    },
    pattern::Pattern,
    schedule::random::Random,
};

/// Bytes of all messages that are kept ready.
pub const MAX_READY_BYTES: u64 = 256 << 20;

/// The stream of chance that their sizes are drawn from.
const SIZES: u64 = 0xe14e_710e;

/// Messages to send in turn.
#[derive(Debug)]
pub struct Ready {
    /// Those under one key behind one another.
    messages: Vec<Message>,
    /// Under each key.
    each: usize,
}

#[derive(Debug)]
struct Message {
    bytes: Bytes,
    /// As RFC 9530 writes it.
    digest: String,
}

impl Ready {
    /// Seals so many messages under each key, whose plaintexts have the sizes that `size` draws.
    ///
    /// # Errors
    ///
    /// When they take too much memory, or cannot be sealed.
    pub fn seal(
        keys: &[Arc<Keys>],
        envelopes: u32,
        size: Size,
        seed: u64,
    ) -> Result<Self, EnvelopeError> {
        let mut messages = Vec::new();
        let mut left = MAX_READY_BYTES;
        let numbers = keys.iter().enumerate().flat_map(|(key, keys)| {
            let first = key as u64 * u64::from(envelopes);
            (first..first + u64::from(envelopes)).map(move |number| (keys, number))
        });
        for (keys, number) in numbers {
            let len = size.draw(&mut Random::new(seed ^ SIZES, number));
            if len > left {
                return Err(EnvelopeError::TooLarge { envelopes });
            }
            let bytes = message(keys, len)?;
            // Messages are a little longer than what is in them.
            left = left
                .checked_sub(bytes.len() as u64)
                .ok_or(EnvelopeError::TooLarge { envelopes })?;
            messages.push(Message {
                digest: write_digest(&sha256(&bytes)),
                bytes: bytes.into(),
            });
        }
        Ok(Self {
            messages,
            each: envelopes as usize,
        })
    }

    /// The message of the operation with this number on its worker, for a tenant.
    pub fn pick(&self, tenant: usize, number: u64) -> usize {
        let each = self.each.max(1);
        let holders = (self.messages.len() / each).max(1);
        tenant % holders * each + (number % each as u64) as usize
    }

    /// The bytes of a message.
    pub fn bytes(&self, message: usize) -> &Bytes {
        &self.messages[message].bytes
    }

    /// The value of its `Content-Digest`.
    pub fn digest(&self, message: usize) -> &str {
        &self.messages[message].digest
    }
}

fn message(keys: &Keys, len: u64) -> Result<Vec<u8>, EnvelopeError> {
    let (mut sealer, mut out) = keys.begin()?;
    let pattern = Pattern::new();
    let mut left = len;
    while left > 0 {
        let chunk = pattern.chunk(left);
        sealer.write(chunk, &mut out)?;
        left -= chunk.len() as u64;
    }
    sealer.finish(&mut out)?;
    out.shrink_to_fit();
    Ok(out)
}
