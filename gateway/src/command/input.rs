//! Where a command reads: a file, or standard input.

use std::fs::{File, Metadata};
use std::io::{ErrorKind, Read, Seek, stdin};
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{Advice, fadvise};

use super::message_error::{MessageError, Operation};
use super::output::Output;

/// How eagerly an input is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// Full buffers, which cost least.
    FullBuffers,
    /// What is there: somebody at the other end waits for it.
    AsItComes,
}

impl Pace {
    /// Only a pipe that leads to a pipe is waited for.
    pub(super) fn between(input: &Input, output: &Output) -> Self {
        if input.len_bytes.is_none() && output.is_stream() {
            Self::AsItComes
        } else {
            Self::FullBuffers
        }
    }
}

/// An input that is read from its start to its end.
pub(super) struct Input {
    name: Box<str>,
    /// Of standard input too: the library's own buffer would be a copy of plaintext that nobody wipes.
    file: File,
    len_bytes: Option<u64>,
}

impl Input {
    /// The file at `path`; standard input where there is none, or for `-`.
    ///
    /// # Errors
    /// [`MessageError::Io`].
    pub(super) fn open(path: Option<&Path>) -> Result<Self, MessageError> {
        let (name, mut file): (Box<str>, _) = match path {
            Some(path) if path.as_os_str() != "-" => {
                let name = path.display().to_string().into_boxed_str();
                let file = File::open(path).map_err(MessageError::io(Operation::Open, &name))?;
                (name, file)
            }
            _ => {
                let name = "standard input";
                let file = stdin().as_fd().try_clone_to_owned();
                let file = file.map_err(MessageError::io(Operation::Open, name))?;
                (name.into(), File::from(file))
            }
        };
        let metadata = file
            .metadata()
            .map_err(MessageError::io(Operation::Read, &name))?;
        if metadata.is_dir() {
            let error = ErrorKind::IsADirectory.into();
            return Err(MessageError::io(Operation::Read, &name)(error));
        }
        // Advice only: reading works without it.
        let _ = fadvise(&file, 0, None, Advice::Sequential);
        // Of a file that somebody has read from before, only the rest is meant: it is read as a pipe is.
        let is_whole = metadata.is_file() && file.stream_position().is_ok_and(|at| at == 0);
        Ok(Self {
            name,
            len_bytes: is_whole.then_some(metadata.len()),
            file,
        })
    }

    /// What it is called in messages.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// How long it is, where that is known beforehand: a regular file, which can also be read at any place.
    pub(super) fn len_bytes(&self) -> Option<u64> {
        self.len_bytes
    }

    /// What the system says of it.
    ///
    /// # Errors
    /// [`MessageError::Io`].
    pub(super) fn metadata(&self) -> Result<Metadata, MessageError> {
        let metadata = self.file.metadata();
        metadata.map_err(MessageError::io(Operation::Read, &self.name))
    }

    /// Reads as much as there is at once, at most all of `buffer`; 0 at the end.
    ///
    /// # Errors
    /// [`MessageError::Io`].
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, MessageError> {
        loop {
            match self.file.read(buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                done => return done.map_err(MessageError::io(Operation::Read, &self.name)),
            }
        }
    }

    /// Reads until `buffer` is full or the input ends; gives how much there is.
    ///
    /// # Errors
    /// [`MessageError::Io`].
    pub(super) fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, MessageError> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read(&mut buffer[filled..])? {
                0 => break,
                read => filled += read,
            }
        }
        Ok(filled)
    }

    /// Reads into `buffer` at this pace; 0 at the end.
    ///
    /// # Errors
    /// [`MessageError::Io`].
    pub(super) fn read_at_pace(
        &mut self,
        buffer: &mut [u8],
        pace: Pace,
    ) -> Result<usize, MessageError> {
        match pace {
            Pace::FullBuffers => self.fill(buffer),
            Pace::AsItComes => self.read(buffer),
        }
    }

    /// The file itself, for reading at any place.
    pub(super) fn into_file(self) -> File {
        self.file
    }
}
