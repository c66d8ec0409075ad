//! A sealed route fails closed: the wrong client, the wrong place, changed bytes and cut streams never end in a complete response.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::io::{self, Write};
use std::net::TcpStream;

use support::http::{Browser, HttpUpstream, Message, response};
use support::objects::{NOT_FOUND, Objects, header};
use support::pki::{Validity, http_route};
use support::tcp::reset;
use support::tls::Tls;
use support::{End, Gateway, Identity, Site, contains, noise};

/// Two tenants, each with its keyring and its readers, before one store.
struct Scene {
    site: Site,
    objects: Objects,
    gateway: Gateway,
    one: Identity,
    two: Identity,
}

impl Scene {
    fn new() -> Self {
        let objects = Objects::start();
        let (site, gateway, one, two) = start(objects.address());
        Self {
            site,
            objects,
            gateway,
            one,
            two,
        }
    }

    fn browser(&self, identity: Option<&Identity>, name: &str) -> Browser<Tls> {
        let client = match identity {
            Some(identity) => self.site.client().identity(identity),
            None => self.site.client(),
        };
        Browser::new(client.connect(self.site.listen, name).unwrap())
    }

    fn one(&self) -> Browser<Tls> {
        self.browser(Some(&self.one), "one.test")
    }

    fn put(&self, path: &str, body: &[u8]) {
        assert_eq!(
            self.one()
                .request("PUT", path, ONE, body)
                .complete()
                .status(),
            201
        );
    }

    fn get(&self, path: &str) -> Message {
        self.one().request("GET", path, ONE, b"")
    }

    /// A GET is a 502 of this kind, with a log line; HEAD does not pretend either, where it can know.
    fn refused(&self, path: &str, kind: &str) {
        let json = self.get(path).problem(502);
        assert_eq!(json["type"], format!("urn:sealgate:error:{kind}"), "{path}");
        let id = json["request_id"].as_str().unwrap();
        let entry = self
            .gateway
            .entry("the refusal", |entry| entry.has("request_id", id));
        assert_eq!(entry.text("outcome"), kind, "{entry:?}");
        assert_eq!(entry.text("tenant"), "one", "{entry:?}");
    }
}

fn start(upstream: std::net::SocketAddr) -> (Site, Gateway, Identity, Identity) {
    let site = Site::new();
    let issue = |name: &str| {
        let ca = site.other_ca(&format!("{name}-readers"));
        site.keyring(name);
        site.issue(
            &ca,
            &format!("{name}-reader"),
            &["reader.test"],
            Validity::Now,
        )
    };
    let (one, two) = (issue("one"), issue("two"));
    let tenant = |id: &str| {
        site.tenant(
            id,
            &[&format!("{id}.test")],
            &format!("client_auth = \"optional\"\nclient_ca = \"{id}-readers.pem\"\nkeyring = \"{id}.keyring\""),
        ) + &http_route(id, "sealed", &[upstream], "readers = \"mtls\"")
    };
    let gateway = site.run(&(tenant("one") + &tenant("two")));
    (site, gateway, one, two)
}

const ONE: &str = "Host: one.test\r\n";
const TWO: &str = "Host: two.test\r\n";

#[test]
fn without_a_certificate_nothing_is_read_or_written() {
    let scene = Scene::new();
    scene.put("/a", b"body");
    let before = scene.objects.http().seen().len();
    for (method, body) in [
        ("GET", &b""[..]),
        ("PUT", b"other"),
        ("DELETE", b""),
        ("POST", b"x"),
    ] {
        let json = scene
            .browser(None, "one.test")
            .request(method, "/a", ONE, body)
            .problem(403);
        assert_eq!(json["type"], "urn:sealgate:error:not_authenticated");
    }
    assert_eq!(
        scene
            .browser(None, "one.test")
            .request("HEAD", "/a", ONE, b"")
            .status(),
        403
    );
    assert_eq!(
        scene.objects.http().seen().len(),
        before,
        "the service was asked"
    );
}

#[test]
fn another_tenants_client_is_refused() {
    let scene = Scene::new();
    scene.put("/a", b"body of one");
    // At the other tenant's own door: the object is not sealed for it.
    let json = scene
        .browser(Some(&scene.two), "two.test")
        .request("GET", "/a", TWO, b"")
        .problem(502);
    assert_eq!(json["type"], "urn:sealgate:error:not_an_envelope");
    // At tenant one's door its certificate is of the wrong CA.
    let refused = scene
        .site
        .client()
        .identity(&scene.two)
        .connect(scene.site.listen, "one.test")
        .and_then(|mut tls| {
            tls.write_all(b"GET /a HTTP/1.1\r\nHost: one.test\r\n\r\n")?;
            io::Read::read(&mut tls, &mut [0; 10])
        });
    assert!(refused.is_err(), "{refused:?}");
    // Through its own door with the other's Host.
    scene
        .browser(Some(&scene.two), "two.test")
        .request("GET", "/a", ONE, b"")
        .problem(421);
    assert_eq!(scene.get("/a").complete().body, b"body of one");
}

#[test]
fn an_object_copied_to_another_path_is_refused() {
    let scene = Scene::new();
    scene.put("/a", &noise(100_000, 1));
    scene.objects.copy("/a", "/b");
    scene.refused("/b", "not_an_envelope");
    scene.get("/a").complete();
}

#[test]
fn a_flipped_bit_in_header_or_first_frame_is_a_502() {
    let scene = Scene::new();
    let body = noise(300_000, 2);
    scene.put("/a", &body);
    let stored = scene.objects.stored("/a").unwrap();
    let header_len = header(&stored).as_bytes().len();
    // Version, suite, id, context, recipients, pad, commitment, tag; frame number, IV, ciphertext, tag.
    let context_at = 37;
    let in_frame = [0, 5, 16, 40_000, 4 + 12 + 65_536, 4 + 12 + 65_536 + 15];
    let in_header = [
        0,
        1,
        3,
        34,
        context_at,
        60,
        120,
        200,
        header_len - 500,
        header_len - 60,
        header_len - 20,
        header_len - 1,
    ];
    for offset in in_header
        .into_iter()
        .chain(in_frame.map(|offset| header_len + offset))
    {
        scene.objects.flip("/a", offset);
        let answer = scene.get("/a");
        assert!(
            !contains(&answer.raw, &body[..32]),
            "plaintext at offset {offset}"
        );
        let json = answer.problem(502);
        let kind = json["type"].as_str().unwrap();
        assert!(
            kind.ends_with(":not_an_envelope") || kind.ends_with(":not_verified"),
            "{offset}: {kind}"
        );
        scene.objects.flip("/a", offset);
    }
    assert!(scene.get("/a").complete().body == body);
}

#[test]
fn a_flipped_bit_in_a_late_frame_never_ends_as_a_complete_response() {
    let scene = Scene::new();
    let body = noise(1_000_000, 3);
    scene.put("/a", &body);
    let stored = scene.objects.stored("/a").unwrap();
    let last = stored.len() - 1;
    for offset in [
        1024 + 65_536 + 32 + 20,
        1024 + 5 * (65_536 + 32) + 3,
        last - 20_000,
        last - 16,
        last,
    ] {
        scene.objects.flip("/a", offset);
        let answer = scene.get("/a");
        let end = answer
            .cut
            .clone()
            .unwrap_or_else(|| panic!("offset {offset}: complete"));
        assert_ne!(
            end,
            End::Clean,
            "offset {offset}: close_notify after half a body"
        );
        assert!(answer.body.len() < body.len(), "offset {offset}");
        assert!(
            body.starts_with(&answer.body),
            "offset {offset}: unverified bytes came out"
        );
        scene.objects.flip("/a", offset);
    }
    scene
        .gateway
        .entries_like(5, "refusals", |entry| entry.has("outcome", "not_verified"));
    // curl sees it too.
    scene.objects.flip("/a", last);
    let (cert, key) = (
        scene.site.arg("one-reader.pem"),
        scene.site.arg("one-reader.key"),
    );
    let curl = scene
        .site
        .curl("one.test", "/a", &["--cert", &cert, "--key", &key]);
    assert_ne!(curl.code, 0, "curl takes it for complete");
}

#[test]
fn truncated_swapped_and_extended_objects_never_end_as_a_complete_response() {
    let scene = Scene::new();
    let body = noise(400_000, 4);
    scene.put("/a", &body);
    let whole = scene.objects.stored("/a").unwrap();
    let frame = 65_536 + 32;
    let mut cuts = vec![0, 1, 500, 1023, 1024, 1025, 1024 + 39, whole.len() - 1];
    // Around a frame's end, where the length alone still makes sense; after 40 bytes more, it names exactly what the regular
    // frames before it hold.
    for frames in [1, 3, 6] {
        let end = 1024 + frames * frame;
        cuts.extend([
            end - 1,
            end,
            end + 1,
            end + 31,
            end + 32,
            end + 39,
            end + 40,
            end + 41,
            end + 100,
        ]);
    }
    for len in cuts {
        scene.objects.damage("/a", |bytes| bytes.truncate(len));
        let answer = scene.get("/a");
        assert!(
            answer.status() == 502 || answer.cut.is_some(),
            "cut to {len}: {answer:?}"
        );
        assert!(answer.status() == 502 || body.starts_with(&answer.body));
        scene.objects.damage("/a", |bytes| bytes.clone_from(&whole));
    }
    let changes: [fn(&mut Vec<u8>); 3] = [
        |bytes| bytes.push(0),
        // Two frames change places.
        |bytes| {
            let frame = 65_536 + 32;
            let second = bytes[1024 + frame..1024 + 2 * frame].to_vec();
            let first = bytes[1024..1024 + frame].to_vec();
            bytes[1024..1024 + frame].copy_from_slice(&second);
            bytes[1024 + frame..1024 + 2 * frame].copy_from_slice(&first);
        },
        // A frame in the middle is left out.
        |bytes| {
            let frame = 65_536 + 32;
            bytes.drain(1024 + frame..1024 + 2 * frame);
        },
    ];
    for (number, change) in changes.into_iter().enumerate() {
        scene.objects.damage("/a", change);
        let answer = scene.get("/a");
        assert!(
            answer.status() == 502 || answer.cut.is_some(),
            "change {number}: {answer:?}"
        );
        scene.objects.damage("/a", |bytes| bytes.clone_from(&whole));
    }
    assert!(scene.get("/a").complete().body == body);
}

#[test]
fn what_is_not_an_envelope_is_a_502_and_never_passed_on() {
    let scene = Scene::new();
    let claims = [
        (
            "plain text",
            b"plaintext that somebody stored by another way".to_vec(),
        ),
        ("nothing", Vec::new()),
        ("the first bytes of one", vec![2, 0x04, 0x78]),
        (
            "a suite without commitment",
            [&[2, 0x00, 0x78][..], &noise(2000, 1)].concat(),
        ),
        (
            "version 1",
            [&[1, 0x80, 0x03, 0x78][..], &noise(2000, 1)].concat(),
        ),
        (
            "noise after its mark",
            [&[2, 0x04, 0x78][..], &noise(5000, 2)].concat(),
        ),
        (
            "a huge context",
            [&[2, 0x04, 0x78][..], &[7; 32], &[0xff; 100]].concat(),
        ),
        ("much plaintext", b"plaintext ".repeat(100_000)),
    ];
    for (what, bytes) in claims {
        scene.objects.store(
            "/claim",
            &bytes,
            "Content-Type: application/octet-stream\r\n",
        );
        let answer = scene.get("/claim");
        assert!(!contains(&answer.raw, b"plaintext"), "{what}");
        let json = answer.problem(502);
        assert_eq!(json["type"], "urn:sealgate:error:not_an_envelope", "{what}");
    }
}

#[test]
fn a_body_that_claims_to_be_an_envelope_is_sealed_like_any_other() {
    let scene = Scene::new();
    scene.put("/a", b"inner");
    let envelope = scene.objects.stored("/a").unwrap();
    scene.put("/b", &envelope);
    assert!(scene.objects.stored("/b").unwrap().len() > envelope.len() + 1000);
    assert!(scene.get("/b").complete().body == envelope);
}

#[test]
fn error_bodies_of_the_upstream_are_replaced() {
    let scene = Scene::new();
    let json = scene.get("/missing").problem(404);
    assert_eq!(json["type"], "urn:sealgate:error:upstream_status");
    let head = scene.one().request("HEAD", "/missing", ONE, b"").complete();
    assert_eq!(head.status(), 404);
    let answer = scene.one().request("DELETE", "/missing", ONE, b"");
    assert!(!contains(&answer.raw, NOT_FOUND));
    answer.problem(404);
}

#[test]
fn the_upstreams_own_words_never_reach_the_client() {
    for answer in [
        response(
            "201 Created",
            "Content-Type: text/plain\r\n",
            b"upstream-internal words",
        ),
        response(
            "200 OK",
            "Content-Type: text/html\r\n",
            b"<p>upstream-internal words",
        ),
        response("302 Found", "Location: /b\r\n", b"upstream-internal words"),
        response(
            "206 Partial Content",
            "Content-Range: bytes 0-1/2\r\n",
            b"upstream-internal words",
        ),
        response("500 Internal Server Error", "", b"upstream-internal words"),
        response(
            "503 Service Unavailable",
            "Retry-After: 1\r\n",
            &b"upstream-internal words".repeat(100_000),
        ),
    ] {
        let shown = String::from_utf8_lossy(&answer[..20]).into_owned();
        let upstream = HttpUpstream::start(move |request| match request.method() {
            "HEAD" => b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n".to_vec(),
            _ => answer.clone(),
        });
        let (site, _gateway, one, _two) = start(upstream.address());
        for (method, body) in [("GET", &b""[..]), ("PUT", b"x"), ("POST", b"x")] {
            let client = site
                .client()
                .identity(&one)
                .connect(site.listen, "one.test")
                .unwrap();
            let got = Browser::new(client).request(method, "/a", ONE, body);
            assert!(
                !contains(&got.raw, b"upstream-internal"),
                "{method} {shown}: {got:?}"
            );
            assert!(
                method != "GET" || got.status() != 200,
                "{method} {shown}: {got:?}"
            );
        }
    }
}

#[test]
fn a_partial_write_is_refused() {
    let scene = Scene::new();
    let fields = "Host: one.test\r\nContent-Range: bytes 0-3/10\r\n";
    scene
        .one()
        .request("PUT", "/a", fields, b"part")
        .problem(400);
    assert_eq!(scene.objects.count(), 0);
}

#[test]
fn a_client_that_vanishes_in_its_body_leaves_nothing_complete_behind() {
    let scene = Scene::new();
    let part = noise(300_000, 5);
    let chunk = [format!("{:x}\r\n", part.len()).as_bytes(), &part, b"\r\n"].concat();
    for (path, framing, bytes) in [
        ("/length", "Content-Length: 1000000", &part),
        ("/chunked", "Transfer-Encoding: chunked", &chunk),
    ] {
        for end in ["fin", "rst", "close_notify"] {
            let path = format!("{path}-{end}");
            let client = scene.site.client().identity(&scene.one);
            let mut client = client.connect(scene.site.listen, "one.test").unwrap();
            let head =
                format!("PUT {path} HTTP/1.1\r\n{ONE}Expect: 100-continue\r\n{framing}\r\n\r\n");
            client.write_all(head.as_bytes()).unwrap();
            // The request is under way at the service when its body breaks off.
            assert_eq!(
                support::tls::read_exactly(&mut client, 25),
                b"HTTP/1.1 100 Continue\r\n\r\n"
            );
            client.write_all(bytes).unwrap();
            client.flush().unwrap();
            match end {
                "rst" => reset(client.sock),
                "close_notify" => {
                    support::tls::close_notify(&mut client);
                    drop(client);
                }
                _ => drop(client),
            }
            let seen = scene
                .objects
                .http()
                .wait(&path, |seen| seen.target() == path);
            assert!(seen.cut.is_some(), "{path}: it looks complete");
        }
    }
    assert_eq!(scene.objects.count(), 0, "a cut object was stored");
    scene.gateway.entries_like(6, "cut writes", |entry| {
        entry.has("method", "PUT") && !entry.has("outcome", "ok")
    });
}

#[test]
fn an_upstream_that_breaks_off_never_makes_a_complete_response() {
    let scene = Scene::new();
    let body = noise(500_000, 6);
    scene.put("/a", &body);
    let stored = scene.objects.stored("/a").unwrap();
    for keep in [10, 1024, 1024 + 100, 1024 + 70_000, stored.len() - 1] {
        for ends_with_reset in [true, false] {
            let bytes = stored.clone();
            let upstream = HttpUpstream::start_with(move |_, socket: &mut TcpStream| {
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", bytes.len());
                socket.write_all(head.as_bytes())?;
                socket.write_all(&bytes[..keep])?;
                if ends_with_reset {
                    reset(socket.try_clone()?);
                }
                Err(io::ErrorKind::Other.into())
            });
            // The same tenants and keys before another upstream.
            let listen = support::free_address();
            let config = std::fs::read_to_string(scene.site.path("gateway.toml"))
                .unwrap()
                .replace(&scene.site.listen.to_string(), &listen.to_string())
                .replace(
                    &scene.site.admin.to_string(),
                    &support::free_address().to_string(),
                )
                .replace(
                    &scene.objects.address().to_string(),
                    &upstream.address().to_string(),
                );
            let config = scene.site.write("other.toml", &config);
            let _gateway =
                Gateway::start(&["run", "--config", config.to_str().unwrap()], &[listen]);
            let client = scene
                .site
                .client()
                .identity(&scene.one)
                .connect(listen, "one.test")
                .unwrap();
            let got = Browser::new(client).request("GET", "/a", ONE, b"");
            assert!(
                got.status() == 502 || got.cut.is_some(),
                "{keep} {ends_with_reset}: {got:?}"
            );
            assert!(got.status() == 502 || body.starts_with(&got.body), "{keep}");
        }
    }
}

#[test]
fn the_service_never_sees_plaintext_whatever_the_method() {
    let scene = Scene::new();
    for method in ["PUT", "POST", "PATCH", "DELETE", "OPTIONS", "REPORT"] {
        let _ = scene
            .one()
            .request(method, "/a", ONE, b"very-secret-plaintext");
    }
    for seen in scene.objects.http().seen() {
        assert!(!contains(&seen.raw, b"very-secret-plaintext"), "{seen:?}");
    }
}

#[test]
fn refusing_and_stalling_upstreams_are_told_apart_on_a_sealed_route() {
    // It takes connections and never answers.
    let silent = support::tcp::Upstream::listen();
    let site = Site::new();
    site.keyring("one");
    let tenant = site.tenant("one", &["one.test"], "keyring = \"one.keyring\"");
    let route = http_route("one", "sealed", &[silent.address], "readers = \"anyone\"");
    let _stalled = site.run(&format!("{tenant}{route}[timeouts]\nresponse = \"1s\"\n"));
    for (method, body) in [("GET", &b""[..]), ("PUT", b"x")] {
        let mut browser = Browser::new(site.connect("one.test"));
        let json = browser.request(method, "/a", ONE, body).problem(504);
        assert_eq!(
            json["type"], "urn:sealgate:error:upstream_timeout",
            "{method}"
        );
    }

    let (site, _gateway, one, _two) = start(support::tcp::refusing());
    for method in ["GET", "PUT"] {
        let client = site
            .client()
            .identity(&one)
            .connect(site.listen, "one.test")
            .unwrap();
        let json = Browser::new(client)
            .request(method, "/a", ONE, if method == "PUT" { b"x" } else { b"" })
            .problem(502);
        assert_eq!(json["type"], "urn:sealgate:error:upstream_refused");
    }
}
