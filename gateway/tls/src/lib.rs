//! The TLS engine of Sealgate, server and client side, without I/O.
//!
//! ```text
//! bytes from the wire -> ClientHelloReader -> ClientHello          (server: who is asked for?)
//!                     -> Session::open  -> plaintext, events
//! plaintext           -> Session::seal  -> bytes for the wire
//! ```
//!
//! [`Session`] is the engine's interface; [`RustlsSession`] its implementation over rustls's
//! unbuffered API, which rustls 0.24 removes: that, and a faster record layer, is why the trait
//! stands between. Certificates, ALPN, groups and tickets are settled by [`server_configs`],
//! [`client_config`] and [`Ticketer`].
//!
//! It does no I/O, reads no clock (rustls reads it for certificate validity) and accepts no early
//! data. A client may send some: [`early_data_session`], for the load generator.

mod client;
mod client_hello;
mod direct;
mod early_data;
mod engine;
mod hkdf;
mod provider;
mod rustls_session;
mod server;
mod session;
mod ticket;
mod verified_chains;

pub use client::{ClientSettings, client_config};
pub use client_hello::{
    ClientHello, ClientHelloError, ClientHelloReader, MAX_CLIENT_HELLO_BYTES, looks_like_http,
};
pub use early_data::{EarlyDataSession, early_data_session};
pub use engine::{Engine, TlsSession, client_session, server_session};
pub use provider::{provider, warm_up};
pub use rustls_session::RustlsSession;
pub use server::{ClientVerification, ServerConfigs, ServerSettings, server_configs};
pub use session::{
    EarlyData, Facts, KeyUpdates, MAX_FRAGMENT_LEN, Opened, Progress, RECORD_OVERHEAD, Sealed,
    Session, TlsError, UNRECOGNIZED_NAME_ALERT, sealed_len_bound,
};
pub use ticket::{EpochSecrets, TicketScope, Ticketer};
pub use verified_chains::server_verifier;
