//! A load on agents: from a job and a plan here to what they did together.

use std::{
    cell::RefCell,
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use tokio::sync::watch;

use super::{
    CommandError,
    load::{Job, Measured, judged},
};
use crate::{
    agents::{
        AgentsError,
        coordinator::{self, Stop, Wanted},
        identity::Identity,
        protocol,
        tally::{Shape, Tally},
    },
    cli::AgentsArgs,
    report::{
        agents::{self, Told},
        build::Frame,
    },
    run::{Moment, Outcome, RunError, Watch},
    signals,
    worker::Plan,
};

/// What an agent may take to end besides the times of its load.
const GRACE: Duration = Duration::from_secs(10);

/// Has agents run a job, and reports it.
///
/// # Errors
///
/// When they do not begin. What happens later is in the report.
pub fn carried(
    job: &Job<'_>,
    plan: &Plan,
    frame: Frame,
    watch: &mut Watch<'_>,
) -> Result<Measured, CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (outcome, told) = runtime.block_on(run(job, plan, watch))?;
    let mut measured = judged(job, outcome, frame);
    let grounds = told.iter().filter_map(|told| told.end.as_ref().ok());
    let grounds = grounds.flat_map(|said| said.grounds.iter().copied());
    measured.reasons.extend(grounds);
    measured.exit = agents::add(&mut measured.report, measured.exit, told);
    Ok(measured)
}

async fn run(
    job: &Job<'_>,
    plan: &Plan,
    seen: &mut Watch<'_>,
) -> Result<(Outcome, Vec<Told>), CommandError> {
    let flags = &job.load.agents;
    let places = coordinator::places(&flags.agents)?;
    let tls = identity(flags)?.coordinator();
    let tls = tls.map_err(AgentsError::from)?;
    let wanted = Wanted {
        job: protocol::Job::new(words(flags)?, &job.load.tls.files.noted(), flags.asked),
        threads: plan.threads,
        skew: flags.agents_skew,
    };
    let (stop, mut stopped) = watch::channel(Stop::No);
    let stop = Arc::new(stop);
    let interrupt = Arc::clone(&stop);
    let tell = move || {
        interrupt.send_replace(Stop::Interrupted);
    };
    signals::watch(tell).map_err(RunError::Signals)?;
    let begun = async {
        let crew = coordinator::assemble(&places, tls, &wanted).await?;
        let started = crew.start().await?;
        Ok::<_, CommandError>((crew, started))
    };
    let (crew, started) = tokio::select! {
        begun = begun => begun?,
        _ = stopped.wait_for(|stop| *stop != Stop::No) => return Err(RunError::Interrupted.into()),
    };
    let shape = Shape {
        threads: plan.threads,
        kinds: plan.operation.kinds().len(),
        tenants: plan.mix.rows(),
    };
    let tally = RefCell::new(Tally::new(places.len(), shape, seen));
    let measured_from = started + plan.extent.warmup;
    let mut moments = Vec::new();
    let give_up = plan.timeout + plan.drain + GRACE;
    let told = tokio::select! {
        told = crew.follow(&tally, &stop, give_up) => told,
        never = look(measured_from, job.load.target_pid, &mut moments) => match never {},
    };
    moments.extend(
        job.load
            .target_pid
            .map(|pid| Moment::of_target(measured_from, pid)),
    );
    let began = SystemTime::now() - measured_from.elapsed();
    let ended = Instant::now();
    let collected = tally.into_inner().finish();
    let until = collected
        .totals
        .last_done
        .map_or(ended, |last| started + last);
    let interrupted = *stop.borrow() == Stop::Interrupted;
    let outcome = Outcome {
        collected,
        moments,
        threads: Vec::new(),
        began,
        elapsed: until.saturating_duration_since(measured_from),
        interrupted,
    };
    Ok((outcome, told))
}

/// Looks at the target, which may run on this machine, at the end of each second.
async fn look(from: Instant, target: Option<u32>, moments: &mut Vec<Moment>) -> Infallible {
    let Some(pid) = target else {
        return std::future::pending().await;
    };
    let mut second = 0;
    loop {
        tokio::time::sleep_until((from + Duration::from_secs(second)).into()).await;
        moments.push(Moment::of_target(from, pid));
        second += 1;
    }
}

fn identity(flags: &AgentsArgs) -> Result<Identity<'_>, CommandError> {
    match (&flags.agents_cert, &flags.agents_key, &flags.agents_ca) {
        (Some(cert), Some(key), Some(ca)) => Ok(Identity { cert, key, ca }),
        // clap asks for all of them together.
        _ => Err(CommandError::NotALoad),
    }
}

fn words(flags: &AgentsArgs) -> Result<Vec<String>, AgentsError> {
    let words = flags.words.iter().map(|word| word.to_str());
    let words: Option<Vec<_>> = words.map(|word| word.map(str::to_owned)).collect();
    words.ok_or(AgentsError::NotUtf8)
}
