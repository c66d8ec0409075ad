//! Where a scenario is measured: the origin, and three gateways that are fresh in every round.
//!
//! ```text
//! loadgen ab (core 2) --TLS--> base | head | control (core 1) --> loadgen origin (core 2)
//! ```

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    chance::Chance,
    error::{AbError, at},
    reading::{self, Reading},
    scenario::{Operation, Scenario},
    site::{Gateway, Site},
};
use crate::certificate::Certificate;

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
    site: Site<'a>,
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
        let where_to = (&[hall.load_core][..], hall.place.as_path());
        let site = Site::set_up(scenario, certificate, where_to, &programs.path(Arm::Base))?;
        Ok(Self {
            hall,
            scenario,
            programs,
            site,
        })
    }

    /// What is measured.
    pub fn name(&self) -> &str {
        &self.scenario.name
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
            let cores = [self.hall.gateway_core];
            let command = |file: &str| self.programs.command(arm, &["run", "--config", file]);
            gateways.push((arm, self.site.start(arm.name(), &cores, command)?));
        }
        for (_, gateway) in &gateways {
            self.site.prepare(gateway)?;
        }
        match self.scenario.load.operation {
            Operation::Conns => self.held(&gateways),
            Operation::Request | Operation::Handshake | Operation::Bulk => self.slices(&gateways),
        }
    }

    /// All gateways beside each other.
    fn slices(&self, gateways: &[(Arm, Gateway)]) -> Result<Reading, AbError> {
        let load = &self.scenario.load;
        let mut words = vec!["ab".to_owned(), load.operation.name().to_owned()];
        words.extend(gateways.iter().map(|_| load.url.clone()));
        words.extend(load.arguments.iter().cloned());
        let of_each = |tell: fn(&Gateway) -> String| {
            let each: Vec<_> = gateways.iter().map(|(_, gateway)| tell(gateway)).collect();
            each.join(",")
        };
        let addresses = of_each(|gateway| gateway.listen.to_string());
        let pids = of_each(|gateway| gateway.pid().to_string());
        words.extend(["--connect-to".into(), addresses]);
        words.extend(["--target-pids".into(), pids]);
        words.extend(["-d".into(), self.hall.round.clone(), "-q".into()]);
        if let Some(slice) = &load.slice {
            words.extend(["--slice".into(), slice.clone()]);
        }
        let report = self.site.loadgen.report(words)?;
        let order: Vec<_> = gateways.iter().map(|(arm, _)| *arm).collect();
        reading::of_slices(&report, &order).map_err(|problem| self.void(problem))
    }

    /// One gateway after the other: memory does not depend on what else runs.
    fn held(&self, gateways: &[(Arm, Gateway)]) -> Result<Reading, AbError> {
        let load = &self.scenario.load;
        let mut reports = Vec::with_capacity(gateways.len());
        for (arm, gateway) in gateways {
            let mut words = vec![load.operation.name().to_owned(), load.url.clone()];
            words.extend(load.arguments.iter().cloned());
            words.extend(["--connect-to".into(), gateway.listen.to_string()]);
            words.extend(["--target-pid".into(), gateway.pid().to_string()]);
            reports.push((*arm, self.site.loadgen.report(words)?));
        }
        reading::of_held(&reports).map_err(|problem| self.void(problem))
    }

    fn void(&self, problem: String) -> AbError {
        AbError::Report {
            scenario: self.scenario.name.clone(),
            problem,
        }
    }
}
