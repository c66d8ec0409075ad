//! What is under load: `https://host:port/path`, `tls://host:port`, `host:port`.

use std::{
    fmt,
    net::{SocketAddr, ToSocketAddrs},
    str::FromStr,
};

use thiserror::Error;

/// What is spoken on the connection, from the scheme of the URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// HTTP/1.1 over TLS.
    Https,
    /// HTTP/1.1 over TCP.
    Http,
    /// Bytes over TLS.
    Tls,
    /// Bytes over TCP.
    Tcp,
}

impl Scheme {
    /// Whether the connection is encrypted.
    pub fn encrypted(self) -> bool {
        matches!(self, Scheme::Https | Scheme::Tls)
    }

    /// The same without TLS.
    pub fn plain(self) -> Self {
        match self {
            Scheme::Https | Scheme::Http => Scheme::Http,
            Scheme::Tls | Scheme::Tcp => Scheme::Tcp,
        }
    }

    /// Whether HTTP is spoken.
    pub fn is_http(self) -> bool {
        matches!(self, Scheme::Https | Scheme::Http)
    }

    fn default_port(self) -> Option<u16> {
        match self {
            Scheme::Https => Some(443),
            Scheme::Http => Some(80),
            Scheme::Tls | Scheme::Tcp => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Scheme::Https => "https",
            Scheme::Http => "http",
            Scheme::Tls => "tls",
            Scheme::Tcp => "tcp",
        }
    }
}

/// A target that cannot be used. The operator's fault.
#[derive(Debug, Error)]
pub enum TargetError {
    /// The text is no URL of ours.
    #[error("{0} is no target: write https://host:port/path, tls://host:port or host:port")]
    Malformed(String),
    /// The scheme does not fit the subcommand.
    #[error("{0} does not fit here: {1}")]
    WrongScheme(Target, &'static str),
    /// The host has no address.
    #[error("cannot find the address of {host}: {error}; check the name, or use --connect-to")]
    Unresolved {
        /// The host.
        host: String,
        /// Why.
        error: std::io::Error,
    },
    /// `--probe` is malformed.
    #[error(
        "{0} is no probe: write a rate such as 10/s, or https://host:port/path, tls://host:port"
    )]
    Probe(String),
    /// `--connect-to` is malformed.
    #[error("{0} is no place to connect to: write HOST:PORT or, as for curl, H1:P1:HOST:PORT")]
    ConnectTo(String),
}

/// A target as it was named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// What is spoken.
    pub scheme: Scheme,
    /// Name or address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Path and query, from the first slash; `/` when there is none.
    pub path: String,
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let malformed = || TargetError::Malformed(text.to_owned());
        let (scheme, rest) = match text.split_once("://") {
            None => (Scheme::Tls, text),
            Some(("https", rest)) => (Scheme::Https, rest),
            Some(("http", rest)) => (Scheme::Http, rest),
            Some(("tls", rest)) => (Scheme::Tls, rest),
            Some(("tcp", rest)) => (Scheme::Tcp, rest),
            Some(_) => return Err(malformed()),
        };
        let (authority, path) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => (rest, "/"),
        };
        let (host, port) = host_port(authority, scheme.default_port()).ok_or_else(malformed)?;
        Ok(Self {
            scheme,
            host: host.to_owned(),
            port,
            path: path.to_owned(),
        })
    }
}

impl Target {
    /// What the `Host` field says: the port only where it is not the scheme's own (RFC 9110 §7.2).
    pub fn host_field(&self) -> String {
        let authority = self.authority();
        match self.scheme.default_port() == Some(self.port) {
            true => authority[..authority.len() - self.port.to_string().len() - 1].to_owned(),
            false => authority,
        }
    }

    /// `host:port`.
    pub fn authority(&self) -> String {
        let Self { host, port, .. } = self;
        match host.contains(':') {
            true => format!("[{host}]:{port}"),
            false => format!("{host}:{port}"),
        }
    }

    /// The address to connect to; `connect_to` replaces host and port (curl's `--connect-to`).
    ///
    /// # Errors
    ///
    /// When there is no such address, or `connect_to` is malformed.
    pub fn resolve(&self, connect_to: Option<&str>) -> Result<SocketAddr, TargetError> {
        let (host, port) = match connect_to {
            None => (self.host.as_str(), self.port),
            Some(text) => self
                .redirect(text)
                .ok_or_else(|| TargetError::ConnectTo(text.to_owned()))?,
        };
        let unresolved = |error| TargetError::Unresolved {
            host: host.to_owned(),
            error,
        };
        (host, port)
            .to_socket_addrs()
            .map_err(unresolved)?
            .next()
            .ok_or_else(|| unresolved(std::io::ErrorKind::NotFound.into()))
    }

    /// Empty parts of curl's four match or keep what the target says.
    fn redirect<'t>(&'t self, text: &'t str) -> Option<(&'t str, u16)> {
        let own = (self.host.as_str(), self.port);
        let Some((from_host, from_port, to)) = four_parts(text) else {
            return host_port(text, None);
        };
        let same_host = from_host.is_empty() || from_host == self.host;
        let same_port = from_port.is_empty() || from_port.parse() == Ok(self.port);
        if !(same_host && same_port) {
            return Some(own);
        }
        let (host, port) = to.rsplit_once(':')?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = if port.is_empty() {
            own.1
        } else {
            port.parse().ok()?
        };
        Some((if host.is_empty() { own.0 } else { host }, port))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.scheme.is_http() {
            self.path.as_str()
        } else {
            ""
        };
        write!(f, "{}://{}{path}", self.scheme.name(), self.authority())
    }
}

/// `HOST1:PORT1:HOST2:PORT2`, where hosts may be in brackets.
fn four_parts(text: &str) -> Option<(&str, &str, &str)> {
    let (host, rest) = match text.strip_prefix('[') {
        Some(inner) => inner.split_once("]:")?,
        None => text.split_once(':')?,
    };
    let (port, to) = rest.split_once(':')?;
    to.contains(':').then_some((host, port, to))
}

fn host_port(authority: &str, default_port: Option<u16>) -> Option<(&str, u16)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(inner) => {
            let (host, rest) = inner.split_once(']')?;
            (
                host,
                if rest.is_empty() {
                    None
                } else {
                    Some(rest.strip_prefix(':')?)
                },
            )
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let port = match port {
        Some(port) => port.parse().ok()?,
        None => default_port?,
    };
    (!host.is_empty()).then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> Target {
        text.parse().unwrap()
    }

    #[test]
    fn targets_are_read_and_written() {
        for (text, written) in [
            ("127.0.0.1:80", "tls://127.0.0.1:80"),
            ("https://a.example/x?y=1", "https://a.example:443/x?y=1"),
            ("http://[::1]:8080", "http://[::1]:8080/"),
            ("tcp://localhost:9", "tcp://localhost:9"),
        ] {
            assert_eq!(target(text).to_string(), written);
        }
        for text in [
            "",
            "host",
            "host:",
            "host:99999",
            "ftp://a:1",
            "[::1",
            "::1:80",
            ":80",
        ] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_host_field_leaves_out_the_usual_port() {
        for (text, host) in [
            ("https://a.example/", "a.example"),
            ("https://a.example:80/", "a.example:80"),
            ("http://[::1]:80", "[::1]"),
        ] {
            assert_eq!(target(text).host_field(), host);
        }
    }

    #[test]
    fn connect_to_redirects_as_curl_does() {
        let target = target("https://a.example:443/");
        let address = |text: &str| target.resolve(Some(text)).unwrap().to_string();
        assert_eq!(address("127.0.0.1:9"), "127.0.0.1:9");
        assert_eq!(address("[::1]:9"), "[::1]:9");
        assert_eq!(address("::127.0.0.1:9"), "127.0.0.1:9");
        assert_eq!(address("a.example:443:127.0.0.1:"), "127.0.0.1:443");
        assert_eq!(address("a.example::[::1]:9"), "[::1]:9");
        assert_eq!(
            target.redirect("b.example:443:127.0.0.1:9"),
            Some(("a.example", 443))
        );
        assert!(target.resolve(Some("nonsense")).is_err());
    }
}
