//! Mistakes of form: keys, types, numbers, durations, syntax.

use super::folder::{Folder, changed};
use super::mistake::{expect, one, terminated};

#[test]
fn unknown_keys_name_the_nearest_or_their_home() {
    let folder = Folder::new();
    one(
        &folder,
        "level = \"info\"",
        "levle = \"info\"",
        "log.levle: unknown key; did you mean \"level\"?",
    );
    one(
        &folder,
        "level = \"info\"",
        "colour = 1",
        "log.colour: unknown key; known here: format, level",
    );
    one(
        &folder,
        "id = \"acme\"",
        "id = \"acme\"\nreaders = \"mtls\"",
        "tenant[0].readers: does not belong in [[tenant]]; move it to [[route]]",
    );
    expect(
        &folder,
        &[("[admin]", "worker = 2 #!\n[admin]")],
        "[tenants] #!\n",
        &[
            "worker: unknown key; did you mean \"workers\"?",
            "tenants: unknown key; did you mean \"tenant\"?",
        ],
    );
    expect(
        &folder,
        &terminated(&[(
            "upstream = \"http://127.0.0.1:9080\"",
            "upstream = \"https://127.0.0.1:9080\"",
        )]),
        "[route.upstream_tls]\nca = \"backend-ca.pem\"\nsni = \"x\" #!\n",
        &["route[0].upstream_tls.sni: unknown key; known here: ca, server_name, certificate, key"],
    );
}

#[test]
fn wrong_types() {
    let folder = Folder::new();
    for (old, new, error) in [
        (
            "max_connections = 10",
            "max_connections = \"10\"",
            "limits.max_connections: is a text; give a whole number",
        ),
        (
            "max_connections = 10",
            "max_connections = 1.5",
            "limits.max_connections: is a fraction; give",
        ),
        (
            "max_connections = 10",
            "max_connections = 99999999999999999999",
            "limits.max_connections: is a number that is too large; give",
        ),
        (
            "handshake = \"10s\"",
            "handshake = 10",
            "timeouts.handshake: is a whole number; give a duration in quotes",
        ),
        (
            "level = \"info\"",
            "level = \"info\"\n[io_uring]\nreceive = true",
            "io_uring.receive: is true or false; give",
        ),
        (
            "format = \"text\"",
            "format = true",
            "log.format: is true or false; give",
        ),
        ("id = \"acme\"", "id = []", "tenant[0].id: is a list; give"),
        (
            "id = \"acme\"",
            "id = \"acme\"\ndefault = \"yes\"",
            "tenant[0].default: is a text; give true or false",
        ),
        (
            "names = [\"acme.example\"]",
            "names = 2024-01-01",
            "tenant[0].names: is a date; give",
        ),
        (
            "names = [\"acme.example\"]",
            "names = [{}]",
            "tenant[0].names[0]: is a table; give",
        ),
    ] {
        one(&folder, old, new, error);
    }
    expect(
        &folder,
        &[
            ("[log]", "[[log]] #!"),
            ("format = \"text\"", ""),
            ("level = \"info\"", ""),
        ],
        "",
        &["log: is a list; give [log]"],
    );
    let listener = "[listener] #!\nname = \"public\"\nlisten = \"127.0.0.1:8443\"\n";
    let found = folder.bad(listener);
    assert!(
        found.contains(&"gateway.toml:1: listener: is a table; give [[listener]]".to_owned()),
        "{found:?}"
    );
}

#[test]
fn missing_and_empty_keys() {
    let folder = Folder::new();
    for (header, line, error) in [
        (
            "[admin]",
            "listen = \"127.0.0.1:9900\"",
            "admin.listen: missing; write, for example, \"127.0.0.1:9900\"",
        ),
        (
            "[[listener]]",
            "name = \"public\"",
            "listener[0].name: missing; write",
        ),
        (
            "[[listener]]",
            "listen = \"127.0.0.1:8443\"",
            "listener[0].listen: missing; write",
        ),
        (
            "[[tenant]]",
            "id = \"acme\"",
            "tenant[0].id: missing; write",
        ),
        (
            "[[tenant]]",
            "names = [\"acme.example\"]",
            "tenant[0]: the tenant has no name and is not the default",
        ),
        (
            "[[route]]",
            "name = \"objects\"",
            "route[0].name: missing; write",
        ),
        (
            "[[route]]",
            "tenant = \"acme\"",
            "route[0].tenant: missing; write",
        ),
        (
            "[[route]]",
            "protocol = \"http\"",
            "route[0].protocol: missing; write",
        ),
        (
            "[[route]]",
            "class = \"sealed\"",
            "route[0].class: missing; write",
        ),
        (
            "[[route]]",
            "upstream = \"http://127.0.0.1:9080\"",
            "route[0].upstream: missing; write",
        ),
        (
            "[[route]]",
            "readers = \"mtls\"",
            "route[0].readers: missing on a sealed route",
        ),
    ] {
        let marked = format!("{header} #!");
        expect(&folder, &[(header, &marked), (line, "")], "", &[error]);
    }
    one(
        &folder,
        "id = \"acme\"",
        "id = \"\"",
        "tenant[0].id: empty; write, for example, \"acme\"",
    );
    one(
        &folder,
        "names = [\"acme.example\"]",
        "names = []",
        "tenant[0].names: empty; write",
    );
    one(
        &folder,
        "names = [\"acme.example\"]",
        "names = [\"acme.example\", \"\"]",
        "tenant[0].names[1]: empty; write",
    );
    let found = folder.bad("workers = 1\n");
    let sections = ["[[listener]]", "[[tenant]]", "[[route]]"];
    assert_eq!(
        found,
        sections.map(|section| format!("gateway.toml: there is no {section}; add at least one"))
    );
}

#[test]
fn values_out_of_range() {
    let folder = Folder::new();
    for (old, new, error) in [
        (
            "max_connections = 10",
            "max_connections = 0",
            "limits.max_connections: 0 is out of range; give a number from 1 to 500000",
        ),
        (
            "max_connections = 10",
            "max_connections = -1",
            "limits.max_connections: -1 is out of range",
        ),
        (
            "max_connections = 10",
            "max_head_bytes = 8191",
            "limits.max_head_bytes: 8191 is out of range; give a number from 8192 to 1048576",
        ),
        (
            "max_connections = 10",
            "max_head_fields = 1025",
            "limits.max_head_fields: 1025 is out of range; give a number from 16 to 1024",
        ),
        (
            "max_connections = 10",
            "max_idle_upstream = 10001",
            "limits.max_idle_upstream: 10001 is out of range; give a number from 0 to 10000",
        ),
        (
            "max_connections = 10",
            "max_upstream_requests = 0",
            "limits.max_upstream_requests: 0 is out of range; give a number from 1 to 1000000",
        ),
        (
            "max_connections = 10",
            "handshakes_per_turn = 0",
            "limits.handshakes_per_turn: 0 is out of range; give a number from 1 to 1024",
        ),
        (
            "handshake = \"10s\"",
            "handshake = \"10\"",
            "timeouts.handshake: \"10\" is no duration; give a whole number and a unit",
        ),
        (
            "handshake = \"10s\"",
            "handshake = \"99ms\"",
            "timeouts.handshake: \"99ms\" is out of range; give a duration from 100ms to 1m",
        ),
        (
            "handshake = \"10s\"",
            "connect = \"61s\"",
            "timeouts.connect: \"61s\" is out of range; give a duration from 10ms to 1m",
        ),
        (
            "handshake = \"10s\"",
            "idle = \"25h\"",
            "timeouts.idle: \"25h\" is out of range; give a duration from 1s to 24h",
        ),
        (
            "handshake = \"10s\"",
            "head = \"2m\"",
            "timeouts.head: \"2m\" is out of range; give a duration from 100ms to 1m",
        ),
        (
            "handshake = \"10s\"",
            "keep_alive = \"1ms\"",
            "timeouts.keep_alive: \"1ms\" is out of range; give a duration from 1s to 1h",
        ),
        (
            "handshake = \"10s\"",
            "response = \"61m\"",
            "timeouts.response: \"61m\" is out of range; give a duration from 100ms to 1h",
        ),
        (
            "handshake = \"10s\"",
            "drain = \"2h\"",
            "timeouts.drain: \"2h\" is out of range; give a duration from 0ms to 1h",
        ),
        (
            "handshake = \"10s\"",
            "[keys]\nsoft_lifetime = \"99ms\"",
            "keys.soft_lifetime: \"99ms\" is out of range; give a duration from 100ms to 24h",
        ),
        (
            "handshake = \"10s\"",
            "[keys]\nhard_lifetime = \"25h\"",
            "keys.hard_lifetime: \"25h\" is out of range; give a duration from 1s to 24h",
        ),
        (
            "handshake = \"10s\"",
            "[keys]\nunused_lifetime = \"1\"",
            "keys.unused_lifetime: \"1\" is no duration; give a whole number and a unit",
        ),
        (
            "handshake = \"10s\"",
            "[keys]\nrotate_epoch_after = \"23h\"",
            "keys.rotate_epoch_after: \"23h\" is out of range; give a duration from 24h to 87600h",
        ),
        (
            "handshake = \"10s\"",
            "[keys]\nlifetime = \"1h\"",
            "keys.lifetime: unknown key; known here: soft_lifetime, hard_lifetime, unused_lifetime, rotate_epoch_after",
        ),
        (
            "handshake = \"10s\"",
            "[keys]\nhard_lifetime = \"5m\"",
            "keys.hard_lifetime: keys are loaded anew at the age of 5m and dropped at the age of 5m; give a soft_lifetime below the hard_lifetime",
        ),
        (
            "handshake = \"10s\"",
            "[keys]\nhard_lifetime = \"1h\"\nsoft_lifetime = \"2h\"",
            "keys.soft_lifetime: keys are loaded anew at the age of 2h and dropped at the age of 1h; give a soft_lifetime below the hard_lifetime",
        ),
        (
            "level = \"info\"",
            "level = \"info\"\n[io_uring]\nreceive = \"multi-shot\"",
            "io_uring.receive: \"multi-shot\" is none of its values; give \"multishot\" or \"one-shot\" (did you \
             mean \"multishot\"?)",
        ),
        (
            "format = \"text\"",
            "format = \"jsno\"",
            "log.format: \"jsno\" is none of its values; give \"text\" or \"json\" (did you mean \"json\"?)",
        ),
        (
            "level = \"info\"",
            "level = \"inof\"",
            "log.level: \"inof\" is no log level; give off",
        ),
        (
            "readers = \"mtls\"",
            "readers = \"mtls\"\nheader_bytes = 1000",
            "route[0].header_bytes: 1000 is none of its values; give 512, 1024 or 4096",
        ),
        (
            "readers = \"mtls\"",
            "readers = \"mtls\"\nframe_bytes = 1000",
            "route[0].frame_bytes: 1000 is none of its values; give 65536 or 16384",
        ),
        (
            "readers = \"mtls\"",
            "readers = \"all\"",
            "route[0].readers: \"all\" is none of its values; give \"mtls\" or \"anyone\"",
        ),
        (
            "client_auth = \"required\"",
            "client_auth = \"yes\"",
            "tenant[0].client_auth: \"yes\" is none of its values; give \"none\" or",
        ),
        (
            "protocol = \"http\"",
            "protocol = \"udp\"",
            "route[0].protocol: \"udp\" is none of its values; give \"http\" or \"tcp\"",
        ),
        (
            "class = \"sealed\"",
            "class = \"seald\"",
            "route[0].class: \"seald\" is none of its values; give \"terminated\" or \"sealed\" (did you mean \"sealed\"?)",
        ),
        (
            "name = \"public\"",
            "name = \"a b\"",
            "listener[0].name: \"a b\" is no usable name; give 1 to 64",
        ),
        (
            "name = \"objects\"",
            "name = \".x\"",
            "route[0].name: \".x\" is no usable name; give",
        ),
    ] {
        one(&folder, old, new, error);
    }
    expect(
        &folder,
        &[("[admin]", "workers = 0 #!\n[admin]")],
        "",
        &["workers: 0 is out of range; give a number from 1 to 1024"],
    );
    // The tenant's id is also its keyring's, so that this is one more error.
    let found = folder.bad(changed(
        &[
            ("id = \"acme\"", "id = \"a/b\""),
            ("tenant = \"acme\"", "tenant = \"a/b\""),
        ],
        "",
    ));
    assert!(
        found[0].contains("tenant[0].id: \"a/b\" is no usable name; give"),
        "{found:?}"
    );
}

#[test]
fn five_different_errors_are_five_lines() {
    let folder = Folder::new();
    expect(
        &folder,
        &[
            ("level = \"info\"", "levle = \"info\" #!"),
            ("max_connections = 10", "max_connections = \"ten\" #!"),
            ("listen = \"127.0.0.1:8443\"", "listen = \"127.0.0.1:0\" #!"),
            ("key = \"acme.key\"", "key = \"bravo.key\" #!"),
            ("tenant = \"acme\"", "tenant = \"acne\" #!"),
        ],
        "",
        &[
            "log.levle: unknown key; did you mean \"level\"?",
            "limits.max_connections: is a text; give a whole number",
            "listener[0].listen: port 0 is no fixed port; give",
            "tenant[0].key: the key in bravo.key does not belong to the certificate acme.pem; give",
            "route[0].tenant: there is no tenant \"acne\"; did you mean \"acme\"?",
        ],
    );
}

#[test]
fn syntax_errors_have_line_and_column() {
    let folder = Folder::new();
    let found = folder.bad("workers = 1\n[log]\nlevel = \"info\nformat = = 2\n[log\n");
    assert!(
        found[0].starts_with("gateway.toml:3:14: not valid TOML: "),
        "{found:?}"
    );
    assert!(
        found
            .iter()
            .any(|error| error.starts_with("gateway.toml:4:10: ")),
        "{found:?}"
    );
    assert!(found[2].starts_with("gateway.toml:5:2: "), "{found:?}");
    assert_eq!(found.len(), 3, "{found:?}");
    let found = folder.bad("workers = 1\nworkers = 2\n");
    assert_eq!(
        found,
        ["gateway.toml:2:1: not valid TOML: duplicate key; correct the syntax here"]
    );
}

#[test]
fn files_that_are_no_text() {
    let folder = Folder::new();
    assert_eq!(
        folder.bad(b"workers = 1\n# \xff\n"),
        ["gateway.toml:2: not UTF-8; save the file as UTF-8 text"]
    );
    let missing = sealgate::control::config::load(&folder.path("none.toml"));
    let missing = missing
        .err()
        .map(|errors| folder.strip(&errors.to_string()));
    let wanted = "none.toml: the configuration cannot be read: there is no such file; give a TOML file that this user may read";
    assert_eq!(missing, Some(vec![wanted.to_owned()]));
}
