//! Which kind of operation comes next.

/// Shares of the kinds of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Mix {
    /// Percent of the operations that are of kind 1; the others are of kind 0.
    pub second_percent: f64,
}

impl Mix {
    /// The kind of operation `number`: an even spread that keeps the shares at every moment.
    pub fn kind(self, number: u64) -> usize {
        let second = |n: u64| (n as f64 * self.second_percent / 100.0).floor();
        usize::from(second(number + 1) > second(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_kept_and_spread() {
        for second_percent in [0.0, 10.0, 33.0, 50.0, 100.0] {
            let mix = Mix { second_percent };
            let second = (0..1000).filter(|n| mix.kind(*n) == 1).count() as f64;
            assert!(
                (second - second_percent * 10.0).abs() <= 1.0,
                "{second_percent}: {second}"
            );
        }
        let half = Mix {
            second_percent: 50.0,
        };
        assert_ne!(half.kind(0), half.kind(1));
    }
}
