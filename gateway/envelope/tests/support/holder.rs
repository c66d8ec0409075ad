//! Holders of keys of every kind, made once: RSA keys take long.

use std::sync::LazyLock;

use aws_lc_rs::agreement::{ECDH_P256, ECDH_P384, PrivateKey};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeySize, PrivateDecryptingKey};
use sealgate_envelope::{
    Context, Curve, DataKey, OaepHash, RawAesKey, RawEcdhPrivateKey, RawRsaPrivateKey,
    RawRsaPublicKey, Recipient, RecipientRef, UnwrapError, XwingPrivateKey,
};

/// A key, both of its halves.
pub enum Holder {
    Aes(RawAesKey),
    Rsa(RawRsaPublicKey, RawRsaPrivateKey),
    Ecdh(RawEcdhPrivateKey),
    Xwing(XwingPrivateKey),
}

/// Two of each kind that can have several; all different.
pub static HOLDERS: LazyLock<Vec<Holder>> = LazyLock::new(|| {
    vec![
        aes(1),
        rsa(OaepHash::Sha256),
        ecdh(Curve::P256),
        Holder::Xwing(XwingPrivateKey::generate().unwrap()),
        aes(2),
        rsa(OaepHash::Sha1),
        ecdh(Curve::P384),
        ecdh(Curve::P256),
    ]
});

impl Holder {
    pub fn wrap(&self, data_key: &DataKey, context: &Context) -> Recipient {
        match self {
            Self::Aes(key) => key.wrap(data_key, context),
            Self::Rsa(key, _) => key.wrap(data_key),
            Self::Ecdh(key) => key.public_key().wrap(data_key, context),
            Self::Xwing(key) => key.public_key().wrap(data_key, context),
        }
        .unwrap()
    }

    pub fn unwrap(
        &self,
        recipient: &RecipientRef<'_>,
        context: &Context,
    ) -> Result<DataKey, UnwrapError> {
        match self {
            Self::Aes(key) => key.unwrap(recipient, context),
            Self::Rsa(_, key) => key.unwrap(recipient),
            Self::Ecdh(key) => key.unwrap(recipient, context),
            Self::Xwing(key) => key.unwrap(recipient, context),
        }
    }
}

fn aes(byte: u8) -> Holder {
    let name = format!("main/{byte}");
    Holder::Aes(RawAesKey::new(&[byte; 32], "sealgate/5f0c", &name).unwrap())
}

fn rsa(hash: OaepHash) -> Holder {
    let private = PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap();
    let public = private.public_key().as_der().unwrap();
    let name = format!("{hash:?}");
    Holder::Rsa(
        RawRsaPublicKey::from_der(public.as_ref(), hash, "exit", &name).unwrap(),
        RawRsaPrivateKey::from_pkcs8(private.as_der().unwrap().as_ref(), hash, "exit", &name)
            .unwrap(),
    )
}

fn ecdh(curve: Curve) -> Holder {
    let algorithm = match curve {
        Curve::P256 => &ECDH_P256,
        Curve::P384 => &ECDH_P384,
    };
    let key = PrivateKey::generate(algorithm).unwrap();
    let der: Pkcs8V1Der<'_> = key.as_der().unwrap();
    Holder::Ecdh(RawEcdhPrivateKey::from_pkcs8(der.as_ref(), curve).unwrap())
}
