//! From an accepted socket to a TLS stream that is bound to a tenant.
//!
//! ```text
//! ClientHello -> name -> tenant -> certificate, client roots, ticket keys -> handshake
//! ```

mod turnstile;

use std::rc::Rc;

pub use turnstile::{Crowded, Turnstile};

use rustls::{AlertDescription, CertificateError, NamedGroup};
use sealgate_stream::{HandshakeError, Stream, accept_hello};
use sealgate_tls::{ClientHello, ClientHelloError, TlsError, UNRECOGNIZED_NAME_ALERT};
use sealgate_uring::{Pool, SizeClass, Socket};

use crate::error::Cause;
use crate::limits::{HANDSHAKES_WAITING, LOGGED_GROUPS};
use crate::relay::TcpRoute;
use crate::snapshot::{Binding, ListenerTable, Plan};
use crate::tenant::NoTenant;
use crate::worker::Worker;

/// What a finished handshake gives: evidence that the connection belongs to a tenant.
pub enum Bound {
    /// A TLS stream that was opened under this tenant's certificate and policy.
    Terminated(Rc<Binding>, Stream),
    /// A connection that goes on unopened; the hello's bytes have to go first.
    Passthrough(Rc<Binding>, Rc<TcpRoute>, Socket, ClientHello),
}

/// Why a connection was not bound.
#[derive(Debug)]
pub struct NotBound {
    /// What it comes down to.
    pub cause: Cause,
    /// For our log.
    pub detail: String,
}

/// What a handshake found out before it failed or succeeded, for the log.
#[derive(Default)]
pub struct Seen {
    /// The server name asked for.
    pub sni: Option<String>,
    /// The first groups offered, in the client's order.
    pub groups: Vec<NamedGroup>,
    /// The tenant it was bound to.
    pub tenant: Option<Rc<str>>,
}

/// The HTTP answer on a TLS port.
const PLAIN_HTTP_HEAD: &str = "HTTP/1.1 400 Bad Request\r\n\
    content-type: application/problem+json\r\nconnection: close\r\n";
const PLAIN_HTTP_BODY: &str = "{\"type\":\"urn:sealgate:error:plain_http\",\"title\":\"This port speaks TLS: \
    use https://\",\"status\":400,\"request_id\":\"none\"}\n";

/// Reads the ClientHello, finds the tenant, does the handshake under its policy. Who fails is told
/// by an alert, or in HTTP if that is what it speaks; closing the socket is left to the caller.
///
/// # Errors
/// [`NotBound`]
pub async fn bind(
    worker: &Worker,
    socket: Socket,
    table: &ListenerTable,
    seen: &mut Seen,
) -> Result<Bound, NotBound> {
    let (pool, turnstile) = (&worker.pool, &worker.turnstile);
    let hello = match accept_hello(&socket, pool).await {
        Ok(hello) => hello,
        Err(error) => {
            if matches!(error, HandshakeError::PlainHttp) {
                answer_plain_http(&socket, pool).await;
            }
            return Err(not_bound(&error));
        }
    };
    seen.sni.clone_from(&hello.server_name);
    seen.groups = hello.groups.iter().take(LOGGED_GROUPS).copied().collect();
    let binding = match table.resolve(hello.server_name.as_deref()) {
        Ok(binding) => Rc::clone(binding),
        Err(no_tenant) => {
            let mut alert = pool.take(SizeClass::Small);
            alert.extend(&UNRECOGNIZED_NAME_ALERT);
            // The client learns why, if it still listens.
            let _ = socket.send_all(alert).await;
            let (cause, detail) = match no_tenant {
                NoTenant::NoSni => (
                    Cause::NoSni,
                    "no server name, and there is no default tenant",
                ),
                NoTenant::UnknownName => (
                    Cause::UnknownName,
                    "no tenant has this name, and there is no default tenant",
                ),
            };
            return Err(NotBound {
                cause,
                detail: detail.to_owned(),
            });
        }
    };
    seen.tenant = Some(Rc::clone(&binding.tenant));
    let configs = match &binding.plan {
        Plan::Passthrough(route) => {
            let route = Rc::clone(route);
            return Ok(Bound::Passthrough(binding, route, socket, hello));
        }
        Plan::Tcp(configs, _) | Plan::Http(configs, _) => configs,
    };
    let tenant = &binding.tenant;
    if turnstile.begin(tenant).await.is_err() {
        socket.reset();
        return Err(NotBound {
            cause: Cause::HandshakeOverload,
            detail: format!("{HANDSHAKES_WAITING} handshakes of this tenant wait already"),
        });
    }
    let config = configs.choose(hello.offers_tls13);
    let go_on = async || turnstile.go_on(tenant).await;
    match Stream::accept_paced(socket, pool.clone(), config, &hello, go_on).await {
        Ok(stream) => Ok(Bound::Terminated(binding, stream)),
        Err(error) => Err(not_bound(&error)),
    }
}

async fn answer_plain_http(socket: &Socket, pool: &Pool) {
    let mut answer = pool.take(SizeClass::Small);
    let len = PLAIN_HTTP_BODY.len();
    answer.extend(
        format!("{PLAIN_HTTP_HEAD}content-length: {len}\r\n\r\n{PLAIN_HTTP_BODY}").as_bytes(),
    );
    // Whoever does not wait for the answer does not get it.
    let _ = socket.send_all(answer).await;
}

fn not_bound(error: &HandshakeError) -> NotBound {
    let cause = match error {
        HandshakeError::Closed | HandshakeError::Io(_) => Cause::HandshakeClosed,
        HandshakeError::Hello(ClientHelloError::TooLong) | HandshakeError::TooLong => {
            Cause::ClientHelloTooLong
        }
        HandshakeError::Hello(ClientHelloError::Invalid { .. }) => Cause::ClientHelloInvalid,
        HandshakeError::PlainHttp => Cause::PlainHttp,
        HandshakeError::Tls(TlsError::Protocol(error)) => match error {
            rustls::Error::NoCertificatesPresented => Cause::ClientCertificateMissing,
            rustls::Error::InvalidCertificate(_) => Cause::ClientCertificateRejected,
            _ => Cause::HandshakeFailed,
        },
        HandshakeError::Tls(
            TlsError::KeyExhausted | TlsError::NotEstablished | TlsError::NoKeyUpdate,
        ) => Cause::HandshakeFailed,
    };
    NotBound {
        cause,
        detail: explain(error),
    }
}

/// What rustls says, with what an operator would want to know beside it.
fn explain(error: &HandshakeError) -> String {
    let HandshakeError::Tls(TlsError::Protocol(tls)) = error else {
        return error.to_string();
    };
    let hint = match tls {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            " (the client's certificate is not from this tenant's client_ca)"
        }
        rustls::Error::NoCertificatesPresented => " (this tenant demands a client certificate)",
        rustls::Error::AlertReceived(
            AlertDescription::UnknownCA | AlertDescription::BadCertificate,
        ) => " (the client does not trust our certificate)",
        _ => "",
    };
    format!("{tls}{hint}")
}
