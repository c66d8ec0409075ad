//! From the intervals of all workers to totals and a series of seconds.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::mpsc,
    time::Duration,
};

use super::{
    interval::{Counts, Interval, Latency},
    recorder::Outlet,
};
use crate::{
    operation::failure::{Class, Phase},
    report::model::{self, ErrorCount, Second},
};

/// Seconds that are kept one by one: six hours. The totals go on.
const SERIES_LIMIT: u64 = 6 * 3600;

/// One second of all workers, not finished yet.
#[derive(Debug, Default)]
struct Pending {
    counts: Counts,
    latency: Latency,
    errors: BTreeMap<(Phase, Class), u64>,
}

/// Adds intervals up.
#[derive(Debug)]
pub struct Collector {
    totals: Interval,
    /// Time on a core without sleep and work, by worker.
    spun: Vec<Duration>,
    /// The second each worker has reached; none before measuring.
    reached: Vec<Option<u64>>,
    pending: BTreeMap<u64, Pending>,
    spare: Vec<Pending>,
    rows: VecDeque<Second>,
    planned: BTreeMap<u64, u64>,
    spun_by_second: BTreeMap<u64, Vec<Duration>>,
}

/// All that was collected.
#[derive(Debug)]
pub struct Collected {
    /// The sum of all intervals.
    pub totals: Interval,
    /// Time spinning, by worker.
    pub spun: Vec<Duration>,
    /// Time spinning, by second and worker.
    pub spun_by_second: BTreeMap<u64, Vec<Duration>>,
    /// Every second from the first on, what was sampled not filled in.
    pub series: Vec<Second>,
}

impl Collector {
    /// A collector for `workers` workers, of operations of `kinds` kinds and `tenants` tenants.
    pub fn new(workers: usize, kinds: usize, tenants: usize) -> Self {
        Self {
            totals: Interval::new(kinds, tenants),
            spun: vec![Duration::ZERO; workers],
            reached: vec![None; workers],
            pending: BTreeMap::new(),
            spare: Vec::new(),
            rows: VecDeque::new(),
            planned: BTreeMap::new(),
            spun_by_second: BTreeMap::new(),
        }
    }

    /// Adds what `worker` counted in one interval.
    pub fn add(&mut self, worker: usize, interval: &Interval) {
        self.totals.add(interval);
        // Later ones are no rows, and what came over a network may name any.
        let rows = self.totals.planned.drain(..);
        for (second, count) in rows.filter(|(second, _)| *second < SERIES_LIMIT) {
            *self.planned.entry(second).or_default() += count;
        }
        let Some(second) = interval.second else {
            return;
        };
        self.spun[worker] += interval.effort.spun;
        self.reached[worker] = Some(second);
        if second >= SERIES_LIMIT {
            return;
        }
        let workers = self.spun.len();
        let spun = self.spun_by_second.entry(second);
        spun.or_insert_with(|| vec![Duration::ZERO; workers])[worker] += interval.effort.spun;
        let spare = &mut self.spare;
        let pending = self
            .pending
            .entry(second)
            .or_insert_with(|| spare.pop().unwrap_or_default());
        pending.add(interval);
        self.finish_seconds();
    }

    /// The seconds that every worker has told of, from the first on.
    pub fn seconds(&self) -> &VecDeque<Second> {
        &self.rows
    }

    /// Finishes the seconds that every worker has left behind.
    fn finish_seconds(&mut self) {
        let Some(Some(reached)) = self.reached.iter().min().copied() else {
            return;
        };
        while let Some(entry) = self.pending.first_entry()
            && *entry.key() < reached
        {
            let (second, pending) = entry.remove_entry();
            self.finish_second(second, pending);
        }
    }

    fn finish_second(&mut self, second: u64, mut pending: Pending) {
        let next = self.rows.len() as u64;
        if next < second {
            let nothing = Pending::default();
            self.rows
                .extend((next..second).map(|start_s| nothing.row(start_s)));
        }
        self.rows.push_back(pending.row(second));
        pending.clear();
        self.spare.push(pending);
    }

    /// Everything that was added, when no more comes.
    pub fn finish(mut self) -> Collected {
        while let Some((second, pending)) = self.pending.pop_first() {
            self.finish_second(second, pending);
        }
        // A second in which operations were planned and nothing happened is a row too.
        let last = self
            .planned
            .last_key_value()
            .map_or(0, |(second, _)| second + 1);
        let nothing = Pending::default();
        let next = self.rows.len() as u64;
        self.rows
            .extend((next..last).map(|start_s| nothing.row(start_s)));
        for row in &mut self.rows {
            row.planned = self.planned.get(&row.start_s).copied().unwrap_or(0);
        }
        Collected {
            totals: self.totals,
            spun: self.spun,
            spun_by_second: self.spun_by_second,
            series: self.rows.into(),
        }
    }
}

impl Pending {
    fn add(&mut self, interval: &Interval) {
        for part in &interval.kinds {
            self.counts.sent += part.counts.sent;
            self.counts.succeeded += part.counts.succeeded;
            self.counts.failed += part.counts.failed;
            self.counts.sent_bytes += part.counts.sent_bytes;
            self.counts.received_bytes += part.counts.received_bytes;
            self.latency.add(&part.latency);
        }
        for (key, failures) in &interval.failures {
            *self.errors.entry(*key).or_default() += failures.count;
        }
    }

    fn clear(&mut self) {
        self.counts = Counts::default();
        self.latency.clear();
        self.errors.clear();
    }

    fn row(&self, start_s: u64) -> Second {
        let errors = self.errors.iter();
        Second {
            start_s,
            planned: 0,
            sent: self.counts.sent,
            succeeded: self.counts.succeeded,
            failed: self.counts.failed,
            errors: errors
                .map(|((phase, class), count)| ErrorCount {
                    phase: *phase,
                    class: *class,
                    count: *count,
                })
                .collect(),
            bytes: model::Bytes {
                sent: self.counts.sent_bytes,
                received: self.counts.received_bytes,
            },
            latency: self.latency.to_model(),
            generator_busy_share: 0.0,
            generator_cpu_s: 0.0,
            target_cpu_s: None,
            target_rss_bytes: None,
            stolen_share: 0.0,
        }
    }
}

impl Latency {
    /// The times for the report.
    pub fn to_model(&self) -> model::Latency {
        model::Latency {
            response: self.response.distribution(),
            service: self.service.distribution(),
            lag: self.lag.distribution(),
        }
    }
}

/// A worker's end of the exchange with the collecting thread.
#[derive(Debug)]
pub struct Exchange<M> {
    /// Full intervals, wrapped as `wrap` does.
    pub full: mpsc::Sender<M>,
    /// Makes a message of an interval.
    pub wrap: fn(usize, Box<Interval>) -> M,
    /// Empty ones.
    pub empty: mpsc::Receiver<Box<Interval>>,
    /// The worker.
    pub worker: usize,
    /// Kinds and tenants of a new interval, when no empty one has come back in time.
    pub shape: (usize, usize),
}

impl<M> Outlet for Exchange<M> {
    fn exchange(&mut self, interval: &mut Box<Interval>) {
        let empty = self.empty.try_recv();
        let empty = empty.unwrap_or_else(|_| Box::new(Interval::new(self.shape.0, self.shape.1)));
        let full = std::mem::replace(interval, empty);
        // The run is gone only when the process ends.
        let _ = self.full.send((self.wrap)(self.worker, full));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(second: Option<u64>, sent: u64, planned: &[(u64, u64)]) -> Interval {
        let mut interval = Interval::new(1, 1);
        interval.second = second;
        interval.kinds[0].counts.sent = sent;
        interval.planned = planned.to_vec();
        interval.effort.spun = Duration::from_millis(1);
        interval
    }

    #[test]
    fn seconds_are_summed_over_workers_and_gaps_are_rows() {
        let mut collector = Collector::new(2, 1, 1);
        collector.add(0, &interval(None, 1, &[]));
        collector.add(0, &interval(Some(0), 10, &[(0, 11)]));
        collector.add(0, &interval(Some(1), 20, &[(1, 20)]));
        assert!(
            collector.rows.is_empty(),
            "worker 1 may still tell of the first second"
        );
        // Worker 1 was late: it tells in second 3 what it should have planned in second 2.
        collector.add(1, &interval(Some(0), 5, &[(0, 5)]));
        collector.add(1, &interval(Some(3), 7, &[(2, 3), (3, 4)]));
        assert_eq!(collector.rows.len(), 1);
        collector.add(0, &interval(Some(4), 0, &[(6, 1)]));
        let Collected {
            totals,
            spun,
            series,
            ..
        } = collector.finish();
        let seen: Vec<_> = series
            .iter()
            .map(|row| (row.start_s, row.planned, row.sent))
            .collect();
        let expected = [
            (0, 16, 15),
            (1, 20, 20),
            (2, 3, 0),
            (3, 4, 7),
            (4, 0, 0),
            (5, 0, 0),
            (6, 1, 0),
        ];
        assert_eq!(seen, expected);
        assert_eq!(totals.kinds[0].counts.sent, 43);
        assert_eq!(spun, [Duration::from_millis(3), Duration::from_millis(2)]);
    }

    #[test]
    fn seconds_beyond_the_series_are_in_the_totals_alone() {
        let mut collector = Collector::new(1, 1, 1);
        let far = [(1, 2), (SERIES_LIMIT, 3), (u64::MAX, 4)];
        collector.add(0, &interval(Some(0), 1, &far));
        collector.add(0, &interval(Some(u64::MAX), 10, &[]));
        let Collected { totals, series, .. } = collector.finish();
        let planned: Vec<_> = series.iter().map(|row| row.planned).collect();
        assert_eq!(planned, [0, 2]);
        assert_eq!(totals.kinds[0].counts.sent, 11);
    }
}
