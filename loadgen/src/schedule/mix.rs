//! Which kind of operation comes next, and whose it is.

use std::sync::Arc;

use crate::tenants::Tenants;

/// Shares of the kinds and of the tenants of a run.
#[derive(Debug, Clone)]
pub struct Mix {
    /// Weights of the kinds: whole, so that counts are exact.
    kinds: Arc<[u64]>,
    tenants: Option<Arc<Tenants>>,
    /// Operations of each tenant behind one another; none where tenants are drawn.
    in_turn: Option<u64>,
}

impl Default for Mix {
    /// One kind.
    fn default() -> Self {
        Self::new([1])
    }
}

impl Mix {
    /// Kinds with these weights. There has to be one that is not 0.
    pub fn new(weights: impl Into<Arc<[u64]>>) -> Self {
        Self {
            kinds: weights.into(),
            tenants: None,
            in_turn: None,
        }
    }

    /// The same kinds, spread over `tenants`.
    pub fn of(self, tenants: Arc<Tenants>) -> Self {
        Self {
            tenants: Some(tenants),
            ..self
        }
    }

    /// The same, with so many operations of each tenant behind one another.
    pub fn in_turn(self, operations: u64) -> Self {
        Self {
            in_turn: Some(operations),
            ..self
        }
    }

    /// The tenants; none where there is only one, without a name.
    pub fn tenants(&self) -> Option<&Arc<Tenants>> {
        self.tenants.as_ref()
    }

    /// Rows of a report for tenants; none where there is only one.
    pub fn rows(&self) -> usize {
        self.tenants.as_ref().map_or(0, |all| all.rows())
    }

    /// The tenant of the operation with this number among those of all threads.
    pub fn tenant(&self, number: u64) -> usize {
        match (&self.tenants, self.in_turn) {
            (None, _) => 0,
            (Some(all), None) => all.draw(number),
            (Some(all), Some(each)) => (number / each) as usize % all.count(),
        }
    }

    /// Kinds 0 and 1, of which so many percent are kind 1.
    pub fn second(percent: f64) -> Self {
        // Millionths of the whole: finer than anybody writes.
        let second = (percent.clamp(0.0, 100.0) * 1e4).round() as u64;
        Self::new([1_000_000 - second, second])
    }

    /// The kind of operation `number`: an even spread that keeps the shares at every moment.
    ///
    /// The last kind takes its part of all operations, the one before it its part of those that are
    /// left, and so on; so the counts of a run follow from its length alone.
    pub fn kind(&self, number: u64) -> usize {
        let mut left = number;
        let mut sum: u64 = self.kinds.iter().sum();
        for (kind, weight) in self.kinds.iter().enumerate().skip(1).rev() {
            let before = part(left, *weight, sum);
            if part(left + 1, *weight, sum) > before {
                return kind;
            }
            left -= before;
            sum -= weight;
        }
        0
    }

    /// How many of the first `operations` are of each kind.
    pub fn counts(&self, operations: u64) -> Vec<u64> {
        let mut counts = vec![0; self.kinds.len()];
        let mut left = operations;
        let mut sum: u64 = self.kinds.iter().sum();
        for (kind, weight) in self.kinds.iter().enumerate().skip(1).rev() {
            counts[kind] = part(left, *weight, sum);
            left -= counts[kind];
            sum -= weight;
        }
        counts[0] = left;
        counts
    }
}

/// How many of `n` operations are of a kind with `weight` of `sum`.
fn part(n: u64, weight: u64, sum: u64) -> u64 {
    match sum {
        0 => 0,
        _ => (u128::from(n) * u128::from(weight) / u128::from(sum)) as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_kept_and_spread() {
        for percent in [0.0, 10.0, 33.0, 50.0, 100.0] {
            let mix = Mix::second(percent);
            let second = (0..1000).filter(|n| mix.kind(*n) == 1).count() as f64;
            assert!(
                (second - percent * 10.0).abs() <= 1.0,
                "{percent}: {second}"
            );
        }
        let half = Mix::second(50.0);
        assert_ne!(half.kind(0), half.kind(1));
    }

    #[test]
    fn many_kinds_come_as_often_as_their_weights_say_at_every_moment() {
        for weights in [
            vec![5, 3, 2],
            vec![1, 0, 1, 0],
            vec![0, 7],
            vec![90, 9, 1],
            vec![3],
        ] {
            let mix = Mix::new(weights.clone());
            let sum: u64 = weights.iter().sum();
            let mut seen = vec![0; weights.len()];
            for n in 0..1_000 {
                assert_eq!(mix.counts(n), seen, "{weights:?} after {n}");
                for (count, weight) in seen.iter().zip(&weights) {
                    let fair = n as f64 * *weight as f64 / sum as f64;
                    assert!((*count as f64 - fair).abs() <= 2.0, "{weights:?} after {n}");
                }
                seen[mix.kind(n)] += 1;
            }
        }
        assert_eq!(Mix::new([5, 3, 2]).counts(1_000), [500, 300, 200]);
    }
}
