//! Time of what the generator does for every operation besides I/O: planning it, and recording it. Nothing is judged:
//! `cargo bench -p loadgen --bench micro -- NAME` on a quiet machine.

#![allow(missing_docs, reason = "criterion's macros write items without docs")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use loadgen::measure::histogram::Times;
use loadgen::measure::interval::Interval;
use loadgen::measure::recorder::{Done, Moments, Outlet, Recorder};
use loadgen::schedule::arrivals::{Burst, Process};
use loadgen::schedule::closed::ClosedLoop;
use loadgen::schedule::curve::{Rate, Stage};
use loadgen::schedule::mix::Mix;
use loadgen::schedule::timeline::{ENDLESS, OpenLoad, Timeline};
use loadgen::schedule::{Arrival, Extent, Share};

/// 100,000 operations a second.
const RATE: Rate = Rate(100_000_000);
const ALL: Share = Share { index: 0, of: 1 };
const WITHOUT_END: Extent = Extent {
    duration: None,
    operations: None,
    warmup: Duration::ZERO,
};

/// What a planned operation costs before it is sent.
fn schedule(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("schedule");
    let ramp = Stage {
        to: Rate(2 * RATE.0),
        ..Stage::hold(RATE, ENDLESS)
    };
    let burst = Process::Burst(Burst {
        size: 1000,
        every: Duration::from_millis(10),
    });
    let hold = Stage::hold(RATE, ENDLESS);
    for (name, process, stage) in [
        ("constant", Process::Constant, hold),
        ("ramp", Process::Constant, ramp),
        ("poisson", Process::Poisson, hold),
        ("burst", burst, hold),
    ] {
        let load = OpenLoad {
            process,
            stages: vec![stage],
            seed: 1,
        };
        let mut timeline = Timeline::new(&load, WITHOUT_END, ALL, Mix::default());
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            bencher.iter(|| timeline.take(Duration::MAX).expect("it has no end"));
        });
    }
    let mut closed = ClosedLoop::new(WITHOUT_END, ALL, Mix::default());
    group.bench_function("closed", |bencher| {
        bencher.iter(|| closed.next(Duration::ZERO).expect("it has no end"));
    });
    group.finish();
}

/// Latencies from a microsecond to a second, so that the histogram's counters are not all in the cache.
fn times() -> impl Iterator<Item = Duration> {
    let mut state = 1_u64;
    std::iter::repeat_with(move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        Duration::from_nanos(1000 << ((state >> 33) % 20))
    })
}

/// What an operation costs that has ended: three histograms and counters.
fn record(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("record");
    let (mut histogram, mut drawn) = (Times::new(), times());
    group.bench_function("histogram", |bencher| {
        bencher.iter(|| histogram.record(drawn.next().expect("it has no end")));
    });
    group.bench_function("draw", |bencher| {
        bencher.iter(|| black_box(drawn.next()));
    });
    let moments = Moments {
        measured_from: Duration::ZERO,
        in_time_until: None,
    };
    let mut recorder = Recorder::new(Box::new(Interval::new(1, 0)), Box::new(Cleared), moments);
    let mut now = Duration::ZERO;
    let mut number = 0;
    group.bench_function("operation", |bencher| {
        bencher.iter(|| {
            let arrival = Arrival {
                planned: now,
                measured: true,
                number,
                kind: 0,
                tenant: 0,
            };
            number += 1;
            let took = drawn.next().expect("it has no end");
            recorder.planned(arrival);
            recorder.sent(arrival, now, now);
            recorder.succeed(&Done {
                arrival,
                sent: now,
                done: now + took,
                sent_bytes: 100,
                received_bytes: 100,
            });
            now += Duration::from_micros(10);
        });
    });
    group.finish();
}

/// Takes an interval as the run's collector does, and keeps none.
struct Cleared;

impl Outlet for Cleared {
    fn exchange(&mut self, interval: &mut Box<Interval>) {
        black_box(&**interval);
        interval.clear();
    }
}

criterion_group!(micro, schedule, record);
criterion_main!(micro);
