//! The ClientHello peek: from the client's first bytes to the name asked for.

use sealgate_tls::{
    ClientHello, ClientHelloReader, ClientSettings, Engine, Session, client_config, client_session,
};

use super::identity;

/// A post-quantum ClientHello, in the pieces in which it comes.
pub struct Hello {
    pieces: Vec<Vec<u8>>,
}

impl Hello {
    /// Comes in pieces of at most `piece_len` bytes.
    pub fn in_pieces_of(piece_len: usize) -> Self {
        let config = client_config(ClientSettings {
            roots: identity::roots(),
            certificate: None,
            alpn: vec![b"http/1.1".to_vec()],
            resumable_sessions: 0,
            engine: Engine::Direct,
        });
        let config = config.expect("a good configuration");
        let mut client =
            client_session(config, identity::server_name()).expect("a good configuration");
        let mut bytes = vec![0; 8 * 1024];
        let len = client.transmit(&mut bytes);
        Self {
            pieces: bytes[..len].chunks(piece_len).map(<[u8]>::to_vec).collect(),
        }
    }

    /// Length of the whole.
    pub fn len_bytes(&self) -> usize {
        self.pieces.iter().map(Vec::len).sum()
    }

    /// Reads it once.
    pub fn peek(&self) -> ClientHello {
        let mut reader = ClientHelloReader::default();
        for piece in &self.pieces {
            if let Some(hello) = reader.push(piece).expect("a good ClientHello") {
                return hello;
            }
        }
        panic!("the ClientHello is not complete");
    }
}
