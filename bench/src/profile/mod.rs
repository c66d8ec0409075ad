//! Where the gateway's time goes under a scenario, as a flame graph.
//!
//! ```text
//! scenario -> origin, gateway -> perf record on the gateway, for as long as loadgen loads it
//!   -> perf script -> inferno: folded stacks -> SVG, and the functions that take most
//! ```

mod folded;
mod perf;

use std::{fs, path::PathBuf};

use clap::Args;

use self::{folded::Samples, perf::Perf};
use crate::{
    ab::{
        scenario::{self, Operation, Scenario, ScenarioError},
        site::{Gateway, Site},
    },
    certificate::self_signed,
    error::BenchError,
    host::{self, Split},
    output, process, units,
    workplace::Workplace,
};

const EXAMPLES: &str = "\
Examples:
  scripts/bench profile echo
      profile-echo.svg, of ten seconds of echoes
  scripts/bench profile sealed-put --time 30s --out put.svg
  scripts/bench profile ci/our-gateway.toml
      a scenario of your own; bench/scenarios has examples

Open the SVG in a browser: it zooms by a click. Ctrl-C and SIGTERM end the load, and what was
recorded until then is drawn and marked.

Exit codes: 0 done; 1 usage, a program is missing, or perf may not record here; 2 something does
not start, or fails under load; 4 interrupted.";

/// Arguments of `bench profile`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ProfileArgs {
    /// A scenario by name, or the path of a .toml file
    scenario: String,
    /// How long the load takes
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = units::time)]
    time: String,
    /// Samples per second of CPU time
    #[arg(long, value_name = "HZ", default_value_t = 999, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    frequency: u32,
    /// The gateway, built with frame pointers [default: sealgate beside this program]
    #[arg(long, value_name = "PROGRAM")]
    gateway: Option<PathBuf>,
    /// Where the flame graph goes [default: profile-SCENARIO.svg]
    #[arg(long, value_name = "FILE", value_parser = output::file())]
    out: Option<PathBuf>,
}

/// Why there is no profile.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// A scenario is of no use.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// A program, a port or a file is missing, or the load failed.
    #[error(transparent)]
    Bench(#[from] BenchError),
    /// The kernel does not let perf record.
    #[error(
        "perf may not record here; it said:\n{}\nAs root, `sysctl kernel.perf_event_paranoid=1` lets everybody record their own processes (it is {paranoid}); \
         in a container, add the capability PERFMON and a seccomp profile that allows perf_event_open",
        said.trim_end()
    )]
    NotPermitted {
        /// `kernel.perf_event_paranoid`.
        paranoid: String,
        /// What perf said.
        said: String,
    },
    /// The gateway did nothing, or perf saw nothing of it.
    #[error("perf took no sample of the gateway: give it more --time, or a higher --frequency")]
    NoSamples,
}

impl ProfileError {
    /// 1 usage, 2 something does not start, or fails under load, 4 interrupted.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Scenario(_) | Self::NotPermitted { .. } => 1,
            Self::Bench(error) => error.exit_code(),
            Self::NoSamples => 2,
        }
    }
}

/// Records, draws, and prints where the time went, also what there is when it is interrupted.
///
/// # Errors
///
/// [`ProfileError`]: there is no flame graph, or not of the whole load.
pub fn run(args: &ProfileArgs) -> Result<(), ProfileError> {
    let scenario = scenario::find(&args.scenario)?;
    let cores = Split::of(&host::cores());
    let place = Workplace::new()?;
    let perf = Perf::find(place.path())?;
    let sealgate = match &args.gateway {
        Some(path) => path.display().to_string(),
        None => process::find(
            "sealgate",
            "build it: cargo build --release --package sealgate",
        )?,
    };
    let certificate = self_signed(place.path())?;
    let site = Site::set_up(
        &scenario,
        &certificate,
        (&cores.load, place.path()),
        &sealgate,
    )?;
    let command = |file: &str| {
        [sealgate.as_str(), "run", "--config", file]
            .map(str::to_owned)
            .to_vec()
    };
    let gateway = site.start("gateway", &cores.gateway, command)?;
    site.prepare(&gateway)?;
    let words = site.loadgen.command(&load(&scenario, &gateway, &args.time));
    let pinned = process::pinned_words(&words, &cores.load);
    let data = place.path().join("perf.data");
    eprintln!("{}: {}", scenario.name, scenario.description);
    let recorded = perf.record(gateway.pid(), args.frequency, &pinned, &data);
    let cut_short = match &recorded {
        Ok(()) => "",
        // What perf saw until then is of the same load.
        Err(BenchError::Interrupted) if data.exists() => ", CUT SHORT (interrupted)",
        Err(_) => return Ok(recorded?),
    };
    let folded = perf.fold(&data)?;
    let text = fs::read_to_string(&folded).map_err(|source| BenchError::File {
        path: folded.clone(),
        source,
    })?;
    let samples = Samples::of(&text);
    if samples.count() == 0 {
        return Err(ProfileError::NoSamples);
    }
    let svg = args.out.clone();
    let svg = svg.unwrap_or_else(|| format!("profile-{}.svg", scenario.name).into());
    let title = format!(
        "{} under {}{cut_short}",
        host::version(&sealgate, "--version", "sealgate"),
        scenario.name
    );
    perf.draw(&folded, &title, &svg)?;
    print!("{title}, {}\n{}", host::describe(), samples.text());
    println!("flame graph: {}", svg.display());
    Ok(recorded?)
}

/// The scenario's load on one gateway, for so long.
fn load(scenario: &Scenario, gateway: &Gateway, time: &str) -> Vec<String> {
    let load = &scenario.load;
    let mut words = vec![load.operation.name().to_owned(), load.url.clone()];
    words.extend(load.arguments.iter().cloned());
    words.extend(["--connect-to".into(), gateway.listen.to_string()]);
    match load.operation {
        // It ends when the connections have been held.
        Operation::Conns => {}
        Operation::Request | Operation::Handshake | Operation::Bulk => {
            words.extend(["-d".into(), time.to_owned(), "-q".into()]);
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_change_is_said_where_perf_may_not_record() {
        let error = ProfileError::NotPermitted {
            paranoid: "4".into(),
            said: "Access is limited.\n".into(),
        };
        let said = error.to_string();
        for wanted in [
            "Access is limited.",
            "perf_event_paranoid=1",
            "(it is 4)",
            "PERFMON",
        ] {
            assert!(said.contains(wanted), "{said}");
        }
        assert_eq!(error.exit_code(), 1);
    }
}
