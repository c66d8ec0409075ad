//! The work that is put through a proxy, and what it cost the proxy.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::error::BenchError;
use crate::{cpu, process};

/// What every proxy has to negotiate; anything else is another measurement.
const VERSION: &str = "TLSv1.3";
const SUITE: &str = "TLS13_AES_256_GCM_SHA384";

/// The load generator's exit status for a run whose rates do not hold.
const LOADGEN_INVALID: i32 = 4;

const TRANSFER_BYTES: u64 = 100_000_000;
const TRANSFER_CONNECTIONS: u64 = 8;
/// Two transfers on each connection: one to two seconds of proxy CPU.
const TRANSFERS: u64 = 16;
const ECHO_BYTES: u64 = 100;
const ECHO_CONNECTIONS: u64 = 64;
/// One to two seconds of proxy CPU, so that 64 handshakes are only some two percent of it.
const ECHOES: u64 = 80_000;
/// `--quick` does this part of the echoes, and one transfer on each connection.
const QUICK_DIVISOR: u64 = 4;

/// A kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 100 MB transfers on 8 connections, origin to client.
    Download,
    /// The same, client to origin.
    Upload,
    /// 100 bytes there and back, on 64 connections.
    Echo,
}

impl Kind {
    /// In the order of the table.
    pub const ALL: [Self; 3] = [Self::Download, Self::Upload, Self::Echo];

    /// As it stands in the table and in the JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Download => "download",
            Self::Upload => "upload",
            Self::Echo => "echo",
        }
    }

    /// What the cost is counted in.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Download | Self::Upload => "CPU-s/GB",
            Self::Echo => "CPU-µs/echo",
        }
    }

    /// What is done, for a reader.
    pub fn describe(self) -> String {
        let transfers = || {
            format!(
                "{} MB, {TRANSFER_CONNECTIONS} connections",
                TRANSFER_BYTES / 1_000_000
            )
        };
        match self {
            Self::Download | Self::Upload => transfers(),
            Self::Echo => format!("{ECHO_BYTES} bytes, {ECHO_CONNECTIONS} connections"),
        }
    }

    /// Operations in one sample.
    fn operations(self, quick: bool) -> u64 {
        match (self, quick) {
            (Self::Download | Self::Upload, false) => TRANSFERS,
            (Self::Download | Self::Upload, true) => TRANSFER_CONNECTIONS,
            (Self::Echo, false) => ECHOES,
            (Self::Echo, true) => ECHOES / QUICK_DIVISOR,
        }
    }

    /// How many units of `unit` one operation is.
    fn units(self) -> f64 {
        match self {
            Self::Download | Self::Upload => TRANSFER_BYTES as f64 / 1e9,
            Self::Echo => 1e-6,
        }
    }

    /// The load generator's arguments, without its target.
    fn arguments(self, quick: bool) -> (&'static str, Vec<String>) {
        let count = self.operations(quick).to_string();
        let (command, flags, connections) = match self {
            Self::Download => (
                "bulk",
                vec!["--down".to_owned(), format!("--bytes={TRANSFER_BYTES}")],
                TRANSFER_CONNECTIONS,
            ),
            Self::Upload => (
                "bulk",
                vec!["--up".to_owned(), format!("--bytes={TRANSFER_BYTES}")],
                TRANSFER_CONNECTIONS,
            ),
            Self::Echo => (
                "request",
                vec!["--echo".to_owned(), format!("--size={ECHO_BYTES}")],
                ECHO_CONNECTIONS,
            ),
        };
        let connections = connections.to_string();
        let mut arguments = flags;
        for word in [
            "-c",
            &connections,
            "-n",
            &count,
            "-k",
            "--tls",
            "1.3",
            "--json",
            "-",
        ] {
            arguments.push(word.to_owned());
        }
        (command, arguments)
    }
}

/// One load through one proxy.
#[derive(Clone, Debug)]
pub struct Sample {
    /// CPU seconds of the proxy per GB, or CPU microseconds per echo.
    pub cost: f64,
    /// The share of the time in which the proxy was on its core. Near 1, it was the bottleneck.
    pub busy: f64,
    /// What the load generator holds against its own rates, such as a full core. They are not used
    /// here, and CPU per unit stands without them; a reader may want to know.
    pub doubts: Vec<String>,
}

/// The upstream of every proxy, on the load's core.
pub struct Backend {
    loadgen: String,
    core: usize,
    download: SocketAddr,
    upload: SocketAddr,
    echo: SocketAddr,
    _server: process::Server,
}

impl Backend {
    /// Starts `loadgen origin` with its three raw services.
    pub fn start(loadgen: &str, core: usize, directory: &Path) -> Result<Self, BenchError> {
        let [download, upload, echo] = [
            process::free_address()?,
            process::free_address()?,
            process::free_address()?,
        ];
        let mut command = vec![
            loadgen.to_owned(),
            "origin".into(),
            "--threads".into(),
            "1".into(),
        ];
        for (flag, address) in [("--source", download), ("--sink", upload), ("--echo", echo)] {
            command.extend([flag.to_owned(), address.to_string()]);
        }
        let mut server = process::Server::start("origin", &command, &[core], directory)?;
        server.ready(&[download, upload, echo])?;
        let loadgen = loadgen.to_owned();
        Ok(Self {
            loadgen,
            core,
            download,
            upload,
            echo,
            _server: server,
        })
    }

    /// Where the service for this kind of work is.
    pub fn address(&self, kind: Kind) -> SocketAddr {
        match kind {
            Kind::Download => self.download,
            Kind::Upload => self.upload,
            Kind::Echo => self.echo,
        }
    }

    /// Puts one load through the proxy at `listen` and reads its CPU time before and after.
    pub fn load(
        &self,
        proxy: &'static str,
        kind: Kind,
        quick: bool,
        listen: SocketAddr,
        pid: u32,
    ) -> Result<Sample, BenchError> {
        let failed = |output| BenchError::Load {
            proxy,
            what: kind.name(),
            output,
        };
        let (command, arguments) = kind.arguments(quick);
        let mut words = vec![
            self.loadgen.clone(),
            command.to_owned(),
            format!("tls://{listen}"),
        ];
        words.extend(arguments);

        let gone = || failed(String::from("the proxy has ended"));
        let before = cpu::used_by_family(pid).ok_or_else(gone)?;
        let output = process::pinned(&words, &[self.core])
            .output()
            .map_err(|error| failed(error.to_string()))?;
        let after = cpu::used_by_family(pid).ok_or_else(gone)?;
        // A void rate (exit status 4) is no void run: here only the count has to be right.
        if !matches!(output.status.code(), Some(0 | LOADGEN_INVALID)) {
            let text = [output.stderr, output.stdout].concat();
            return Err(failed(String::from_utf8_lossy(&text).into_owned()));
        }

        let result: Value =
            serde_json::from_slice(&output.stdout).map_err(|error| failed(error.to_string()))?;
        let elapsed = verified(proxy, &result, kind.operations(quick))?;
        let used = (after - before).as_secs_f64();
        let doubts = result["verdict"]["reasons"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|reason| reason["state"] == "invalid");
        Ok(Sample {
            cost: used / (kind.operations(quick) as f64 * kind.units()),
            busy: used / elapsed.as_secs_f64(),
            doubts: doubts
                .filter_map(|doubt| Some(doubt["message"].as_str()?.to_owned()))
                .collect(),
        })
    }
}

/// The version of the load generator's report that is read here.
const FORMAT: &str = "loadgen.run/2";

/// How long the load took, once its result says that it was the load that was asked for.
fn verified(proxy: &'static str, result: &Value, operations: u64) -> Result<Duration, BenchError> {
    let void = |field, found: &Value| BenchError::Result {
        proxy,
        field,
        found: found.to_string(),
    };
    if result["format"] != FORMAT {
        return Err(void("format", &result["format"]));
    }
    for (field, wanted) in [("version", VERSION), ("suite", SUITE)] {
        let found = &result["tls"][field];
        let only = found
            .as_object()
            .is_some_and(|seen| seen.keys().eq([wanted]));
        if !only {
            return Err(void(field, found));
        }
    }
    let succeeded = &result["totals"]["operations"]["succeeded"];
    if succeeded.as_u64() != Some(operations) {
        return Err(void("totals.operations.succeeded", succeeded));
    }
    let elapsed = &result["timing"]["elapsed_s"];
    elapsed
        .as_f64()
        .map(Duration::from_secs_f64)
        .ok_or_else(|| void("timing.elapsed_s", elapsed))
}
