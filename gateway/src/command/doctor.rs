//! `sealgate doctor`: what this machine offers to the gateway, and what to change where that is not enough.
//!
//! Nothing is configured and nothing listens: each check reads one thing of the kernel, the processor or the limits
//! of the process.

use std::fmt;
use std::fs;
use std::process::ExitCode;

use clap::Args;
use rustix::process::{Resource, getrlimit};
use sealgate_keys::process::Unprotected;
use sealgate_uring::{Receive, StartError};
use serde_json::json;

use crate::limits::LISTEN_BACKLOG;

const EXAMPLES: &str = "\
Examples:
  sealgate doctor
  sealgate doctor --json

Run it as the user, in the unit or in the container that the gateway will run in: limits and seccomp profiles are
theirs. Exit status: 0 the gateway runs here, with warnings or without; 1 it does not.";

/// Descriptors that leave room for a few thousand connections, each with one towards its service.
const FEW_DESCRIPTORS: u64 = 16_384;
/// Local ports that leave room for as many connections to one service.
const FEW_PORTS: u32 = 16_384;

/// Arguments of `sealgate doctor`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct DoctorArgs {
    /// Answer with one JSON object
    #[arg(long)]
    pub json: bool,
}

/// How one thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Good,
    /// It runs, but slower, or with less protection, or for fewer connections.
    Warning,
    /// It does not run.
    Bad,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Verdict::Good => "good",
            Verdict::Warning => "warning",
            Verdict::Bad => "bad",
        })
    }
}

/// One thing that was looked at.
#[derive(Debug)]
struct Finding {
    name: &'static str,
    verdict: Verdict,
    /// What is there.
    found: String,
    /// What would be right; none where it is.
    remedy: Option<String>,
}

impl Finding {
    fn good(name: &'static str, found: impl Into<String>) -> Finding {
        Finding {
            name,
            verdict: Verdict::Good,
            found: found.into(),
            remedy: None,
        }
    }

    fn but(self, verdict: Verdict, remedy: impl Into<String>) -> Finding {
        Finding {
            verdict,
            remedy: Some(remedy.into()),
            ..self
        }
    }
}

/// Carries out `sealgate doctor`. Gives the exit status that its help documents.
#[must_use]
pub fn run(args: &DoctorArgs, unprotected: &[Unprotected]) -> ExitCode {
    let findings = [
        kernel(),
        io_uring(),
        receive(Receive::default().on_this_kernel()),
        processor(),
        cores(),
        descriptors(getrlimit(Resource::Nofile).maximum),
        backlog(number_in("/proc/sys/net/core/somaxconn")),
        ports(&fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default()),
        secrets(unprotected),
    ];
    match args.json {
        true => println!("{}", as_json(&findings)),
        false => print!("{}", as_text(&findings)),
    }
    match findings
        .iter()
        .any(|finding| finding.verdict == Verdict::Bad)
    {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    }
}

fn as_text(findings: &[Finding]) -> String {
    let line = |finding: &Finding| {
        let Finding {
            name,
            verdict,
            found,
            remedy,
        } = finding;
        let remedy = remedy.iter().map(|remedy| format!("{:23}{remedy}\n", ""));
        format!("{verdict:<8} {name:<13} {found}\n") + &remedy.collect::<String>()
    };
    findings.iter().map(line).collect()
}

fn as_json(findings: &[Finding]) -> serde_json::Value {
    let one = |finding: &Finding| {
        json!({
            "name": finding.name,
            "verdict": finding.verdict.to_string(),
            "found": finding.found,
            "remedy": finding.remedy,
        })
    };
    json!({ "findings": findings.iter().map(one).collect::<Vec<_>>() })
}

fn kernel() -> Finding {
    match fs::read_to_string("/proc/sys/kernel/osrelease") {
        Ok(release) => Finding::good("kernel", format!("Linux {}", release.trim())),
        Err(error) => Finding::good("kernel", error.to_string()).but(
            Verdict::Warning,
            "mount /proc: the gateway reads its limits there",
        ),
    }
}

fn io_uring() -> Finding {
    let features = match sealgate_uring::features() {
        Ok(features) => features,
        Err(error) => {
            return Finding::good("io_uring", "refused").but(Verdict::Bad, error.to_string());
        }
    };
    let (there, missing): (Vec<_>, Vec<_>) = features.iter().partition(|feature| feature.is_there);
    let names = |features: Vec<&sealgate_uring::Feature>| {
        let names = features.iter().map(|feature| feature.name);
        names.collect::<Vec<_>>().join(", ")
    };
    match missing.is_empty() {
        true => Finding::good("io_uring", names(there)),
        false => Finding::good("io_uring", format!("without {}", names(missing)))
            .but(Verdict::Bad, "Linux 6.1 or newer is needed"),
    }
}

/// By which of the two ways short messages would be received, where no configuration says otherwise.
fn receive(on_this_kernel: Result<Receive, StartError>) -> Finding {
    match on_this_kernel {
        Ok(Receive::Multishot) => Finding::good(
            "receive",
            "multishot: the kernel has IORING_RECV_MULTISHOT, and one receive takes many short messages",
        ),
        Ok(Receive::OneShot) => Finding::good(
            "receive",
            "one-shot: the kernel has no IORING_RECV_MULTISHOT, and each short message takes a receive",
        )
        .but(
            Verdict::Warning,
            "it runs, with an operation more for each short message: Linux 6.0 and newer have it",
        ),
        Err(error) => {
            Finding::good("receive", "without a ring there is none").but(Verdict::Bad, error.to_string())
        }
    }
}

/// What AES-GCM runs on. aws-lc-rs chooses at run time; this names what it finds.
fn processor() -> Finding {
    let found = instructions();
    let names = found.iter().filter(|(_, is_there)| *is_there);
    let names = names.map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    // The first two are AES itself and the multiplication of GCM.
    match found.iter().take(2).all(|(_, is_there)| *is_there) {
        true => Finding::good("processor", names),
        false => Finding::good("processor", format!("without AES instructions ({names})")).but(
            Verdict::Warning,
            "AES-GCM runs in software, many times slower: use a processor with AES instructions, and in a \
             virtual machine pass them through (`-cpu host`)",
        ),
    }
}

#[cfg(target_arch = "x86_64")]
fn instructions() -> Vec<(&'static str, bool)> {
    use std::arch::is_x86_feature_detected as has;
    vec![
        ("AES-NI", has!("aes")),
        ("PCLMULQDQ", has!("pclmulqdq")),
        ("AVX2", has!("avx2")),
        ("VAES", has!("vaes")),
        ("VPCLMULQDQ", has!("vpclmulqdq")),
        ("AVX-512", has!("avx512f")),
        ("SHA", has!("sha")),
    ]
}

#[cfg(target_arch = "aarch64")]
fn instructions() -> Vec<(&'static str, bool)> {
    use std::arch::is_aarch64_feature_detected as has;
    vec![
        ("AES", has!("aes")),
        ("PMULL", has!("pmull")),
        ("SHA2", has!("sha2")),
        ("SHA3", has!("sha3")),
    ]
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn instructions() -> Vec<(&'static str, bool)> {
    vec![("AES", false), ("carry-less multiplication", false)]
}

fn cores() -> Finding {
    match std::thread::available_parallelism() {
        Ok(cores) => Finding::good("cores", format!("{cores}: as many workers by default")),
        Err(error) => Finding::good("cores", error.to_string()).but(
            Verdict::Warning,
            "say how many workers are to run (`workers`)",
        ),
    }
}

/// `hard` is the most that the process may open; none is no limit.
fn descriptors(hard: Option<u64>) -> Finding {
    let Some(hard) = hard else {
        return Finding::good("descriptors", "unlimited");
    };
    let found = Finding::good(
        "descriptors",
        format!(
            "{hard}: about {} connections, each with one to its service",
            hard / 2
        ),
    );
    match hard < FEW_DESCRIPTORS {
        true => found.but(
            Verdict::Warning,
            "raise the hard limit (`ulimit -Hn`, LimitNOFILE= in a unit file)",
        ),
        false => found,
    }
}

fn backlog(somaxconn: Option<u32>) -> Finding {
    let Some(most) = somaxconn else {
        return Finding::good("backlog", "/proc/sys/net/core/somaxconn cannot be read");
    };
    let found = Finding::good("backlog", format!("net.core.somaxconn = {most}"));
    match most < LISTEN_BACKLOG.unsigned_abs() {
        true => found.but(
            Verdict::Warning,
            format!("a burst of new connections is cut short: sysctl net.core.somaxconn={LISTEN_BACKLOG}"),
        ),
        false => found,
    }
}

/// `range` as in /proc/sys/net/ipv4/ip_local_port_range: the lowest and the highest.
fn ports(range: &str) -> Finding {
    let bounds = range.split_whitespace().map(str::parse::<u32>);
    let [Ok(lowest), Ok(highest)] = bounds.collect::<Vec<_>>()[..] else {
        return Finding::good("local ports", "ip_local_port_range cannot be read");
    };
    let count = (highest + 1).saturating_sub(lowest);
    let found = Finding::good(
        "local ports",
        format!("{count} for connections to one address"),
    );
    match count < FEW_PORTS {
        true => found.but(
            Verdict::Warning,
            "sysctl net.ipv4.ip_local_port_range='15000 60999', or more upstream addresses",
        ),
        false => found,
    }
}

fn secrets(unprotected: &[Unprotected]) -> Finding {
    let causes = unprotected.iter().map(ToString::to_string);
    let causes = causes.collect::<Vec<_>>().join("; ");
    match causes.is_empty() {
        true => Finding::good("secrets", "no dumps, memory locked"),
        false => Finding::good("secrets", "less protected than they could be")
            .but(Verdict::Warning, causes),
    }
}

fn number_in(path: &str) -> Option<u32> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(finding: &Finding) -> (Verdict, bool) {
        (finding.verdict, finding.remedy.is_some())
    }

    #[test]
    fn what_is_scarce_is_a_warning_with_a_remedy() {
        let (good, warning) = ((Verdict::Good, false), (Verdict::Warning, true));
        assert_eq!(verdict(&descriptors(Some(1024))), warning);
        assert_eq!(verdict(&descriptors(Some(1 << 20))), good);
        assert_eq!(verdict(&descriptors(None)), good);
        assert_eq!(verdict(&backlog(Some(128))), warning);
        assert_eq!(verdict(&backlog(Some(4096))), good);
        assert_eq!(verdict(&ports("32768\t60999\n")), good);
        assert_eq!(verdict(&ports("60000 60999")), warning);
        assert_eq!(verdict(&ports("nonsense")), good);
        assert_eq!(verdict(&secrets(&[])), good);
        assert_eq!(verdict(&receive(Ok(Receive::Multishot))), good);
        assert_eq!(verdict(&receive(Ok(Receive::OneShot))), warning);
    }

    #[test]
    fn a_line_says_how_what_and_what_to_do() {
        let text = as_text(&[
            Finding::good("cores", "2"),
            Finding::good("backlog", "128").but(Verdict::Warning, "raise it"),
        ]);
        assert_eq!(
            text,
            "good     cores         2\nwarning  backlog       128\n                       raise it\n"
        );
    }
}
