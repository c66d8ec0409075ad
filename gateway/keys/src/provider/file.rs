//! The embedded provider: KEKs in the keyring file. Pure memory here; the keyring writes the file.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::rand;

use super::{
    Destruction, KekName, KekState, KeyProvider, ProviderError, ProviderFault, ProviderFuture,
    WrapContext, WrappedKey,
};
use crate::secret::Secret;

const KEY_LEN_BYTES: usize = 32;
const TAG_LEN_BYTES: usize = 16;
/// nonce ‖ ciphertext ‖ tag
pub(crate) const WRAPPED_LEN_BYTES: usize = NONCE_LEN + KEY_LEN_BYTES + TAG_LEN_BYTES;

type Keks = BTreeMap<u32, Secret<KEY_LEN_BYTES>>;

/// The KEK versions of one keyring file. AES-256-GCM with random nonces; the context is its additional data.
///
/// It holds the KEKs of one tenant and does not look at a [`KekName`]'s pseudonym, which the context binds.
#[derive(Default)]
pub struct FileProvider {
    keks: Mutex<Keks>,
}

impl FileProvider {
    /// A provider that holds nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The versions that it holds, rising.
    #[must_use]
    pub fn versions(&self) -> Vec<u32> {
        self.lock().keys().copied().collect()
    }

    /// Puts a KEK that was read from a file in its place. False where that version is taken.
    pub(crate) fn insert(&self, version: u32, kek: Secret<KEY_LEN_BYTES>) -> bool {
        let mut keks = self.lock();
        let is_free = !keks.contains_key(&version);
        if is_free {
            keks.insert(version, kek);
        }
        is_free
    }

    /// Shows every KEK, by rising version, to what writes the file.
    pub(crate) fn for_each(&self, mut write: impl FnMut(u32, &Secret<KEY_LEN_BYTES>)) {
        self.lock()
            .iter()
            .for_each(|(version, kek)| write(*version, kek));
    }

    /// A map is never left half changed, so a panic elsewhere leaves it good.
    fn lock(&self) -> MutexGuard<'_, Keks> {
        self.keks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with_kek<T>(
        &self,
        kek: &KekName,
        work: impl FnOnce(&Secret<KEY_LEN_BYTES>) -> Result<T, ProviderFault>,
    ) -> Result<T, ProviderError> {
        self.lock()
            .get(&kek.version)
            .ok_or(ProviderFault::NotFound)
            .and_then(work)
            .map_err(|fault| refused(kek, fault))
    }
}

fn refused(kek: &KekName, fault: ProviderFault) -> ProviderError {
    ProviderError {
        provider: "file",
        version: kek.version,
        fault,
    }
}

fn cipher(kek: &Secret<KEY_LEN_BYTES>) -> LessSafeKey {
    LessSafeKey::new(
        UnboundKey::new(&AES_256_GCM, kek.expose()).expect("AES-256 takes every key of 32 bytes"),
    )
}

fn wrap(
    kek: &Secret<KEY_LEN_BYTES>,
    secret: &Secret<KEY_LEN_BYTES>,
    context: &WrapContext,
) -> Result<WrappedKey, ProviderFault> {
    let mut nonce = [0; NONCE_LEN];
    rand::fill(&mut nonce).map_err(|_| ProviderFault::CipherFailed)?;
    let mut wrapped = vec![0; WRAPPED_LEN_BYTES];
    let (head, tag) = wrapped.split_at_mut(NONCE_LEN + KEY_LEN_BYTES);
    let (head, ciphertext) = head.split_at_mut(NONCE_LEN);
    head.copy_from_slice(&nonce);
    cipher(kek)
        .seal_out_of_place_scatter(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(context.to_aad()),
            secret.expose(),
            ciphertext,
            &[],
            tag,
        )
        .map_err(|_| ProviderFault::CipherFailed)?;
    Ok(WrappedKey(wrapped))
}

fn unwrap(
    kek: &Secret<KEY_LEN_BYTES>,
    wrapped: &WrappedKey,
    context: &WrapContext,
) -> Result<Secret<KEY_LEN_BYTES>, ProviderFault> {
    let bytes: &[u8; WRAPPED_LEN_BYTES] = wrapped
        .0
        .as_slice()
        .try_into()
        .map_err(|_| ProviderFault::NotAuthentic)?;
    let (head, tag) = bytes.split_at(NONCE_LEN + KEY_LEN_BYTES);
    let (nonce, ciphertext) = head.split_at(NONCE_LEN);
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| ProviderFault::NotAuthentic)?;
    let mut secret = Secret::zero();
    cipher(kek)
        .open_separate_gather(
            nonce,
            Aad::from(context.to_aad()),
            ciphertext,
            tag,
            secret.as_mut_bytes(),
        )
        .map_err(|_| ProviderFault::NotAuthentic)?;
    Ok(secret)
}

impl KeyProvider for FileProvider {
    fn name(&self) -> &'static str {
        "file"
    }

    fn generate<'a>(&'a self, kek: &'a KekName) -> ProviderFuture<'a, ()> {
        let made = Secret::generate()
            .map_err(|_| refused(kek, ProviderFault::CipherFailed))
            .and_then(|secret| {
                if self.insert(kek.version, secret) {
                    Ok(())
                } else {
                    Err(refused(kek, ProviderFault::AlreadyExists))
                }
            });
        Box::pin(std::future::ready(made))
    }

    fn wrap<'a>(
        &'a self,
        kek: &'a KekName,
        secret: &'a Secret<32>,
        context: &'a WrapContext,
    ) -> ProviderFuture<'a, WrappedKey> {
        Box::pin(async move { self.with_kek(kek, |key| wrap(key, secret, context)) })
    }

    fn unwrap<'a>(
        &'a self,
        kek: &'a KekName,
        wrapped: &'a WrappedKey,
        context: &'a WrapContext,
    ) -> ProviderFuture<'a, Secret<32>> {
        Box::pin(async move { self.with_kek(kek, |key| unwrap(key, wrapped, context)) })
    }

    fn state<'a>(&'a self, kek: &'a KekName) -> ProviderFuture<'a, KekState> {
        Box::pin(async move { self.with_kek(kek, |_| Ok(KekState::Enabled)) })
    }

    fn destroy<'a>(&'a self, kek: &'a KekName) -> ProviderFuture<'a, Destruction> {
        Box::pin(async move {
            // The secret is wiped as it is dropped here.
            match self.lock().remove(&kek.version) {
                Some(_) => Ok(Destruction::Done),
                None => Err(refused(kek, ProviderFault::NotFound)),
            }
        })
    }
}
