//! What the numbers depend on and the reader cannot see: machine, kernel, versions.

use std::fs;
use std::process::Command;

use serde::{Deserialize, Serialize};

/// The cores of this process's affinity mask, in order.
pub fn cores() -> Vec<usize> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let list = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    core_list(list.unwrap_or_default())
}

/// Who runs where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// Cores of the gateway.
    pub gateway: Vec<usize>,
    /// Cores of load generator and origin. On a machine of one core the same one.
    pub load: Vec<usize>,
}

impl Split {
    /// Half of the cores for the gateway, the lesser half where they are odd; one core is shared.
    pub fn of(cores: &[usize]) -> Self {
        let (gateway, load) = match cores.len() {
            0 | 1 => (cores, cores),
            many => cores.split_at(many / 2),
        };
        Self {
            gateway: gateway.to_vec(),
            load: load.to_vec(),
        }
    }

    /// Whether the load takes the gateway's time away.
    pub fn is_shared(&self) -> bool {
        self.gateway == self.load
    }
}

/// Reads `0-3,8`.
fn core_list(text: &str) -> Vec<usize> {
    let number = |text: &str| text.trim().parse::<usize>().ok();
    text.split(',')
        .filter_map(|part| match part.split_once('-') {
            Some((first, last)) => Some(number(first)?..=number(last)?),
            None => number(part).map(|core| core..=core),
        })
        .flatten()
        .collect()
}

/// Processor, count of cores and kernel, in one line.
pub fn describe() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processor(&cpus);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let kernel = kernel.split('-').next().unwrap_or_default().trim();
    format!("{model}, {} cores, Linux {kernel}", cores().len())
}

/// What `/proc/cpuinfo` calls the first processor: by its name, or, where Linux has none for ARM, by the numbers of who made it and what
/// it is.
fn processor(cpus: &str) -> String {
    let field = |name: &str| {
        let mut lines = cpus.lines().filter_map(|line| line.split_once(':'));
        let found = lines.find(|(key, _)| key.trim() == name);
        found.map(|(_, value)| value.trim())
    };
    let arm = field("CPU implementer").zip(field("CPU part"));
    match (field("model name"), arm) {
        (Some(name), _) => name.to_owned(),
        (None, Some((implementer, part))) => format!("ARM {implementer} {part}"),
        (None, None) => "unknown processor".to_owned(),
    }
}

/// The first line in which a program says its version: the one that holds `marker`, on either
/// stream.
pub fn version(program: &str, flag: &str, marker: &str) -> String {
    let Ok(output) = Command::new(program).arg(flag).output() else {
        return String::from("unknown");
    };
    let said = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&said)
        .lines()
        .find(|line| line.contains(marker))
        .map_or_else(|| String::from("unknown"), |line| line.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_are_halved_and_a_single_one_is_shared() {
        let split = Split::of(&[2, 3, 5]);
        assert_eq!(
            (&split.gateway[..], &split.load[..]),
            (&[2][..], &[3, 5][..])
        );
        assert!(!split.is_shared());
        let one = Split::of(&[7]);
        assert!(one.is_shared() && one.gateway == [7]);
    }

    #[test]
    fn a_processor_has_a_name_or_the_numbers_of_one() {
        let x86 = "processor\t: 0\nmodel\t\t: 1\nmodel name\t: AMD EPYC\n\nprocessor\t: 1\n";
        assert_eq!(processor(x86), "AMD EPYC");
        let arm = "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd49\n";
        assert_eq!(processor(arm), "ARM 0x41 0xd49");
        assert_eq!(processor(""), "unknown processor");
    }

    #[test]
    fn core_lists_are_read() {
        assert_eq!(core_list("\t0-1"), [0, 1]);
        assert_eq!(core_list("0,2-3,8\n"), [0, 2, 3, 8]);
        assert_eq!(core_list(""), Vec::<usize>::new());
        assert!(!cores().is_empty());
    }
}
