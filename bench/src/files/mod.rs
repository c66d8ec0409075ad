//! `sealgate seal` and `open` of a large file in the page cache, beside what the work cannot cost less than: `cp` of the same file, and bare
//! AES-256-GCM over as many bytes.
//!
//! ```text
//! round:  cp FILE | seal FILE | cp MESSAGE | open MESSAGE | AES in memory      each from the page cache into a new file
//! ```
//!
//! Compared is CPU time, as the median over the rounds. Fresh pages of a virtual machine may cost many times what others do (the host has to
//! find them first), and `cp` needs more of them than the commands, which write past the page cache: so the least is shown as well, and
//! the target has to hold for the least and for the median.

mod aes;
mod report;

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use self::report::Comparison;
use crate::error::BenchError;
use crate::promise::Outcome;
use crate::workplace::Workplace;
use crate::{command, output, process};

const EXAMPLES: &str = "\
Examples:
  scripts/bench files
      1 GB below target/, seven rounds: about a minute, and three times the disk
  scripts/bench files --directory /mnt/data --length 100000000 --json files.json
      another file system, and a file that fits its cache

Ctrl-C and SIGTERM end a run with what there is, and so does anything that fails on the way.

Exit codes: 0 sealing and opening cost no more than promised; 3 one does; 1 usage, or a file cannot
be written; 2 something fails; 4 the run was interrupted.";

/// Arguments of `bench files`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct FilesArgs {
    /// Rounds; each command runs once in each
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(3..=50))]
    rounds: u32,
    /// Where the files are made; the file system is a part of what is measured
    #[arg(long, value_name = "DIR", default_value = "target")]
    directory: PathBuf,
    /// Length of the file
    #[arg(long, value_name = "BYTES", default_value_t = 1_000_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    length: u64,
    /// Write the result as JSON too; `-` is standard output, instead of the table
    #[arg(long, value_name = "FILE", value_parser = output::file())]
    json: Option<PathBuf>,
}

/// What is run in each round, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    CopyFile,
    Seal,
    CopyMessage,
    Open,
    Aes,
}

impl Work {
    const ALL: [Self; 5] = [
        Self::CopyFile,
        Self::Seal,
        Self::CopyMessage,
        Self::Open,
        Self::Aes,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::CopyFile => "cp FILE",
            Self::Seal => "sealgate seal FILE",
            Self::CopyMessage => "cp MESSAGE",
            Self::Open => "sealgate open MESSAGE",
            Self::Aes => "AES-256-GCM in memory",
        }
    }
}

/// Measures, and prints what was found: also what there is when something comes between.
///
/// # Errors
/// [`BenchError`]: nothing was measured, or not all.
pub fn run(args: &FilesArgs) -> Result<Outcome, BenchError> {
    let place = Place::new(&args.directory)?;
    let commands = Commands::new(&place)?;
    eprintln!("making a file of {} bytes", args.length);
    make(&place.plaintext(), args.length)?;
    commands.run(Work::Seal, &place.message())?;
    let mut comparison = Comparison::new(args.length, args.rounds);
    let ended = place.rounds(&commands, args, &mut comparison);
    if let Err(error) = &ended {
        comparison.effort.cut_short(error);
    }
    if !comparison.is_empty() {
        let table = comparison.table(&args.directory);
        output::publish(args.json.as_deref(), &table, &comparison.json())?;
    }
    ended.map(|()| comparison.outcome())
}

fn in_file(path: &Path) -> impl Fn(io::Error) -> BenchError + '_ {
    |source| BenchError::File {
        path: path.to_owned(),
        source,
    }
}

/// A file of bytes that do not repeat.
fn make(path: &Path, len: u64) -> Result<(), BenchError> {
    let mut file = File::create(path).map_err(in_file(path))?;
    let mut block = vec![0; 1 << 20];
    let mut left = len;
    while left > 0 {
        let now = left.min(block.len() as u64) as usize;
        aws_lc_rs::rand::fill(&mut block[..now]).expect("a generator that is seeded does not fail");
        file.write_all(&block[..now]).map_err(in_file(path))?;
        left -= now as u64;
    }
    file.sync_all().map_err(in_file(path))
}

/// The programs and their arguments.
struct Commands {
    sealgate: String,
    cp: String,
    plaintext: PathBuf,
    message: PathBuf,
    key: PathBuf,
}

impl Commands {
    fn new(place: &Place) -> Result<Self, BenchError> {
        let key = place.0.path().join("key");
        let mut bytes = [0; 32];
        aws_lc_rs::rand::fill(&mut bytes).expect("a generator that is seeded does not fail");
        fs::write(&key, bytes).map_err(in_file(&key))?;
        Ok(Self {
            sealgate: process::find("sealgate", "build it: cargo build --release")?,
            cp: process::find("cp", "install it: apt-get install coreutils")?,
            plaintext: place.plaintext(),
            message: place.message(),
            key,
        })
    }

    /// What `work` reads.
    fn input(&self, work: Work) -> &Path {
        match work {
            Work::CopyFile | Work::Seal | Work::Aes => &self.plaintext,
            Work::CopyMessage | Work::Open => &self.message,
        }
    }

    fn run(&self, work: Work, output: &Path) -> Result<Duration, BenchError> {
        let input = self.input(work);
        let program = match work {
            Work::CopyFile | Work::CopyMessage => &self.cp,
            Work::Seal | Work::Open | Work::Aes => &self.sealgate,
        };
        let mut command = std::process::Command::new(program);
        match work {
            Work::CopyFile | Work::CopyMessage => command.arg(input).arg(output),
            Work::Seal | Work::Open | Work::Aes => command
                .arg(if work == Work::Open { "open" } else { "seal" })
                .args(["--quiet", "--raw-aes", "bench", "key"])
                .arg(&self.key)
                .arg(input)
                .arg("-o")
                .arg(output),
        };
        command::run(work.name(), command, &[]).map(|ended| ended.cpu)
    }
}

/// This run's files, on the file system that is measured.
struct Place(Workplace);

impl Place {
    fn new(parent: &Path) -> Result<Self, BenchError> {
        fs::create_dir_all(parent).map_err(in_file(parent))?;
        Workplace::within(parent).map(Self)
    }

    fn plaintext(&self) -> PathBuf {
        self.0.path().join("plaintext")
    }

    fn message(&self) -> PathBuf {
        self.0.path().join("message")
    }

    fn output(&self) -> PathBuf {
        self.0.path().join("output")
    }

    /// All rounds. What was measured until something fails is in `comparison`.
    fn rounds(
        &self,
        commands: &Commands,
        args: &FilesArgs,
        comparison: &mut Comparison,
    ) -> Result<(), BenchError> {
        for round in 1..=args.rounds {
            for work in Work::ALL {
                eprintln!("round {round}: {}", work.name());
                comparison.add(work, self.measure(commands, work, args.length)?);
            }
            self.check()?;
        }
        Ok(())
    }

    fn measure(&self, commands: &Commands, work: Work, len: u64) -> Result<Duration, BenchError> {
        if work == Work::Aes {
            return Ok(aes::cost(len));
        }
        let output = self.output();
        match fs::remove_file(&output) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(in_file(&output)(error));
            }
            _ => {}
        }
        // Nothing of what ran before is written beside what is measured now.
        rustix::fs::sync();
        read_whole(commands.input(work))?;
        commands.run(work, &output)
    }

    /// The last command of a round opened the message: what came out is what went in.
    fn check(&self) -> Result<(), BenchError> {
        let (output, plaintext) = (self.output(), self.plaintext());
        let same = digest(&output)? == digest(&plaintext)?;
        if same {
            return Ok(());
        }
        Err(in_file(&output)(io::Error::other(
            "differs from what was sealed",
        )))
    }
}

fn digest(path: &Path) -> Result<Vec<u8>, BenchError> {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    each_block(path, |block| context.update(block))?;
    Ok(context.finish().as_ref().to_vec())
}

/// Brings a file into the page cache.
fn read_whole(path: &Path) -> Result<(), BenchError> {
    each_block(path, |block| {
        std::hint::black_box(block);
    })
}

fn each_block(path: &Path, mut see: impl FnMut(&[u8])) -> Result<(), BenchError> {
    let mut file = File::open(path).map_err(in_file(path))?;
    let mut block = vec![0; 1 << 20];
    loop {
        match file.read(&mut block).map_err(in_file(path))? {
            0 => return Ok(()),
            len => see(&block[..len]),
        }
    }
}
