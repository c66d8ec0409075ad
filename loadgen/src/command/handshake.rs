//! `loadgen handshake`.

use clap::ValueEnum;
use serde_json::json;
use thiserror::Error;

use super::{
    CommandError,
    load::{self, Job},
};
use crate::{
    cli::{HandshakeArgs, TlsArgs, TlsVersion},
    exit::Exit,
    operation::{Operation, handshake},
    schedule::mix::Mix,
    target::client_certificate::Shown,
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
    check(args)?;
    let close = args.close.to_possible_value();
    Ok(Job {
        name: "handshake",
        target,
        operation: Operation::Handshake(handshake::Settings {
            close: args.close,
            resumes: args.resume > 0.0,
            certificate: match args.mtls {
                Some(_) => Shown::InItsShare,
                None => Shown::Always,
            },
        }),
        mix: mix(args),
        load: &args.load,
        others: Vec::new(),
        particulars: json!({
            "resume_percent": args.resume,
            "early_data_percent_of_resumed": args.early_data,
            "mtls_percent": args.mtls,
            "close": close.as_ref().map(|close| close.get_name()),
        }),
    })
}

/// Shares that cannot be had together.
#[derive(Debug, Error)]
pub enum ShareError {
    /// Early data goes with a ticket.
    #[error("--early-data is a share of the resumed handshakes: add --resume 100%")]
    EarlyDataWithoutResume,
    /// There is none in TLS 1.2.
    #[error("TLS 1.2 has no early data: drop --early-data or --tls 1.2")]
    EarlyDataTls12,
    /// More than all.
    #[error(
        "--resume {resume}% and --mtls {mtls}% are more than all handshakes: those with a certificate are full ones"
    )]
    MoreThanAll {
        /// Percent that are resumed.
        resume: f64,
        /// Percent that show a certificate.
        mtls: f64,
    },
    /// Handshakes have nothing behind them.
    #[error("handshakes send nothing behind them: --key-update is for request and bulk")]
    KeyUpdate,
}

/// Whether shares of resumed handshakes, and of early data in these, go together.
///
/// # Errors
///
/// When they do not.
pub fn shares(resume: f64, early_data: f64, tls: &TlsArgs) -> Result<(), ShareError> {
    match () {
        () if early_data > 0.0 && resume == 0.0 => Err(ShareError::EarlyDataWithoutResume),
        () if early_data > 0.0 && tls.tls == Some(TlsVersion::Tls12) => {
            Err(ShareError::EarlyDataTls12)
        }
        () => Ok(()),
    }
}

fn check(args: &HandshakeArgs) -> Result<(), ShareError> {
    let (resume, mtls) = (args.resume, args.mtls.unwrap_or(0.0));
    let tls = &args.load.tls;
    shares(resume, args.early_data, tls)?;
    match () {
        () if resume + mtls > 100.0 => Err(ShareError::MoreThanAll { resume, mtls }),
        () if tls.key_update.is_some() => Err(ShareError::KeyUpdate),
        () => Ok(()),
    }
}

/// The kinds, in the order of [`Kind::ALL`](crate::operation::failure::Kind::ALL).
fn mix(args: &HandshakeArgs) -> Mix {
    // Millionths, which is finer than anybody writes; so shares of shares are whole numbers too.
    const WHOLE: u64 = 1_000_000;
    let part = |percent: f64| (percent / 100.0 * WHOLE as f64).round() as u64;
    let (resumed, early) = (part(args.resume), part(args.early_data));
    let mtls = part(args.mtls.unwrap_or(0.0)).min(WHOLE - resumed);
    Mix::new([
        (WHOLE - resumed - mtls) * WHOLE,
        resumed * (WHOLE - early),
        resumed * early,
        mtls * WHOLE,
    ])
}
