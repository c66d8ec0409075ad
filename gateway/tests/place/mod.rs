//! A folder with keys in it, and the real program run there.

#![allow(
    clippy::unwrap_used,
    dead_code,
    reason = "a test's panic is its report; each test file uses a part"
)]

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// What opens and seals with the key that every place has.
pub const KEY: [&str; 4] = ["--raw-aes", "example", "key-1", "key.bin"];

pub struct Place {
    folder: TempDir,
}

pub struct Answer {
    pub status: i32,
    pub out: Vec<u8>,
    pub said: String,
}

impl Answer {
    /// The answer of a command that succeeded.
    pub fn json(&self) -> Value {
        assert_eq!(self.status, 0, "{}", self.said);
        serde_json::from_slice(&self.out)
            .unwrap_or_else(|error| panic!("{error}: {}", self.words()))
    }

    pub fn words(&self) -> String {
        String::from_utf8_lossy(&self.out).into_owned()
    }

    #[track_caller]
    pub fn refused(&self, status: i32, words: &str) {
        assert_eq!(self.status, status, "{}", self.said);
        assert!(self.said.contains(words), "{}", self.said);
        assert_eq!(self.out, b"", "{}", self.said);
    }
}

impl Place {
    pub fn new() -> Self {
        let place = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        place.write("key.bin", &[7; 32]);
        place.write("other.bin", &[8; 32]);
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).unwrap();
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    /// Names of all files, hidden ones too, but the two keys.
    pub fn files(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| !name.ends_with(".bin"))
            .collect();
        names.sort();
        names
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sealgate"));
        command
            .current_dir(self.folder.path())
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub fn spawn(&self, arguments: &[&str]) -> Child {
        self.command(arguments)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap()
    }

    pub fn run(&self, arguments: &[&str]) -> Answer {
        answer(self.command(arguments).spawn().unwrap())
    }

    /// Runs it with `input` in a pipe.
    pub fn pipe(&self, arguments: &[&str], input: &[u8]) -> Answer {
        let mut child = self.spawn(arguments);
        let mut stdin = child.stdin.take().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                // It may not read to the end.
                let _ = stdin.write_all(input);
            });
            answer(child)
        })
    }

    /// Seals `plaintext` under the place's key, and `more` flags.
    pub fn seal(&self, plaintext: &[u8], more: &[&str]) -> Vec<u8> {
        let sealed = self.pipe(&with(&["seal"], &KEY, more), plaintext);
        assert_eq!(sealed.status, 0, "{}", sealed.said);
        sealed.out
    }
}

pub fn with<'a>(command: &[&'a str], keys: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [command, keys, more].concat()
}

pub fn answer(child: Child) -> Answer {
    let done = child.wait_with_output().unwrap();
    Answer {
        status: done.status.code().unwrap(),
        out: done.stdout,
        said: String::from_utf8(done.stderr).unwrap(),
    }
}

/// Bytes that differ from place to place.
pub fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i ^ (i >> 8) ^ (i >> 15)) as u8).collect()
}

/// Most memory that a process had so far.
pub fn peak_memory_kib(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let words = line.unwrap().split_whitespace().nth(1).unwrap();
    words.parse().unwrap()
}
