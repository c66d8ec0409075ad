//! What two revisions are compared by, and how much worse is too much.

use serde::{Deserialize, Serialize};

/// A number that a round gives for each arm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// CPU time of the gateway per operation.
    CpuPerOperation,
    /// Operations per second.
    Throughput,
    /// Median service time.
    ServiceP50,
    /// 99th percentile of the service time.
    ServiceP99,
    /// Heap and stacks of the gateway per held connection.
    MemoryPerConnection,
}

impl Metric {
    /// Of a load in slices; the first one decides.
    pub const SLICES: [Self; 4] = [
        Self::CpuPerOperation,
        Self::Throughput,
        Self::ServiceP50,
        Self::ServiceP99,
    ];
    /// Of connections that are only held.
    pub const HELD: [Self; 1] = [Self::MemoryPerConnection];

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::CpuPerOperation => "CPU per operation",
            Self::Throughput => "throughput",
            Self::ServiceP50 => "p50",
            Self::ServiceP99 => "p99",
            Self::MemoryPerConnection => "memory per connection",
        }
    }

    /// The share by which head may be worse. What varies more by itself has the wider one.
    pub fn margin(self) -> f64 {
        match self {
            Self::CpuPerOperation => 0.02,
            Self::Throughput | Self::ServiceP50 | Self::MemoryPerConnection => 0.03,
            Self::ServiceP99 => 0.10,
        }
    }

    /// How much worse a ratio of this number is: its logarithm, with more being worse.
    pub fn worse(self, ln_ratio: f64) -> f64 {
        match self {
            Self::Throughput => -ln_ratio,
            Self::CpuPerOperation
            | Self::ServiceP50
            | Self::ServiceP99
            | Self::MemoryPerConnection => ln_ratio,
        }
    }

    /// What of a ratio `worse` says, as a reader sees the number itself: +5 % of throughput is good.
    pub fn change(self, worse: f64) -> f64 {
        // The same sign, and a logarithm is a share of something.
        self.worse(worse).exp_m1()
    }

    /// The margin as a logarithm.
    pub fn limit(self) -> f64 {
        match self {
            // A throughput that is 3 % less.
            Self::Throughput => -(-self.margin()).ln_1p(),
            _ => self.margin().ln_1p(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worse_is_more_cost_and_less_throughput() {
        for metric in Metric::SLICES.into_iter().chain(Metric::HELD) {
            let sign = if metric == Metric::Throughput {
                -1.0
            } else {
                1.0
            };
            let at_margin = (sign * metric.margin()).ln_1p();
            assert!((metric.worse(at_margin) - metric.limit()).abs() < 1e-12);
            let change = metric.change(metric.limit());
            assert!(
                (change - sign * metric.margin()).abs() < 1e-12,
                "{metric:?}"
            );
        }
    }
}
