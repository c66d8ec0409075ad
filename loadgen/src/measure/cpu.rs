//! CPU time, from what the scheduler keeps per thread: `/proc/PID/task/*/schedstat`.
//!
//! Nanoseconds, where `/proc/PID/stat` counts ticks of 10 ms. Work that the kernel does outside
//! the threads, in ksoftirqd, is in neither.

use std::{collections::BTreeMap, fs, io, path::PathBuf, time::Duration};

/// Whose threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Process {
    /// This process.
    Own,
    /// The process with this id.
    Other(u32),
}

impl Process {
    fn tasks(self) -> PathBuf {
        match self {
            Process::Own => "/proc/self/task".into(),
            Process::Other(pid) => format!("/proc/{pid}/task").into(),
        }
    }
}

/// Times of one thread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Thread {
    ran: Duration,
    waited: Duration,
}

/// Times of all threads of a process at one moment.
#[derive(Debug, Clone, Default)]
pub struct Sample(BTreeMap<u32, Thread>);

/// What the threads did between two samples.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// On a CPU, all threads.
    pub ran: Duration,
    /// Ready to run without a CPU, all threads.
    pub waited: Duration,
    /// On a CPU, the thread that ran most.
    pub busiest: Duration,
    /// Threads that ended meanwhile: their time is missing.
    pub ended: usize,
}

/// What one thread did between two samples.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ThreadSpent {
    /// On a CPU.
    pub ran: Duration,
    /// Ready to run without a CPU.
    pub waited: Duration,
}

/// How long the calling thread was ready to run without a CPU so far; none where the kernel does
/// not say.
pub fn own_thread_waited() -> Option<Duration> {
    let text = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(parse(&text)?.waited)
}

/// Resident memory of a process, in bytes; none when there is no such process.
pub fn resident_bytes(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}

/// The name of a process; empty when there is none.
pub fn process_name(pid: u32) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    name.trim_end().to_owned()
}

impl Sample {
    /// Reads the times of all threads.
    ///
    /// # Errors
    ///
    /// When there is no such process, or the kernel keeps no such times.
    pub fn take(process: Process) -> io::Result<Self> {
        let mut threads = BTreeMap::new();
        for entry in fs::read_dir(process.tasks())? {
            let entry = entry?;
            let id = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok());
            // A thread may end between listing and reading.
            let text = match fs::read_to_string(entry.path().join("schedstat")) {
                Ok(text) => text,
                Err(error) if threads.is_empty() && error.kind() == io::ErrorKind::NotFound => {
                    // Without CONFIG_SCHED_INFO no thread has the file.
                    if entry.path().exists() {
                        return Err(error);
                    }
                    continue;
                }
                Err(_) => continue,
            };
            if let (Some(id), Some(thread)) = (id, parse(&text)) {
                threads.insert(id, thread);
            }
        }
        Ok(Self(threads))
    }

    /// What one thread did from `earlier` to this sample.
    pub fn thread_since(&self, earlier: &Sample, id: u32) -> ThreadSpent {
        let now = self.0.get(&id).copied().unwrap_or_default();
        let before = earlier.0.get(&id).copied().unwrap_or_default();
        ThreadSpent {
            ran: now.ran.saturating_sub(before.ran),
            waited: now.waited.saturating_sub(before.waited),
        }
    }

    /// What the threads did from `earlier` to this sample.
    pub fn since(&self, earlier: &Sample) -> Spent {
        let mut spent = Spent {
            ended: earlier
                .0
                .keys()
                .filter(|id| !self.0.contains_key(id))
                .count(),
            ..Spent::default()
        };
        for (id, now) in &self.0 {
            let before = earlier.0.get(id).copied().unwrap_or_default();
            let ran = now.ran.saturating_sub(before.ran);
            spent.ran += ran;
            spent.waited += now.waited.saturating_sub(before.waited);
            spent.busiest = spent.busiest.max(ran);
        }
        spent
    }
}

fn parse(schedstat: &str) -> Option<Thread> {
    let mut fields = schedstat.split_ascii_whitespace().map(str::parse);
    let ran = Duration::from_nanos(fields.next()?.ok()?);
    let waited = Duration::from_nanos(fields.next()?.ok()?);
    Some(Thread { ran, waited })
}

/// Ticks of the whole host, to see what a hypervisor took away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HostTicks {
    all: u64,
    stolen: u64,
}

impl HostTicks {
    /// Reads `/proc/stat`; all zero when that fails.
    pub fn take() -> Self {
        fs::read_to_string("/proc/stat")
            .map(|text| Self::parse(&text))
            .unwrap_or_default()
    }

    fn parse(stat: &str) -> Self {
        let line = stat.lines().next().unwrap_or_default();
        let ticks: Vec<u64> = line
            .split_ascii_whitespace()
            .skip(1)
            .flat_map(str::parse)
            .take(8)
            .collect();
        Self {
            all: ticks.iter().sum(),
            stolen: ticks.get(7).copied().unwrap_or(0),
        }
    }

    /// The share of time since `earlier` in which the hypervisor ran somebody else.
    pub fn stolen_since(&self, earlier: &Self) -> f64 {
        match self.all.saturating_sub(earlier.all) {
            0 => 0.0,
            all => self.stolen.saturating_sub(earlier.stolen) as f64 / all as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_shows_up_and_ended_threads_are_counted() {
        let before = Sample::take(Process::Own).unwrap();
        let started = std::time::Instant::now();
        while started.elapsed() < Duration::from_millis(50) {
            std::hint::spin_loop();
        }
        let spent = Sample::take(Process::Other(std::process::id()))
            .unwrap()
            .since(&before);
        assert!(spent.ran >= Duration::from_millis(5), "{spent:?}");
        assert!(spent.busiest <= spent.ran);
        let gone = Sample::default().since(&before);
        assert_eq!(gone.ended, before.0.len());
        assert!(Sample::take(Process::Other(u32::MAX)).is_err());
        assert!(resident_bytes(std::process::id()).unwrap() > 1 << 16);
        assert_eq!(resident_bytes(u32::MAX), None);
        assert!(own_thread_waited().is_some());
        assert!(!process_name(std::process::id()).is_empty());
    }

    #[test]
    fn steal_is_the_eighth_field() {
        let before = HostTicks::parse("cpu  0 0 0 0 0 0 0 0 0 0\n");
        let after = HostTicks::parse("cpu  50 0 20 10 0 0 0 20 9 9\ncpu0 1\n");
        assert!((after.stolen_since(&before) - 0.2).abs() < 1e-9);
    }
}
