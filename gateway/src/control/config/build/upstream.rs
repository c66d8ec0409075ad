//! Upstreams: parsed, resolved, kept from being ourselves, and their TLS.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};

use hyper::Uri;
use rustls::pki_types::ServerName;

use super::super::draft::{Located, RouteDraft, UpstreamTlsDraft};
use super::super::errors::{At, Report};
use super::super::pem;
use super::super::problem::Problem;
use super::route::{Context, Kind, Protocol};
use crate::upstream::{UpstreamSettings, UpstreamTlsSettings};

/// One upstream as it was written.
#[derive(Debug, PartialEq, Eq)]
struct Target {
    /// A name or an address, without brackets.
    host: String,
    port: u16,
    scheme: Scheme,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Http,
    Https,
    Tcp,
}

/// Builds the upstream of one route; resolves names, which may take as long as the resolver does.
pub(super) fn build(
    context: &Context<'_>,
    draft: &RouteDraft,
    protocol: Protocol,
    kind: Option<Kind>,
    report: &mut Report,
) -> Option<UpstreamSettings> {
    let texts = draft.upstream.given()?;
    let mut targets = Vec::with_capacity(texts.value.len());
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for text in &texts.value {
        let parsed = match protocol {
            Protocol::Http => http_target(&text.value),
            Protocol::Tcp => tcp_target(&text.value),
        };
        match parsed {
            Ok(target) => {
                for address in resolved(context, text, &target, report) {
                    if !addresses.contains(&address) {
                        addresses.push(address);
                    }
                }
                targets.push(target);
            }
            Err(problem) => report.error(&text.at, problem),
        }
    }
    let written: Vec<&str> = texts.value.iter().map(|text| text.value.as_str()).collect();
    let display = written.join(", ");
    let tls = match kind {
        Some(Kind::TcpPassthrough) | None => None,
        Some(_) => tls(context, draft, &texts.at, &targets, report)?,
    };
    Some(UpstreamSettings {
        addresses,
        display,
        tls,
    })
}

/// `http://HOST:PORT` or `https://HOST[:PORT]`, and nothing behind it.
fn http_target(text: &str) -> Result<Target, Problem> {
    let bad = || Problem::BadHttpUpstream {
        given: text.to_owned(),
    };
    let uri: Uri = text.parse().map_err(|_| bad())?;
    let scheme = match uri.scheme_str() {
        Some("http") => Scheme::Http,
        Some("https") => Scheme::Https,
        _ => return Err(bad()),
    };
    let authority = uri.authority().ok_or_else(bad)?;
    if uri.path() != "/" || uri.query().is_some() || text.contains(['@', '#']) {
        return Err(bad());
    }
    let host = authority.host();
    // The crate's own `port()` takes an unusable port for none, and https would then go to 443.
    let port = match authority.as_str().strip_prefix(host).ok_or_else(bad)? {
        "" => None,
        rest => Some(
            rest.strip_prefix(':')
                .and_then(decimal_port)
                .ok_or_else(bad)?,
        ),
    };
    let host = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    if ServerName::try_from(host).is_err() {
        return Err(bad());
    }
    let port = match (port, scheme) {
        (Some(0), _) => return Err(Problem::UpstreamPortZero),
        (Some(port), _) => port,
        (None, Scheme::Https) => 443,
        (None, Scheme::Http | Scheme::Tcp) => {
            let host = authority.host().to_owned();
            return Err(Problem::UpstreamWithoutPort {
                given: text.to_owned(),
                host,
            });
        }
    };
    Ok(Target {
        host: host.to_owned(),
        port,
        scheme,
    })
}

/// `HOST:PORT`, with brackets around an IPv6 address.
fn tcp_target(text: &str) -> Result<Target, Problem> {
    let bad = || Problem::BadTcpUpstream {
        given: text.to_owned(),
    };
    let (host, port) = match text.parse::<SocketAddr>() {
        Ok(address) => (address.ip().to_string(), address.port()),
        Err(_) => {
            let (host, port) = text.rsplit_once(':').ok_or_else(bad)?;
            let port = decimal_port(port).ok_or_else(bad)?;
            // What is left with a colon is a scheme, or IPv6 without brackets.
            if host.contains(':') || ServerName::try_from(host).is_err() {
                return Err(bad());
            }
            (host.to_owned(), port)
        }
    };
    if port == 0 {
        return Err(Problem::UpstreamPortZero);
    }
    Ok(Target {
        host,
        port,
        scheme: Scheme::Tcp,
    })
}

/// Digits only: `parse` alone would take `+80`.
fn decimal_port(text: &str) -> Option<u16> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())?
}

fn resolved(
    context: &Context<'_>,
    text: &Located<String>,
    target: &Target,
    report: &mut Report,
) -> Vec<SocketAddr> {
    let found = match target.host.parse::<IpAddr>() {
        Ok(ip) => Ok(vec![SocketAddr::new(ip, target.port)]),
        Err(_) => (target.host.as_str(), target.port)
            .to_socket_addrs()
            .map(Iterator::collect),
    };
    let addresses = match found {
        Ok(addresses) if !addresses.is_empty() => addresses,
        Ok(_) => {
            let cause = "the resolver knows the name but no address".to_owned();
            report.error(
                &text.at,
                Problem::Unresolved {
                    host: target.host.clone(),
                    cause,
                },
            );
            return Vec::new();
        }
        Err(error) => {
            let cause = error.to_string();
            report.error(
                &text.at,
                Problem::Unresolved {
                    host: target.host.clone(),
                    cause,
                },
            );
            return Vec::new();
        }
    };
    for address in &addresses {
        if let Some(owner) = ours(context, *address) {
            report.error(
                &text.at,
                Problem::UpstreamIsOurs {
                    address: *address,
                    owner,
                },
            );
            break;
        }
    }
    addresses
}

/// Which listener of this gateway answers at an address.
fn ours(context: &Context<'_>, address: SocketAddr) -> Option<String> {
    // The kernel takes the unspecified address for loopback when connecting.
    let mut address = SocketAddr::new(address.ip().to_canonical(), address.port());
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    if context.admin == Some(address) {
        return Some("the admin listener".to_owned());
    }
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, address.port()).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, address.port()).into(),
    };
    let exact = context.owners.get(&address);
    let owner = exact.or_else(|| context.owners.get(&any).filter(|_| is_local(address.ip())))?;
    Some(format!("listener \"{owner}\""))
}

/// Whether this host has the address: the kernel sends to such a one from the same address.
/// Connecting a datagram socket sends nothing.
fn is_local(ip: IpAddr) -> bool {
    if ip.is_loopback() {
        return true;
    }
    let any: SocketAddr = match ip {
        IpAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        IpAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let source = UdpSocket::bind(any).and_then(|socket| {
        socket.connect((ip, 9))?;
        socket.local_addr()
    });
    source.is_ok_and(|source| source.ip() == ip)
}

/// `Some(None)`: plain TCP is what was asked for; `None`: the report says why not.
fn tls(
    context: &Context<'_>,
    draft: &RouteDraft,
    upstream_at: &At,
    targets: &[Target],
    report: &mut Report,
) -> Option<Option<UpstreamTlsSettings>> {
    let plain = targets.iter().any(|target| target.scheme == Scheme::Http);
    let https = targets.iter().any(|target| target.scheme == Scheme::Https);
    if plain && https {
        report.error(upstream_at, Problem::MixedSchemes);
    }
    let Some(given) = draft.upstream_tls.given() else {
        if https && draft.upstream_tls.is_absent() {
            report.error(upstream_at, Problem::HttpsWithoutCa);
        }
        return draft.upstream_tls.is_absent().then_some(None);
    };
    if plain && !https {
        report.error(&given.at, Problem::TlsWithHttp);
    }
    let roots = given
        .value
        .ca
        .given()
        .and_then(|ca| pem::roots(ca, context.files, report));
    let keys = ["certificate", "key"];
    let UpstreamTlsDraft {
        certificate, key, ..
    } = &given.value;
    let client_certificate = pem::certified_key(certificate, key, keys, &[], context.files, report);
    let server_name = server_name(given, targets, report);
    Some(Some(UpstreamTlsSettings {
        roots: roots?,
        server_name: server_name?,
        client_certificate: client_certificate?,
    }))
}

fn server_name(
    tls: &Located<UpstreamTlsDraft>,
    targets: &[Target],
    report: &mut Report,
) -> Option<ServerName<'static>> {
    use super::super::draft::Field;
    match &tls.value.server_name {
        Field::Broken => None,
        Field::Given(given) => match ServerName::try_from(given.value.to_ascii_lowercase()) {
            Ok(name) => Some(name),
            Err(_) => {
                report.error(
                    &given.at,
                    Problem::BadServerName {
                        given: given.value.clone(),
                    },
                );
                None
            }
        },
        Field::Absent => {
            // No target: each of them is an error already.
            let first = targets.first()?;
            if targets
                .iter()
                .any(|target| !target.host.eq_ignore_ascii_case(&first.host))
            {
                let at = At {
                    key: format!("{}.server_name", tls.at.key),
                    ..tls.at.clone()
                };
                report.error(&at, Problem::NoServerName);
                return None;
            }
            ServerName::try_from(first.host.to_ascii_lowercase()).ok()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http(text: &str) -> Option<(String, u16, Scheme)> {
        http_target(text)
            .ok()
            .map(|target| (target.host, target.port, target.scheme))
    }

    fn tcp(text: &str) -> Option<(String, u16)> {
        tcp_target(text)
            .ok()
            .map(|target| (target.host, target.port))
    }

    #[test]
    fn http_upstreams_are_a_scheme_a_host_and_a_port() {
        assert_eq!(
            http("http://127.0.0.1:9080"),
            Some(("127.0.0.1".to_owned(), 9080, Scheme::Http))
        );
        assert_eq!(
            http("http://[::1]:9080/"),
            Some(("::1".to_owned(), 9080, Scheme::Http))
        );
        assert_eq!(
            http("https://b.internal"),
            Some(("b.internal".to_owned(), 443, Scheme::Https))
        );
        assert_eq!(
            http("https://b.internal:8443"),
            Some(("b.internal".to_owned(), 8443, Scheme::Https))
        );
        for bad in [
            "",
            "127.0.0.1:9080",
            "http://b",
            "http://b:",
            "https://b:99999",
            "https://b:+443",
            "http://b:0",
            "ftp://b:21",
            "http://u:p@b:80",
            "http://b:80/x",
            "http://b:80?x",
            "http://b:80#x",
            "http://a b:80",
            "http://-:80",
            "http:///",
        ] {
            assert_eq!(http(bad), None, "{bad}");
        }
    }

    #[test]
    fn tcp_upstreams_are_a_host_and_a_port() {
        assert_eq!(tcp("127.0.0.1:9000"), Some(("127.0.0.1".to_owned(), 9000)));
        assert_eq!(tcp("[::1]:9000"), Some(("::1".to_owned(), 9000)));
        assert_eq!(
            tcp("backend_1.internal:9000"),
            Some(("backend_1.internal".to_owned(), 9000))
        );
        for bad in [
            "",
            "b",
            "b:",
            ":1",
            "b:0",
            "b:99999",
            "b:+1",
            "::1:9000",
            "http://b:1",
            "b/c:1",
        ] {
            assert_eq!(tcp(bad), None, "{bad}");
        }
    }

    #[test]
    fn loopback_is_local_and_documentation_addresses_are_not() {
        assert!(is_local(Ipv4Addr::new(127, 0, 0, 5).into()));
        assert!(!is_local(Ipv4Addr::new(192, 0, 2, 1).into()));
    }
}
