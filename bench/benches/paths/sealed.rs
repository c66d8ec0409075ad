//! A sealed route's PUT and GET between HTTP and the service, and the keyring by itself.

use sealgate_envelope::{Context, DataKey, Header, ParsedHeader, Recipient, SealSettings};
use sealgate_keys::{Keyring, LocalKeyring, context_key};
use tempfile::TempDir;

const PATH: &str = "/objects/2026/11/report.bin";
const POLICY: &str = "1";
const SETTINGS: SealSettings = SealSettings {
    frame_len_bytes: 64 * 1024,
    header_len_bytes: Some(512),
};
/// HTTP bodies come in pieces of about one TLS record.
const PIECE_LEN: usize = 16 * 1024;

/// A tenant's keyring, a body and the message that it was sealed as.
pub struct Object {
    keyring: LocalKeyring,
    body: Vec<u8>,
    message: Vec<u8>,
    _folder: TempDir,
}

impl Object {
    /// An object of `len` bytes.
    pub fn new(len: usize) -> Self {
        sealgate_tls::warm_up().expect("the system has randomness");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let Ok(keyring) = Keyring::create(folder.path().join("acme.keyring"), "acme") else {
            panic!("a keyring in a fresh folder");
        };
        let mut object = Self {
            keyring: LocalKeyring::new(keyring),
            body: (0..len).map(|at| (at % 251) as u8).collect(),
            message: Vec::new(),
            _folder: folder,
        };
        let mut message = Vec::new();
        object.put(|piece| message.extend_from_slice(piece));
        object.message = message;
        object
    }

    /// Seals the body, handing pieces of the message to `send`.
    pub fn put(&self, mut send: impl FnMut(&[u8])) {
        let context = self.keyring.context(POLICY, PATH).expect("a short path");
        let Ok((mut sealer, mut out)) = self.keyring.seal_begin(&context, SETTINGS) else {
            panic!("a keyring that seals");
        };
        for piece in self.body.chunks(PIECE_LEN) {
            out.reserve(sealer.output_len_most(piece.len()));
            sealer.write(piece, &mut out).expect("few frames");
            if !out.is_empty() {
                send(&out);
                out = Vec::new();
            }
        }
        sealer.finish(&mut out).expect("few frames");
        send(&out);
    }

    /// Opens the message, handing pieces of the body to `send`.
    pub fn get(&self, mut send: impl FnMut(&[u8])) {
        let (header, header_len) = self.header();
        let expected = [
            (context_key::TENANT, self.keyring.pseudonym()),
            (context_key::PATH, PATH),
        ];
        let expected = Context::from_pairs(expected).expect("a short path");
        let mut opener = self
            .keyring
            .open_begin(&header, &expected)
            .expect("sealed here");
        for piece in self.message[header_len..].chunks(PIECE_LEN) {
            let mut out = Vec::with_capacity(opener.output_len_most(piece.len()));
            opener.write(piece, &mut out).expect("sealed here");
            if !out.is_empty() {
                send(&out);
            }
        }
        opener.finish().expect("sealed here");
    }

    /// Parses the message's header; gives its length as well.
    pub fn header(&self) -> (Header, usize) {
        match Header::parse(&self.message) {
            Ok(ParsedHeader::Complete { header, len_bytes }) => (header, len_bytes),
            _ => panic!("sealed here"),
        }
    }

    /// Wraps a data key.
    pub fn wrap(&self, data_key: &DataKey, context: &Context) -> Recipient {
        match self.keyring.wrap_data_key(data_key, context) {
            Ok(recipient) => recipient,
            Err(_) => panic!("a keyring that seals"),
        }
    }

    /// Unwraps the data key of the message.
    pub fn unwrap(&self, header: &Header) -> DataKey {
        match self.keyring.unwrap_data_key(header, header.context()) {
            Ok(data_key) => data_key,
            Err(_) => panic!("sealed here"),
        }
    }
}
