//! Commands without a file make the same settings, and the same errors.

use clap::Parser;
use sealgate::cli::{Cli, Command};
use sealgate::control::config::{ConfigErrors, from_flags};
use sealgate::http::{HttpClass, Readers};
use sealgate::settings::{LogFormat, RouteTarget, Settings};
use sealgate::tenant::{ClientAuth, DefaultTenant};

use super::folder::Folder;

fn run(folder: &Folder, line: &str) -> Result<Settings, ConfigErrors> {
    let line = line.replace("@", &format!("{}/", folder.path("").display()));
    match Cli::try_parse_from(line.split_whitespace())
        .unwrap()
        .command
    {
        Command::Tcp(flags) => from_flags::tcp(flags),
        Command::Http(flags) => from_flags::http(flags),
        _ => panic!("another command"),
    }
}

fn good(folder: &Folder, line: &str) -> Settings {
    match run(folder, line) {
        Ok(settings) => settings,
        Err(errors) => panic!("{errors}"),
    }
}

#[test]
fn tcp() {
    let folder = Folder::new();
    let settings = good(
        &folder,
        "sealgate tcp --listen 127.0.0.1:8443 --cert @acme.pem --key @acme.key --upstream 127.0.0.1:9000 \
         --upstream 127.0.0.1:9001 --client-ca @acme-clients.pem --workers 2 --admin 127.0.0.1:9900 \
         --log-format json --log-level debug",
    );
    assert!(settings.warnings.is_empty(), "{:?}", settings.warnings);
    assert_eq!(settings.workers, Some(2));
    assert_eq!(settings.admin, Some(([127, 0, 0, 1], 9900).into()));
    assert_eq!(
        (settings.log.format, settings.log.level.as_str()),
        (LogFormat::Json, "debug")
    );
    assert_eq!(settings.tenants[0].default, DefaultTenant::Yes);
    assert!(matches!(
        settings.tenants[0].client_auth,
        ClientAuth::Required(_)
    ));
    let RouteTarget::Tcp(route) = &settings.routes[0].target else {
        panic!("not tcp")
    };
    assert_eq!(route.upstream.addresses.len(), 2);
    assert!(route.upstream.tls.is_none());
}

#[test]
fn tcp_with_tls_upstream() {
    let folder = Folder::new();
    let settings = good(
        &folder,
        "sealgate tcp --listen [::1]:8443 --cert @acme.pem --key @acme.key --upstream localhost:9000 \
         --upstream-tls --upstream-ca @backend-ca.pem --upstream-cert @acme-to-backend.pem \
         --upstream-key @acme-to-backend.key",
    );
    let RouteTarget::Tcp(route) = &settings.routes[0].target else {
        panic!("not tcp")
    };
    let tls = route.upstream.tls.as_ref().unwrap();
    assert_eq!(tls.server_name.to_str(), "localhost");
    assert!(tls.client_certificate.is_some());
}

#[test]
fn http_plain_and_sealed() {
    let folder = Folder::new();
    let base = "sealgate http --listen 127.0.0.1:8443 --cert @acme.pem --key @acme.key --upstream http://127.0.0.1:9080";
    let settings = good(&folder, base);
    let RouteTarget::Http(route) = &settings.routes[0].target else {
        panic!("not http")
    };
    assert!(matches!(route.class, HttpClass::Terminated));
    assert_eq!(settings.tenants[0].id, "main");

    let sealed = format!("{base} --seal @acme.keyring --tenant acme --readers");
    let settings = good(
        &folder,
        &format!("{sealed} mtls --client-ca @acme-clients.pem"),
    );
    let RouteTarget::Http(route) = &settings.routes[0].target else {
        panic!("not http")
    };
    assert!(matches!(&route.class, HttpClass::Sealed(sealed) if sealed.readers == Readers::Mtls));
    assert_eq!(settings.tenants[0].id, "acme");
    assert!(settings.warnings.is_empty(), "{:?}", settings.warnings);

    let settings = good(&folder, &format!("{sealed} anyone"));
    assert!(
        settings.warnings[0].starts_with("--readers: anyone who reaches"),
        "{:?}",
        settings.warnings
    );
}

#[test]
fn http_with_tls_upstream() {
    let folder = Folder::new();
    let base = "sealgate http --listen 127.0.0.1:8443 --cert @acme.pem --key @acme.key --upstream https://127.0.0.1";
    let settings = good(
        &folder,
        &format!("{base} --upstream-ca @backend-ca.pem --upstream-name b.internal"),
    );
    let RouteTarget::Http(route) = &settings.routes[0].target else {
        panic!("not http")
    };
    assert_eq!(route.upstream.addresses, [([127, 0, 0, 1], 443).into()]);
    assert!(route.upstream.tls.is_some());
    let errors = run(&folder, base).err().unwrap().to_string();
    assert!(
        errors.starts_with("--upstream: https:// needs trusted roots"),
        "{errors}"
    );
}

#[test]
fn all_errors_at_once_under_their_flags() {
    let folder = Folder::new();
    let line = "sealgate http --listen localhost:8443 --cert @none.pem --key @acme.key --upstream 127.0.0.1:9080 \
                --workers 0 --admin 0.0.0.0:9900 --log-level loud --seal @acme.keyring --tenant bravo --readers mtls";
    let errors = run(&folder, line).err().unwrap();
    let mut keys: Vec<&str> = errors.iter().map(|error| error.key()).collect();
    keys.sort_unstable();
    let wanted = [
        "--admin",
        "--cert",
        "--listen",
        "--log-level",
        "--readers",
        "--seal",
        "--upstream",
        "--workers",
    ];
    assert_eq!(keys, wanted, "{errors}");
    assert!(
        errors
            .iter()
            .all(|error| error.file().is_none() && error.line().is_none())
    );
}
