//! The two algorithm suites that commit to their key, and what is derived from a data key under them.

use aws_lc_rs::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf::{HKDF_SHA512, KeyType, Prk};
use aws_lc_rs::hmac::{self, HMAC_SHA512};
use zeroize::Zeroizing;

use crate::data_key::DataKey;
use crate::message_key::MessageKey;

/// Length of a message id, which salts the derivation.
pub(crate) const MESSAGE_ID_LEN_BYTES: usize = 32;
const SHA512_LEN_BYTES: usize = 64;
/// Length of the commitment key in the header.
pub(crate) const COMMITMENT_LEN_BYTES: usize = 32;

/// Suites of the AWS Encryption SDK without key commitment. They are named so that the refusal can say which kind of message it was.
const WITHOUT_COMMITMENT: [u16; 9] = [
    0x0014, 0x0046, 0x0078, 0x0114, 0x0146, 0x0178, 0x0214, 0x0346, 0x0378,
];

/// An algorithm suite with key commitment: AES-256-GCM under HKDF-SHA512.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suite {
    /// `0x0478`, no signature. The suite that is written unless another is asked for.
    Committed,
    /// `0x0578`: as `0x0478`, with an ECDSA P-384 signature over the whole message in a footer. Written on request.
    CommittedSigned,
}

impl Suite {
    /// The suite's number in the header.
    #[must_use]
    pub fn id(self) -> u16 {
        match self {
            Self::Committed => 0x0478,
            Self::CommittedSigned => 0x0578,
        }
    }

    pub(crate) fn from_id(id: u16) -> Option<Self> {
        match id {
            0x0478 => Some(Self::Committed),
            0x0578 => Some(Self::CommittedSigned),
            _ => None,
        }
    }

    /// Whether `id` is a suite of the AWS Encryption SDK that lacks key commitment.
    pub(crate) fn lacks_commitment(id: u16) -> bool {
        WITHOUT_COMMITMENT.contains(&id)
    }
}

/// What one message's keys are derived from: the data key under the message id.
pub(crate) struct Derivation {
    suite: Suite,
    message_id: [u8; MESSAGE_ID_LEN_BYTES],
    prk: Prk,
}

impl Derivation {
    pub(crate) fn new(
        suite: Suite,
        data_key: &DataKey,
        message_id: &[u8; MESSAGE_ID_LEN_BYTES],
    ) -> Result<Self, Unspecified> {
        // HKDF-Extract is HMAC with the salt as key (RFC 5869 §2.2). Done by hand because the library's `Salt::extract` puts it off and
        // then repeats it in every expansion; there are two.
        let salt = hmac::Key::new(HMAC_SHA512, message_id);
        let mut prk = Zeroizing::new([0; SHA512_LEN_BYTES]);
        hmac::sign_to_buffer(&salt, data_key.as_bytes(), prk.as_mut_slice())?;
        Ok(Self {
            suite,
            message_id: *message_id,
            prk: Prk::new_less_safe(HKDF_SHA512, prk.as_slice()),
        })
    }

    /// The public commitment to the data key.
    ///
    /// # Errors
    /// `Unspecified` only where the library itself fails.
    pub(crate) fn commitment(&self) -> Result<[u8; COMMITMENT_LEN_BYTES], Unspecified> {
        let mut commitment = [0; COMMITMENT_LEN_BYTES];
        self.prk
            .expand(&[b"COMMITKEY"], CommitmentLen)?
            .fill(&mut commitment)?;
        Ok(commitment)
    }

    /// The AES-256-GCM key of the header tag and of every frame.
    ///
    /// # Errors
    /// `Unspecified` only where the library itself fails.
    pub(crate) fn message_key(&self) -> Result<MessageKey, Unspecified> {
        let suite_id = self.suite.id().to_be_bytes();
        let info: [&[u8]; 2] = [&suite_id, b"DERIVEKEY"];
        let okm = self.prk.expand(&info, &AES_256_GCM)?;
        let key = LessSafeKey::new(UnboundKey::from(okm));
        Ok(MessageKey::new(key, self.message_id))
    }
}

/// Tells HKDF how long a commitment is.
#[derive(Clone, Copy)]
struct CommitmentLen;

impl KeyType for CommitmentLen {
    fn len(&self) -> usize {
        COMMITMENT_LEN_BYTES
    }
}
