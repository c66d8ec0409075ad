//! `sealgate keys`: each command reads or changes one keyring file and says what it did.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, IsTerminal, Read, Write, stderr, stdin, stdout};
use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sealgate_keys::slip39::Scheme;
use sealgate_keys::{Description, EpochDescription, Keyring, KeyringState, Role};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::answer::{CommandError, Style};
use super::arguments::{
    DisableArgs, ExportRecoveryArgs, KeysArgs, KeysCommand, ListArgs, NewArgs, RecoverArgs,
    RotateArgs, ShredArgs,
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Sixteen shares of 33 words of eight letters, several times over.
const SHARES_LEN_BYTES_MOST: u64 = 64 * 1024;

/// Carries out a command of `sealgate keys`. Gives the exit status that its help documents.
#[must_use]
pub fn run(args: &KeysArgs) -> ExitCode {
    let style = if args.json { Style::Json } else { Style::Words };
    // The one place where the commands read the clock.
    let now = SystemTime::now();
    let done = match &args.command {
        KeysCommand::New(args) => new(args, style),
        KeysCommand::List(args) => return list(args, style, now),
        KeysCommand::Rotate(args) => rotate(args, style, now),
        KeysCommand::Disable(args) => disable(args, style, now),
        KeysCommand::Shred(args) => shred(args, style, now),
        KeysCommand::ExportRecovery(args) => export_recovery(args, style, now),
        KeysCommand::Recover(args) => recover(args, style, now),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report(style),
    }
}

fn new(args: &NewArgs, style: Style) -> Result<(), CommandError> {
    let keyring = Keyring::create(&args.out, &args.tenant)?;
    let words = format!(
        "{}: a keyring for tenant {}, pseudonym {}. Keep a copy in a safe place: what is \
         sealed with it cannot be opened without it.",
        args.out.display(),
        args.tenant,
        keyring.pseudonym()
    );
    style.print(&words, &keyring_json(&args.out, &keyring));
    Ok(())
}

fn list(args: &ListArgs, style: Style, now: SystemTime) -> ExitCode {
    let mut status = ExitCode::SUCCESS;
    for path in &args.keyrings {
        let told = Keyring::describe(path)
            .map_err(CommandError::from)
            .and_then(|found| {
                style.answer(&list_words(path, &found, now), &list_json(path, &found))
            });
        if let Err(error) = told {
            status = error.report(style);
        }
    }
    status
}

fn rotate(args: &RotateArgs, style: Style, now: SystemTime) -> Result<(), CommandError> {
    let keyring = Keyring::load(&args.keyring)?;
    let path = args.keyring.display();
    if args.kek {
        return rotate_kek(&args.keyring, &keyring, style);
    }
    if args.prepare {
        let prepared = keyring.prepare_epoch()?;
        let next = prepared.epochs().last().unwrap_or_default();
        let words = format!(
            "{path}: epoch {next} is made and opens. Give every gateway the time to load it \
             (keys.soft_lifetime, or reload it), then rotate once more to have it seal."
        );
        style.print(&words, &keyring_json(&args.keyring, &prepared));
        return Ok(());
    }
    if let Some(days) = args.older_than_days {
        let age = keyring
            .current()
            .active_from()
            .map_or(Duration::MAX, |from| {
                now.duration_since(from).unwrap_or_default()
            });
        if age < days * DAY {
            let epoch = keyring.current().epoch();
            let words = format!("{path}: epoch {epoch} has not sealed for {days} days yet");
            style.print(&words, &keyring_json(&args.keyring, &keyring));
            return Ok(());
        }
    }
    let rotated = keyring.rotate_epoch_at(now)?;
    let words = format!(
        "{path}: epoch {} seals as soon as the gateway loads the file anew (keys.soft_lifetime, or a \
         reload); older ones open",
        rotated.current().epoch()
    );
    style.print(&words, &keyring_json(&args.keyring, &rotated));
    Ok(())
}

fn rotate_kek(path: &Path, keyring: &Keyring, style: Style) -> Result<(), CommandError> {
    let shows_progress = stderr().is_terminal() && style == Style::Words;
    let rotation = keyring.rotate_kek(|progress| {
        if shows_progress {
            let end = if progress.done == progress.total {
                "\n"
            } else {
                ""
            };
            let (done, total) = (progress.done, progress.total);
            let _ = write!(stderr(), "\r{done} of {total} branch keys{end}");
        }
        ControlFlow::Continue(())
    })?;
    let words = format!(
        "{}: {} branch keys are under version {} of the key-encryption key; versions still \
         needed: {:?}, destroyed: {:?}. Copies of the file still hold the old ones.",
        path.display(),
        rotation.rewrapped,
        rotation.version,
        rotation.needed,
        rotation.destroyed
    );
    let answer = json!({
        "keyring": path.display().to_string(),
        "tenant": rotation.keyring.tenant(),
        "kek_version": rotation.version,
        "rewrapped": rotation.rewrapped,
        "needed_keks": rotation.needed,
        "destroyed_keks": rotation.destroyed,
    });
    style.print(&words, &answer);
    Ok(())
}

fn disable(args: &DisableArgs, style: Style, now: SystemTime) -> Result<(), CommandError> {
    let (state, words) = match args.undo {
        true => (
            KeyringState::Enabled,
            "enabled. A running gateway notices by itself; a reload (SIGHUP) is faster",
        ),
        false => (
            KeyringState::Disabled,
            "disabled. A running gateway notices when it loads the file anew (keys.soft_lifetime), at \
             most after keys.hard_lifetime; a reload (SIGHUP) takes effect at once",
        ),
    };
    Keyring::set_state(&args.keyring, state, now)?;
    let path = &args.keyring;
    let words = format!("{}: {words}", path.display());
    style.print(
        &words,
        &json!({ "keyring": path.display().to_string(), "state": state_word(state) }),
    );
    Ok(())
}

fn shred(args: &ShredArgs, style: Style, now: SystemTime) -> Result<(), CommandError> {
    let path = &args.keyring;
    let tenant = Keyring::describe(path)?.tenant;
    if *tenant != *args.confirm {
        return Err(CommandError::NotConfirmed {
            confirmed: args.confirm.clone(),
            tenant,
        });
    }
    let shredded = Keyring::shred(path, now, &[])?;
    let recovery = if shredded.had_recovery {
        " and the recovery file"
    } else {
        ""
    };
    let words = format!(
        "{}: the keys of tenant {} are destroyed: {} epochs{recovery}. Reload the gateway to have it \
         forget them at once, and destroy the copies of the file. Recorded in {}.",
        path.display(),
        shredded.tenant,
        shredded.epochs.len(),
        shredded.audit.display()
    );
    let answer = json!({
        "keyring": path.display().to_string(),
        "tenant": shredded.tenant,
        "pseudonym": shredded.pseudonym,
        "state": "shredded",
        "kek_versions": shredded.kek_versions,
        "epochs": shredded.epochs,
        "had_recovery": shredded.had_recovery,
        "audit": shredded.audit.display().to_string(),
    });
    style.print(&words, &answer);
    Ok(())
}

fn export_recovery(
    args: &ExportRecoveryArgs,
    style: Style,
    now: SystemTime,
) -> Result<(), CommandError> {
    let scheme = Scheme::new(args.threshold, args.shares)?;
    let shares = Keyring::export_recovery(&args.keyring, scheme, now)?;
    // Reserved whole, so that no copy stays behind where it grew.
    let mut text = Zeroizing::new(Vec::with_capacity(SHARES_LEN_BYTES_MOST as usize));
    for (share, at) in shares.iter().zip(1..) {
        let (words, of) = (share.expose(), args.shares);
        // A vector takes every text, and the words are letters alone, which JSON does not escape.
        let _ = match style {
            Style::Words => writeln!(text, "{words}"),
            Style::Json => writeln!(text, r#"{{"of":{of},"share":{at},"words":"{words}"}}"#),
        };
    }
    write_unbuffered(&text).map_err(CommandError::SharesLost)?;
    if style == Style::Words {
        let _ = writeln!(
            stderr(),
            "{}: any {} of these {} shares and the file {}.recovery give the keys back. The shares \
             are stored nowhere; hand them out now.",
            args.keyring.display(),
            args.threshold,
            args.shares,
            args.keyring.display()
        );
    }
    Ok(())
}

/// Writes a secret to standard output, not through the library's buffer, which nobody wipes.
fn write_unbuffered(secret: &[u8]) -> io::Result<()> {
    File::from(stdout().as_fd().try_clone_to_owned()?).write_all(secret)
}

fn recover(args: &RecoverArgs, style: Style, now: SystemTime) -> Result<(), CommandError> {
    if stdin().is_terminal() {
        let _ = writeln!(stderr(), "Shares, one a line; Ctrl-D ends:");
    }
    let text = read_shares()?;
    let shares: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let keyring = Keyring::recover(&args.recovery, &shares, &args.out, now)?;
    let words = format!(
        "{}: recovered for tenant {}. It opens {} epochs and seals under the new epoch {}.",
        args.out.display(),
        keyring.tenant(),
        keyring.epochs().count(),
        keyring.current().epoch()
    );
    style.print(&words, &keyring_json(&args.out, &keyring));
    Ok(())
}

fn read_shares() -> Result<Zeroizing<String>, CommandError> {
    let most = SHARES_LEN_BYTES_MOST;
    // Reserved whole, so that no copy stays behind where it grew.
    let mut text = Zeroizing::new(String::with_capacity(most as usize + 1));
    stdin()
        .take(most + 1)
        .read_to_string(&mut text)
        .map_err(|error| CommandError::Shares(error.kind()))?;
    if text.len() as u64 > most {
        return Err(CommandError::SharesTooLong { most });
    }
    Ok(text)
}

fn keyring_json(path: &Path, keyring: &Keyring) -> Value {
    json!({
        "keyring": path.display().to_string(),
        "tenant": keyring.tenant(),
        "pseudonym": keyring.pseudonym(),
        "current_epoch": keyring.current().epoch(),
        "epochs": keyring.epochs().collect::<Vec<_>>(),
    })
}

fn list_words(path: &Path, found: &Description, now: SystemTime) -> String {
    let mut words = format!(
        "{}: tenant {}, pseudonym {}, {}, key-encryption key version {}{}, {}",
        path.display(),
        found.tenant,
        found.pseudonym,
        state_word(found.state),
        found.kek_version,
        match found.needed_keks[..] {
            [_] => "".to_owned(),
            ref needed => format!(" (rotation unfinished, needed: {needed:?})"),
        },
        if found.has_recovery {
            "recoverable"
        } else {
            "no recovery"
        }
    );
    for epoch in &found.epochs {
        let since = epoch
            .active_from
            .and_then(|from| now.duration_since(from).ok())
            .map_or_else(String::new, |age| {
                format!(", first sealed {} days ago", age.as_secs() / DAY.as_secs())
            });
        // A string takes every text.
        let _ = write!(
            words,
            "\n  epoch {}: {}{since}",
            epoch.epoch,
            role_word(epoch.role)
        );
    }
    words
}

fn list_json(path: &Path, found: &Description) -> Value {
    let epoch = |epoch: &EpochDescription| {
        let active_from = epoch
            .active_from
            .and_then(|from| from.duration_since(UNIX_EPOCH).ok())
            .map(|since| since.as_secs());
        json!({
            "epoch": epoch.epoch,
            "role": role_word(epoch.role),
            "kek_version": epoch.kek_version,
            "active_from": active_from,
        })
    };
    json!({
        "keyring": path.display().to_string(),
        "tenant": found.tenant,
        "pseudonym": found.pseudonym,
        "state": state_word(found.state),
        "kek_version": found.kek_version,
        "needed_keks": found.needed_keks,
        "has_recovery": found.has_recovery,
        "epochs": found.epochs.iter().map(epoch).collect::<Vec<_>>(),
    })
}

fn state_word(state: KeyringState) -> &'static str {
    match state {
        KeyringState::Enabled => "enabled",
        KeyringState::Disabled => "disabled",
    }
}

fn role_word(role: Role) -> &'static str {
    match role {
        Role::Retired => "retired",
        Role::Previous => "previous",
        Role::Current => "current",
        Role::Next => "next",
    }
}
