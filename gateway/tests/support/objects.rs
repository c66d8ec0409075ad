//! An object store behind a sealed route, into which tests can look.

use std::collections::HashMap;
use std::net::SocketAddr;

use sealgate_envelope::{Header, Opener, ParsedHeader};
use sealgate_keys::Keyring;

use super::http::{HttpUpstream, Message, response};
use super::watch::Watch;

/// What is stored at a path.
#[derive(Clone)]
pub struct Object {
    pub bytes: Vec<u8>,
    /// Fields that go with each response, as on the wire.
    pub fields: String,
}

/// An HTTP store: PUT and POST store whole bodies, GET and HEAD give them, DELETE removes.
pub struct Objects {
    http: HttpUpstream,
    stored: Watch<HashMap<String, Object>>,
}

impl Objects {
    pub fn start() -> Self {
        let stored: Watch<HashMap<String, Object>> = Watch::new(HashMap::new());
        let http = HttpUpstream::start({
            let stored = stored.clone();
            move |request| answer(&stored, request)
        });
        Self { http, stored }
    }

    pub fn address(&self) -> SocketAddr {
        self.http.address()
    }

    pub fn http(&self) -> &HttpUpstream {
        &self.http
    }

    pub fn stored(&self, path: &str) -> Option<Vec<u8>> {
        self.stored
            .read(|stored| stored.get(path).map(|object| object.bytes.clone()))
    }

    pub fn count(&self) -> usize {
        self.stored.read(HashMap::len)
    }

    pub fn store(&self, path: &str, bytes: &[u8], fields: &str) {
        let object = Object {
            bytes: bytes.to_vec(),
            fields: fields.to_owned(),
        };
        self.stored
            .change(|stored| stored.insert(path.to_owned(), object));
    }

    pub fn copy(&self, from: &str, to: &str) {
        self.stored.change(|stored| {
            let object = stored[from].clone();
            stored.insert(to.to_owned(), object);
        });
    }

    /// Changes the stored bytes.
    pub fn damage(&self, path: &str, damage: impl FnOnce(&mut Vec<u8>)) {
        self.stored
            .change(|stored| damage(&mut stored.get_mut(path).unwrap().bytes));
    }

    pub fn flip(&self, path: &str, offset: usize) {
        self.damage(path, |bytes| bytes[offset] ^= 1);
    }
}

fn answer(stored: &Watch<HashMap<String, Object>>, request: &Message) -> Vec<u8> {
    let path = request.target().to_owned();
    match request.method() {
        "PUT" | "POST" => {
            let object = Object {
                bytes: request.body.clone(),
                fields: String::new(),
            };
            stored.change(|stored| stored.insert(path, object));
            response("201 Created", "", b"")
        }
        "DELETE" => match stored.change(|stored| stored.remove(&path)) {
            Some(_) => b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
            None => response("404 Not Found", "Content-Type: text/plain\r\n", NOT_FOUND),
        },
        method => {
            let mut bytes = match stored.read(|stored| stored.get(&path).cloned()) {
                Some(object) => response("200 OK", &object.fields, &object.bytes),
                None => response("404 Not Found", "Content-Type: text/plain\r\n", NOT_FOUND),
            };
            if method == "HEAD" {
                let end = bytes
                    .windows(4)
                    .position(|four| four == b"\r\n\r\n")
                    .unwrap();
                bytes.truncate(end + 4);
            }
            bytes
        }
    }
}

/// An error body of the upstream's own; clients of a sealed route never see it.
pub const NOT_FOUND: &[u8] = b"upstream-internal: no such object on shard 7";

/// The header of a stored message.
pub fn header(message: &[u8]) -> Header {
    match Header::parse(message).unwrap() {
        ParsedHeader::Complete { header, .. } => header,
        _ => panic!("an incomplete header"),
    }
}

/// Opens a whole stored message with the tenant's keyring, as it stands at `path`.
pub fn open(keyring: &Keyring, path: &str, message: &[u8]) -> Vec<u8> {
    let header = header(message);
    let policy = header
        .context()
        .value("policy")
        .expect("a policy in the context")
        .to_owned();
    let context = keyring.context(&policy, path).unwrap();
    let mut opener: Opener = keyring.open_begin(&header, &context).unwrap();
    let mut plaintext = Vec::new();
    opener
        .write(&message[header.as_bytes().len()..], &mut plaintext)
        .unwrap();
    let whole = opener.finish().unwrap();
    assert_eq!(whole.plaintext_len_bytes(), plaintext.len() as u64);
    plaintext
}
