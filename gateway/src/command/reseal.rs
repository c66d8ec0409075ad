//! `sealgate reseal`: messages under new message ids and data keys, for the recipients that are wanted now, one file or a directory of them.

use std::io::{IsTerminal, Write, stderr};
use std::path::Path;
use std::process::ExitCode;
use std::time::SystemTime;

use serde_json::{Value, json};

use super::answer::{CommandError, Style, Voice};
use super::context::Contexts;
use super::opening_keys::OpeningKeys;
use super::progress::Progress;
use super::reseal_arguments::ResealArgs;
use super::reseal_error::ResealFault;
use super::reseal_file::{Old, Repeat, Resealing, Seen};
use super::reseal_walk::{Found, Leftovers, Origin, Walk};
use super::sealing_keys::SealingKeys;
use super::shown;

/// The status where not every message was resealed.
const NOT_ALL: u8 = 10;

/// Carries out `sealgate reseal`. Gives the exit status that its help documents.
#[must_use]
pub fn run(args: &ResealArgs) -> ExitCode {
    let voice = Voice::new(args.answer);
    match reseal(args, voice) {
        Ok(totals) if totals.failed == 0 => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(NOT_ALL),
        Err(error) => error.report(voice.style()),
    }
}

fn reseal(args: &ResealArgs, voice: Voice) -> Result<Totals, CommandError> {
    let is_one_file = args.paths.len() == 1 && !args.paths[0].is_dir();
    if args.output.is_some() && !is_one_file {
        return Err(CommandError::OutputOfSeveral);
    }
    if args.output.as_deref() == Some(Path::new("-")) {
        return Err(CommandError::ResealIntoPipe);
    }
    let repeat = match (&args.output, args.force) {
        (Some(_), _) => Repeat::Always,
        (None, true) => Repeat::Once {
            begun: SystemTime::now(),
        },
        (None, false) => Repeat::Never,
    };
    let resealing = Resealing {
        opening: OpeningKeys::load(&args.keys)?,
        sealing: SealingKeys::load(&args.recipients.with(args.keys.keyring.clone()))?,
        expected: Contexts::new(&args.context)?,
        frame_len_bytes: args.frame_length,
        repeat,
    };
    let work = if args.dry_run { Work::List } else { Work::Do };
    let progress = (work == Work::Do && voice.shows_progress() && stderr().is_terminal())
        .then(|| Progress::begin(voice, "Resealing", Some(due_bytes(&resealing, args))));
    let mut run = Run {
        args,
        resealing: &resealing,
        style: voice.style(),
        work,
        progress,
        totals: Totals::default(),
    };
    for path in &args.paths {
        run.walk(path);
    }
    run.progress = None;
    run.sum_up();
    Ok(run.totals)
}

/// How much there is to do, for telling how long it takes.
fn due_bytes(resealing: &Resealing, args: &ResealArgs) -> u64 {
    let found = args
        .paths
        .iter()
        .flat_map(|path| Walk::new(path, Leftovers::Leave));
    found
        .map(|found| match found {
            Found::File(path, _) => match resealing.look_at(&path) {
                Ok(Seen::Due(old)) => old.len_bytes(),
                _ => 0,
            },
            Found::Leftover(_) | Found::Failed(..) => 0,
        })
        .fold(0, u64::saturating_add)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    Do,
    /// A dry run.
    List,
}

/// What became of the files.
#[derive(Debug, Default)]
struct Totals {
    resealed: u64,
    resealed_bytes: u64,
    skipped: u64,
    left: u64,
    failed: u64,
    leftovers: u64,
}

struct Run<'a> {
    args: &'a ResealArgs,
    resealing: &'a Resealing,
    style: Style,
    work: Work,
    progress: Option<Progress>,
    totals: Totals,
}

impl Run<'_> {
    fn walk(&mut self, start: &Path) {
        let leftovers = match self.work {
            Work::Do => Leftovers::Remove,
            Work::List => Leftovers::Leave,
        };
        for found in Walk::new(start, leftovers) {
            match found {
                Found::File(path, origin) => {
                    if let Err(fault) = self.file(&path, origin) {
                        self.failed(&path, &fault);
                    }
                }
                Found::Leftover(path) => {
                    self.totals.leftovers += 1;
                    self.note(&path, "removed", "left by a run that was killed; removed");
                }
                Found::Failed(path, fault) => self.failed(&path, &fault),
            }
        }
    }

    fn file(&mut self, path: &Path, origin: Origin) -> Result<(), ResealFault> {
        match self.resealing.look_at(path)? {
            Seen::Due(old) => return self.due(path, &old),
            Seen::Current => {
                self.totals.skipped += 1;
                if self.style == Style::Json {
                    self.note(path, "skipped", "");
                }
            }
            Seen::Grant => {
                self.totals.left += 1;
                let words = "a grant, for a message as it was; left alone";
                self.note(path, "grant", words);
            }
            Seen::NotAMessage(refusal) if origin == Origin::Named => {
                return Err(super::reseal_file::refused(path, refusal).into());
            }
            Seen::NotAMessage(_) => {
                self.totals.left += 1;
                self.note(path, "not_a_message", "not a message; left alone");
            }
        }
        Ok(())
    }

    fn due(&mut self, path: &Path, old: &Old) -> Result<(), ResealFault> {
        let len_bytes = old.len_bytes();
        let mut line = json!({ "file": path.display().to_string(), "bytes": len_bytes });
        match self.work {
            Work::List => {
                line["outcome"] = "would_be_resealed".into();
                self.say(&format!("{}: {len_bytes} bytes", path.display()), &line);
            }
            Work::Do => {
                let progress = &mut self.progress;
                let advance = |len| {
                    if let Some(progress) = progress {
                        progress.advance(len);
                    }
                };
                let target = self.args.output.as_deref();
                let resealed = self.resealing.reseal(path, old, target, advance)?;
                line["outcome"] = "resealed".into();
                line["plaintext_bytes"] = resealed.plaintext_len_bytes().into();
                if self.style == Style::Json {
                    self.say("", &line);
                }
            }
        }
        self.totals.resealed += 1;
        self.totals.resealed_bytes += len_bytes;
        Ok(())
    }

    fn failed(&mut self, path: &Path, fault: &ResealFault) {
        self.totals.failed += 1;
        let about = fault.about(path);
        let mut line = json!({
            "file": path.display().to_string(),
            "outcome": "failed",
            "error": about,
        });
        if let Some(offset) = fault.offset() {
            line["offset"] = offset.into();
        }
        match self.style {
            Style::Words => self.aside(&about),
            Style::Json => self.style.print("", &line),
        }
    }

    /// Something about a file that is neither a result nor an error.
    fn note(&self, path: &Path, outcome: &str, words: &str) {
        if self.args.answer.quiet {
            return;
        }
        let file = path.display().to_string();
        match self.style {
            Style::Words => self.aside(&format!("{file}: {words}")),
            Style::Json => self
                .style
                .print("", &json!({ "file": file, "outcome": outcome })),
        }
    }

    /// A line on standard error, beside the progress bar.
    fn aside(&self, words: &str) {
        let say = || {
            let _ = writeln!(stderr(), "{}", shown::line(words));
        };
        match &self.progress {
            Some(progress) => progress.aside(say),
            None => say(),
        }
    }

    fn say(&self, words: &str, line: &Value) {
        if !self.args.answer.quiet {
            self.style.print(&shown::line(words), line);
        }
    }

    fn sum_up(&self) {
        let Totals {
            resealed,
            resealed_bytes,
            skipped,
            left,
            failed,
            leftovers,
        } = &self.totals;
        let done = match self.work {
            Work::Do => "resealed",
            Work::List => "would be resealed",
        };
        let words = format!(
            "{resealed} {done} ({resealed_bytes} bytes), {skipped} skipped, {left} not messages, {failed} failed"
        );
        let mut line = json!({
            "outcome": "done",
            "resealed": resealed,
            "resealed_bytes": resealed_bytes,
            "skipped": skipped,
            "not_messages": left,
            "failed": failed,
            "leftovers_removed": leftovers,
        });
        if self.work == Work::List {
            line["dry_run"] = true.into();
        }
        self.say(&words, &line);
    }
}
