//! Numbers, durations and words: their ranges, their defaults, and why.

use std::time::Duration;

use super::super::draft::{Field, Located};
use super::super::errors::Report;
use super::super::nearest::nearest;
use super::super::problem::Problem;

/// Range and default of a whole number.
#[derive(Clone, Copy)]
pub(super) struct Number {
    low: i64,
    high: i64,
    default: i64,
}

/// The default is not used: without the key there is one worker per core.
pub(super) const WORKERS: Number = Number {
    low: 1,
    high: 1024,
    default: 1,
};
/// The upper end is where file descriptors (two a connection) meet the kernel's `fs.nr_open` default.
pub(super) const MAX_CONNECTIONS: Number = Number {
    low: 1,
    high: 500_000,
    default: 10_000,
};
/// 8 KiB is what every client may expect of a server, and hyper's own minimum.
pub(super) const MAX_HEAD_BYTES: Number = Number {
    low: 8 << 10,
    high: 1 << 20,
    default: 32 << 10,
};
/// Browsers send about 20 fields, and proxies in front add a few; 100 is hyper's own default.
pub(super) const MAX_HEAD_FIELDS: Number = Number {
    low: 16,
    high: 1024,
    default: 100,
};
/// Zero: every request opens its own upstream connection.
pub(super) const MAX_IDLE_UPSTREAM: Number = Number {
    low: 0,
    high: 10_000,
    default: 64,
};

/// Requests of one route that use or wait for upstream connections, per worker.
pub(super) const MAX_UPSTREAM_REQUESTS: Number = Number {
    low: 1,
    high: 1_000_000,
    default: 16_384,
};

/// A step takes as long as some ten messages, so that two of them hide among what is relayed. So many that none waits
/// is as if there were no bound.
pub(super) const HANDSHAKES_PER_TURN: Number = Number {
    low: 1,
    high: 1024,
    default: 2,
};

/// Range and default of a duration.
#[derive(Clone, Copy)]
pub(super) struct Wait {
    low: Duration,
    high: Duration,
    default: Duration,
}

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Three round trips of a slow mobile client; longer waits only serve those who hold connections open.
pub(super) const HANDSHAKE: Wait = Wait {
    low: Duration::from_millis(100),
    high: MINUTE,
    default: Duration::from_secs(10),
};
/// Long enough for one lost SYN (resent after 1 s, then 3 s).
pub(super) const CONNECT: Wait = Wait {
    low: Duration::from_millis(10),
    high: MINUTE,
    default: Duration::from_secs(5),
};
/// Above the 240 s at which the common cloud balancers in front give up.
pub(super) const IDLE: Wait = Wait {
    low: Duration::from_secs(1),
    high: Duration::from_secs(24 * 3600),
    default: Duration::from_secs(300),
};
/// A head is one packet, mostly; a client that drips it holds a buffer.
pub(super) const HEAD: Wait = Wait {
    low: Duration::from_millis(100),
    high: MINUTE,
    default: Duration::from_secs(10),
};
/// Above the 60 s that clients and balancers keep idle connections, so that it is they who close.
pub(super) const KEEP_ALIVE: Wait = Wait {
    low: Duration::from_secs(1),
    high: HOUR,
    default: Duration::from_secs(75),
};
/// What backends commonly allow themselves.
pub(super) const RESPONSE: Wait = Wait {
    low: Duration::from_millis(100),
    high: HOUR,
    default: Duration::from_secs(60),
};
/// The pod grace period of Kubernetes.
pub(super) const DRAIN: Wait = Wait {
    low: Duration::ZERO,
    high: HOUR,
    default: Duration::from_secs(30),
};

/// A keyring file is read in a millisecond, so a hundred tenants cost nothing at this pace.
pub(super) const SOFT_LIFETIME: Wait = Wait {
    low: Duration::from_millis(100),
    high: DAY,
    default: Duration::from_secs(300),
};
/// The bound on revocation, and how long a provider of keys may be away.
pub(super) const HARD_LIFETIME: Wait = Wait {
    low: Duration::from_secs(1),
    high: DAY,
    default: HOUR,
};
/// Above the pauses of a tenant that is busy at all.
pub(super) const UNUSED_LIFETIME: Wait = Wait {
    low: Duration::from_secs(1),
    high: DAY,
    default: Duration::from_secs(30 * 60),
};
/// Once a day for the eleven years that a keyring has epochs for, up to ten years. The default is not used: off.
pub(super) const ROTATE_EPOCH_AFTER: Wait = Wait {
    low: DAY,
    high: Duration::from_secs(10 * 365 * 24 * 3600),
    default: DAY,
};

/// A number in its range, or its default.
pub(super) fn number(field: &Field<i64>, bounds: Number, report: &mut Report) -> Option<usize> {
    let value = match field {
        Field::Absent => bounds.default,
        Field::Broken => return None,
        Field::Given(located) if !(bounds.low..=bounds.high).contains(&located.value) => {
            let problem = Problem::OutOfRange {
                given: located.value,
                low: bounds.low,
                high: bounds.high,
            };
            report.error(&located.at, problem);
            return None;
        }
        Field::Given(located) => located.value,
    };
    usize::try_from(value).ok()
}

/// A duration in its range, or its default.
pub(super) fn duration(
    field: &Field<String>,
    bounds: Wait,
    report: &mut Report,
) -> Option<Duration> {
    let located = match field {
        Field::Absent => return Some(bounds.default),
        Field::Broken => return None,
        Field::Given(located) => located,
    };
    let given = located.value.clone();
    let Some(value) = parsed(&given) else {
        report.error(&located.at, Problem::BadDuration { given });
        return None;
    };
    if !(bounds.low..=bounds.high).contains(&value) {
        let (low, high) = (written(bounds.low), written(bounds.high));
        report.error(
            &located.at,
            Problem::DurationOutOfRange { given, low, high },
        );
        return None;
    }
    Some(value)
}

/// A whole number and a unit.
fn parsed(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    number.checked_mul(millis).map(Duration::from_millis)
}

/// As a file would write it, in the largest unit that divides it.
pub(in super::super) fn written(duration: Duration) -> String {
    let millis = duration.as_millis();
    for (unit, name) in [(3_600_000, "h"), (60_000, "m"), (1000, "s")] {
        if millis > 0 && millis.is_multiple_of(unit) {
            return format!("{}{name}", millis / unit);
        }
    }
    format!("{millis}ms")
}

/// One of some words.
pub(super) fn choice<T: Copy>(
    located: &Located<String>,
    options: &'static [&'static str],
    meanings: &[T],
    report: &mut Report,
) -> Option<T> {
    debug_assert_eq!(options.len(), meanings.len());
    let given = located.value.as_str();
    if let Some(index) = options.iter().position(|option| *option == given) {
        return meanings.get(index).copied();
    }
    let nearest = nearest(given, options.iter().copied()).map(str::to_owned);
    report.error(
        &located.at,
        Problem::NotOneOf {
            given: given.to_owned(),
            nearest,
            options,
        },
    );
    None
}

/// A name for logs and metrics: it must not need quoting in either.
pub(super) fn identifier<'a>(
    field: &'a Field<String>,
    report: &mut Report,
) -> Option<&'a Located<String>> {
    let located = field.given()?;
    let name = located.value.as_bytes();
    let starts_well = name.first().is_some_and(u8::is_ascii_alphanumeric);
    let inner = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
    if starts_well && name.len() <= 64 && name.iter().all(inner) {
        return Some(located);
    }
    report.error(
        &located.at,
        Problem::BadIdentifier {
            given: located.value.clone(),
        },
    );
    None
}

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// A log level, or a list of `TARGET=LEVEL` with at most one level for the rest.
///
/// `tracing` itself takes a mistyped level for a target and then logs nothing; so the form is checked here.
pub(super) fn is_log_level(text: &str) -> bool {
    text.split(',')
        .all(|directive| match directive.split_once('=') {
            None => LEVELS.contains(&directive),
            Some((target, level)) => {
                let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"_:".contains(&byte);
                !target.is_empty() && target.bytes().all(inner) && LEVELS.contains(&level)
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_whole_number_and_a_unit() {
        assert_eq!(parsed("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(parsed("10s"), Some(Duration::from_secs(10)));
        assert_eq!(parsed("5m"), Some(Duration::from_secs(300)));
        assert_eq!(parsed("2h"), Some(Duration::from_secs(7200)));
        for bad in [
            "",
            "10",
            "s",
            "-1s",
            "1.5s",
            "10 s",
            "1d",
            "99999999999999999999s",
            "18446744073709551615h",
        ] {
            assert_eq!(parsed(bad), None, "{bad}");
        }
    }

    #[test]
    fn durations_are_written_as_they_are_read() {
        for text in ["0ms", "500ms", "10s", "90s", "5m", "24h"] {
            let duration = parsed(text).expect("a duration");
            assert_eq!(written(duration), text);
        }
    }

    #[test]
    fn every_default_is_inside_its_range() {
        for number in [
            WORKERS,
            MAX_CONNECTIONS,
            MAX_HEAD_BYTES,
            MAX_HEAD_FIELDS,
            MAX_IDLE_UPSTREAM,
            MAX_UPSTREAM_REQUESTS,
        ] {
            assert!((number.low..=number.high).contains(&number.default));
        }
        for wait in [
            HANDSHAKE,
            CONNECT,
            IDLE,
            HEAD,
            KEEP_ALIVE,
            RESPONSE,
            DRAIN,
            SOFT_LIFETIME,
            HARD_LIFETIME,
            UNUSED_LIFETIME,
            ROTATE_EPOCH_AFTER,
        ] {
            assert!((wait.low..=wait.high).contains(&wait.default));
        }
    }

    #[test]
    fn what_is_a_log_level_here_is_one_for_tracing() {
        for good in [
            "info",
            "off",
            "info,sealgate=debug",
            "sealgate::relay=trace",
        ] {
            assert!(is_log_level(good), "{good}");
            assert!(
                tracing_subscriber::EnvFilter::try_new(good).is_ok(),
                "{good}"
            );
        }
        for bad in [
            "",
            "inof",
            "INFO ",
            "info,",
            "=debug",
            "sealgate=",
            "a b=info",
            "sealgate=loud",
        ] {
            assert!(!is_log_level(bad), "{bad}");
        }
    }
}
