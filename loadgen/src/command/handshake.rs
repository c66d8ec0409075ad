//! `loadgen handshake`.

use clap::ValueEnum;
use serde_json::json;

use super::{
    CommandError,
    load::{self, Job},
};
use crate::{
    cli::HandshakeArgs,
    exit::Exit,
    operation::{Operation, handshake},
    schedule::mix::Mix,
    target::url::TargetError,
};

/// Loads a target with handshakes.
///
/// # Errors
///
/// When flags are of no use, or the result cannot be written.
pub fn handshake(args: &HandshakeArgs) -> Result<Exit, CommandError> {
    load::execute(job(args)?)
}

/// The load that the flags ask for.
///
/// # Errors
///
/// When flags are of no use.
pub fn job(args: &HandshakeArgs) -> Result<Job<'_>, CommandError> {
    let target = load::effective(&args.target, &args.load);
    if !target.scheme.encrypted() {
        return Err(TargetError::WrongScheme(target, "handshakes need TLS").into());
    }
    let close = args.close.to_possible_value();
    Ok(Job {
        name: "handshake",
        target,
        operation: Operation::Handshake(handshake::Settings { close: args.close }),
        mix: Mix::second(args.resume),
        load: &args.load,
        particulars: json!({
            "resume_percent": args.resume,
            "close": close.as_ref().map(|close| close.get_name()),
        }),
    })
}
