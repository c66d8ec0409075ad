//! Where a configuration runs: origins behind it, and gateways from copies of it, fresh for each load.
//!
//! ```text
//! loadgen (its cores) --TLS--> gateway, from the copy (its cores) --> loadgen origin (loadgen's cores)
//! ```

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use toml_edit::DocumentMut;

use super::{
    config::{self, Rewritten, Stand},
    error::CapacityError,
};
use crate::{
    certificate::self_signed,
    command,
    error::BenchError,
    host::Split,
    loadgen::{Loadgen, Origin, Service},
    process::{self, Server},
    workplace::Workplace,
};

/// What all gateways of a run share. The fields end in this order: processes before their files.
pub struct Site {
    plain: Origin,
    tls: Origin,
    /// The load generator.
    pub loadgen: Loadgen,
    sealgate: String,
    path: PathBuf,
    document: DocumentMut,
    ca: PathBuf,
    cores: Split,
    place: Workplace,
}

/// A gateway that runs.
pub struct Gateway {
    /// Of each listener, the first address.
    pub listeners: Vec<SocketAddr>,
    /// What its configuration has instead of the operator's.
    pub rewritten: Vec<Rewritten>,
    server: Server,
}

impl Gateway {
    /// Its process.
    pub fn pid(&self) -> u32 {
        self.server.pid()
    }
}

impl Site {
    /// Starts the origins and makes keyrings. The gateway has read a copy of the configuration, and
    /// taken it.
    ///
    /// # Errors
    ///
    /// [`CapacityError`].
    pub fn open(path: &Path, document: DocumentMut, cores: Split) -> Result<Self, CapacityError> {
        let sealgate = process::find(
            "sealgate",
            "build it: cargo build --release --package sealgate",
        )?;
        let place = Workplace::new()?;
        let certificate = self_signed(place.path())?;
        let loadgen = Loadgen::find(&cores.load, place.path())?;
        let services = [Service::Http, Service::Echo, Service::Source];
        // The second one costs nothing while nobody asks it.
        let plain = loadgen.origin(&services, None)?;
        let tls = loadgen.origin(&services, Some(&certificate))?;
        for (at, tenant) in config::keyrings(&document) {
            let mut new = Command::new(&sealgate);
            new.args(["keys", "new", "--tenant", &tenant, "--out"])
                .arg(config::keyring(place.path(), at));
            command::run(&format!("sealgate keys new --tenant {tenant}"), new, &[])?;
        }
        let site = Self {
            plain,
            tls,
            loadgen,
            sealgate,
            path: path.to_owned(),
            document,
            ca: certificate.chain,
            cores,
            place,
        };
        site.check()?;
        Ok(site)
    }

    /// How many cores the gateway has.
    pub fn gateway_cores(&self) -> usize {
        self.cores.gateway.len()
    }

    /// Starts a gateway from a copy of the configuration, with `service` behind its TCP routes.
    ///
    /// # Errors
    ///
    /// [`BenchError`]: it does not start, or does not listen.
    pub fn start(&self, service: Service) -> Result<Gateway, CapacityError> {
        let (file, stand, rewritten) = self.copy(service)?;
        let words = [
            self.sealgate.as_str(),
            "run",
            "--config",
            &file.display().to_string(),
        ]
        .map(str::to_owned);
        let mut server = Server::start(
            "the gateway",
            &words,
            &self.cores.gateway,
            self.place.path(),
        )?;
        server.ready(&stand.listen)?;
        Ok(Gateway {
            listeners: config::first_addresses(&self.document, &stand.listen),
            rewritten,
            server,
        })
    }

    /// Has the gateway itself say what is wrong with the configuration.
    fn check(&self) -> Result<(), CapacityError> {
        let (file, ..) = self.copy(Service::Echo)?;
        let mut check = Command::new(&self.sealgate);
        check.args(["check", "--config"]).arg(&file);
        match command::run("sealgate check", check, &[]) {
            Ok(_) => Ok(()),
            // The copy has the operator's lines, and should have the operator's name.
            Err(BenchError::Command { output, .. }) => Err(CapacityError::Refused {
                path: self.path.clone(),
                said: output.replace(
                    &file.display().to_string(),
                    &self.path.display().to_string(),
                ),
            }),
            Err(error) => Err(error.into()),
        }
    }

    fn copy(&self, service: Service) -> Result<(PathBuf, Stand, Vec<Rewritten>), CapacityError> {
        let address = |origin: &Origin, service| {
            let address = origin.address(service);
            address.expect("both origins have every service that is asked for")
        };
        let base = self.path.parent().map(std::path::absolute);
        let stand = Stand {
            listen: process::free_addresses(config::addresses(&self.document))?,
            http: address(&self.plain, Service::Http),
            https: address(&self.tls, Service::Http),
            tcp: address(&self.plain, service),
            tls: address(&self.tls, service),
            ca: self.ca.clone(),
            keyrings: self.place.path().to_owned(),
            base: match base {
                Some(Ok(base)) => base,
                // The path of a file that was read has a parent; an empty one is here.
                _ => std::env::current_dir().unwrap_or_default(),
            },
        };
        let mut document = self.document.clone();
        let rewritten = config::rewrite(&mut document, &stand);
        let file = self.place.path().join("copy.toml");
        fs::write(&file, document.to_string()).map_err(|source| BenchError::File {
            path: file.clone(),
            source,
        })?;
        Ok((file, stand, rewritten))
    }
}
