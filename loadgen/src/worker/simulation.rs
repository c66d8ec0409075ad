//! The worker's logic against a simulated clock and target: what is measured is what can be
//! computed on paper.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc, time::Duration};

use super::dispatch::{Dispatch, Next, Source};
use crate::{
    measure::{
        collect::{Collected, Collector},
        interval::{Interval, Part},
        recorder::{Done, Moments, Outlet, Recorder},
    },
    operation::failure::{Cause, Failure, Phase},
    report::{
        evidence::{self, Evidence},
        model::State,
        verdict::{self, Objectives},
    },
    schedule::{
        Extent, Share,
        arrivals::Process,
        closed::ClosedLoop,
        curve::{Rate, Stage},
        mix::Mix,
        timeline::{OpenLoad, Timeline},
    },
};

const MS: Duration = Duration::from_millis(1);
const US: Duration = Duration::from_micros(1);

/// Intervals go straight to the collector.
struct Direct(Rc<RefCell<Collector>>);

impl Outlet for Direct {
    fn exchange(&mut self, interval: &mut Box<Interval>) {
        self.0.borrow_mut().add(0, interval);
        interval.clear();
    }
}

/// How the simulated target and generator behave.
struct World<'a> {
    connections: usize,
    backlog: usize,
    /// How long an operation takes that is sent at this time.
    service: &'a dyn Fn(Duration) -> Duration,
    /// When the generator notices something that happened at this time.
    noticed: &'a dyn Fn(Duration) -> Duration,
    /// Whether an operation sent at this time fails.
    fails: &'a dyn Fn(Duration) -> bool,
}

impl Default for World<'_> {
    fn default() -> Self {
        Self {
            connections: 1,
            backlog: 100_000,
            service: &|_| 100 * US,
            noticed: &|at| at,
            fails: &|_| false,
        }
    }
}

fn open(process: Process, per_s: u64, extent: Extent) -> Source {
    let length = extent.duration.unwrap();
    let load = OpenLoad {
        process,
        stages: vec![Stage::hold(Rate(per_s * 1000), length)],
        seed: 1,
    };
    let share = Share { index: 0, of: 1 };
    Source::Open(Box::new(Timeline::new(
        &load,
        extent,
        share,
        Mix::default(),
    )))
}

fn lasting(duration: Duration) -> Extent {
    Extent {
        duration: Some(duration),
        operations: None,
        warmup: Duration::ZERO,
    }
}

/// Runs the dispatch and the recorder of one worker through simulated time.
fn simulate(source: Source, extent: Extent, world: &World<'_>) -> Collected {
    let collector = Rc::new(RefCell::new(Collector::new(1, 1, 1)));
    let moments = Moments {
        measured_from: extent.warmup,
        in_time_until: extent
            .duration
            .map(|duration| extent.warmup + duration + 100 * MS),
    };
    let outlet = Direct(Rc::clone(&collector));
    let interval = Box::new(Interval::new(1, 1));
    let mut recorder = Recorder::new(interval, Box::new(outlet), moments);
    let mut dispatch = Dispatch::new(source, world.backlog);
    let mut free: Vec<Duration> = vec![Duration::ZERO; world.connections];
    // By the time they end, and their number where two end at once.
    let mut busy: BTreeMap<(Duration, u64), Done> = BTreeMap::new();
    let (mut now, mut number) = (Duration::ZERO, 0);
    loop {
        while let Some(since) = free.pop() {
            match dispatch.next(now, &mut recorder) {
                Next::Start(arrival) => {
                    recorder.sent(arrival, since, now);
                    let done = (world.noticed)(now + (world.service)(now));
                    let sent = Done {
                        arrival,
                        sent: now,
                        done,
                        sent_bytes: 1,
                        received_bytes: 2,
                    };
                    busy.insert((done, number), sent);
                    number += 1;
                }
                Next::Wait | Next::Over => {
                    free.push(since);
                    break;
                }
            }
        }
        let due = dispatch.due().map(world.noticed);
        let ends = busy.first_key_value().map(|((ends, _), _)| *ends);
        let Some(next) = due.into_iter().chain(ends).min() else {
            break;
        };
        now = now.max(next);
        dispatch.advance(now, &mut recorder);
        while let Some(entry) = busy.first_entry()
            && entry.key().0 <= now
        {
            let done = entry.remove();
            match (world.fails)(done.sent) {
                false => recorder.succeed(&done),
                true => recorder.fail(
                    done.arrival,
                    &Failure::new(Phase::Check, Cause::Status(500)),
                    now,
                ),
            }
            free.insert(0, now);
        }
    }
    recorder.hand_over();
    drop(recorder);
    Rc::into_inner(collector).unwrap().into_inner().finish()
}

/// The values a histogram of three digits cannot tell from `expected`, all there and no others.
fn assert_times(times: &crate::measure::histogram::Times, mut expected: Vec<Duration>) {
    expected.sort();
    assert_eq!(times.count(), expected.len() as u64);
    for (rank, value) in expected.iter().enumerate() {
        let percent = (rank as f64 + 0.5) / expected.len() as f64 * 100.0;
        let found = times.percentile(percent).as_secs_f64();
        let value = value.as_secs_f64();
        assert!(
            (found - value).abs() <= value * 0.001 + 1e-9,
            "rank {rank}: {found} for {value}"
        );
    }
}

/// The codes of what makes a run invalid.
fn reasons(run: &Collected, extent: Extent) -> Vec<String> {
    let Part { counts, latency } = &run.totals.kinds[0];
    let evidence = Evidence {
        elapsed: extent.duration.unwrap(),
        interrupted: false,
        counts: evidence::Counts {
            planned: counts.planned,
            achieved: counts.succeeded - counts.late,
            succeeded: counts.succeeded,
            ..evidence::Counts::default()
        },
        lag: evidence::Lag {
            p99: latency.lag.percentile(99.0),
            generator_p99: run.totals.effort.lag.percentile(99.0),
            service_p50: latency.service.percentile(50.0),
        },
        dropped: 0,
        exhausted: evidence::Exhausted {
            backlog: run.totals.effort.overflowed,
            ..evidence::Exhausted::default()
        },
        conditions: evidence::Conditions::default(),
        target: evidence::TargetCpu::NotAsked,
        few_streams: None,
    };
    let verdict = verdict::judge(&evidence, Objectives::Met).verdict;
    let invalid = verdict
        .reasons
        .into_iter()
        .filter(|reason| reason.state == State::Invalid);
    invalid.map(|reason| reason.code).collect()
}

/// 1000 operations per second for 3 s; whoever is sent from 1 s to 1.2 s ends at 1.2 s at the soonest.
fn stalled(connections: usize) -> (Collected, Extent) {
    let extent = lasting(Duration::from_secs(3));
    let service = |sent: Duration| {
        let end = 1200 * MS;
        match sent >= 1000 * MS && sent < end {
            true => end - sent,
            false => 100 * US,
        }
    };
    let world = World {
        connections,
        service: &service,
        ..World::default()
    };
    let run = simulate(open(Process::Constant, 1_000, extent), extent, &world);
    (run, extent)
}

#[test]
fn a_stall_of_200_ms_costs_what_it_costs_on_paper() {
    let (run, extent) = stalled(1);
    let Part { counts, latency } = &run.totals.kinds[0];
    assert_eq!(
        (counts.planned, counts.sent, counts.succeeded),
        (3_000, 3_000, 3_000)
    );
    // Operation 1000 stalls until 1200 ms. Number 1000 + j was planned j ms later and ends
    // 0.1 j ms behind 1200 ms, until the queue is empty: 200 − 0.9 j > 0.1, so up to j = 222.
    let response: Vec<_> = (0..3_000u32)
        .map(|n| match n {
            1000..=1222 => 200 * MS - 900 * US * (n - 1000),
            _ => 100 * US,
        })
        .collect();
    assert_times(&latency.response, response);
    // The target was slow once. Who only looks at that believes in a p99.9 of 0.1 ms.
    let mut service = vec![100 * US; 2_999];
    service.push(200 * MS);
    assert_times(&latency.service, service);
    let lag: Vec<_> = (0..3_000u32)
        .map(|n| match n {
            1001..=1222 => 199 * MS - 900 * US * (n - 1001),
            _ => Duration::ZERO,
        })
        .collect();
    assert_times(&latency.lag, lag);
    assert!(
        run.totals.effort.backlog_max >= 198,
        "they waited in the backlog"
    );
    assert_eq!(
        run.totals.effort.lag.percentile(100.0),
        Duration::from_nanos(1),
        "not our fault"
    );
    assert_eq!(run.totals.effort.overflowed, 0);
    assert_eq!(reasons(&run, extent), ["no_free_connection"]);
}

#[test]
fn with_connections_enough_the_target_queues_and_the_response_is_the_same_shape() {
    let (run, extent) = stalled(1_000);
    assert_eq!(
        reasons(&run, extent),
        Vec::<String>::new(),
        "a slow target is no invalid run"
    );
    let latency = &run.totals.kinds[0].latency;
    let response: Vec<_> = (0..3_000u32)
        .map(|n| match n {
            1000..=1199 => 1200 * MS - MS * n,
            _ => 100 * US,
        })
        .collect();
    assert_times(&latency.response, response.clone());
    assert_times(&latency.service, response);
    assert!(
        latency.lag.percentile(100.0) <= US,
        "every one was sent when it was due"
    );
}

#[test]
fn a_closed_loop_hides_the_stall_which_is_why_it_is_labelled() {
    let extent = lasting(Duration::from_secs(3));
    let service = |sent: Duration| {
        if sent == Duration::ZERO {
            200 * MS
        } else {
            100 * US
        }
    };
    let world = World {
        service: &service,
        ..World::default()
    };
    let share = Share { index: 0, of: 1 };
    let source = Source::Closed(ClosedLoop::new(extent, share, Mix::default()));
    let run = simulate(source, extent, &world);
    let latency = &run.totals.kinds[0].latency;
    assert_eq!(latency.response.count(), 1 + 28_000);
    assert!(latency.response.percentile(99.99) <= 101 * US);
}

#[test]
fn a_backlog_that_overflows_is_counted_and_nothing_is_lost() {
    let extent = lasting(Duration::from_secs(2));
    // Half of what is asked for can be served, and ten may wait.
    let world = World {
        backlog: 10,
        service: &|_| 2 * MS,
        ..World::default()
    };
    let run = simulate(open(Process::Constant, 1_000, extent), extent, &world);
    let counts = run.totals.kinds[0].counts;
    assert_eq!(counts.planned, 2_000);
    assert_eq!(counts.sent + counts.unsent, 2_000);
    assert_eq!(counts.unsent, run.totals.effort.overflowed);
    let invalid = reasons(&run, extent);
    assert!(
        invalid.contains(&"backlog_overflow".to_owned()),
        "{invalid:?}"
    );
    // 1000 are served in 2 s, and the ten that wait behind them.
    assert!((1_005..=1_015).contains(&counts.sent), "{counts:?}");
    // Full from the twentieth millisecond on, every one waits for the ten before it.
    let response = run.totals.kinds[0].latency.response.percentile(99.0);
    assert!(response >= 20 * MS && response <= 23 * MS, "{response:?}");
}

#[test]
fn a_generator_that_notices_late_blames_itself() {
    let extent = lasting(Duration::from_secs(2));
    // Something else has the core for 4 of every 8 ms.
    let noticed = |at: Duration| {
        let in_turn = Duration::from_nanos((at.as_nanos() % 8_000_000) as u64);
        if in_turn < 4 * MS {
            at + (4 * MS - in_turn)
        } else {
            at
        }
    };
    let world = World {
        connections: 64,
        noticed: &noticed,
        ..World::default()
    };
    let run = simulate(open(Process::Constant, 1_000, extent), extent, &world);
    let own = run.totals.effort.lag.percentile(99.0);
    assert!(own >= 3_900 * US, "{own:?}");
    assert_eq!(
        reasons(&run, extent),
        ["send_lag"],
        "and the run is invalid"
    );
    let response = run.totals.kinds[0].latency.response.percentile(99.0);
    assert!(
        response >= 4 * MS,
        "its lateness is in the response time: {response:?}"
    );
}

#[test]
fn seconds_add_up_to_the_totals() {
    let extent = Extent {
        duration: Some(Duration::from_millis(3_500)),
        operations: None,
        warmup: Duration::from_millis(700),
    };
    let fails = |sent: Duration| sent >= 2_700 * MS && sent < 2_800 * MS;
    let world = World {
        connections: 8,
        fails: &fails,
        ..World::default()
    };
    let run = simulate(open(Process::Constant, 1_000, extent), extent, &world);
    let seen: Vec<_> = run
        .series
        .iter()
        .map(|row| {
            (
                row.start_s,
                row.planned,
                row.sent,
                row.succeeded,
                row.failed,
            )
        })
        .collect();
    let full = |start_s| (start_s, 1_000, 1_000, 1_000, 0);
    let expected = [
        full(0),
        full(1),
        (2, 1_000, 1_000, 900, 100),
        (3, 500, 500, 500, 0),
    ];
    assert_eq!(seen, expected);
    assert_eq!(run.series[2].errors[0].count, 100);
    assert_eq!(run.series[1].bytes.received, 2_000);
    let counts = run.totals.kinds[0].counts;
    assert_eq!(
        (counts.warmup, counts.succeeded, counts.failed),
        (700, 3_400, 100)
    );
    // The histograms of the seconds are those of the whole, in parts.
    let mut sum = crate::measure::histogram::Times::new()
        .distribution()
        .histogram()
        .unwrap();
    for row in &run.series {
        sum.add(row.latency.response.histogram().unwrap()).unwrap();
    }
    let whole = run.totals.kinds[0].latency.response.distribution();
    assert_eq!(sum, whole.histogram().unwrap());
}
