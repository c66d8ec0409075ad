//! What the numbers depend on and the reader cannot see: machine, kernel, versions.

use std::fs;
use std::process::Command;

/// The cores of this process's affinity mask, in order.
pub fn cores() -> Vec<usize> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let list = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    core_list(list.unwrap_or_default())
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
    let model = cpus
        .lines()
        .find(|line| line.starts_with("model name"))
        .and_then(|line| line.split_once(':'))
        .map_or("unknown processor", |(_, model)| model.trim());
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let kernel = kernel.split('-').next().unwrap_or_default().trim();
    format!("{model}, {} cores, Linux {kernel}", cores().len())
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
    fn core_lists_are_read() {
        assert_eq!(core_list("\t0-1"), [0, 1]);
        assert_eq!(core_list("0,2-3,8\n"), [0, 2, 3, 8]);
        assert_eq!(core_list(""), Vec::<usize>::new());
        assert!(!cores().is_empty());
    }
}
