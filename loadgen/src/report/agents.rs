//! The agents of a distributed run: what each of them did, and what its own verdict makes of the
//! whole. Counts and times of the whole are sums that were made before; CPU is added up here.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    build,
    model::{Generator, Host, Part, Reason, Report, State, Verdict},
    reason::Reason as Ground,
};
use crate::{exit::Exit, measure::interval};

/// An agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Agent {
    /// As the coordinator was told it: `host:port`.
    pub name: String,
    /// Where it ran.
    pub host: Host,
    /// Its clock, and so its start.
    pub clock: Clock,
    /// Its operations; they are in the totals too.
    pub totals: Part,
    /// Address of the target that it connected to; absent when it was lost.
    pub address: Option<String>,
    /// Its CPU; absent when it was lost.
    pub generator: Option<Generator>,
    /// Its verdict on its own part; absent when it was lost.
    pub verdict: Option<Verdict>,
    /// Why it did not do its part to the end; absent when it did.
    pub lost: Option<String>,
}

/// What was found out of an agent's clock, over the control connection.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Clock {
    /// Its time of day less the coordinator's.
    pub offset_s: f64,
    /// The most by which its start, and the offset, may be wrong: half of the round trip.
    pub uncertainty_s: f64,
    /// The shortest round trip.
    pub round_trip_s: f64,
}

/// What an agent says at its end, besides what it counted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Said {
    /// Address of the target.
    pub address: String,
    /// Its CPU.
    pub generator: Generator,
    /// Its verdict on its own part.
    pub verdict: Verdict,
    /// The grounds of that.
    pub grounds: Vec<Ground>,
    /// Whether the target is to blame for that.
    pub blames_target: bool,
    /// Its machine, second by second.
    pub seconds: Vec<Sampled>,
    /// Whether somebody ended it on its machine.
    pub interrupted: bool,
    /// Operations that it counted, for comparison with what has arrived.
    pub counts: interval::Counts,
}

/// A second of an agent's machine.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sampled {
    /// Its start.
    pub start_s: u64,
    /// Share in which the busiest thread worked.
    pub busy_share: f64,
    /// CPU time of all threads.
    pub cpu_s: f64,
    /// Share that the hypervisor took.
    pub stolen_share: f64,
}

/// An agent at the end of a run, as the coordinator knows it.
#[derive(Debug)]
pub struct Told {
    /// As it was named.
    pub name: String,
    /// Where it ran.
    pub host: Host,
    /// Its clock.
    pub clock: Clock,
    /// Everything that has arrived of its operations.
    pub counted: interval::Part,
    /// What it said last, or why it said nothing.
    pub end: Result<Box<Said>, String>,
}

/// The part of a report that an agent says at its end.
pub fn said(report: &Report, grounds: &[Ground], exit: Exit, counts: interval::Counts) -> Said {
    let seconds = report.series.iter().map(|second| Sampled {
        start_s: second.start_s,
        busy_share: second.generator_busy_share,
        cpu_s: second.generator_cpu_s,
        stolen_share: second.stolen_share,
    });
    Said {
        address: report.configuration.address.clone(),
        generator: report.generator.clone(),
        verdict: report.verdict.clone(),
        grounds: grounds.to_vec(),
        blames_target: exit == Exit::Target,
        seconds: seconds.collect(),
        interrupted: report.timing.interrupted,
        counts,
    }
}

/// Adds the agents to the report of what they did together, and gives the exit code with them.
pub fn add(report: &mut Report, exit: Exit, agents: Vec<Told>) -> Exit {
    let mut exits = vec![exit];
    let mut reasons = Vec::new();
    for told in &agents {
        exits.push(judge(report, told, &mut reasons));
        if let Ok(said) = &told.end {
            add_cpu(report, said);
        }
    }
    let verdict = &mut report.verdict;
    verdict.reasons.append(&mut reasons);
    verdict
        .reasons
        .sort_by_key(|reason| std::cmp::Reverse(reason.state));
    let states = verdict.reasons.iter().map(|reason| reason.state);
    verdict.state = states.max().unwrap_or(State::Valid);
    let worked_ns = (report.generator.cpu_s - report.generator.spun_s).max(0.0) * 1e9;
    let succeeded = report.totals.operations.succeeded;
    report.generator.cpu_ns_per_operation = (succeeded > 0).then(|| worked_ns / succeeded as f64);
    let elapsed_s = report.timing.elapsed_s;
    report.agents = agents
        .into_iter()
        .map(|told| agent(told, elapsed_s))
        .collect();
    if report.agents.iter().any(|agent| agent.lost.is_some()) {
        return Exit::Invalid;
    }
    [Exit::Target, Exit::Invalid, Exit::Missed]
        .into_iter()
        .find(|worst| exits.contains(worst))
        .unwrap_or(Exit::Ok)
}

/// What an agent's end makes of the whole.
fn judge(report: &Report, told: &Told, reasons: &mut Vec<Reason>) -> Exit {
    let own = |state, code: &str, what: &str| Reason {
        state,
        agent: Some(told.name.clone()),
        code: code.to_owned(),
        message: format!("agent {}: {what}", told.name),
        measured: None,
        limit: None,
    };
    let said = match &told.end {
        Ok(said) => said,
        Err(why) => {
            let what = format!("{why}; the numbers have what it told of until then");
            reasons.push(own(State::Invalid, "agent_lost", &what));
            return Exit::Invalid;
        }
    };
    if said.counts != told.counted.counts {
        let what = "what it counted is not what has arrived: a defect of loadgen";
        reasons.push(own(State::Invalid, "agent_incomplete", what));
        return Exit::Invalid;
    }
    // What is said of the whole need not be said of each.
    let known = |reason: &Reason| {
        let mut all = report.verdict.reasons.iter();
        all.any(|other| other.code == reason.code && other.state >= reason.state)
    };
    let news = said.verdict.reasons.iter().filter(|reason| !known(reason));
    reasons.extend(news.map(|reason| Reason {
        measured: reason.measured,
        limit: reason.limit,
        ..own(reason.state, &reason.code, &reason.message)
    }));
    match (said.verdict.state, said.blames_target) {
        (State::Invalid, true) => Exit::Target,
        (State::Invalid, false) => Exit::Invalid,
        (State::Valid | State::Degraded, _) => Exit::Ok,
    }
}

fn add_cpu(report: &mut Report, said: &Said) {
    let (sum, more) = (&mut report.generator, &said.generator);
    sum.threads += more.threads;
    sum.cpu_s += more.cpu_s;
    sum.spun_s += more.spun_s;
    sum.busiest_share = sum.busiest_share.max(more.busiest_share);
    sum.waited_s += more.waited_s;
    for sampled in &said.seconds {
        // Seconds of the report are in their order, from the first on.
        let row = usize::try_from(sampled.start_s)
            .ok()
            .and_then(|second| report.series.get_mut(second));
        if let Some(row) = row {
            row.generator_busy_share = row.generator_busy_share.max(sampled.busy_share);
            row.generator_cpu_s += sampled.cpu_s;
            row.stolen_share = row.stolen_share.max(sampled.stolen_share);
        }
    }
}

fn agent(told: Told, elapsed_s: f64) -> Agent {
    let totals = build::part(&told.name, &told.counted, elapsed_s);
    let (said, lost) = match told.end {
        Ok(said) => (Some(said), None),
        Err(why) => (None, Some(why)),
    };
    Agent {
        name: told.name,
        host: told.host,
        clock: told.clock,
        totals,
        address: said.as_ref().map(|said| said.address.clone()),
        generator: said.as_ref().map(|said| said.generator.clone()),
        verdict: said.map(|said| said.verdict),
        lost,
    }
}
