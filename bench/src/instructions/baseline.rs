//! The counts that later ones are held to, as they stand in the repository.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::InstructionsError;
use super::count::Counts;
use super::toolchain::Toolchain;

/// `bench/baseline.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// Why these counts are right.
    pub reason: String,
    /// What they depend on besides the source.
    pub made_with: Toolchain,
    /// By scenario.
    pub scenarios: BTreeMap<String, Scenario>,
}

/// What one scenario took.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// All instructions, of each round.
    pub total: Vec<u64>,
    /// Those outside aws-lc, of each round.
    pub own: Vec<u64>,
    /// What the larger functions took by themselves, in the first round.
    pub functions: BTreeMap<String, u64>,
}

impl Baseline {
    /// A baseline of these counts.
    pub fn new(reason: String, made_with: Toolchain, counts: Counts) -> Self {
        let scenarios = counts.into_iter().map(|(name, profiles)| {
            let scenario = Scenario {
                total: profiles.iter().map(|profile| profile.total()).collect(),
                own: profiles.iter().map(|profile| profile.own()).collect(),
                functions: profiles
                    .first()
                    .map(|profile| profile.large_functions())
                    .unwrap_or_default(),
            };
            (name, scenario)
        });
        Self {
            reason,
            made_with,
            scenarios: scenarios.collect(),
        }
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`InstructionsError::File`], [`InstructionsError::Baseline`].
    pub fn read(path: &Path) -> Result<Self, InstructionsError> {
        let text = fs::read_to_string(path).map_err(|source| InstructionsError::File {
            path: path.to_owned(),
            source,
        })?;
        serde_json::from_str(&text).map_err(|source| InstructionsError::Baseline {
            path: path.to_owned(),
            source,
        })
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`InstructionsError::File`].
    pub fn write(&self, path: &Path) -> Result<(), InstructionsError> {
        let mut text = serde_json::to_string_pretty(self).expect("numbers and strings");
        text.push('\n');
        fs::write(path, text).map_err(|source| InstructionsError::File {
            path: path.to_owned(),
            source,
        })
    }
}
