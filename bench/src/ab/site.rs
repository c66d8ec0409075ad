//! A scenario that is set up: the origin, its keyring, and gateways of its configuration.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use super::scenario::{Filling, Scenario, Wire};
use crate::{
    certificate::Certificate,
    command,
    error::BenchError,
    loadgen::{Loadgen, Origin},
    process::{self, Server},
};

/// A scenario, and what is behind its gateways.
pub struct Site<'a> {
    /// The load generator.
    pub loadgen: Loadgen,
    scenario: &'a Scenario,
    certificate: &'a Certificate,
    place: &'a Path,
    upstream: SocketAddr,
    keyring: PathBuf,
    _origin: Origin,
}

/// A gateway that runs.
pub struct Gateway {
    /// Where it listens.
    pub listen: SocketAddr,
    server: Server,
}

impl Gateway {
    /// Its process.
    pub fn pid(&self) -> u32 {
        self.server.pid()
    }
}

impl<'a> Site<'a> {
    /// Starts the origin, and makes a keyring with `sealgate` where the scenario wants one.
    ///
    /// # Errors
    ///
    /// [`BenchError`].
    pub fn set_up(
        scenario: &'a Scenario,
        certificate: &'a Certificate,
        (load_cores, place): (&[usize], &'a Path),
        sealgate: &str,
    ) -> Result<Self, BenchError> {
        let loadgen = Loadgen::find(load_cores, place)?;
        let tls = (scenario.origin.wire == Wire::Tls).then_some(certificate);
        let service = scenario.origin.service;
        let origin = loadgen.origin(&[service], tls)?;
        let keyring = place.join("bench.keyring");
        if scenario.gateway.seals() && !keyring.exists() {
            let mut new = Command::new(sealgate);
            new.args(["keys", "new", "--tenant", "bench", "--out"])
                .arg(&keyring);
            command::run("sealgate keys new", new, &[])?;
        }
        let upstream = origin.address(service);
        Ok(Self {
            loadgen,
            scenario,
            certificate,
            place,
            upstream: upstream.expect("the origin was started with this service"),
            keyring,
            _origin: origin,
        })
    }

    /// Starts a gateway of this name: `command` gives the command line that runs a configuration file.
    ///
    /// # Errors
    ///
    /// [`BenchError`].
    pub fn start(
        &self,
        name: &str,
        cores: &[usize],
        command: impl FnOnce(&str) -> Vec<String>,
    ) -> Result<Gateway, BenchError> {
        let listen = process::free_address()?;
        let path = |path: &Path| path.display().to_string();
        let config = self.scenario.gateway.filled(Filling {
            listen: &listen.to_string(),
            upstream: &self.upstream.to_string(),
            certificate: &path(&self.certificate.chain),
            key: &path(&self.certificate.key),
            keyring: &path(&self.keyring),
        });
        let file = self.place.join(format!("{name}.toml"));
        fs::write(&file, config).map_err(|source| BenchError::File {
            path: file.clone(),
            source,
        })?;
        let mut server = Server::start(name, &command(&path(&file)), cores, self.place)?;
        server.ready(&[listen])?;
        Ok(Gateway { listen, server })
    }

    /// Does what the scenario wants done before a gateway is measured.
    ///
    /// # Errors
    ///
    /// [`BenchError::Command`].
    pub fn prepare(&self, gateway: &Gateway) -> Result<(), BenchError> {
        if self.scenario.prepare.is_empty() {
            return Ok(());
        }
        let mut words = self.scenario.prepare.clone();
        words.extend(["--connect-to".into(), gateway.listen.to_string()]);
        words.push("-q".into());
        self.loadgen.run(&words)
    }
}
