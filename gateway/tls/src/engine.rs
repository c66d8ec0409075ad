//! Which engine a session runs on: rustls, or after a TLS 1.3 handshake our own record layer.

use std::mem;
use std::sync::Arc;

use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;
use rustls::server::UnbufferedServerConnection;
use rustls::{ClientConfig, ProtocolVersion, ServerConfig};

use crate::direct::DirectSession;
use crate::rustls_session::{Connection, RustlsSession};
use crate::session::{Facts, KeyUpdates, Opened, Progress, Sealed, Session, TlsError};

/// The engine of established TLS 1.3 sessions. TLS 1.2 and all handshakes are rustls's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Engine {
    /// rustls: the reference.
    Rustls,
    /// An own record layer: no copy and no allocation per record.
    #[default]
    Direct,
}

impl Engine {
    /// As configurations and `/status` call it.
    pub fn name(self) -> &'static str {
        match self {
            Engine::Rustls => "rustls",
            Engine::Direct => "direct",
        }
    }
}

/// A server's session under `config`.
///
/// # Errors
/// [`TlsError::Protocol`] when the configuration is unusable.
pub fn server_session(
    config: Arc<ServerConfig>,
) -> Result<TlsSession<UnbufferedServerConnection>, TlsError> {
    let engine = engine(config.enable_secret_extraction);
    let connection = UnbufferedServerConnection::new(config).map_err(TlsError::Protocol)?;
    Ok(TlsSession::new(RustlsSession::new(connection), engine))
}

/// A client's session under `config` with the server called `name`. The ClientHello waits in
/// [`Session::transmit`].
///
/// # Errors
/// [`TlsError::Protocol`] when the configuration is unusable.
pub fn client_session(
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
) -> Result<TlsSession<UnbufferedClientConnection>, TlsError> {
    let engine = engine(config.enable_secret_extraction);
    let connection = UnbufferedClientConnection::new(config, name).map_err(TlsError::Protocol)?;
    let mut session = RustlsSession::new(connection);
    session.open(&mut [], &mut [])?;
    Ok(TlsSession::new(session, engine))
}

/// rustls hands its secrets over only where the configuration allows it, so that is what says which engine is meant.
fn engine(secrets_may_be_extracted: bool) -> Engine {
    match secrets_may_be_extracted {
        true => Engine::Direct,
        false => Engine::Rustls,
    }
}

/// A session of either engine. A handshake is rustls's; what the configuration's [`Engine`] says begins behind it.
pub struct TlsSession<C: Connection> {
    running: Running<C>,
}

/// Boxed: a handshake needs far more memory than an established session, and ends.
enum Running<C: Connection> {
    /// Will be handed over when the handshake is done.
    Handshake(Box<RustlsSession<C>>),
    Rustls(Box<RustlsSession<C>>),
    Direct(Box<DirectSession<C::Side>>),
    /// It could not be handed over.
    Failed(rustls::Error),
}

impl<C: Connection> TlsSession<C> {
    fn new(session: RustlsSession<C>, engine: Engine) -> Self {
        let session = Box::new(session);
        Self {
            running: match engine {
                Engine::Rustls => Running::Rustls(session),
                Engine::Direct => Running::Handshake(session),
            },
        }
    }

    #[cfg(test)]
    pub(crate) fn into_direct(self) -> DirectSession<C::Side> {
        match self.running {
            Running::Direct(session) => *session,
            _ => panic!("not handed over"),
        }
    }

    fn session(&self) -> Result<&dyn Session, &rustls::Error> {
        match &self.running {
            Running::Handshake(session) | Running::Rustls(session) => Ok(&**session),
            Running::Direct(session) => Ok(&**session),
            Running::Failed(error) => Err(error),
        }
    }

    fn session_mut(&mut self) -> Result<&mut dyn Session, TlsError> {
        match &mut self.running {
            Running::Handshake(session) | Running::Rustls(session) => Ok(&mut **session),
            Running::Direct(session) => Ok(&mut **session),
            Running::Failed(error) => Err(TlsError::Protocol(error.clone())),
        }
    }

    /// Hands a session over whose handshake is done. TLS 1.2 stays.
    fn hand_over(&mut self) -> Result<(), TlsError> {
        let unused = Running::Failed(rustls::Error::HandshakeNotComplete);
        self.running = match mem::replace(&mut self.running, unused) {
            Running::Handshake(session) if session.is_handshaking() => Running::Handshake(session),
            Running::Handshake(session)
                if session.facts().version != Some(ProtocolVersion::TLSv1_3) =>
            {
                Running::Rustls(session)
            }
            Running::Handshake(session) => match session.into_direct() {
                Ok(direct) => Running::Direct(Box::new(direct)),
                Err(error) => {
                    self.running = Running::Failed(error.clone());
                    return Err(TlsError::Protocol(error));
                }
            },
            established => established,
        };
        Ok(())
    }
}

impl<C: Connection> Session for TlsSession<C> {
    fn open(&mut self, incoming: &mut [u8], plaintext: &mut [u8]) -> Result<Opened, TlsError> {
        let Running::Handshake(session) = &mut self.running else {
            return self.session_mut()?.open(incoming, plaintext);
        };
        // Without room for plaintext it stops where the handshake ends.
        let shaken = session.open(incoming, &mut [])?;
        self.hand_over()?;
        if shaken.progress != Progress::PlaintextFull {
            return Ok(shaken);
        }
        // What came behind the handshake is for the engine that goes on.
        let rest = &mut incoming[shaken.consumed..];
        let opened = self.session_mut()?.open(rest, plaintext)?;
        Ok(Opened {
            consumed: shaken.consumed + opened.consumed,
            ..opened
        })
    }

    fn seal(&mut self, plaintext: &[u8], outgoing: &mut [u8]) -> Result<Sealed, TlsError> {
        self.session_mut()?.seal(plaintext, outgoing)
    }

    fn request_key_update(&mut self) -> Result<(), TlsError> {
        self.session_mut()?.request_key_update()
    }

    fn key_updates(&self) -> Option<KeyUpdates> {
        self.session().ok()?.key_updates()
    }

    fn close(&mut self) {
        if let Ok(session) = self.session_mut() {
            session.close();
        }
    }

    fn wants_transmit(&self) -> bool {
        self.session().is_ok_and(Session::wants_transmit)
    }

    fn transmit(&mut self, outgoing: &mut [u8]) -> usize {
        self.session_mut()
            .map_or(0, |session| session.transmit(outgoing))
    }

    fn is_handshaking(&self) -> bool {
        self.session().is_ok_and(Session::is_handshaking)
    }

    fn peer_closed(&self) -> bool {
        self.session().is_ok_and(Session::peer_closed)
    }

    fn facts(&self) -> Facts {
        self.session()
            .map_or_else(|_| Facts::default(), Session::facts)
    }

    fn park(&mut self) {
        if let Ok(session) = self.session_mut() {
            session.park();
        }
    }

    fn take_facts(&mut self) -> Box<Facts> {
        self.session_mut()
            .map_or_else(|_| Box::default(), Session::take_facts)
    }
}
