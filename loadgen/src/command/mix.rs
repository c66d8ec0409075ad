//! `loadgen mix`: a scenario becomes one load of several operations.

mod plan;

use std::{
    io::{self, Write},
    time::Duration,
};

use clap::{CommandFactory, Parser, error::ErrorKind};
use serde_json::json;

use self::plan::build;
use super::{
    CommandError,
    load::{self, Job},
};
use crate::{
    cli::{LoadArgs, MixArgs, MixFlags, Place, ScenarioArgs},
    exit::Exit,
    operation::{
        Operation,
        http1::objects::{Objects, Pick},
        mixed::{Does, Mixed},
    },
    report::advice::advice,
    run,
    scenario::{Problem, Scenario, Source},
    schedule::{Extent, Share, curve::Rate, mix::Mix, timeline::ENDLESS},
    target::url::Target,
    worker::{Endpoint, Plan, dispatch},
};

/// Operations that `--check` plans one by one; of more it tells the shares.
const MAX_CHECKED: u64 = 50_000_000;

/// Loads a target with a mix of operations.
///
/// # Errors
///
/// When the scenario or a flag is of no use, or the result cannot be written.
pub fn mix(args: &MixArgs) -> Result<Exit, CommandError> {
    let ready = Ready::read(&args.scenario)?;
    let load = ready.scheduled();
    if args.check || ready.check {
        // Agents do together what one machine with all their threads would.
        let mut whole = load.alone();
        whole.threads *= load.agents.place.machines() as u32;
        print_plan(&load::plan(&ready.job(&whole))?)?;
        return Ok(Exit::Ok);
    }
    let job = ready.job(&load);
    let plan = load::plan(&job)?;
    ready.prepare(&job)?;
    let measured = load::watched(&job, plan)?;
    load::tell(&job, &measured)?;
    Ok(measured.exit)
}

/// A scenario that was read, with its flags.
pub struct Ready {
    /// Flags of the load, the scenario's before those of the command line.
    pub load: LoadArgs,
    /// The rate of all operations where each has its own.
    pub rate: Option<Rate>,
    /// Whether nothing is to be run.
    check: bool,
    scenario: String,
    target: Target,
    operation: Mixed,
    endpoints: Vec<Endpoint>,
    weights: Vec<u64>,
    prepared: Vec<plan::Prepared>,
}

impl Ready {
    /// Reads a scenario.
    ///
    /// # Errors
    ///
    /// When it or a flag is of no use.
    pub fn read(args: &ScenarioArgs) -> Result<Self, CommandError> {
        let standing = &args.standing;
        let (source, scenario) = Source::read(&standing.files(), &args.path)?;
        let mut flags = flags(&source, &scenario)?;
        flags.extend(args.flags.iter().cloned());
        let mut flags = MixFlags::try_parse_from(&flags).map_err(CommandError::Flags)?;
        flags.load.stand(standing);
        let built = build(&source, &scenario, &flags.load)?;
        Ok(Self {
            load: flags.load,
            rate: built.rate,
            check: flags.check,
            scenario: source.path.display().to_string(),
            target: built.target,
            operation: Mixed::new(built.parts),
            endpoints: built.endpoints,
            weights: built.weights,
            prepared: built.prepared,
        })
    }

    /// The flags of its load, with the rate of operations that have each their own.
    pub fn scheduled(&self) -> LoadArgs {
        let mut load = self.load.clone();
        load.schedule.rate = self.rate.or(load.schedule.rate);
        load
    }

    /// The load that it is.
    pub fn job<'a>(&self, load: &'a LoadArgs) -> Job<'a> {
        Job {
            name: "mix",
            target: self.target.clone(),
            operation: Operation::Mixed(self.operation.clone()),
            mix: Mix::new(self.weights.clone()),
            others: self.endpoints.clone(),
            load,
            particulars: json!({ "scenario": self.scenario }),
        }
    }

    /// Objectives of single operations.
    pub fn objectives(&self) -> usize {
        self.operation
            .parts()
            .iter()
            .map(|part| part.slo.len())
            .sum()
    }

    /// Stores what has to be there before the load. Of agents, their coordinator does.
    ///
    /// # Errors
    ///
    /// When the target does not take it.
    pub fn prepare(&self, job: &Job<'_>) -> Result<(), CommandError> {
        match job.load.agents.place {
            Place::Agent(_) => Ok(()),
            Place::Alone | Place::Coordinator { .. } => {
                self.prepared.iter().try_for_each(|part| prepare(job, part))
            }
        }
    }
}

/// The keys of `[load]` as flags. Each value is tried by itself, so that an error has its line.
fn flags(source: &Source, scenario: &Scenario) -> Result<Vec<String>, CommandError> {
    let command = MixFlags::command();
    let known: Vec<_> = command
        .get_arguments()
        .filter_map(|arg| arg.get_long())
        .collect();
    let mut flags = Vec::new();
    for (key, value) in &scenario.load {
        let name = key.get_ref();
        if name == "check" || !known.contains(&name.as_str()) {
            let problem = Problem::NoSuchFlag {
                key: name.clone(),
                known: known.join(", "),
            };
            return Err(source.at(key.span(), problem).into());
        }
        let values = match value.get_ref() {
            toml::Value::Array(values) => values.clone(),
            value => vec![value.clone()],
        };
        for one in values {
            let (flag, text) = match one {
                toml::Value::String(text) => (format!("--{name}={text}"), text),
                toml::Value::Integer(number) => (format!("--{name}={number}"), number.to_string()),
                toml::Value::Float(number) => (format!("--{name}={number}"), number.to_string()),
                toml::Value::Boolean(true) => (format!("--{name}"), "true".to_owned()),
                _ => return Err(source.at(value.span(), Problem::FlagType).into()),
            };
            if let Err(error) = MixFlags::try_parse_from([&flag])
                && matches!(
                    error.kind(),
                    ErrorKind::ValueValidation | ErrorKind::InvalidValue
                )
            {
                let error = error.to_string();
                let why = error.lines().next().unwrap_or_default();
                let problem = Problem::Value {
                    value: text,
                    why: why.trim_start_matches("error: ").to_owned(),
                };
                return Err(source.at(value.span(), problem).into());
            }
            flags.push(flag);
        }
    }
    Ok(flags)
}

/// Stores every object of every tenant once.
fn prepare(job: &Job<'_>, part: &plan::Prepared) -> Result<(), CommandError> {
    let mut template = part.template.clone();
    let tenants = super::tenants::tenants(job.load)?;
    let count = tenants.as_ref().map_or(1, |all| all.count()) as u64 * part.objects;
    template.objects = template.objects.map(|objects| Objects {
        pick: Pick::InTurn(part.objects),
        ..objects
    });
    let load = LoadArgs {
        slo: Vec::new(),
        ..job.load.alone()
    };
    let store = Job {
        name: "prepare",
        target: part.target.clone(),
        operation: Operation::Mixed(Mixed::new(vec![crate::operation::mixed::Part {
            name: "prepare".to_owned(),
            does: Does::Request(template),
            endpoint: 0,
            slo: Vec::new(),
        }])),
        mix: Mix::default().in_turn(part.objects),
        load: &load,
        others: Vec::new(),
        particulars: json!({}),
    };
    let mut plan = load::plan(&store)?;
    // On one thread operations are numbered without a gap.
    (plan.threads, plan.open) = (1, None);
    plan.extent = Extent {
        duration: None,
        operations: Some(count),
        warmup: Duration::ZERO,
    };
    let sums = run::run(plan, None)?.collected.totals;
    let stored: u64 = sums.kinds.iter().map(|part| part.counts.succeeded).sum();
    match stored == count {
        true => Ok(()),
        false => Err(CommandError::Prepare(advice(
            &sums,
            &part.target.to_string(),
        ))),
    }
}

/// Prints what would be run: counts where the schedule and the seed fix them, else shares.
fn print_plan(plan: &Plan) -> Result<(), CommandError> {
    let mut out = io::stdout().lock();
    let kinds = plan.operation.kinds();
    let names = plan.mix.tenants();
    let rows = names.map_or(1, |all| all.rows());
    let name = |row| names.map_or("all".to_owned(), |all| all.row_name(row));
    match counted(plan, kinds.len(), rows) {
        Some(counts) => {
            for (kind, counts) in kinds.iter().zip(&counts) {
                writeln!(out, "operation {kind} {}", counts.iter().sum::<u64>())?;
            }
            for row in 0..rows {
                let of_row: u64 = counts.iter().map(|counts| counts[row]).sum();
                write!(out, "tenant {} {of_row}", name(row))?;
                for (kind, counts) in kinds.iter().zip(&counts) {
                    write!(out, " {kind}={}", counts[row])?;
                }
                writeln!(out)?;
            }
        }
        None => {
            writeln!(
                out,
                "how many is open: the target decides (no rate and no -n), or there are too many to count; of a million:"
            )?;
            for (kind, count) in kinds.iter().zip(plan.mix.counts(1_000_000)) {
                writeln!(out, "operation {kind} {count}")?;
            }
        }
    }
    Ok(out.flush()?)
}

/// Planned operations by kind and row of tenants; none where the schedule does not fix them.
fn counted(plan: &Plan, kinds: usize, rows: usize) -> Option<Vec<Vec<u64>>> {
    let mut counts = vec![vec![0; rows]; kinds];
    let load = plan.load();
    let bounded = plan
        .open
        .as_ref()
        .is_some_and(|open| open.length().is_some())
        || plan.extent.operations.is_some();
    if !bounded || plan.open.is_none() && !plan.extent.warmup.is_zero() {
        return None;
    }
    let mut left = MAX_CHECKED;
    for index in 0..plan.threads as u64 {
        let share = Share {
            index,
            of: plan.threads as u64,
        };
        let mut source = plan.source(&load, share);
        loop {
            let next = match &mut source {
                dispatch::Source::Open(timeline) => timeline.take(ENDLESS),
                dispatch::Source::Closed(_) if plan.extent.duration.is_some() => return None,
                dispatch::Source::Closed(closed) => closed.next(Duration::ZERO),
                // Connections that are only held are no operation of a mix.
                dispatch::Source::Conns(_) => return None,
            };
            let Some(arrival) = next else { break };
            left = left.checked_sub(1)?;
            if arrival.measured {
                counts[arrival.kind][arrival.tenant.min(rows - 1)] += 1;
            }
        }
    }
    Some(counts)
}
