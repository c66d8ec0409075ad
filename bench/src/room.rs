//! How many connections at once there is room for, and what bounds them. Pure, but for [`Limits::here`].

use rustix::process::{Resource, getrlimit};

/// Descriptors that a process needs besides connections: rings, listeners, logs, files of `/proc`.
const OWN_DESCRIPTORS: u64 = 200;
/// Connections that are opened beside them: loadgen's warm-up.
const BESIDE: u64 = 32;
/// Local ports that others may have.
const OTHER_PORTS: u64 = 1000;

/// What the machine allows a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Open files, the hard limit; gateway and generator raise theirs to it.
    pub descriptors: u64,
    /// Local ports of one address.
    pub ports: u64,
}

impl Limits {
    /// Of this machine.
    pub fn here() -> Self {
        let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
        Self {
            descriptors: getrlimit(Resource::Nofile).maximum.unwrap_or(1 << 20),
            ports: ports(&range.unwrap_or_default()).unwrap_or(28_000),
        }
    }
}

/// Reads two ends, such as 32768 and 60999.
fn ports(range: &str) -> Option<u64> {
    let mut ends = range.split_whitespace().map(str::parse::<u64>);
    let (first, last) = (ends.next()?.ok()?, ends.next()?.ok()?);
    (last + 1).checked_sub(first)
}

/// What a client's connection opens behind the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behind {
    /// Nothing, while it is idle: an HTTP route.
    Nothing,
    /// A connection of its own: a TCP route.
    Connection,
}

/// What is asked for and configured.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// Connections.
    pub asked: u64,
    /// Where that is said.
    pub asked_by: &'static str,
    /// `limits.max_connections`.
    pub max_connections: u64,
    /// Workers of the gateway, which share that bound.
    pub workers: u64,
    /// Behind each.
    pub behind: Behind,
}

/// How many fit, and for what; at least one.
pub fn most(wanted: Wanted, limits: Limits) -> (u64, String) {
    let Limits { descriptors, ports } = limits;
    let free = descriptors.saturating_sub(OWN_DESCRIPTORS);
    let mut bounds = vec![
        (wanted.asked, wanted.asked_by.to_owned()),
        (
            of_workers(wanted.max_connections, wanted.workers).saturating_sub(BESIDE),
            format!("limits.max_connections = {}", wanted.max_connections),
        ),
    ];
    bounds.push(match wanted.behind {
        Behind::Nothing => (
            free.saturating_sub(BESIDE),
            format!("the limit of {descriptors} open files, one for each"),
        ),
        Behind::Connection => (
            (free / 2).saturating_sub(BESIDE),
            format!(
                "the limit of {descriptors} open files, of which the gateway needs two for each"
            ),
        ),
    });
    if wanted.behind == Behind::Connection {
        bounds.push((
            ports.saturating_sub(OTHER_PORTS),
            format!("{ports} local ports from the gateway to the origin"),
        ));
    }
    let least = bounds.into_iter().min_by_key(|(most, _)| *most);
    let (most, bound) = least.expect("there are at least three");
    (most.max(1), bound)
}

/// The kernel gives connections to workers by chance, and each refuses what exceeds its part: four
/// standard deviations below that, none does.
fn of_workers(max_connections: u64, workers: u64) -> u64 {
    let workers = workers.max(1);
    let part = max_connections.div_ceil(workers);
    match workers {
        1 => part,
        _ => workers * part.saturating_sub(4 * (part as f64).sqrt() as u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: Wanted = Wanted {
        asked: 1_000_000,
        asked_by: "--idle",
        max_connections: 500_000,
        workers: 1,
        behind: Behind::Connection,
    };
    const LIMITS: Limits = Limits {
        descriptors: 20_000,
        ports: 28_232,
    };

    #[test]
    fn the_least_bound_is_the_one_that_is_told() {
        let (most_tcp, bound) = most(WANTED, LIMITS);
        assert_eq!(most_tcp, 9868);
        assert!(bound.contains("20000 open files, of which"), "{bound}");
        let http = Wanted {
            behind: Behind::Nothing,
            ..WANTED
        };
        assert_eq!(most(http, LIMITS).0, 19_768);
        let many = Limits {
            descriptors: 1 << 20,
            ..LIMITS
        };
        assert_eq!(
            most(WANTED, many),
            (
                27_232,
                "28232 local ports from the gateway to the origin".into()
            )
        );
        let asked = Wanted {
            asked: 20,
            ..WANTED
        };
        assert_eq!(most(asked, LIMITS), (20, "--idle".into()));
        let few = Wanted {
            max_connections: 10,
            ..WANTED
        };
        assert_eq!(most(few, LIMITS).0, 1);
    }

    #[test]
    fn workers_get_uneven_parts() {
        assert_eq!(of_workers(10_000, 1), 10_000);
        assert_eq!(of_workers(10_000, 4), 4 * (2500 - 200));
        assert_eq!(of_workers(10, 0), 10);
    }

    #[test]
    fn this_machine_has_limits() {
        assert_eq!(ports("32768\t60999\n"), Some(28_232));
        assert_eq!(ports(""), None);
        let here = Limits::here();
        assert!(here.descriptors > 100 && here.ports > 100, "{here:?}");
    }
}
