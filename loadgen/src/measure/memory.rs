//! Memory of a process, as the kernel accounts for it. What the kernel itself holds for a process,
//! such as socket buffers, is in none of these.

use std::{fs, path::PathBuf};

use super::cpu::Process;

/// Memory of a process at one moment, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Resident: in RAM, shared pages included.
    pub resident: u64,
    /// Proportional: shared pages divided among those who share them; none where only the owner of
    /// the process may know, as of one that made itself undumpable.
    pub proportional: Option<u64>,
    /// Anonymous: heap and stacks, no pages of files.
    pub anonymous: u64,
}

impl Memory {
    /// Looks at `process`; none when there is no such process.
    pub fn of(process: Process) -> Option<Self> {
        let dir: PathBuf = match process {
            Process::Own => "/proc/self".into(),
            Process::Other(pid) => format!("/proc/{pid}").into(),
        };
        let rollup = fs::read_to_string(dir.join("smaps_rollup"));
        rollup
            .ok()
            .and_then(|text| Self::from_rollup(&text))
            .or_else(|| Self::from_status(&fs::read_to_string(dir.join("status")).ok()?))
    }

    fn from_rollup(text: &str) -> Option<Self> {
        Some(Self {
            resident: field(text, "Rss:")?,
            proportional: Some(field(text, "Pss:")?),
            anonymous: field(text, "Anonymous:")?,
        })
    }

    fn from_status(text: &str) -> Option<Self> {
        Some(Self {
            resident: field(text, "VmRSS:")?,
            proportional: None,
            anonymous: field(text, "RssAnon:")?,
        })
    }
}

/// The bytes in a line such as `Rss:  120 kB`.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_files_are_read() {
        let rollup = "7f00-7fff ---p 00000000 00:00 0  [rollup]\nRss:   120 kB\nPss:  70 kB\n\
                      Pss_Anon: 9 kB\nAnonymous:  60 kB\n";
        let expected = Memory {
            resident: 120 * 1024,
            proportional: Some(70 * 1024),
            anonymous: 60 * 1024,
        };
        assert_eq!(Memory::from_rollup(rollup), Some(expected));
        let status = "Name:\tx\nVmRSS:\t  120 kB\nRssAnon:\t  60 kB\n";
        let expected = Memory {
            proportional: None,
            ..expected
        };
        assert_eq!(Memory::from_status(status), Some(expected));
        assert_eq!(Memory::from_status("Name:\tkthreadd\n"), None);
    }

    #[test]
    fn what_is_allocated_is_seen_and_nobody_has_no_memory() {
        // Other tests of this process may free as much meanwhile, but hardly every time.
        let seen = (0..20).any(|_| {
            let before = Memory::of(Process::Own).unwrap();
            let block = std::hint::black_box(vec![1_u8; 64 << 20]);
            let after = Memory::of(Process::Own).unwrap();
            drop(block);
            assert!(after.resident >= after.anonymous);
            after.anonymous >= before.anonymous + (60 << 20)
        });
        assert!(seen);
        assert_eq!(Memory::of(Process::Other(u32::MAX)), None);
    }
}
