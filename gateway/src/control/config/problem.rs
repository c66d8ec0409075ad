//! The one table of what can be wrong with a configuration, and of what would be right.
//!
//! Every text reads `what is wrong; what would be right`. The key stands in front of it, so the
//! texts do not repeat it.

use std::io;
use std::net::SocketAddr;

use rustls::pki_types::pem;
use sealgate_keys::{KeyringError, KeyringFault};
use thiserror::Error;

/// Known names shown with an unknown one.
pub(super) const MAX_SUGGESTIONS: usize = 16;

/// An error of a configuration.
#[derive(Debug, Error)]
pub(super) enum Problem {
    // The file itself.
    #[error("the configuration cannot be read: {}; give a TOML file that this user may read", reason(.0))]
    Unreadable(io::ErrorKind),
    #[error("the configuration is longer than {limit} bytes; give a TOML file")]
    TooLong { limit: usize },
    #[error("not UTF-8; save the file as UTF-8 text")]
    NotUtf8,
    #[error("not valid TOML: {message}; correct the syntax here")]
    Syntax { message: String },

    // Keys and types.
    #[error("unknown key; {}", did_you_mean(.nearest, .known))]
    UnknownKey {
        nearest: Option<String>,
        known: Vec<String>,
    },
    #[error("does not belong in {here}; move it to {home}")]
    ForeignKey { here: &'static str, home: String },
    #[error("is {given}; give {wanted}")]
    WrongType {
        given: &'static str,
        wanted: &'static str,
    },
    #[error("missing; write, for example, {example}")]
    Missing { example: &'static str },
    #[error("empty; write, for example, {example}")]
    Empty { example: &'static str },
    #[error("there is no {section}; add at least one")]
    NoSection { section: &'static str },
    #[error(
        "nothing is wrong and yet no settings came of it; this is a bug of sealgate, please report it"
    )]
    Incomplete,

    // Values.
    #[error("\"{given}\" is none of its values; give {}", did_you_mean_value(.nearest, .options))]
    NotOneOf {
        given: String,
        nearest: Option<String>,
        options: &'static [&'static str],
    },
    #[error("{given} is out of range; give a number from {low} to {high}")]
    OutOfRange { given: i64, low: i64, high: i64 },
    #[error("{given} is none of its values; give {options}")]
    NotOneOfNumbers { given: i64, options: &'static str },
    #[error(
        "\"{given}\" is no duration; give a whole number and a unit (ms, s, m, h), like \"500ms\" or \"10s\""
    )]
    BadDuration { given: String },
    #[error("\"{given}\" is out of range; give a duration from {low} to {high}")]
    DurationOutOfRange {
        given: String,
        low: String,
        high: String,
    },
    #[error(
        "keys are loaded anew at the age of {soft} and dropped at the age of {hard}; give a soft_lifetime below the hard_lifetime"
    )]
    SoftNotBelowHard { soft: String, hard: String },
    #[error(
        "\"{given}\" is no log level; give off, error, warn, info, debug or trace, \
         or a list of them with targets, like \"info,sealgate=debug\""
    )]
    BadLevel { given: String },
    #[error(
        "\"{given}\" is no usable name; give 1 to 64 of the characters a-z A-Z 0-9 . _ -, a letter or digit first"
    )]
    BadIdentifier { given: String },
    #[error("\"{value}\" names another {what} already{}; give each {what} its own", on_line(.first_line))]
    Duplicate {
        what: &'static str,
        value: String,
        first_line: Option<usize>,
    },

    // Addresses.
    #[error(
        "\"{given}\" is no address; give an IP address and a port, like \"0.0.0.0:8443\" or \"[::]:8443\""
    )]
    BadAddress { given: String },
    #[error("port 0 is no fixed port; give one from 1 to 65535")]
    PortZero,
    #[error("an IPv4 address in IPv6 notation; give \"{0}\"")]
    MappedAddress(SocketAddr),
    #[error(
        "{given} can be reached from outside and the admin listener asks for no password; give a loopback address, like \"127.0.0.1:9900\""
    )]
    NotLoopback { given: SocketAddr },
    #[error("{address} is taken by {owner} already; give each listener its own address")]
    AddressTaken { address: SocketAddr, owner: String },

    // Names of tenants.
    #[error(
        "\"{given}\" is no DNS name; give a name like \"acme.example\" (non-ASCII labels as xn--...), without a dot at the end"
    )]
    BadName { given: String },
    #[error(
        "\"{given}\" is an address, and clients send no addresses as SNI; give a DNS name, or `default = true` for clients without SNI"
    )]
    NameIsAddress { given: String },
    #[error(
        "\"{given}\" has a wildcard inside; give it as the whole first label, like \"*.acme.example\""
    )]
    BadWildcard { given: String },
    #[error("\"{name}\" belongs to tenant \"{tenant}\" already; give each name to one tenant")]
    NameTaken { name: String, tenant: String },
    #[error("tenant \"{first}\" is the default already; keep `default = true` at one tenant")]
    SecondDefault { first: String },
    #[error(
        "the tenant has no name and is not the default, so no client can reach it; give names = [\"acme.example\"] or default = true"
    )]
    NoNames,

    // Certificates and keys.
    #[error("{file} cannot be read: {}; give a PEM file that this user may read", reason(.cause))]
    FileUnreadable { file: String, cause: io::ErrorKind },
    #[error("{file} is longer than {limit} bytes; give a PEM file")]
    FileTooLong { file: String, limit: usize },
    #[error("{file} is empty; give a PEM file with {wanted}")]
    FileEmpty { file: String, wanted: &'static str },
    #[error("{file} is not PEM{}; give a PEM file with {wanted}", pem_cause(.cause))]
    NotPem {
        file: String,
        wanted: &'static str,
        cause: Option<pem::Error>,
    },
    #[error("{file} is PEM without {wanted}; give a file that has one (-----BEGIN {label}-----)")]
    PemWithout {
        file: String,
        wanted: &'static str,
        label: &'static str,
    },
    #[error(
        "the private key in {file} is encrypted and the gateway has no password; decrypt it first (openssl pkey -in {file})"
    )]
    EncryptedKey { file: String },
    #[error("certificate {number} in {file} is unusable ({cause}); give an X.509 v3 certificate")]
    BadCertificate {
        file: String,
        number: usize,
        cause: rustls::Error,
    },
    #[error(
        "the private key in {file} is unusable ({cause}); give an ECDSA (P-256, P-384, P-521), Ed25519 or RSA (2048 to 8192 bit) key"
    )]
    BadKey { file: String, cause: rustls::Error },
    #[error(
        "the key in {key} does not belong to the certificate {certificate}; give the key that {certificate} was issued for"
    )]
    KeyMismatch { key: String, certificate: String },
    #[error("there is a certificate but no key; give `{missing}`, or leave both out")]
    CertificateWithoutKey { missing: &'static str },
    #[error("there is a key but no certificate; give `{missing}`, or leave both out")]
    KeyWithoutCertificate { missing: &'static str },
    #[error(
        "client_auth = \"{mode}\" needs trusted roots; give client_ca, or client_auth = \"none\""
    )]
    AuthWithoutCa { mode: String },
    #[error(
        "clients are not asked for certificates, so these roots would never be used; give client_auth = \"required\" or \"optional\", or leave client_ca out"
    )]
    CaWithoutAuth,
    #[error(
        "all routes of tenant \"{tenant}\" are passthrough, so the gateway never sees a client certificate; authenticate at the backend and leave client_auth out, or end TLS here"
    )]
    AuthWithPassthrough { tenant: String },
    #[error("{}", keyring_words(.0))]
    Keyring(KeyringError),
    #[error(
        "{file} is the keyring of tenant \"{owner}\"; give tenant \"{tenant}\" its own (sealgate keys new --tenant {tenant})"
    )]
    KeyringOfOther {
        file: String,
        owner: String,
        tenant: String,
    },

    // Routes.
    #[error("there is no tenant \"{given}\"; {}", did_you_mean(.nearest, .known))]
    UnknownTenant {
        given: String,
        nearest: Option<String>,
        known: Vec<String>,
    },
    #[error("there is no listener \"{given}\"; {}", did_you_mean(.nearest, .known))]
    UnknownListener {
        given: String,
        nearest: Option<String>,
        known: Vec<String>,
    },
    #[error(
        "tenant \"{tenant}\" has tcp route \"{first}\" on listener \"{listener}\" already; keep one, or give them different listeners"
    )]
    SecondTcpRoute {
        tenant: String,
        listener: String,
        first: String,
    },
    #[error(
        "tenant \"{tenant}\" has {first_protocol} route \"{first}\" on listener \"{listener}\" already, and a listener speaks one protocol for a tenant; give them different listeners"
    )]
    MixedProtocols {
        tenant: String,
        listener: String,
        first: String,
        first_protocol: &'static str,
    },
    #[error(
        "tenant \"{tenant}\" has http route \"{first}\" with path \"{path}\" on listener \"{listener}\" already; give each its own path"
    )]
    PathTaken {
        tenant: String,
        listener: String,
        first: String,
        path: String,
    },
    #[error(
        "\"{given}\" is no path prefix; give one that begins with /, in visible ASCII, without ?, #, // and dot segments, like \"/objects/\""
    )]
    BadPath { given: String },
    #[error("class \"{class}\" is not available yet; give {options}")]
    NotAvailableYet {
        class: &'static str,
        options: &'static str,
    },
    #[error("class \"{class}\" belongs to protocol = \"{home}\"; give {options}")]
    ClassOfOtherProtocol {
        class: &'static str,
        home: &'static str,
        options: &'static str,
    },
    #[error("does not apply to a {class} {protocol} route, it belongs to {home}; leave it out")]
    KeyDoesNotApply {
        class: &'static str,
        protocol: &'static str,
        home: &'static str,
    },
    #[error(
        "a {class} {protocol} route ends TLS and tenant \"{tenant}\" has no certificate; give that tenant certificate and key"
    )]
    TenantWithoutCertificate {
        class: &'static str,
        protocol: &'static str,
        tenant: String,
    },
    #[error(
        "a sealed route needs keys and tenant \"{tenant}\" has no keyring; make one with `sealgate keys new` and give that tenant keyring"
    )]
    TenantWithoutKeyring { tenant: String },
    #[error(
        "readers are known by their certificates and tenant \"{tenant}\" asks for none; give that tenant client_auth = \"required\" and client_ca, or readers = \"anyone\""
    )]
    ReadersWithoutAuth { tenant: String },
    #[error(
        "missing on a sealed route, which opens bodies for its readers; give \"mtls\" (clients whose certificate verified) or \"anyone\""
    )]
    NoReaders,
    #[error("\"{given}\" is no ALPN protocol; give 1 to 255 bytes, like \"foo/1\"")]
    BadAlpn { given: String },
    #[error("{given} protocols are too many; give at most {limit}")]
    TooManyAlpn { given: usize, limit: usize },

    // Upstreams.
    #[error(
        "\"{given}\" is no upstream of an http route; give \"http://HOST:PORT\" or \"https://HOST[:PORT]\", without a path"
    )]
    BadHttpUpstream { given: String },
    #[error("\"{given}\" is no upstream of a tcp route; give \"HOST:PORT\"")]
    BadTcpUpstream { given: String },
    #[error("\"{given}\" has no port; give one, like \"http://{host}:80\"")]
    UpstreamWithoutPort { given: String, host: String },
    #[error("port 0 cannot be connected to; give one from 1 to 65535")]
    UpstreamPortZero,
    #[error(
        "\"{host}\" has no address ({cause}); give a name that resolves on this host, or an IP address"
    )]
    Unresolved { host: String, cause: String },
    #[error(
        "{address} is {owner} of this gateway, so it would connect to itself; give the address of the service behind it"
    )]
    UpstreamIsOurs { address: SocketAddr, owner: String },
    #[error("http:// and https:// in one route; give all upstreams of a route the same scheme")]
    MixedSchemes,
    #[error(
        "https:// needs trusted roots, and no system store is used; give ca under [route.upstream_tls]"
    )]
    HttpsWithoutCa,
    #[error(
        "the upstreams are http://, which uses no TLS; write https://, or leave [route.upstream_tls] out"
    )]
    TlsWithHttp,
    #[error(
        "missing, and the upstreams have different hosts; give the name that all their certificates carry, like \"backend.internal\""
    )]
    NoServerName,
    #[error(
        "\"{given}\" is no server name; give the DNS name or IP address that the upstream's certificate carries"
    )]
    BadServerName { given: String },
}

/// What is legal but worth saying at start.
#[derive(Debug, Error)]
pub(super) enum Warning {
    #[error(
        "anyone who reaches route \"{route}\" can read what is sealed; give readers = \"mtls\" if that is not meant"
    )]
    ReadersAnyone { route: String },
    #[error(
        "tenant \"{tenant}\" has no route, so all its connections are refused; add a [[route]] for it"
    )]
    TenantWithoutRoute { tenant: String },
    #[error(
        "no route uses listener \"{listener}\", so all its connections are refused; add a [[route]] for it"
    )]
    ListenerWithoutRoute { listener: String },
    #[error("the certificate in {file} expired on {when}; renew it")]
    Expired { file: String, when: String },
    #[error(
        "the certificate in {file} is not valid before {when}; check it and the clock of this host"
    )]
    NotYetValid { file: String, when: String },
    #[error(
        "the certificate in {file} does not cover \"{name}\", so clients that ask for it will refuse; get one that does"
    )]
    NameNotCovered { file: String, name: String },
    #[error(
        "{file} holds a private key and other users can read it (mode {mode:o}); run chmod 600 {file}"
    )]
    KeyReadable { file: String, mode: u32 },
    #[error(
        "all routes of tenant \"{tenant}\" are passthrough, so its certificate is never used; leave certificate and key out"
    )]
    CertificateUnused { tenant: String },
    #[error(
        "tenant \"{tenant}\" has no sealed route, so its keyring is never used; give a route class = \"sealed\", or leave keyring out"
    )]
    KeyringUnused { tenant: String },
    #[error("{error}; sealed routes of its tenant answer 503")]
    KeyringWithdrawn { error: KeyringError },
}

/// Why a file could not be read, in words.
pub(super) fn reason(kind: &io::ErrorKind) -> String {
    match kind {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "this user may not read it".to_owned(),
        io::ErrorKind::IsADirectory => "it is a directory".to_owned(),
        other => other.to_string(),
    }
}

fn keyring_words(error: &KeyringError) -> String {
    match error.fault {
        KeyringFault::Io { .. } => {
            format!(
                "{error}; make one with `sealgate keys new`, or give a file that this user may read"
            )
        }
        _ => error.to_string(),
    }
}

/// Never the file's own text: it may be a private key.
fn pem_cause(cause: &Option<pem::Error>) -> &'static str {
    match cause {
        None => "",
        Some(pem::Error::MissingSectionEnd { .. }) => " (an end marker is missing)",
        Some(pem::Error::IllegalSectionStart { .. }) => " (a begin marker is broken)",
        Some(pem::Error::Base64Decode(_)) => " (its base64 is broken)",
        Some(_) => " (a section is broken)",
    }
}

fn on_line(line: &Option<usize>) -> String {
    line.map_or_else(String::new, |line| format!(" (line {line})"))
}

fn did_you_mean(nearest: &Option<String>, known: &[String]) -> String {
    match nearest {
        Some(nearest) => format!("did you mean \"{nearest}\"?"),
        None if known.is_empty() => "none is defined".to_owned(),
        None => {
            let more = if known.len() > MAX_SUGGESTIONS {
                ", ..."
            } else {
                ""
            };
            let shown = &known[..known.len().min(MAX_SUGGESTIONS)];
            format!("known here: {}{more}", shown.join(", "))
        }
    }
}

fn did_you_mean_value(nearest: &Option<String>, options: &[&str]) -> String {
    let list = options
        .iter()
        .map(|option| format!("\"{option}\""))
        .collect::<Vec<_>>()
        .join(" or ");
    match nearest {
        Some(nearest) => format!("{list} (did you mean \"{nearest}\"?)"),
        None => list,
    }
}
