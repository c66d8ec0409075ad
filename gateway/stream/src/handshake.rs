//! Handshakes, driven over a socket.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use sealgate_tls::{
    ClientHello, ClientHelloError, ClientHelloReader, Opened, Session, looks_like_http,
};
use sealgate_uring::{Buf, Pool, SizeClass, Socket, deadline, is_out_of_arrivals};
use tokio::sync::Mutex;

use crate::error::HandshakeError;
use crate::halves::{received_into_larger, send_control};
use crate::stream::{SharedSession, Stream, Tls};

/// How long, and how much, a connection that we end may still send before it is cut.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 1024 * 1024;

/// Reads until a ClientHello is complete. An alert was sent where the error has one; the socket is
/// left to the caller, who closes it with [`close_gently`].
///
/// # Errors
/// [`HandshakeError`]
pub async fn accept_hello(socket: &Socket, pool: &Pool) -> Result<ClientHello, HandshakeError> {
    let mut reader = ClientHelloReader::default();
    loop {
        let buf = receive(socket, pool, None).await?;
        match reader.push(&buf) {
            Ok(Some(hello)) => return Ok(hello),
            Ok(None) => {}
            Err(error) => {
                if looks_like_http(if reader.bytes().is_empty() {
                    &buf
                } else {
                    reader.bytes()
                }) {
                    return Err(HandshakeError::PlainHttp);
                }
                if let ClientHelloError::Invalid { alert, .. } = &error {
                    let mut out = pool.take(SizeClass::Small);
                    out.extend(alert);
                    // The peer learns why, if it still listens.
                    let _ = socket.send_all(out).await;
                }
                return Err(HandshakeError::Hello(error));
            }
        }
    }
}

/// Ends our direction and discards what still comes, for a while, so that the last bytes we sent
/// are not destroyed by a RST for bytes we did not read.
pub async fn close_gently(socket: &Socket, pool: &Pool) {
    socket.shutdown(sealgate_uring::Half::Write);
    let drain = async {
        let mut discarded = 0;
        while discarded < LINGER_BYTES {
            match receive(socket, pool, None).await {
                Ok(buf) => discarded += buf.len(),
                Err(_) => return,
            }
        }
    };
    // Elapsed is as good an end as any.
    let _ = deadline(LINGER, drain, || socket.reset()).await;
}

/// Waits for bytes and takes them, behind those `received` before. While it waits, it holds no buffer of its own.
async fn receive(
    socket: &Socket,
    pool: &Pool,
    received: Option<Buf>,
) -> Result<Buf, HandshakeError> {
    let behind = |room| {
        let buf = received.unwrap_or_else(|| pool.take(SizeClass::Small));
        received_into_larger(buf, room, pool).ok_or(HandshakeError::TooLong)
    };
    match socket.recv_arrival().await {
        Ok(arrival) if arrival.is_empty() => return Err(HandshakeError::Closed),
        Ok(arrival) => {
            let mut buf = behind(arrival.len())?;
            buf.extend(&arrival);
            return Ok(buf);
        }
        Err(error) if is_out_of_arrivals(&error) => {}
        Err(error) => return Err(HandshakeError::Io(error)),
    }
    let mut buf = behind(1)?;
    loop {
        socket.readable().await.map_err(HandshakeError::Io)?;
        let (result, back) = socket.recv_now(buf, usize::MAX).await;
        buf = back;
        match result {
            Ok(0) => return Err(HandshakeError::Closed),
            Ok(_) => return Ok(buf),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(HandshakeError::Io(error)),
        }
    }
}

/// Drives `session` to the end of its handshake; `replay` came already. What comes after it waits for `go_on`.
pub(crate) async fn drive(
    socket: Socket,
    pool: Pool,
    session: impl Session + 'static,
    replay: &[u8],
    go_on: impl AsyncFn(),
) -> Result<Stream, HandshakeError> {
    let shared = Rc::new(SharedSession {
        session: RefCell::new(Box::new(session)),
        sending: Mutex::new(()),
        size: RefCell::default(),
    });
    let mut received = pool.take(SizeClass::Small);
    if received.extend(replay) < replay.len() {
        return Err(HandshakeError::TooLong);
    }
    loop {
        let opened = shared.session.borrow_mut().open(&mut received, &mut []);
        // Also after an error: that is how an alert leaves.
        let sent = send_control(&socket, &pool, &shared).await;
        let Opened { consumed, .. } = opened.map_err(HandshakeError::Tls)?;
        sent.map_err(HandshakeError::Io)?;
        received.consume(consumed);
        if !shared.session.borrow().is_handshaking() {
            break;
        }
        let before = Some(received).filter(|buf| !buf.is_empty());
        received = receive(&socket, &pool, before).await?;
        go_on().await;
    }
    let facts = Some(shared.session.borrow_mut().take_facts());
    let received = Some(received).filter(|buf| !buf.is_empty());
    Ok(Stream {
        socket,
        pool,
        tls: Some(Tls {
            shared,
            facts,
            received,
        }),
    })
}
