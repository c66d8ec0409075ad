//! The load generator that comes with Sealgate: its origin behind a gateway, and loads whose reports are read.

pub mod report;

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::Value;

use crate::{
    certificate::Certificate,
    command,
    error::BenchError,
    process::{self, Server},
};

/// The exit status of a run whose rates do not hold. The report says why, and the reader is told.
const INVALID: i32 = 4;

/// A service of `loadgen origin`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Service {
    /// The object store.
    Http,
    /// Sends back what comes.
    Echo,
    /// Sends as much as it is asked for.
    Source,
    /// Swallows what comes.
    Sink,
}

impl Service {
    fn flag(self) -> &'static str {
        match self {
            Self::Http => "--http",
            Self::Echo => "--echo",
            Self::Source => "--source",
            Self::Sink => "--sink",
        }
    }
}

/// The program, and where it runs.
#[derive(Debug)]
pub struct Loadgen {
    program: String,
    cores: Vec<usize>,
    place: PathBuf,
}

impl Loadgen {
    /// On these cores, with its files in `place`.
    ///
    /// # Errors
    ///
    /// [`BenchError::NoProgram`].
    pub fn find(cores: &[usize], place: &Path) -> Result<Self, BenchError> {
        Ok(Self {
            program: process::find(
                "loadgen",
                "build it: cargo build --release --package loadgen",
            )?,
            cores: cores.to_vec(),
            place: place.to_owned(),
        })
    }

    /// How many cores it has.
    pub fn threads(&self) -> usize {
        self.cores.len()
    }

    /// Starts an origin with these services, over TLS where there is a certificate.
    ///
    /// # Errors
    ///
    /// [`BenchError`]: it does not start.
    pub fn origin(
        &self,
        services: &[Service],
        tls: Option<&Certificate>,
    ) -> Result<Origin, BenchError> {
        let addresses = process::free_addresses(services.len())?;
        let mut words = vec![self.program.clone(), "origin".into(), "--threads".into()];
        words.push(self.threads().to_string());
        for (service, address) in services.iter().zip(&addresses) {
            words.extend([service.flag().to_owned(), address.to_string()]);
        }
        let mut name = "origin";
        if let Some(certificate) = tls {
            let path = |path: &Path| path.display().to_string();
            words.extend(["--tls-cert".into(), path(&certificate.chain)]);
            words.extend(["--tls-key".into(), path(&certificate.key)]);
            name = "origin over TLS";
        }
        let mut server = Server::start(name, &words, &self.cores, &self.place)?;
        server.ready(&addresses)?;
        Ok(Origin {
            services: services.iter().copied().zip(addresses).collect(),
            _server: server,
        })
    }

    /// The command line of these words.
    pub fn command(&self, words: &[String]) -> Vec<String> {
        [std::slice::from_ref(&self.program), words].concat()
    }

    /// Runs a load to its end. One whose numbers do not hold has ended well.
    ///
    /// # Errors
    ///
    /// [`BenchError::Command`], with what it said.
    pub fn run(&self, words: &[String]) -> Result<(), BenchError> {
        let pinned = process::pinned(&self.command(words), &self.cores);
        command::run(&format!("loadgen {}", words.join(" ")), pinned, &[INVALID])?;
        Ok(())
    }

    /// Runs a load, and gives its report.
    ///
    /// # Errors
    ///
    /// As [`Loadgen::run`], and when there is no report.
    pub fn report(&self, mut words: Vec<String>) -> Result<Value, BenchError> {
        let file = self.place.join("loadgen.json");
        words.extend(["--json".into(), file.display().to_string()]);
        self.run(&words)?;
        let wrong = |source| BenchError::File {
            path: file.clone(),
            source,
        };
        let text = fs::read_to_string(&file).map_err(wrong)?;
        serde_json::from_str(&text).map_err(|error| wrong(error.into()))
    }
}

/// An origin that runs, for as long as the value lives.
pub struct Origin {
    services: Vec<(Service, SocketAddr)>,
    _server: Server,
}

impl Origin {
    /// Where a service is; none where it was not asked for.
    pub fn address(&self, service: Service) -> Option<SocketAddr> {
        let mut all = self.services.iter();
        all.find(|(of, _)| *of == service)
            .map(|(_, address)| *address)
    }
}

/// Words of a text.
pub fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}
