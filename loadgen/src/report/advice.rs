//! What to do about a target that fails.

use crate::{
    measure::interval::{Failures, Interval},
    operation::failure::Class,
};

/// What to do about the most frequent failure.
pub fn advice(sums: &Interval, target: &str) -> String {
    let most = sums
        .failures
        .iter()
        .max_by_key(|(_, failure)| failure.count);
    let Some(((phase, class), Failures { samples, .. })) = most else {
        return "nothing was done: ask for a longer run with -d or -n".to_owned();
    };
    let todo = match class {
        Class::Refused => "nothing listens there: start the target, or correct host and port",
        Class::Unreachable => "no route leads there: correct the host, or use --connect-to",
        Class::Timeout => "it does not answer: see whether it hangs, or raise --timeout",
        Class::Certificate => {
            "its certificate does not verify: correct --cacert or --sni, or use -k"
        }
        Class::Alert => {
            "it refuses our TLS: see its log; it may want --cert and --key, or another --sni"
        }
        Class::Tls | Class::Truncated => "it does not speak TLS as it should: for TCP use --plain",
        Class::Closed | Class::Reset => {
            "it breaks connections off: see its log, and whether it expects TLS or TCP (--plain)"
        }
        Class::Status => "correct the path, or store the object first",
        Class::NoTicket | Class::WrongKind => {
            "it does not resume sessions: turn tickets on there, or drop --resume"
        }
        Class::Mismatch | Class::WrongLength | Class::Unopened => {
            "it damages or loses data: do not trust it"
        }
        Class::NotSealed => "it gives plain data where sealed was expected: look at its route",
        Class::NoKey => "correct --keyring or --raw-aes, or store messages for this key first",
        Class::Unfinished => "it is slower than what was asked for: lower -R, or raise --drain",
        Class::PortsExhausted => {
            "give more addresses to connect from (--source), or use fewer connections"
        }
        Class::DescriptorsExhausted => {
            "raise the hard limit of open files (`ulimit -Hn`), or lower -c"
        }
        Class::Http => "see whether it speaks this version of HTTP there (--http)",
        Class::StreamReset => "it resets streams: see its log, or lower -R, -c or -m",
        Class::GoAway => "it ends connections before it takes requests: see its log and its limits",
        Class::WrongProtocol => {
            "it does not speak this version of HTTP over TLS: turn it on there, or ask for the other one (--http 1.1, --http 2, or --http auto for what it prefers)"
        }
        Class::Io => "see the system's log",
    };
    let example = samples.first().map_or("", String::as_str);
    format!("{target}: {example} ({phase}); {todo}")
}
