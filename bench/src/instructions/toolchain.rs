//! What instruction counts depend on besides the source.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde::{Deserialize, Serialize};

use super::InstructionsError;
use super::count::run;

/// Counts are comparable where all of this is the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Toolchain {
    /// The compiler, with its commit.
    pub rustc: String,
    /// The C compiler: aws-lc and mimalloc are C.
    pub cc: String,
    /// `memcpy` is the C library's.
    pub libc: String,
    /// It decides which processor the program sees.
    pub valgrind: String,
    /// Architecture, and what valgrind lets through of this processor: it shows the same one everywhere, but for these.
    pub processor: String,
}

/// One thing that differs.
#[derive(Debug, PartialEq, Eq)]
pub struct Difference {
    /// What.
    pub what: &'static str,
    /// In the baseline.
    pub before: String,
    /// Here.
    pub here: String,
}

/// What valgrind 3.19 lets through on x86-64; its processor has AVX2 or, on a machine without, less.
const SHOWN: [&str; 5] = ["avx", "avx2", "f16c", "rdrand", "rdseed"];

impl Toolchain {
    /// What there is here.
    ///
    /// # Errors
    /// [`InstructionsError`] where one of the programs does not run.
    pub fn of_this_machine() -> Result<Self, InstructionsError> {
        let version = |program: &str, flag: &str| -> Result<String, InstructionsError> {
            let said = run(Command::new(program).arg(flag))?;
            Ok(said.lines().next().unwrap_or_default().trim().to_owned())
        };
        Ok(Self {
            rustc: version("rustc", "--version")?,
            cc: version("cc", "--version")?,
            libc: version("ldd", "--version")?,
            valgrind: version("valgrind", "--version")?,
            processor: processor()?,
        })
    }

    /// What is not the same `here`.
    pub fn differences(&self, here: &Self) -> Vec<Difference> {
        let pairs = [
            ("rustc", &self.rustc, &here.rustc),
            ("cc", &self.cc, &here.cc),
            ("libc", &self.libc, &here.libc),
            ("valgrind", &self.valgrind, &here.valgrind),
            ("processor", &self.processor, &here.processor),
        ];
        let different = pairs.into_iter().filter(|(_, before, here)| before != here);
        let difference = different.map(|(what, before, here)| Difference {
            what,
            before: before.clone(),
            here: here.clone(),
        });
        difference.collect()
    }
}

fn processor() -> Result<String, InstructionsError> {
    let path = PathBuf::from("/proc/cpuinfo");
    let text =
        fs::read_to_string(&path).map_err(|source| InstructionsError::File { path, source })?;
    let flags = text
        .lines()
        .find(|line| line.starts_with("flags"))
        .unwrap_or_default();
    let shown = SHOWN
        .iter()
        .filter(|shown| flags.split_ascii_whitespace().any(|flag| flag == **shown));
    let words: Vec<&str> = [std::env::consts::ARCH]
        .iter()
        .chain(shown)
        .copied()
        .collect();
    Ok(words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_can_make_counts_incomparable() {
        let parts = ["rustc", "cc", "libc", "valgrind", "processor"];
        let of = |changed: &str| {
            let part = |name: &str| format!("{name} {}", usize::from(name == changed));
            Toolchain {
                rustc: part("rustc"),
                cc: part("cc"),
                libc: part("libc"),
                valgrind: part("valgrind"),
                processor: part("processor"),
            }
        };
        assert_eq!(of("").differences(&of("")), []);
        for part in parts {
            let [difference] = &of("").differences(&of(part))[..] else {
                panic!("{part}")
            };
            assert_eq!(
                (difference.what, &*difference.here),
                (part, &*format!("{part} 1"))
            );
        }
    }
}
