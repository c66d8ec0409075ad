//! What a handshake of each kind says, and whether it became one.

use std::sync::Arc;

use rustls::{ClientConfig, client::ResolvesClientCert};
use sealgate_tls::EarlyData;

use super::failure::{Cause, Failure, Found, Kind, Phase};
use crate::{
    target::client_certificate::{Nothing, Shown, Witness},
    worker::dial::Connection,
};

/// An empty line: servers of HTTP skip it in front of a request (RFC 9112 §2.2), so early data that
/// is taken has no effect on them.
const EARLY_DATA: &[u8] = b"\r\n";

/// The variants of one slot's handshakes.
#[derive(Debug)]
pub struct Variants {
    shown: Shown,
    nothing: Arc<dyn ResolvesClientCert>,
    witness: Arc<Witness>,
}

impl Variants {
    /// Variants with a client certificate in all of them, or in its share.
    pub fn new(shown: Shown) -> Self {
        Self {
            shown,
            nothing: Arc::new(Nothing),
            witness: Arc::default(),
        }
    }

    /// `config`, with the certificate only if every handshake shows it.
    pub fn plain(&self, config: &Arc<ClientConfig>) -> Arc<ClientConfig> {
        match self.shown {
            Shown::Always => Arc::clone(config),
            Shown::InItsShare => {
                let mut config = ClientConfig::clone(config);
                config.client_auth_cert_resolver = Arc::clone(&self.nothing);
                Arc::new(config)
            }
        }
    }

    /// The configuration of a handshake that is `wanted`, made from the one for full handshakes or
    /// from the [`plain`](Self::plain) one that has tickets.
    pub fn config(
        &self,
        wanted: Kind,
        full: &Arc<ClientConfig>,
        resuming: Option<&Arc<ClientConfig>>,
    ) -> Arc<ClientConfig> {
        match (wanted, resuming) {
            (Kind::Mtls, _) => self.witness.watch(full),
            (Kind::Resumed, Some(resuming)) => Arc::clone(resuming),
            (Kind::EarlyData, Some(resuming)) => {
                let mut config = ClientConfig::clone(resuming);
                config.enable_early_data = true;
                Arc::new(config)
            }
            (Kind::Full, _) | (Kind::Resumed | Kind::EarlyData, None) => self.plain(full),
        }
    }

    /// What goes into the first flight of a handshake that is `wanted`.
    pub fn early_data(wanted: Kind) -> Option<&'static [u8]> {
        (wanted == Kind::EarlyData).then_some(EARLY_DATA)
    }

    /// Whether a handshake became what was wanted.
    ///
    /// # Errors
    ///
    /// With what it became.
    pub fn check(&self, connection: &Connection, wanted: Kind) -> Result<(), Failure> {
        let Some(facts) = connection.stream.facts() else {
            return Ok(());
        };
        let resumed = facts.kind_name() == "resumed";
        let shown = self.witness.take_shown();
        let found = match (wanted, resumed, facts.early_data) {
            (Kind::Full | Kind::Mtls, true, _) => Found::Resumed,
            (Kind::Resumed | Kind::EarlyData, false, _) => Found::Full,
            (Kind::EarlyData, true, EarlyData::Rejected) => Found::EarlyDataRejected,
            (Kind::EarlyData, true, EarlyData::NotAllowed | EarlyData::None) => {
                Found::EarlyDataNotAllowed
            }
            (Kind::Mtls, false, _) if !shown => Found::CertificateNotAsked,
            (Kind::Full | Kind::Mtls, false, _)
            | (Kind::Resumed, true, _)
            | (Kind::EarlyData, true, EarlyData::Accepted) => return Ok(()),
        };
        Err(Failure::new(
            Phase::Handshake,
            Cause::WrongKind { wanted, found },
        ))
    }
}
