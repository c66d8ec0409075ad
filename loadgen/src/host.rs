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
        cpu: processor(&read("/proc/cpuinfo")).unwrap_or_default(),
        cores: affinity::cores() as u64,
        memory_bytes: memory_bytes(&read("/proc/meminfo")).unwrap_or(0),
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// What `/proc/cpuinfo` calls the first processor: its name or, as Linux has none for ARM, the numbers of who made it and what it is.
fn processor(cpuinfo: &str) -> Option<String> {
    let name = field(cpuinfo, "model name").filter(|name| !name.is_empty());
    name.map(str::to_owned).or_else(|| {
        let implementer = field(cpuinfo, "CPU implementer")?;
        let part = field(cpuinfo, "CPU part")?;
        Some(format!("ARM {implementer} {part}"))
    })
}

fn memory_bytes(meminfo: &str) -> Option<u64> {
    let kib: u64 = field(meminfo, "MemTotal")?
        .strip_suffix(" kB")?
        .parse()
        .ok()?;
    kib.checked_mul(1024)
}

/// The value of the first line `name : value`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim_end() == name).then(|| value.trim())
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

    #[test]
    fn a_processor_has_a_name_or_the_numbers_of_one() {
        let x86 = "processor\t: 0\nvendor_id\t: AuthenticAMD\nmodel\t\t: 17\n\
                   model name\t: AMD EPYC 9B14\n\nprocessor\t: 1\nmodel name\t: another\n";
        assert_eq!(processor(x86).as_deref(), Some("AMD EPYC 9B14"));
        let arm64 = "processor\t: 0\nBogoMIPS\t: 2000.00\nFeatures\t: fp asimd aes pmull sha2\n\
                     CPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x0\n\
                     CPU part\t: 0xd49\nCPU revision\t: 0\n";
        assert_eq!(processor(arm64).as_deref(), Some("ARM 0x41 0xd49"));
        // A kernel for 32 bits has both.
        let arm32 = format!("processor\t: 0\nmodel name\t: ARMv7 Processor rev 4 (v7l)\n{arm64}");
        assert_eq!(
            processor(&arm32).as_deref(),
            Some("ARMv7 Processor rev 4 (v7l)")
        );
        assert_eq!(processor(&arm64.replace("CPU part", "CPU whole")), None);
        assert_eq!(processor("model name\t:\n"), None);
        assert_eq!(processor(""), None);
    }

    #[test]
    fn memory_is_read_in_its_unit() {
        let meminfo = "MemTotal:        8039712 kB\nMemFree:          511596 kB\n";
        assert_eq!(memory_bytes(meminfo), Some(8_232_665_088));
        for other in [
            "MemTotal: 5 pages\n",
            "MemTotal: 99999999999999999999 kB\n",
            "",
        ] {
            assert_eq!(memory_bytes(other), None, "{other}");
        }
    }
}
