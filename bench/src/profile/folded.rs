//! Folded stacks, `a;b;c 7`: what a flame graph is drawn from, and where the time went in words. Pure.

use std::collections::BTreeMap;

/// Functions that are told.
const TOLD: usize = 15;

/// Samples by the function that ran, and by whether that was the kernel's.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Samples {
    all: u64,
    kernel: u64,
    by_function: BTreeMap<String, u64>,
}

impl Samples {
    /// Reads folded stacks. Lines that are none are passed over.
    pub fn of(folded: &str) -> Self {
        let mut samples = Self::default();
        for line in folded.lines() {
            let Some((stack, count)) = line.rsplit_once(' ') else {
                continue;
            };
            let Ok(count) = count.parse::<u64>() else {
                continue;
            };
            let leaf = stack.rsplit(';').next().unwrap_or_default();
            samples.all += count;
            // inferno's ending of the kernel's functions.
            if leaf.ends_with("_[k]") {
                samples.kernel += count;
            }
            let function = leaf.trim_end_matches("_[k]").to_owned();
            *samples.by_function.entry(function).or_default() += count;
        }
        samples
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.all
    }

    /// Where most of them are, one function a line.
    pub fn text(&self) -> String {
        let share = |count: u64| count as f64 * 100.0 / self.all.max(1) as f64;
        let mut most: Vec<_> = self.by_function.iter().collect();
        most.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), (*name).clone()));
        let lines = most
            .into_iter()
            .take(TOLD)
            .map(|(name, count)| format!("{:>5.1} %  {name}\n", share(*count)));
        let lines: String = lines.collect();
        let kernel = share(self.kernel);
        format!(
            "{} samples, {kernel:.0} % of them in the kernel. By themselves, without what they call:\n{lines}",
            self.all
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_count_for_the_function_that_ran() {
        let folded = "worker-0;main;seal 6\nworker-0;main 1\nworker-0;main;read;tcp_recvmsg_[k] 3\nno count\n\nx y\n";
        let samples = Samples::of(folded);
        assert_eq!(samples.count(), 10);
        let text = samples.text();
        assert!(
            text.starts_with("10 samples, 30 % of them in the kernel."),
            "{text}"
        );
        let lines: Vec<_> = text.lines().skip(1).collect();
        assert_eq!(
            lines,
            [" 60.0 %  seal", " 30.0 %  tcp_recvmsg", " 10.0 %  main"]
        );
        assert_eq!(Samples::of("").count(), 0);
    }
}
