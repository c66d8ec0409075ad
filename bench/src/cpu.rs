//! The CPU time a process has used, read from outside.
//!
//! What the kernel does for the process in ksoftirqd, or in softirqs on another process's time, is
//! not in it.

use std::fs;
use std::time::{Duration, Instant};

/// A tick of `/proc/PID/stat`: USER_HZ is 100 on every Linux that Sealgate runs on.
const TICK: Duration = Duration::from_millis(10);

/// CPU time of a process since its start, all its threads, those that have ended too.
///
/// `schedstat` is exact, but a thread takes its share along when it ends; `stat` keeps everything
/// and counts in whole ticks. Both are lower bounds, so the greater one is the better one: exact
/// for programs whose threads stay, within one tick for a thread per connection (stunnel).
///
/// `None` when the process is gone.
pub fn used_by(pid: u32) -> Option<Duration> {
    let living = fs::read_dir(format!("/proc/{pid}/task"))
        .ok()?
        .filter_map(|task| fs::read_to_string(task.ok()?.path().join("schedstat")).ok())
        .filter_map(|schedstat| on_cpu(&schedstat))
        .sum::<Duration>();
    let all = ticks(
        &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?,
        Whose::Own,
    )?;
    Some(living.max(TICK * all))
}

/// The same of a process and its children, which are the workers of some programs: those that live, and those that ended
/// and were waited for.
pub fn used_by_family(pid: u32) -> Option<Duration> {
    let children = children(pid).into_iter().filter_map(used_by);
    let living = used_by(pid)? + children.sum::<Duration>();
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(living + TICK * ticks(&stat, Whose::Awaited)?)
}

/// What a process and its children use from a moment on.
pub struct Meter {
    pid: u32,
    before: Duration,
    began: Instant,
}

/// CPU time, and the time in which it was used: both of the same stretch, or their ratio says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Used {
    pub cpu: Duration,
    pub within: Duration,
}

impl Meter {
    /// Begins. `None` when the process is gone.
    pub fn start(pid: u32) -> Option<Self> {
        Some(Self {
            pid,
            before: used_by_family(pid)?,
            began: Instant::now(),
        })
    }

    /// Since then. `None` when the process is gone.
    pub fn read(&self) -> Option<Used> {
        Some(Used {
            // A child's time is rounded down to ticks when it ends.
            cpu: used_by_family(self.pid)?.saturating_sub(self.before),
            within: self.began.elapsed(),
        })
    }
}

impl Used {
    /// Of one core.
    pub fn share(self) -> f64 {
        self.cpu.as_secs_f64() / self.within.as_secs_f64()
    }
}

/// Children of a process that live.
pub fn children(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"));
    let lists = tasks.into_iter().flatten().filter_map(|task| {
        // A thread may end between listing and reading.
        fs::read_to_string(task.ok()?.path().join("children")).ok()
    });
    let lists: Vec<String> = lists.collect();
    let ids = lists.iter().flat_map(|list| list.split_whitespace());
    ids.filter_map(|id| id.parse().ok()).collect()
}

/// The first number of `schedstat`: nanoseconds on a CPU.
fn on_cpu(schedstat: &str) -> Option<Duration> {
    schedstat
        .split_whitespace()
        .next()?
        .parse()
        .ok()
        .map(Duration::from_nanos)
}

/// Whose ticks, by how many fields of `stat` they stand behind the program's name.
#[derive(Clone, Copy, Debug)]
enum Whose {
    /// utime and stime, fields 14 and 15.
    Own = 11,
    /// cutime and cstime, the next two: of children that were waited for.
    Awaited = 13,
}

/// User's and system's ticks of `stat`. The second field, the program's name, may hold anything but ends at the last
/// parenthesis.
fn ticks(stat: &str, whose: Whose) -> Option<u32> {
    let fields = stat.rsplit_once(')')?.1.split_whitespace();
    let mut fields = fields.skip(whose as usize);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    user.checked_add(system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_found_behind_any_program_name() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194560 9 0 0 0 123 45 6 7 20 0 1 0 5 6 7";
        assert_eq!(ticks(stat, Whose::Own), Some(168));
        assert_eq!(ticks(stat, Whose::Awaited), Some(13));
        assert_eq!(ticks("7 (cut off", Whose::Own), None);
        assert_eq!(
            on_cpu("85467 3003206 2\n"),
            Some(Duration::from_nanos(85467))
        );
        assert_eq!(on_cpu(""), None);
    }

    #[test]
    fn work_done_here_is_seen() {
        let pid = std::process::id();
        let before = used_by(pid).expect("this process lives");
        let mut seed = 1_u64;
        while used_by(pid).expect("this process lives") < before + Duration::from_millis(20) {
            seed = std::hint::black_box(seed.wrapping_mul(6_364_136_223_846_793_005));
        }
    }

    #[test]
    fn a_thread_that_ended_still_counts() {
        let pid = std::process::id();
        let used = || used_by(pid).expect("this process lives");
        let before = used();
        let burnt = before + Duration::from_millis(200);
        // It counts while it runs; however long others keep the core from it.
        let burn = move || {
            while used_by(pid).is_some_and(|used| used < burnt) {
                std::hint::spin_loop();
            }
        };
        std::thread::spawn(burn)
            .join()
            .expect("the thread only spins");
        // Both of its times are rounded down to ticks now.
        assert!(used() + 2 * TICK >= burnt);
    }

    #[test]
    fn children_are_found_and_counted_with_their_parent() {
        let child = std::process::Command::new("sleep").arg("600").spawn();
        let mut child = child.expect("it starts");
        let own = std::process::id();
        assert!(children(own).contains(&child.id()));
        assert!(used_by_family(own) >= used_by(child.id()));
        child.kill().expect("it lives");
        child.wait().expect("it has ended");
        assert!(!children(own).contains(&child.id()));
    }

    #[test]
    fn a_child_that_was_waited_for_still_counts() {
        let burns = ["-c", "while :; do :; done"];
        let mut child = std::process::Command::new("sh")
            .args(burns)
            .spawn()
            .expect("it starts");
        let own = std::process::id();
        let meter = Meter::start(own).expect("this process lives");
        let burnt = Duration::from_millis(200);
        while used_by(child.id()).is_some_and(|used| used < burnt) {
            std::thread::yield_now();
        }
        let whole = used_by_family(own).expect("this process lives");
        child.kill().expect("it lives");
        child.wait().expect("it was not waited for");
        // Its two times, and this process's, are rounded down to ticks now.
        assert!(used_by_family(own).expect("this process lives") + 4 * TICK >= whole);
        assert!(meter.read().expect("this process lives").cpu + 6 * TICK >= burnt);
    }

    #[test]
    fn a_share_is_of_the_time_in_which_it_was_used() {
        let used = Used {
            cpu: Duration::from_secs(9),
            within: Duration::from_secs(12),
        };
        assert!((used.share() - 0.75).abs() < 1e-9);
    }

    #[test]
    fn a_process_that_is_gone_has_no_time() {
        assert_eq!(used_by(u32::MAX), None);
    }
}
