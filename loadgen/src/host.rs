//! The machine the generator runs on, for the report: runs on different machines do not compare.

use std::fs;

use crate::{affinity, report::model::Host};

/// Describes this machine.
pub fn describe() -> Host {
    let names = rustix::system::uname();
    let text = |name: &std::ffi::CStr| name.to_string_lossy().into_owned();
    Host {
        name: text(names.nodename()),
        kernel: text(names.release()),
        machine: text(names.machine()),
        cpu: field("/proc/cpuinfo", "model name").unwrap_or_default(),
        cores: affinity::cores() as u64,
        memory_bytes: field("/proc/meminfo", "MemTotal")
            .and_then(|value| value.split(' ').next()?.parse::<u64>().ok())
            .map_or(0, |kib| kib * 1024),
    }
}

/// The value of the first line `name : value`.
fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim_end() == name).then(|| value.trim().to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_a_name_cores_and_memory() {
        let host = describe();
        assert!(!host.name.is_empty() && host.cores > 0, "{host:?}");
        assert!(host.memory_bytes > 1 << 20, "{host:?}");
    }
}
