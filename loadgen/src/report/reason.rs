//! Why the numbers of a run do not hold, or not quite.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    evidence::FewStreams,
    model::{self, State},
    verdict as limit,
};

/// One ground of a verdict, with what was measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Reason {
    /// No operation succeeded.
    NothingSucceeded,
    /// This many answers were damaged.
    Corrupt(u64),
    /// This share of the handshakes was of the wrong kind.
    WrongKind(f64),
    /// This many connections ended by a panic of ours.
    Died(u64),
    /// This share of the operations failed: too many.
    ManyFailures(f64),
    /// This share of the operations failed: few.
    SomeFailures(f64),
    /// The target ended this many idle connections: too many.
    ManyDropped(u64),
    /// The target ended this many idle connections: few.
    SomeDropped(u64),
    /// This share of the planned operations was done, and sent in time.
    Achieved(f64),
    /// This many operations found the backlog full.
    Overflow(u64),
    /// 99 % of the operations were sent within this time, and the generator was late.
    Late(Duration),
    /// 99 % of the operations were sent within this time, and connections were what they waited for.
    NoFreeConnection(Duration),
    /// The busiest thread worked, or waited for a core, for this share of the time.
    GeneratorBusy(f64),
    /// A thread of the generator waited for a core for this share of the time: too much.
    Starved(f64),
    /// A thread of the generator waited for a core for this share of the time: some.
    Waited(f64),
    /// No free local port.
    PortsExhausted,
    /// No free file descriptor.
    DescriptorsExhausted,
    /// The hypervisor took this share of the host's time: too much.
    StolenMuch(f64),
    /// The hypervisor took this share of the host's time: some.
    StolenSome(f64),
    /// The run was this short.
    Short(Duration),
    /// Somebody ended the run after this time.
    Interrupted(Duration),
    /// This many threads of the target ended, with their CPU times.
    TargetThreadsEnded(usize),
    /// The target ended, or its CPU times could not be read at the end.
    TargetUnmeasured,
    /// The target allows fewer streams on a connection than were wanted.
    FewStreams(FewStreams),
}

impl Reason {
    /// What it makes of the run.
    pub fn state(self) -> State {
        match self {
            Reason::NothingSucceeded
            | Reason::Corrupt(_)
            | Reason::WrongKind(_)
            | Reason::Died(_)
            | Reason::ManyFailures(_)
            | Reason::ManyDropped(_)
            | Reason::Achieved(_)
            | Reason::Overflow(_)
            | Reason::Late(_)
            | Reason::NoFreeConnection(_)
            | Reason::GeneratorBusy(_)
            | Reason::Starved(_)
            | Reason::PortsExhausted
            | Reason::DescriptorsExhausted
            | Reason::StolenMuch(_) => State::Invalid,
            Reason::SomeFailures(_)
            | Reason::SomeDropped(_)
            | Reason::Waited(_)
            | Reason::StolenSome(_)
            | Reason::Short(_)
            | Reason::Interrupted(_)
            | Reason::TargetThreadsEnded(_)
            | Reason::TargetUnmeasured
            | Reason::FewStreams(_) => State::Degraded,
        }
    }

    /// Whether the target is to blame, or cannot be reached.
    pub fn is_of_the_target(self) -> bool {
        matches!(
            self,
            Reason::NothingSucceeded | Reason::Corrupt(_) | Reason::WrongKind(_)
        )
    }

    /// The name for programs.
    pub fn code(self) -> &'static str {
        match self {
            Reason::NothingSucceeded => "nothing_succeeded",
            Reason::Corrupt(_) => "corrupt",
            Reason::WrongKind(_) => "wrong_kind",
            Reason::Died(_) => "died",
            Reason::ManyFailures(_) | Reason::SomeFailures(_) => "failures",
            Reason::ManyDropped(_) | Reason::SomeDropped(_) => "dropped",
            Reason::Achieved(_) => "achieved",
            Reason::Overflow(_) => "backlog_overflow",
            Reason::Late(_) => "send_lag",
            Reason::NoFreeConnection(_) => "no_free_connection",
            Reason::GeneratorBusy(_) => "generator_busy",
            Reason::Starved(_) => "starved",
            Reason::Waited(_) => "waited_for_core",
            Reason::PortsExhausted => "ports_exhausted",
            Reason::DescriptorsExhausted => "descriptors_exhausted",
            Reason::StolenMuch(_) | Reason::StolenSome(_) => "stolen",
            Reason::Short(_) => "short",
            Reason::Interrupted(_) => "interrupted",
            Reason::TargetThreadsEnded(_) => "target_threads_ended",
            Reason::TargetUnmeasured => "target_unmeasured",
            Reason::FewStreams(_) => "few_streams",
        }
    }

    fn measured(self) -> Option<f64> {
        match self {
            Reason::Corrupt(count)
            | Reason::Died(count)
            | Reason::ManyDropped(count)
            | Reason::SomeDropped(count)
            | Reason::Overflow(count) => Some(count as f64),
            Reason::WrongKind(share)
            | Reason::ManyFailures(share)
            | Reason::SomeFailures(share)
            | Reason::Achieved(share)
            | Reason::GeneratorBusy(share)
            | Reason::Starved(share)
            | Reason::Waited(share)
            | Reason::StolenMuch(share)
            | Reason::StolenSome(share) => Some(share),
            Reason::Late(time)
            | Reason::NoFreeConnection(time)
            | Reason::Short(time)
            | Reason::Interrupted(time) => Some(time.as_secs_f64()),
            Reason::TargetThreadsEnded(count) => Some(count as f64),
            Reason::FewStreams(streams) => Some(streams.allowed as f64),
            Reason::NothingSucceeded
            | Reason::PortsExhausted
            | Reason::DescriptorsExhausted
            | Reason::TargetUnmeasured => None,
        }
    }

    fn limit(self) -> Option<f64> {
        match self {
            Reason::Corrupt(_) | Reason::Died(_) | Reason::Overflow(_) => Some(0.0),
            Reason::TargetThreadsEnded(_) | Reason::SomeFailures(_) => Some(0.0),
            Reason::FewStreams(streams) => Some(streams.wanted as f64),
            Reason::ManyDropped(_) | Reason::SomeDropped(_) => Some(0.0),
            Reason::WrongKind(_) => Some(limit::WRONG_KIND),
            Reason::ManyFailures(_) => Some(limit::FAILURES),
            Reason::Achieved(_) => Some(limit::ACHIEVED),
            Reason::Late(_) | Reason::NoFreeConnection(_) => Some(limit::LAG.as_secs_f64()),
            Reason::GeneratorBusy(_) => Some(limit::BUSY),
            Reason::Starved(_) => Some(limit::WAITED),
            Reason::Waited(_) => Some(limit::WAITED_MENTION),
            Reason::StolenMuch(_) => Some(limit::STOLEN),
            Reason::StolenSome(_) => Some(limit::STOLEN_MENTION),
            Reason::Short(_) => Some(limit::SHORTEST.as_secs_f64()),
            Reason::NothingSucceeded
            | Reason::PortsExhausted
            | Reason::DescriptorsExhausted
            | Reason::Interrupted(_)
            | Reason::TargetUnmeasured => None,
        }
    }

    /// The reason for the report.
    pub fn to_model(self) -> model::Reason {
        model::Reason {
            state: self.state(),
            agent: None,
            code: self.code().to_owned(),
            message: self.to_string(),
            measured: self.measured(),
            limit: self.limit(),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |share: f64| format!("{:.1} %", share * 100.0);
        let us = |time: Duration| format!("{:.0} us", time.as_secs_f64() * 1e6);
        let s = |time: Duration| format!("{:.3} s", time.as_secs_f64());
        match *self {
            Reason::NothingSucceeded => f.write_str("no operation succeeded"),
            Reason::Corrupt(count) => write!(f, "{count} answers are not what was sent or asked for"),
            Reason::WrongKind(share) => write!(
                f,
                "{} of the handshakes are of the wrong kind (limit {})",
                percent(share),
                percent(limit::WRONG_KIND)
            ),
            Reason::Died(count) => write!(
                f,
                "{count} connections ended by a panic: a defect of loadgen, see standard error"
            ),
            Reason::ManyFailures(share) | Reason::SomeFailures(share) => {
                write!(f, "{} of the operations failed", percent(share))
            }
            Reason::ManyDropped(count) | Reason::SomeDropped(count) => write!(
                f,
                "the target ended {count} connections that were idle, so fewer were held than asked for: raise its idle limit or its limit of connections, or shorten --hold"
            ),
            Reason::Achieved(share) => write!(
                f,
                "only {} of the planned operations were done in time (limit {}): the target, or the generator, cannot keep up; lower -R",
                percent(share),
                percent(limit::ACHIEVED)
            ),
            Reason::Overflow(count) => write!(
                f,
                "the backlog overflowed: {count} operations were never sent because every connection was busy for too long; lower -R, raise -c (or -m with HTTP/2), or raise --backlog"
            ),
            Reason::Late(lag) => write!(
                f,
                "the generator sent late: p99 {} (limit 100 us and 10 % of the median service time); give it a core of its own, more threads, or --spin on",
                us(lag)
            ),
            Reason::NoFreeConnection(lag) => write!(
                f,
                "operations waited for a free connection: p99 {} (limit 100 us and 10 % of the median service time); raise -c, or -m with HTTP/2",
                us(lag)
            ),
            Reason::GeneratorBusy(share) => write!(
                f,
                "the generator is the bottleneck: a thread worked or waited for its core {} of the time (limit {}); give it more threads or cores",
                percent(share),
                percent(limit::BUSY)
            ),
            Reason::Starved(share) => write!(
                f,
                "the generator is starved: a thread waited for its core {} of the time (limit {}), which reads as the target's time; move what else runs there, or use fewer threads",
                percent(share),
                percent(limit::WAITED)
            ),
            Reason::Waited(share) => write!(
                f,
                "a thread of the generator waited for its core {} of the time: something else runs there",
                percent(share)
            ),
            Reason::PortsExhausted => f.write_str(
                "out of local ports: give more addresses to connect from (--source 10.0.0.0/24), widen `sysctl net.ipv4.ip_local_port_range`, keep connections for longer (--reuse), or use fewer",
            ),
            Reason::DescriptorsExhausted => {
                f.write_str(
                    "out of file descriptors: raise the hard limit (`ulimit -Hn`, LimitNOFILE=) or the system's (`sysctl fs.file-max`), or lower -c",
                )
            }
            Reason::StolenMuch(share) | Reason::StolenSome(share) => {
                write!(f, "the hypervisor took {} of the time", percent(share))
            }
            Reason::Short(time) => write!(f, "the run took {}: too short for rates", s(time)),
            Reason::Interrupted(time) => write!(f, "the run was interrupted after {}", s(time)),
            Reason::TargetThreadsEnded(count) => {
                write!(f, "{count} threads of the target ended: their CPU time is missing")
            }
            Reason::TargetUnmeasured => {
                f.write_str("the target's CPU time could not be read at the end")
            }
            Reason::FewStreams(FewStreams { allowed, wanted }) => write!(
                f,
                "the target allows {allowed} streams at once on a connection, of the {wanted} that -m asks for; lower -m and raise -c, or raise the target's limit"
            ),
        }
    }
}
