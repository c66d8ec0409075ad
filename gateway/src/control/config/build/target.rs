//! What a route does with its traffic: the settings of its protocol and class.

use super::super::draft::{Field, Located, RouteDraft};
use super::super::errors::{At, Report};
use super::super::problem::{Problem, Warning};
use super::route::{Kind, Protocol};
use super::values;
use crate::http::{HttpClass, HttpRouteSettings, Readers, SealedSettings};
use crate::relay::{TcpClass, TcpRouteSettings};
use crate::settings::RouteTarget;
use crate::upstream::UpstreamSettings;

/// ALPN lists of real clients have two or three entries.
const MAX_ALPN: usize = 16;

/// The target of a route of this kind; `None` where the report says why not.
pub(super) fn build(
    draft: &RouteDraft,
    kind: Kind,
    upstream: Option<UpstreamSettings>,
    report: &mut Report,
) -> Option<RouteTarget> {
    match kind.protocol() {
        Protocol::Http => http(draft, kind, upstream, report).map(RouteTarget::Http),
        Protocol::Tcp => tcp(draft, kind, upstream, report).map(RouteTarget::Tcp),
    }
}

fn http(
    draft: &RouteDraft,
    kind: Kind,
    upstream: Option<UpstreamSettings>,
    report: &mut Report,
) -> Option<HttpRouteSettings> {
    let path_prefix = path(draft, report);
    let class = match kind {
        Kind::HttpSealed => sealed(draft, report).map(HttpClass::Sealed),
        _ => Some(HttpClass::Terminated),
    };
    Some(HttpRouteSettings {
        class: class?,
        path_prefix: path_prefix?,
        upstream: upstream?,
    })
}

fn path(draft: &RouteDraft, report: &mut Report) -> Option<String> {
    let given = match &draft.path {
        Field::Absent => return Some("/".to_owned()),
        Field::Broken => return None,
        Field::Given(given) => given,
    };
    let path = given.value.as_str();
    let visible = path
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !b"?#".contains(&byte));
    let dots = path
        .split('/')
        .any(|segment| segment == "." || segment == "..");
    if path.starts_with('/') && visible && !dots && !path.contains("//") {
        return Some(path.to_owned());
    }
    report.error(
        &given.at,
        Problem::BadPath {
            given: path.to_owned(),
        },
    );
    None
}

fn sealed(draft: &RouteDraft, report: &mut Report) -> Option<SealedSettings> {
    let readers = match &draft.readers {
        Field::Absent => {
            let at = At {
                key: format!("{}.readers", draft.at.key),
                ..draft.at.clone()
            };
            report.error(&at, Problem::NoReaders);
            None
        }
        Field::Broken => None,
        Field::Given(given) => {
            let readers = values::choice(
                given,
                &["mtls", "anyone"],
                &[Readers::Mtls, Readers::Anyone],
                report,
            );
            if readers == Some(Readers::Anyone) {
                let route = draft
                    .name
                    .given()
                    .map_or_else(String::new, |name| name.value.clone());
                report.warn(&given.at, Warning::ReadersAnyone { route });
            }
            readers
        }
    };
    let header = one_of(
        &draft.header_bytes,
        &[1024, 512, 4096],
        "512, 1024 or 4096",
        report,
    );
    let frame = one_of(
        &draft.frame_bytes,
        &[65536, 16384],
        "65536 or 16384",
        report,
    );
    Some(SealedSettings {
        readers: readers?,
        header_len_bytes: header?,
        frame_len_bytes: frame?,
    })
}

/// One of some numbers, the first of which is the default.
fn one_of(
    field: &Field<i64>,
    numbers: &[usize],
    options: &'static str,
    report: &mut Report,
) -> Option<usize> {
    let given = match field {
        Field::Absent => return numbers.first().copied(),
        Field::Broken => return None,
        Field::Given(given) => given,
    };
    if let Some(number) = numbers
        .iter()
        .find(|number| i64::try_from(**number) == Ok(given.value))
    {
        return Some(*number);
    }
    report.error(
        &given.at,
        Problem::NotOneOfNumbers {
            given: given.value,
            options,
        },
    );
    None
}

fn tcp(
    draft: &RouteDraft,
    kind: Kind,
    upstream: Option<UpstreamSettings>,
    report: &mut Report,
) -> Option<TcpRouteSettings> {
    let class = match kind {
        Kind::TcpPassthrough => TcpClass::Passthrough,
        _ => TcpClass::Terminated,
    };
    let alpn = match draft.alpn.given() {
        Some(texts) => alpn(texts, report),
        None => Vec::new(),
    };
    Some(TcpRouteSettings {
        class,
        upstream: upstream?,
        alpn,
    })
}

fn alpn(texts: &Located<Vec<Located<String>>>, report: &mut Report) -> Vec<Vec<u8>> {
    if texts.value.len() > MAX_ALPN {
        let given = texts.value.len();
        report.error(
            &texts.at,
            Problem::TooManyAlpn {
                given,
                limit: MAX_ALPN,
            },
        );
    }
    let mut protocols: Vec<Vec<u8>> = Vec::new();
    for text in &texts.value {
        let protocol = text.value.as_bytes();
        if protocol.len() > 255 {
            report.error(
                &text.at,
                Problem::BadAlpn {
                    given: text.value.clone(),
                },
            );
        } else if protocols.iter().any(|known| known == protocol) {
            let value = text.value.clone();
            report.error(
                &text.at,
                Problem::Duplicate {
                    what: "protocol",
                    value,
                    first_line: None,
                },
            );
        } else {
            protocols.push(protocol.to_vec());
        }
    }
    protocols
}
