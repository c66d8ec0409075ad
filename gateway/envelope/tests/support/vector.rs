//! The messages in `tests/vectors/`, which the official Python SDK wrote, with what its index says of each.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use sealgate_envelope::{
    DataKey, Header, Opener, ParsedHeader, RawAesKey, Refusal, RefusalReason, UnwrapError,
};
use serde::Deserialize;

#[derive(Deserialize)]
pub struct Vector {
    pub file: String,
    key_hex: String,
    namespace: String,
    key_name: String,
    pub encryption_context: BTreeMap<String, String>,
    pub frame_length: u32,
    pub suite: String,
    pub plaintext_len: usize,
    pub plaintext_sha256: String,
    pub expect: Expect,
    pub note: String,
}

#[derive(Deserialize, PartialEq, Eq, Debug, Clone, Copy)]
#[serde(rename_all = "lowercase")]
pub enum Expect {
    Open,
    Refuse,
}

/// Why a message did not open: every way there is.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub enum Failed {
    Refused(Refusal),
    NotAuthentic,
    NotAddressed,
}

impl Failed {
    pub fn reason(self) -> Option<RefusalReason> {
        match self {
            Self::Refused(refusal) => Some(refusal.reason),
            Self::NotAuthentic | Self::NotAddressed => None,
        }
    }
}

impl Vector {
    /// What the index's name begins with: `ok`, `tampered`, ...
    pub fn kind(&self) -> &str {
        self.file.split(['-', '.']).next().unwrap()
    }

    pub fn key(&self) -> RawAesKey {
        let key = hex(&self.key_hex).try_into().unwrap();
        RawAesKey::new(&key, &self.namespace, &self.key_name).unwrap()
    }

    /// The data key, from the recipient that names this vector's key.
    pub fn data_key(&self, header: &Header) -> Result<DataKey, Failed> {
        let key = self.key();
        let addressed = header
            .recipients()
            .find(|recipient| key.is_named_by(recipient))
            .ok_or(Failed::NotAddressed)?;
        key.unwrap(&addressed, header.context())
            .map_err(|error| match error {
                UnwrapError::NotAuthentic => Failed::NotAuthentic,
                UnwrapError::NotAddressed => Failed::NotAddressed,
            })
    }

    /// Opens `message` as this vector's holder would; gives what was released, and how it ended.
    pub fn open(&self, message: &[u8], chunk_len: usize) -> (Vec<u8>, Result<(), Failed>) {
        let mut released = Vec::new();
        let ended = self.open_into(message, chunk_len, &mut released);
        (released, ended)
    }

    fn open_into(
        &self,
        message: &[u8],
        chunk_len: usize,
        released: &mut Vec<u8>,
    ) -> Result<(), Failed> {
        let (header, len_bytes) = match Header::parse(message).map_err(Failed::Refused)? {
            ParsedHeader::Complete { header, len_bytes } => (header, len_bytes),
            ParsedHeader::NeedMore { .. } => {
                return Err(Failed::Refused(Refusal::header_cut_short(message.len())));
            }
        };
        let data_key = self.data_key(&header)?;
        let mut opener = Opener::begin(&header, &data_key).map_err(Failed::Refused)?;
        for chunk in message[len_bytes..].chunks(chunk_len) {
            opener.write(chunk, released).map_err(Failed::Refused)?;
        }
        let whole = opener.finish().map_err(Failed::Refused)?;
        assert_eq!(whole.plaintext_len_bytes(), released.len() as u64);
        Ok(())
    }
}

/// Every vector with its message.
pub fn vectors() -> Vec<(Vector, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let index = fs::read(folder.join("index.json")).unwrap();
    let vectors: Vec<Vector> = serde_json::from_slice(&index).unwrap();
    vectors
        .into_iter()
        .map(|vector| (fs::read(folder.join(&vector.file)).unwrap(), vector))
        .map(|(message, vector)| (vector, message))
        .collect()
}

pub fn hex(text: &str) -> Vec<u8> {
    (0..text.len() / 2)
        .map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
        .collect()
}
