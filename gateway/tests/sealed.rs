//! Layer 7, class `sealed`: the service holds an envelope and never the plaintext; who may read gets it back.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::io::Write;

use sealgate_envelope::{PAD_PROVIDER_ID, sizes};
use sealgate_keys::Keyring;
use support::http::{Browser, Message};
use support::objects::{Objects, header, open};
use support::pki::{Validity, http_route};
use support::tls::Tls;
use support::{Gateway, Identity, Site, contains, noise};

const HOST: &str = "Host: a.test\r\n";

struct Scene {
    site: Site,
    objects: Objects,
    gateway: Gateway,
    reader: Identity,
}

impl Scene {
    fn new() -> Self {
        Self::with("")
    }

    fn with(route: &str) -> Self {
        let (site, objects) = (Site::new(), Objects::start());
        let readers = site.other_ca("readers");
        let reader = site.issue(&readers, "reader", &["reader.test"], Validity::Now);
        site.keyring("acme");
        let gateway = site.run(
            &(site.tenant(
                "acme",
                &["a.test"],
                "client_auth = \"optional\"\nclient_ca = \"readers.pem\"\nkeyring = \"acme.keyring\"",
            ) + &http_route(
                "acme",
                "sealed",
                &[objects.address()],
                &format!("readers = \"mtls\"\n{route}"),
            )),
        );
        Self {
            site,
            objects,
            gateway,
            reader,
        }
    }

    fn reader(&self) -> Browser<Tls> {
        let client = self.site.client().identity(&self.reader);
        Browser::new(client.connect(self.site.listen, "a.test").unwrap())
    }

    fn keyring(&self) -> Keyring {
        Keyring::load(self.site.path("acme.keyring")).unwrap()
    }

    fn put(&self, path: &str, body: &[u8]) {
        let answer = self.reader().request("PUT", path, HOST, body).complete();
        assert_eq!(answer.status(), 201, "{answer:?}");
    }

    fn get(&self, path: &str) -> Message {
        self.reader().request("GET", path, HOST, b"")
    }
}

const SIZES: [usize; 8] = [0, 1, 100, 65_535, 65_536, 65_537, 3 * 65_536, 10_000_000];

#[test]
fn bodies_of_every_size_come_back_and_every_length_is_right() {
    let scene = Scene::new();
    let keyring = scene.keyring();
    let mut browser = scene.reader();
    for (seed, size) in SIZES.into_iter().enumerate() {
        let (path, body) = (format!("/objects/{size}"), noise(size, seed as u64));
        let created = browser.request("PUT", &path, HOST, &body).complete();
        assert_eq!(created.status(), 201, "{created:?}");

        let stored = scene.objects.stored(&path).unwrap();
        let sealed_len = sizes::sealed_len(size as u64, 1024, 65_536).unwrap();
        let request = scene
            .objects
            .http()
            .wait(&path, |seen| seen.target() == path);
        assert_eq!(
            request.fields.number("content-length"),
            Some(sealed_len),
            "{size}"
        );
        assert_eq!(stored.len() as u64, sealed_len, "{size}");
        assert!(
            open(&keyring, &path, &stored) == body,
            "{size}: the stored message"
        );

        let got = browser.request("GET", &path, HOST, b"").complete();
        assert_eq!(
            got.fields.number("content-length"),
            Some(size as u64),
            "{size}"
        );
        assert!(got.body == body, "{size}: what came back");
        let head = browser.request("HEAD", &path, HOST, b"").complete();
        assert_eq!(
            (head.status(), head.fields.number("content-length")),
            (200, Some(size as u64))
        );
    }
}

#[test]
fn what_is_stored_is_an_envelope_for_this_tenant_and_path_without_the_plaintext() {
    let scene = Scene::new();
    let secret = b"the quick brown fox jumps over the lazy dog".repeat(3000);
    scene.put("/objects/secret", &secret);
    let stored = scene.objects.stored("/objects/secret").unwrap();
    assert_eq!(&stored[..3], [2, 0x04, 0x78], "version 2, suite 0x0478");
    assert!(!contains(&stored, &secret[..16]));
    let header = header(&stored);
    assert_eq!(header.as_bytes().len(), 1024);
    assert_eq!(header.frame_len_bytes(), 65_536);
    let keyring = scene.keyring();
    let context = header.context();
    assert_eq!(context.value("tenant"), Some(keyring.pseudonym()));
    assert_eq!(context.value("path"), Some("/objects/secret"));
    assert!(
        context
            .value("policy")
            .is_some_and(|policy| !policy.is_empty())
    );
    assert_eq!(context.pairs().count(), 3);
    let providers: Vec<Vec<u8>> = header
        .recipients()
        .map(|recipient| recipient.provider_id.to_vec())
        .collect();
    let namespace = format!("sealgate/{}", keyring.pseudonym()).into_bytes();
    assert_eq!(providers, [namespace, PAD_PROVIDER_ID.as_bytes().to_vec()]);
    assert!(
        !contains(&stored, b"acme"),
        "the tenant's name is in the message"
    );
}

#[test]
fn the_same_body_twice_is_two_messages() {
    let scene = Scene::new();
    scene.put("/a", b"the same");
    let first = scene.objects.stored("/a").unwrap();
    scene.put("/a", b"the same");
    let second = scene.objects.stored("/a").unwrap();
    assert!(first[3..35] != second[3..35], "one message id twice");
    assert!(first[1024..] != second[1024..]);
}

#[test]
fn frames_and_headers_are_as_the_route_says() {
    for (header_len, frame_len) in [(512, 16_384), (4096, 65_536)] {
        let scene = Scene::with(&format!(
            "header_bytes = {header_len}\nframe_bytes = {frame_len}"
        ));
        for size in [0, frame_len - 1, frame_len, frame_len + 1, 5 * frame_len] {
            let body = noise(size, size as u64);
            scene.put("/a", &body);
            let stored = scene.objects.stored("/a").unwrap();
            assert_eq!(header(&stored).as_bytes().len(), header_len);
            assert_eq!(header(&stored).frame_len_bytes() as usize, frame_len);
            let got = scene.get("/a").complete();
            assert_eq!(got.fields.number("content-length"), Some(size as u64));
            assert!(got.body == body);
        }
    }
}

#[test]
fn chunked_uploads_are_sealed_too() {
    let scene = Scene::new();
    let body = noise(200_000, 1);
    let mut browser = scene.reader();
    let mut request =
        format!("PUT /chunked HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
    for part in body.chunks(33_333) {
        request.extend(format!("{:x}\r\n", part.len()).into_bytes());
        request.extend_from_slice(part);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"0\r\n\r\n");
    browser.send(request);
    assert_eq!(browser.response("PUT").complete().status(), 201);
    let stored = scene.objects.stored("/chunked").unwrap();
    assert!(open(&scene.keyring(), "/chunked", &stored) == body);
    let got = scene.get("/chunked").complete();
    assert_eq!(got.fields.number("content-length"), Some(200_000));
    assert!(got.body == body);
}

#[test]
fn a_put_without_a_body_stores_a_sealed_empty_object() {
    let scene = Scene::new();
    let mut browser = scene.reader();
    browser.send(format!("PUT /empty HTTP/1.1\r\n{HOST}\r\n"));
    assert_eq!(browser.response("PUT").complete().status(), 201);
    let stored = scene.objects.stored("/empty").unwrap();
    assert_eq!(stored.len(), 1024 + 40);
    assert_eq!(
        scene
            .get("/empty")
            .complete()
            .fields
            .number("content-length"),
        Some(0)
    );
}

#[test]
fn paths_are_compared_in_canonical_form() {
    let scene = Scene::new();
    scene.put("/a%2db/%c3%a9?version=1", b"one object");
    let seen = &scene.objects.http().seen()[0];
    assert_eq!(seen.target(), "/a-b/%C3%A9?version=1");
    let stored = scene.objects.stored("/a-b/%C3%A9?version=1").unwrap();
    assert_eq!(header(&stored).context().value("path"), Some("/a-b/%C3%A9"));
    scene.objects.store("/a-b/%C3%A9", &stored, "");
    assert_eq!(scene.get("/%61-b/%C3%a9").complete().body, b"one object");
}

#[test]
fn a_range_is_answered_with_the_whole_object() {
    let scene = Scene::new();
    let body = noise(150_000, 1);
    scene.put("/a", &body);
    let fields = "Host: a.test\r\nRange: bytes=10-20\r\nIf-Range: \"x\"\r\n";
    let got = scene.reader().request("GET", "/a", fields, b"").complete();
    assert_eq!(got.status(), 200, "{got:?}");
    assert!(got.body == body);
    assert_eq!(got.fields.one("accept-ranges"), None);
    let seen = scene
        .objects
        .http()
        .wait("the request", |seen| seen.method() == "GET");
    assert_eq!(
        (seen.fields.one("range"), seen.fields.one("if-range")),
        (None, None)
    );
}

#[test]
fn digests_of_the_other_form_are_dropped() {
    const DIGESTS: &str = "Content-MD5: CY9rzUYh03PK3k6DJie09g==\r\nDigest: sha-256=x\r\n\
        Content-Digest: sha-256=:x:\r\nRepr-Digest: sha-256=:x:\r\nx-amz-checksum-crc32: AAAA\r\n\
        x-amz-content-sha256: 00\r\n";
    const NAMES: [&str; 6] = [
        "content-md5",
        "digest",
        "content-digest",
        "repr-digest",
        "x-amz-checksum-crc32",
        "x-amz-content-sha256",
    ];
    let scene = Scene::new();
    let fields = format!("{HOST}{DIGESTS}Content-Type: text/plain\r\n");
    scene
        .reader()
        .request("PUT", "/a", &fields, b"body")
        .complete();
    let seen = &scene.objects.http().seen()[0];
    let stored = scene.objects.stored("/a").unwrap();
    scene.objects.store(
        "/a",
        &stored,
        &format!("{DIGESTS}ETag: \"1\"\r\nContent-Type: text/plain\r\n"),
    );
    let got = scene.get("/a").complete();
    assert_eq!(got.body, b"body");
    for name in NAMES {
        assert_eq!(
            (seen.fields.one(name), got.fields.one(name)),
            (None, None),
            "{name}"
        );
    }
    assert_eq!(seen.fields.one("content-type"), Some("text/plain"));
    assert_eq!(got.fields.one("content-type"), Some("text/plain"));
}

#[test]
fn curl_waits_for_100_continue_on_a_sealed_route_too() {
    let scene = Scene::new();
    let body = noise(3_000_000, 1);
    std::fs::write(scene.site.path("body"), &body).unwrap();
    let (cert, key) = (scene.site.arg("reader.pem"), scene.site.arg("reader.key"));
    let upload = scene.site.curl(
        "a.test",
        "/big",
        &[
            "--cert",
            &cert,
            "--key",
            &key,
            "--upload-file",
            &scene.site.arg("body"),
            "--header",
            "Expect: 100-continue",
            "--expect100-timeout",
            "15",
        ],
    );
    assert_eq!((upload.code, upload.status), (0, 201), "{}", upload.stderr);
    assert!(upload.stderr.contains("HTTP/1.1 100"), "{}", upload.stderr);
    let download = scene
        .site
        .curl("a.test", "/big", &["--cert", &cert, "--key", &key]);
    assert_eq!(
        (download.code, download.status),
        (0, 200),
        "{}",
        download.stderr
    );
    assert!(download.body == body);
    let head = scene.site.curl(
        "a.test",
        "/big",
        &["--cert", &cert, "--key", &key, "--head"],
    );
    assert!(
        String::from_utf8_lossy(&head.body)
            .to_lowercase()
            .contains("content-length: 3000000"),
        "{head:?}"
    );
}

#[test]
fn delete_passes_and_nothing_is_left() {
    let scene = Scene::new();
    scene.put("/a", b"body");
    assert_eq!(
        scene
            .reader()
            .request("DELETE", "/a", HOST, b"")
            .complete()
            .status(),
        204
    );
    assert_eq!(scene.objects.count(), 0);
    scene.get("/a").problem(404);
}

#[test]
fn an_object_of_another_writer_is_opened() {
    // What another node with the same keyring has sealed, with smaller frames.
    let scene = Scene::new();
    let keyring = scene.keyring();
    let body = noise(50_000, 1);
    let context = keyring.context("7", "/foreign").unwrap();
    let settings = sealgate_envelope::SealSettings {
        frame_len_bytes: 4096,
        header_len_bytes: None,
    };
    let (mut sealer, mut message) = keyring.seal_begin(&context, settings).unwrap();
    sealer.write(&body, &mut message).unwrap();
    sealer.finish(&mut message).unwrap();
    scene.objects.store("/foreign", &message, "");
    let got = scene.get("/foreign").complete();
    assert_eq!(got.status(), 200, "{got:?}");
    assert!(got.body == body);
}

#[test]
fn the_access_log_names_the_class_and_nothing_of_the_body() {
    let scene = Scene::new();
    scene.put("/a", b"very-secret-plaintext");
    scene.get("/a").complete();
    let entry = scene
        .gateway
        .entry("the request", |entry| entry.has("method", "GET"));
    for (field, value) in [
        ("class", "sealed"),
        ("tenant", "acme"),
        ("route", "acme-sealed"),
        ("status", "200"),
        ("outcome", "ok"),
    ] {
        assert_eq!(entry.text(field), value, "{field} in {entry:?}");
    }
    let keyring = std::fs::read_to_string(scene.site.path("acme.keyring")).unwrap();
    let lines = scene.gateway.all_lines();
    assert!(!lines.contains("very-secret-plaintext"));
    for secret in keyring.split('"').filter(|text| text.len() > 40) {
        assert!(!lines.contains(secret), "key material in the log");
    }
}

#[test]
fn the_program_without_a_file_seals_for_anyone_or_for_clients_of_a_ca() {
    let (site, objects) = (Site::new(), Objects::start());
    let front = site.server("front", &["a.test"]);
    let readers = site.other_ca("readers");
    let reader = site.issue(&readers, "reader", &["reader.test"], Validity::Now);
    let keyring = site.keyring("acme");
    let url = format!("http://{}", objects.address());
    let ca = site.arg("readers.pem");
    let common = [
        "--upstream",
        &url,
        "--seal",
        keyring.to_str().unwrap(),
        "--tenant",
        "acme",
        "--readers",
    ];
    let gateway = site.run_flags("http", &front, &[&common[..], &["anyone"]].concat());
    gateway.entry("the warning", |entry| {
        entry.has("level", "WARN") && entry.line.contains("anyone")
    });
    let mut browser = Browser::new(site.connect("a.test"));
    assert_eq!(
        browser
            .request("PUT", "/a", HOST, b"body")
            .complete()
            .status(),
        201
    );
    assert_eq!(
        browser.request("GET", "/a", HOST, b"").complete().body,
        b"body"
    );
    drop(gateway);

    let _gateway = site.run_flags(
        "http",
        &front,
        &[&common[..], &["mtls", "--client-ca", &ca]].concat(),
    );
    let client = site
        .client()
        .identity(&reader)
        .connect(site.listen, "a.test")
        .unwrap();
    let got = Browser::new(client)
        .request("GET", "/a", HOST, b"")
        .complete();
    assert_eq!(got.body, b"body");
    // The flag demands certificates, so who has none does not even get a handshake.
    let refused = site
        .client()
        .connect(site.listen, "a.test")
        .and_then(|mut tls| {
            tls.write_all(b"GET /a HTTP/1.1\r\nHost: a.test\r\n\r\n")?;
            std::io::Read::read(&mut tls, &mut [0; 10])
        });
    assert!(refused.is_err(), "{refused:?}");
}
