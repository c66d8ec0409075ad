//! The configurations of the repository are loaded, and say what they say.

use std::time::Duration;

use sealgate::http::{HttpClass, Readers};
use sealgate::relay::TcpClass;
use sealgate::settings::{LogFormat, RouteTarget, Settings};
use sealgate::tenant::{ClientAuth, DefaultTenant, KeysSettings, NamePattern};

use super::folder::{Folder, example};

fn load(name: &str) -> Settings {
    let settings = Folder::new().good(example(name));
    assert!(
        settings.warnings.is_empty(),
        "{name}: {:?}",
        settings.warnings
    );
    settings
}

#[test]
fn the_reference_file() {
    let settings = load("gateway.toml");
    assert_eq!(settings.workers, Some(2));
    assert_eq!(settings.admin, Some(([127, 0, 0, 1], 9900).into()));
    assert_eq!(
        (settings.log.format, settings.log.level.as_str()),
        (LogFormat::Text, "info")
    );
    let listeners: Vec<_> = settings
        .listeners
        .iter()
        .map(|listener| listener.addresses.len())
        .collect();
    assert_eq!(listeners, [2, 1]);
    let acme = &settings.tenants[0];
    assert_eq!(
        acme.names,
        [
            NamePattern::Exact("acme.example".to_owned()),
            NamePattern::Wildcard("acme.example".to_owned())
        ]
    );
    assert_eq!(acme.default, DefaultTenant::No);
    assert!(acme.certificate.is_some() && acme.keyring.is_some());
    assert!(matches!(&acme.client_auth, ClientAuth::Required(roots) if roots.len() == 1));
    assert!(matches!(settings.tenants[1].client_auth, ClientAuth::None));
    assert!(settings.tenants[2].certificate.is_none());
    let names: Vec<_> = settings
        .routes
        .iter()
        .map(|route| (route.name.as_str(), route.tenant))
        .collect();
    assert_eq!(
        names,
        [
            ("acme-objects", 0),
            ("acme-site", 0),
            ("bravo-feed", 1),
            ("carol-through", 2)
        ]
    );
    assert_eq!(settings.routes[2].listeners, [0, 1]);

    let RouteTarget::Http(objects) = &settings.routes[0].target else {
        panic!("not http")
    };
    assert_eq!(objects.path_prefix, "/objects/");
    assert_eq!(objects.upstream.addresses, [([127, 0, 0, 1], 9080).into()]);
    assert_eq!(objects.upstream.display, "http://127.0.0.1:9080");
    assert!(objects.upstream.tls.is_none());
    let HttpClass::Sealed(sealed) = &objects.class else {
        panic!("not sealed")
    };
    assert_eq!(
        (
            sealed.readers,
            sealed.header_len_bytes,
            sealed.frame_len_bytes
        ),
        (Readers::Mtls, 1024, 65536)
    );

    let RouteTarget::Http(site) = &settings.routes[1].target else {
        panic!("not http")
    };
    assert_eq!(site.path_prefix, "/");
    let tls = site.upstream.tls.as_ref().unwrap();
    assert_eq!(tls.server_name.to_str(), "backend.internal");
    assert!(tls.client_certificate.is_some() && tls.roots.len() == 1);

    let RouteTarget::Tcp(feed) = &settings.routes[2].target else {
        panic!("not tcp")
    };
    assert_eq!(
        (feed.class, feed.alpn.as_slice()),
        (TcpClass::Terminated, &[b"foo/1".to_vec()][..])
    );
    assert_eq!(feed.upstream.addresses.len(), 2);
    let RouteTarget::Tcp(through) = &settings.routes[3].target else {
        panic!("not tcp")
    };
    assert_eq!(through.class, TcpClass::Passthrough);
}

#[test]
fn the_reference_file_states_the_defaults() {
    let stated = load("gateway.toml");
    let text = example("gateway.toml");
    let (before, rest) = text.split_once("\n[limits]").unwrap();
    let (_, after) = rest.split_once("\n[[listener]]").unwrap();
    let defaults = Folder::new().good(format!("{before}\n[[listener]]{after}"));
    assert_eq!(stated.limits, defaults.limits);
    assert_eq!(stated.timeouts, defaults.timeouts);
    assert_eq!(stated.timeouts.keep_alive, Duration::from_secs(75));
    let lifetimes = |keys: &KeysSettings| [keys.soft, keys.hard, keys.unused];
    assert_eq!(lifetimes(&stated.keys), lifetimes(&defaults.keys));
    assert_eq!(
        lifetimes(&stated.keys),
        [300, 3600, 1800].map(Duration::from_secs)
    );
    assert_eq!(defaults.keys.rotate_epoch_after, None);
    let small = load("small.toml");
    assert_eq!((small.log, small.io_uring), (stated.log, stated.io_uring));
}

#[test]
fn the_small_file() {
    let settings = load("small.toml");
    assert_eq!(settings.workers, None);
    assert_eq!(settings.admin, None);
    assert_eq!(settings.tenants[0].default, DefaultTenant::Yes);
    assert!(matches!(settings.routes[0].target, RouteTarget::Tcp(_)));
}

#[test]
fn the_sealed_file() {
    let settings = load("sealed.toml");
    let sealed = |route: usize| match &settings.routes[route].target {
        RouteTarget::Http(http) => match &http.class {
            HttpClass::Sealed(sealed) => sealed.clone(),
            HttpClass::Terminated => panic!("not sealed"),
        },
        RouteTarget::Tcp(_) => panic!("not http"),
    };
    assert_eq!(
        [0, 1, 2].map(|route| sealed(route).frame_len_bytes),
        [65536, 65536, 16384]
    );
    let keyrings: Vec<_> = settings
        .tenants
        .iter()
        .filter_map(|tenant| tenant.keyring.as_ref()?.file_name())
        .collect();
    assert_eq!(keyrings, ["acme.keyring", "bravo.keyring"]);
}

#[test]
fn paths_start_at_the_directory_of_the_file() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("sub")).unwrap();
    let text = example("small.toml").replace("\"server.", "\"../server.");
    assert!(sealgate::control::config::load(&folder.write("sub/gateway.toml", text)).is_ok());
}
