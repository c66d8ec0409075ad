//! What a coordinator and an agent say to each other.

use std::{fmt, path::PathBuf, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use thiserror::Error;
use zeroize::Zeroizing;

use super::link::Message;
use crate::{
    files::Contents,
    measure::interval::Interval,
    report::{agents::Said, model::Host},
    schedule::Machine,
    search::Asked,
};

/// The version of the protocol.
const PROTOCOL: u32 = 2;

/// Who speaks: the first message in both directions. Both have to be alike, for a command line may
/// mean something else to another version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Of the protocol.
    pub protocol: u32,
    /// Of the program.
    pub program: String,
}

impl Version {
    /// This program.
    pub fn own() -> Self {
        Self {
            protocol: PROTOCOL,
            program: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (agent protocol {})", self.program, self.protocol)
    }
}

/// A load, as an agent is told it.
#[derive(Serialize, Deserialize)]
pub struct Job {
    /// The command line, the program first.
    pub words: Vec<String>,
    /// The files that it names.
    pub files: Vec<SentFile>,
    /// Which of the agents it is, from 0.
    pub index: u64,
    /// How many there are.
    pub of: u64,
    /// Which load it is, of a search.
    pub asked: Option<Asked>,
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").finish_non_exhaustive()
    }
}

impl Job {
    /// The job without a share, with the files that it names.
    pub fn new(words: Vec<String>, contents: &Contents, asked: Option<Asked>) -> Self {
        let files = contents.iter().map(|(name, bytes)| SentFile {
            name: name.clone(),
            contents: Bytes(bytes.clone()),
        });
        Self {
            words,
            files: files.collect(),
            index: 0,
            of: 1,
            asked,
        }
    }

    /// The same for one of the agents.
    pub fn share(&self, machine: Machine) -> Self {
        Self {
            words: self.words.clone(),
            files: self.files.clone(),
            index: machine.index,
            of: machine.of,
            asked: self.asked,
        }
    }

    /// Whose share it is; none where there is no such agent.
    pub fn machine(&self) -> Option<Machine> {
        let (index, of) = (self.index, self.of);
        (index < of && of <= super::MAX_AGENTS as u64).then_some(Machine { index, of })
    }

    /// The files that were sent.
    pub fn contents(&self) -> Contents {
        let files = self.files.iter();
        files
            .map(|file| (file.name.clone(), file.contents.0.clone()))
            .collect()
    }
}

/// A file that a command line names.
#[derive(Clone, Serialize, Deserialize)]
pub struct SentFile {
    /// As the command line has it.
    pub name: PathBuf,
    /// What is in it.
    pub contents: Bytes,
}

/// Bytes that may be a private key.
#[derive(Clone)]
pub struct Bytes(Zeroizing<Vec<u8>>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Zeroizing::new(STANDARD.encode(&self.0)).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        let bytes = STANDARD.decode(text.as_bytes()).map_err(D::Error::custom)?;
        Ok(Self(Zeroizing::new(bytes)))
    }
}

/// What an agent is told. `Hello` stays readable in every version.
#[derive(Debug, Serialize, Deserialize)]
pub enum ToAgent {
    /// Who speaks.
    Hello(Version),
    /// What to do.
    Job(Job),
    /// To tell its time.
    Clock,
    /// To begin at this moment of its clock.
    Start(Duration),
    /// To plan nothing more.
    Stop,
    /// Nothing.
    Beat,
}

/// What an agent says. `Hello` and `Refused` stay readable in every version.
#[derive(Debug, Serialize, Deserialize)]
pub enum FromAgent {
    /// Who speaks, and where.
    Hello(Version, Host),
    /// It will not work for this coordinator now.
    Refused(Refusal),
    /// Its connections stand, on so many threads.
    Ready(u64),
    /// Its time.
    Clock(Reading),
    /// What a worker counted in one interval.
    Interval(u64, Box<Interval>),
    /// It has done its share.
    Done(Box<Said>),
    /// It cannot do its share.
    Failed(String),
    /// Nothing.
    Beat,
}

/// A look at an agent's clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// Since a moment of its own, by the clock that never jumps.
    pub steady: Duration,
    /// Since 1970.
    pub of_day: Duration,
}

/// Why an agent does not work for a coordinator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Error)]
pub enum Refusal {
    /// It works for another one.
    #[error("it is at work for another coordinator: wait for its end, or name another agent")]
    Busy,
    /// They are not alike.
    #[error(
        "it is loadgen {agent}, and this is {coordinator}: use the same version on all machines"
    )]
    Version {
        /// Its version.
        agent: String,
        /// The coordinator's.
        coordinator: String,
    },
}

impl Message for ToAgent {
    const BEAT: Self = ToAgent::Beat;

    fn is_beat(&self) -> bool {
        matches!(self, ToAgent::Beat)
    }
}

impl Message for FromAgent {
    const BEAT: Self = FromAgent::Beat;

    fn is_beat(&self) -> bool {
        matches!(self, FromAgent::Beat)
    }
}
