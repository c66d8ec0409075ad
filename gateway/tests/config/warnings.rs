//! What is legal and worth saying: a warning with its line, and the configuration is loaded.

use rcgen::{CertificateParams, date_time_ymd};

use super::folder::{Folder, GOOD, changed};

/// As for errors: the marked lines have to be named, and nothing else.
fn expect(folder: &Folder, changes: &[(&str, &str)], more: &str, warnings: &[&str]) {
    let text = changed(changes, more);
    let marked = text
        .lines()
        .enumerate()
        .filter(|(_, line)| line.ends_with("#!"));
    let lines: Vec<usize> = marked.map(|(index, _)| index + 1).collect();
    assert_eq!(lines.len(), warnings.len());
    let settings = folder.good(&text);
    let found: Vec<String> = settings
        .warnings
        .iter()
        .flat_map(|warning| folder.strip(warning))
        .collect();
    let wanted: Vec<String> = lines
        .iter()
        .zip(warnings)
        .map(|(line, warning)| format!("gateway.toml:{line}: {warning}"))
        .collect();
    let same = found.len() == wanted.len()
        && found
            .iter()
            .zip(&wanted)
            .all(|(found, wanted)| found.starts_with(wanted));
    assert!(same, "found  {found:#?}\nwanted {wanted:#?}");
}

#[test]
fn certificates_out_of_their_time() {
    let folder = Folder::new();
    let names = vec!["acme.example".to_owned()];
    let mut params = CertificateParams::new(names).unwrap();
    params.not_before = date_time_ymd(2001, 1, 1);
    params.not_after = date_time_ymd(2002, 1, 1);
    folder.certificate("old", params.clone());
    params.not_before = date_time_ymd(4001, 1, 1);
    params.not_after = date_time_ymd(4002, 1, 1);
    folder.certificate("new", params);
    for (file, warning) in [
        (
            "old",
            "tenant[0].certificate: the certificate in old.pem expired on Jan  1 00:00:00 2002 +00:00; renew it",
        ),
        (
            "new",
            "tenant[0].certificate: the certificate in new.pem is not valid before Jan  1 00:00:00 4001 +00:00; check",
        ),
    ] {
        let certificate = format!("certificate = \"{file}.pem\" #!");
        let key = format!("key = \"{file}.key\"");
        let changes = [
            ("certificate = \"acme.pem\"", certificate.as_str()),
            ("key = \"acme.key\"", &key),
        ];
        expect(&folder, &changes, "", &[warning]);
    }
}

#[test]
fn certificates_that_do_not_cover_the_names() {
    let folder = Folder::new();
    let names = "names = [\"acme.example\", \"*.acme.example\", \"one.acme.example\", \"two.one.acme.example\"]";
    let warning = "tenant[0].certificate: the certificate in acme.pem does not cover \"two.one.acme.example\", so";
    let marked = "certificate = \"acme.pem\" #!";
    let changes = [
        ("names = [\"acme.example\"]", names),
        ("certificate = \"acme.pem\"", marked),
    ];
    expect(&folder, &changes, "", &[warning]);
}

#[test]
fn keys_that_others_can_read() {
    let folder = Folder::new();
    folder.mode("acme.key", 0o640);
    let warning = "tenant[0].key: acme.key holds a private key and other users can read it (mode 640); run chmod 600";
    expect(
        &folder,
        &[("key = \"acme.key\"", "key = \"acme.key\" #!")],
        "",
        &[warning],
    );
}

#[test]
fn sealed_for_anyone() {
    let folder = Folder::new();
    let warning = "route[0].readers: anyone who reaches route \"objects\" can read what is sealed; give readers = \"mtls\"";
    expect(
        &folder,
        &[("readers = \"mtls\"", "readers = \"anyone\" #!")],
        "",
        &[warning],
    );
}

#[test]
fn what_no_route_uses() {
    let folder = Folder::new();
    let more = "[[tenant]] #!\nid = \"bravo\"\nnames = [\"bravo.example\"]\n\
                [[listener]]\nname = \"two\" #!\nlisten = \"127.0.0.1:8444\"\n";
    let here = [(
        "tenant = \"acme\"",
        "tenant = \"acme\"\nlistener = \"public\"",
    )];
    let warnings = [
        "tenant[1]: tenant \"bravo\" has no route, so all its connections are refused; add",
        "listener[1].name: no route uses listener \"two\", so all its connections are refused; add",
    ];
    expect(&folder, &here, more, &warnings);
    let terminated = [
        (
            "keyring = \"acme.keyring\"",
            "keyring = \"acme.keyring\" #!",
        ),
        ("class = \"sealed\"", "class = \"terminated\""),
        ("readers = \"mtls\"", ""),
    ];
    expect(
        &folder,
        &terminated,
        "",
        &["tenant[0].keyring: tenant \"acme\" has no sealed route, so its keyring"],
    );
    let passthrough = [
        (
            "certificate = \"acme.pem\"",
            "certificate = \"acme.pem\" #!",
        ),
        ("client_auth = \"required\"", ""),
        ("client_ca = \"acme-clients.pem\"", ""),
        ("keyring = \"acme.keyring\"", ""),
        ("protocol = \"http\"", "protocol = \"tcp\""),
        ("class = \"sealed\"", "class = \"passthrough\""),
        ("readers = \"mtls\"", ""),
        (
            "upstream = \"http://127.0.0.1:9080\"",
            "upstream = \"127.0.0.1:9000\"",
        ),
    ];
    let warning = "tenant[0].certificate: all routes of tenant \"acme\" are passthrough, so its certificate is never used";
    expect(&folder, &passthrough, "", &[warning]);
}

#[test]
fn check_prints_a_summary_or_every_error() {
    let folder = Folder::new();
    let check = |text: &str| {
        let path = folder.write("gateway.toml", text);
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let good = sealgate::control::config::check_to(&path, &mut out, &mut err).unwrap();
        let lines = |bytes: &[u8]| folder.strip(&String::from_utf8_lossy(bytes));
        (good, lines(&out), lines(&err))
    };
    let (good, out, err) = check(&GOOD.replace("readers = \"mtls\"", "readers = \"anyone\""));
    assert!(good);
    assert_eq!(
        out,
        [
            "gateway.toml is good: 1 listener, 1 tenant, 1 route, 1 warning",
            "listener public: 127.0.0.1:8443",
            "admin: 127.0.0.1:9900",
            "keys: loaded anew after 5m, dropped after 1h at most: so long after `sealgate keys disable` no message begins any more",
            "tenant acme: acme.example; client certificates required, keyring",
            "route objects: tenant acme on public, http /, class sealed, readers anyone -> http://127.0.0.1:9080",
        ]
    );
    assert!(
        err[0].starts_with("warning: gateway.toml:27: route[0].readers: "),
        "{err:?}"
    );
    let (good, out, err) = check("worker = 1\nworkers = 0\n");
    assert!(!good && out.is_empty(), "{out:?}");
    assert_eq!(err.len(), 5, "{err:?}");
}
