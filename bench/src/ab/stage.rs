//! Where a scenario is measured: the origin, and three gateways that are fresh in every round.
//!
//! ```text
//! loadgen ab (core 2) --TLS--> base | head | control (core 1) --> loadgen origin (core 2)
//! ```

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use super::{
    chance::Chance,
    error::{AbError, at},
    reading::{self, Reading},
    scenario::{Filling, Operation, Scenario, Service, Wire},
};
use crate::{
    certificate::Certificate,
    command,
    process::{self, Server},
};

/// loadgen's exit status for a run whose rates do not hold. Ratios of slices hold longer, and the
/// control says whether they do.
const INVALID: i32 = 4;

/// Who takes part. Names of one length, so that no path is longer than another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arm {
    /// What is compared with.
    Base,
    /// What is judged.
    Head,
    /// A copy of base.
    Control,
}

impl Arm {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Base, Self::Head, Self::Control];

    /// Names folders and processes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Head => "head",
            Self::Control => "ctrl",
        }
    }
}

/// A program for each arm, and its environment.
#[derive(Debug, Clone)]
pub struct Programs {
    folder: PathBuf,
    /// One variable of each arm's environment; none for none.
    environment: Option<(&'static str, [String; 3])>,
}

impl Programs {
    /// Copies the programs of base and head to where they run from: `FOLDER/ARM/sealgate`.
    ///
    /// # Errors
    ///
    /// [`AbError::File`].
    pub fn place(folder: &Path, base: &Path, head: &Path) -> Result<Self, AbError> {
        let folder = folder.join("run");
        for arm in Arm::ALL {
            let own = folder.join(arm.name());
            fs::create_dir_all(&own).map_err(at(&own))?;
            let (from, to) = match arm {
                Arm::Base | Arm::Control => (base, own.join("sealgate")),
                Arm::Head => (head, own.join("sealgate")),
            };
            // A copy over a running program fails; a new file does not.
            let fresh = own.join("fresh");
            fs::copy(from, &fresh).map_err(at(from))?;
            fs::rename(&fresh, &to).map_err(at(&to))?;
        }
        Ok(Self {
            folder,
            environment: None,
        })
    }

    /// The same with a variable in each arm's environment, in the order of [`Arm::ALL`]. Values of
    /// one length leave the stacks alike.
    pub fn with(&self, variable: &'static str, values: [String; 3]) -> Self {
        Self {
            folder: self.folder.clone(),
            environment: Some((variable, values)),
        }
    }

    fn path(&self, arm: Arm) -> String {
        self.folder
            .join(arm.name())
            .join("sealgate")
            .display()
            .to_string()
    }

    fn command(&self, arm: Arm, arguments: &[&str]) -> Vec<String> {
        let mut words = Vec::new();
        if let Some((variable, values)) = &self.environment {
            words.extend([
                "env".to_owned(),
                format!("{variable}={}", values[arm as usize]),
            ]);
        }
        words.push(self.path(arm));
        words.extend(arguments.iter().map(|word| (*word).to_owned()));
        words
    }
}

/// What all scenarios share.
#[derive(Debug)]
pub struct Hall {
    /// The load generator.
    pub loadgen: String,
    /// The core of the gateways.
    pub gateway_core: usize,
    /// The core of load generator and origin.
    pub load_core: usize,
    /// Files of this run.
    pub place: PathBuf,
    /// How long all slices of a round take together, as loadgen reads it.
    pub round: String,
}

/// A scenario that is set up.
pub struct Stage<'a> {
    hall: &'a Hall,
    scenario: &'a Scenario,
    programs: &'a Programs,
    certificate: &'a Certificate,
    upstream: SocketAddr,
    keyring: PathBuf,
    _origin: Server,
}

impl<'a> Stage<'a> {
    /// Starts the origin, and makes a keyring where the scenario wants one.
    ///
    /// # Errors
    ///
    /// [`AbError`].
    pub fn set_up(
        hall: &'a Hall,
        scenario: &'a Scenario,
        programs: &'a Programs,
        certificate: &'a Certificate,
    ) -> Result<Self, AbError> {
        let upstream = process::free_address()?;
        let service = match scenario.origin.service {
            Service::Http => "--http",
            Service::Echo => "--echo",
            Service::Source => "--source",
            Service::Sink => "--sink",
        };
        let mut words = vec![
            hall.loadgen.clone(),
            "origin".into(),
            "--threads".into(),
            "1".into(),
        ];
        words.extend([service.to_owned(), upstream.to_string()]);
        if scenario.origin.wire == Wire::Tls {
            let path = |path: &Path| path.display().to_string();
            words.extend(["--tls-cert".into(), path(&certificate.chain)]);
            words.extend(["--tls-key".into(), path(&certificate.key)]);
        }
        let mut origin = Server::start("origin", &words, hall.load_core, &hall.place)?;
        origin.ready(&[upstream])?;
        let keyring = hall.place.join("bench.keyring");
        if scenario.gateway.seals() && !keyring.exists() {
            let mut new = Command::new(programs.path(Arm::Base));
            new.args(["keys", "new", "--tenant", "bench", "--out"])
                .arg(&keyring);
            command::run("sealgate keys new", new, &[])?;
        }
        Ok(Self {
            hall,
            scenario,
            programs,
            certificate,
            upstream,
            keyring,
            _origin: origin,
        })
    }

    /// One round: fresh gateways on ports of chance, started and loaded in an order of chance.
    ///
    /// # Errors
    ///
    /// [`AbError`].
    pub fn round(&self, chance: &mut Chance) -> Result<Reading, AbError> {
        let mut order = Arm::ALL;
        chance.shuffle(&mut order);
        let mut gateways = Vec::with_capacity(order.len());
        for arm in order {
            gateways.push(self.start(arm)?);
        }
        for gateway in &gateways {
            self.prepare(gateway)?;
        }
        match self.scenario.load.operation {
            Operation::Conns => self.held(&gateways),
            Operation::Request | Operation::Handshake | Operation::Bulk => self.slices(&gateways),
        }
    }

    fn start(&self, arm: Arm) -> Result<Gateway, AbError> {
        let listen = process::free_address()?;
        let path = |path: &Path| path.display().to_string();
        let config = self.scenario.gateway.filled(Filling {
            listen: &listen.to_string(),
            upstream: &self.upstream.to_string(),
            certificate: &path(&self.certificate.chain),
            key: &path(&self.certificate.key),
            keyring: &path(&self.keyring),
        });
        let file = self.hall.place.join(format!("{}.toml", arm.name()));
        fs::write(&file, config).map_err(at(&file))?;
        let words = self
            .programs
            .command(arm, &["run", "--config", &path(&file)]);
        let mut server =
            Server::start(arm.name(), &words, self.hall.gateway_core, &self.hall.place)?;
        server.ready(&[listen])?;
        Ok(Gateway {
            arm,
            listen,
            server,
        })
    }

    fn prepare(&self, gateway: &Gateway) -> Result<(), AbError> {
        if self.scenario.prepare.is_empty() {
            return Ok(());
        }
        let mut words = self.scenario.prepare.clone();
        words.extend([
            "--connect-to".into(),
            gateway.listen.to_string(),
            "-q".into(),
        ]);
        self.loadgen(&words)
    }

    /// All gateways beside each other.
    fn slices(&self, gateways: &[Gateway]) -> Result<Reading, AbError> {
        let load = &self.scenario.load;
        let mut words = vec!["ab".to_owned(), load.operation.name().to_owned()];
        words.extend(gateways.iter().map(|_| load.url.clone()));
        words.extend(load.arguments.iter().cloned());
        let addresses: Vec<_> = gateways.iter().map(|one| one.listen.to_string()).collect();
        let pids: Vec<_> = gateways
            .iter()
            .map(|one| one.server.pid().to_string())
            .collect();
        words.extend(["--connect-to".into(), addresses.join(",")]);
        words.extend(["--target-pids".into(), pids.join(",")]);
        words.extend(["-d".into(), self.hall.round.clone(), "-q".into()]);
        if let Some(slice) = &load.slice {
            words.extend(["--slice".into(), slice.clone()]);
        }
        let report = self.reported(words)?;
        let order: Vec<_> = gateways.iter().map(|gateway| gateway.arm).collect();
        reading::of_slices(&report, &order).map_err(|field| self.lacks(field))
    }

    /// One gateway after the other: memory does not depend on what else runs.
    fn held(&self, gateways: &[Gateway]) -> Result<Reading, AbError> {
        let load = &self.scenario.load;
        let mut reports = Vec::with_capacity(gateways.len());
        for gateway in gateways {
            let mut words = vec![load.operation.name().to_owned(), load.url.clone()];
            words.extend(load.arguments.iter().cloned());
            words.extend(["--connect-to".into(), gateway.listen.to_string()]);
            words.extend(["--target-pid".into(), gateway.server.pid().to_string()]);
            reports.push((gateway.arm, self.reported(words)?));
        }
        reading::of_held(&reports).map_err(|field| self.lacks(field))
    }

    /// Runs loadgen for its report.
    fn reported(&self, mut words: Vec<String>) -> Result<Value, AbError> {
        let file = self.hall.place.join("loadgen.json");
        words.extend(["--json".into(), file.display().to_string()]);
        self.loadgen(&words)?;
        let text = fs::read_to_string(&file).map_err(at(&file))?;
        serde_json::from_str(&text).map_err(|error| self.lacks(error.to_string()))
    }

    fn loadgen(&self, words: &[String]) -> Result<(), AbError> {
        let all = [std::slice::from_ref(&self.hall.loadgen), words].concat();
        let pinned = process::pinned(&all, self.hall.load_core);
        let what = format!("{}: loadgen {}", self.scenario.name, words.join(" "));
        command::run(&what, pinned, &[INVALID])?;
        Ok(())
    }

    fn lacks(&self, field: String) -> AbError {
        AbError::Report {
            scenario: self.scenario.name.clone(),
            field,
        }
    }
}

/// A gateway that runs.
struct Gateway {
    arm: Arm,
    listen: SocketAddr,
    server: Server,
}
