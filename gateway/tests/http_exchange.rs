//! Exchanges in which the two sides do not take turns as they should.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::fs;
use std::io::Write;
use std::time::Duration;

use support::http::{Browser, HttpUpstream, response};
use support::pki::http_route;
use support::tls::Tls;
use support::{DEADLINE, Gateway, Site};

const HOST: &str = "Host: a.test\r\n";

struct Scene {
    site: Site,
    upstream: HttpUpstream,
    gateway: Gateway,
}

impl Scene {
    fn new(class: &str, more: &str, upstream: HttpUpstream) -> Scene {
        Scene::with_workers(2, class, more, upstream)
    }

    fn with_workers(workers: u8, class: &str, more: &str, upstream: HttpUpstream) -> Scene {
        let site = Site::new();
        site.keyring("acme");
        let tenant = site.tenant("acme", &["a.test"], "keyring = \"acme.keyring\"");
        let readers = if class == "sealed" {
            "readers = \"anyone\""
        } else {
            ""
        };
        let route = http_route("acme", class, &[upstream.address()], readers);
        let config = site.configure(&format!("{tenant}{route}{more}"));
        let text = std::fs::read_to_string(&config).unwrap();
        site.write(
            "gateway.toml",
            &text.replace("workers = 2", &format!("workers = {workers}")),
        );
        let gateway = Gateway::start(
            &["run", "--config", config.to_str().unwrap()],
            &[site.listen],
        );
        Scene {
            site,
            upstream,
            gateway,
        }
    }

    fn browser(&self) -> Browser<Tls> {
        Browser::new(self.site.connect("a.test"))
    }
}

fn ok(body: &'static [u8]) -> HttpUpstream {
    HttpUpstream::start(move |_| response("200 OK", "", body))
}

#[test]
fn an_unasked_switch_of_protocols_is_a_502() {
    let switch = || HttpUpstream::start(|_| b"HTTP/1.1 101 Switching Protocols\r\n\r\n".to_vec());
    for class in ["terminated", "sealed"] {
        let scene = Scene::new(class, "", switch());
        scene.browser().request("GET", "/", HOST, b"").problem(502);
    }
}

#[test]
fn a_chunked_body_reaches_the_service_whatever_the_method() {
    let scene = Scene::new("terminated", "", ok(b""));
    for method in ["GET", "DELETE", "POST"] {
        let mut browser = scene.browser();
        let head =
            format!("{method} /{method} HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n");
        browser.send(head + "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
        browser.response(method).complete();
        let path = format!("/{method}");
        let seen = scene
            .upstream
            .wait("the request", |request| request.target() == path);
        assert_eq!(seen.body, b"abcde", "{method}");
    }
}

#[test]
fn a_malformed_chunk_is_the_clients_fault() {
    let scene = Scene::new("terminated", "", ok(b""));
    let mut browser = scene.browser();
    browser.send(format!(
        "POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n-3\r\nabc"
    ));
    browser.response("POST").problem(400);
}

#[test]
fn a_length_does_not_stand_in_a_204() {
    let no_content = || HttpUpstream::start(|_| b"HTTP/1.1 204 No Content\r\n\r\n".to_vec());
    let scene = Scene::new("terminated", "", no_content());
    let answer = scene.browser().request("HEAD", "/", HOST, b"").complete();
    assert_eq!(
        (answer.status(), answer.fields.one("content-length")),
        (204, None)
    );
}

#[test]
fn a_service_without_room_is_a_503_and_the_others_go_on() {
    let (entered, in_service) = std::sync::mpsc::channel();
    let (release, held) = std::sync::mpsc::channel::<()>();
    let held = std::sync::Mutex::new(held);
    let upstream = HttpUpstream::start(move |request| {
        if request.target() == "/held" {
            entered.send(()).unwrap();
            held.lock().unwrap().recv_timeout(DEADLINE).unwrap();
        }
        response("200 OK", "", b"served")
    });
    // One worker, so that both clients share the bound.
    let limits = "[limits]\nmax_upstream_requests = 1\n";
    let scene = Scene::with_workers(1, "terminated", limits, upstream);
    let mut first = scene.browser();
    first.send(format!("GET /held HTTP/1.1\r\n{HOST}\r\n"));
    in_service.recv_timeout(DEADLINE).unwrap();
    let refused = scene.browser().request("GET", "/", HOST, b"");
    assert_eq!(refused.fields.one("retry-after"), Some("1"));
    let json = refused.problem(503);
    assert_eq!(json["type"], "urn:sealgate:error:upstream_busy");
    release.send(()).unwrap();
    assert_eq!(first.response("GET").complete().body, b"served");
    let after = scene.browser().request("GET", "/", HOST, b"");
    assert_eq!(after.complete().body, b"served");
}

#[test]
fn an_upload_may_take_longer_than_the_answer_may() {
    let scene = Scene::new(
        "terminated",
        "[timeouts]\nresponse = \"1s\"\n",
        ok(b"stored"),
    );
    let mut browser = scene.browser();
    browser.send(format!(
        "PUT /slow HTTP/1.1\r\n{HOST}Content-Length: 4\r\n\r\n"
    ));
    for byte in [b"a", b"b", b"c", b"d"] {
        // The pace of a slow client, not a wait.
        std::thread::sleep(Duration::from_millis(500));
        browser.send(byte);
    }
    assert_eq!(browser.response("PUT").complete().body, b"stored");
}

#[test]
fn an_early_answer_does_not_end_an_upload_that_moves() {
    let upstream = HttpUpstream::start(|_| response("200 OK", "", b"whole"));
    let limits = "[timeouts]\nhead = \"1s\"\nkeep_alive = \"1s\"\n";
    let scene = Scene::new("terminated", limits, upstream);
    let mut browser = scene.browser();
    browser.send(format!(
        "PUT /early HTTP/1.1\r\n{HOST}Content-Length: 6\r\n\r\n"
    ));
    for byte in [b"1", b"2", b"3", b"4", b"5", b"6"] {
        // The pace of a slow client, not a wait.
        std::thread::sleep(Duration::from_millis(500));
        browser.send(byte);
    }
    assert_eq!(browser.response("PUT").complete().body, b"whole");
    let seen = scene
        .upstream
        .wait("the upload", |request| request.target() == "/early");
    assert_eq!((seen.body.as_slice(), seen.cut), (&b"123456"[..], None));
}

#[test]
fn connections_that_the_service_closed_give_their_descriptors_back() {
    let upstream = HttpUpstream::start_with(|request, socket| {
        socket.write_all(&response("200 OK", "", b"x"))?;
        // Without a word, right after the answer.
        match request.target() {
            "/last" => Err(std::io::ErrorKind::ConnectionAborted.into()),
            _ => Ok(()),
        }
    });
    let scene = Scene::new("terminated", "", upstream);
    let mut browser = scene.browser();
    browser.request("GET", "/first", HOST, b"").complete();
    let descriptors = || {
        fs::read_dir(format!("/proc/{}/fd", scene.gateway.pid()))
            .unwrap()
            .count()
    };
    let with_upstream = descriptors();
    browser.request("GET", "/last", HOST, b"").complete();
    let begun = std::time::Instant::now();
    while descriptors() >= with_upstream {
        assert!(
            begun.elapsed() < DEADLINE,
            "{} of {with_upstream}",
            descriptors()
        );
        // There is nothing to wait on for a descriptor of another process.
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_sealed_get_is_never_an_empty_success() {
    for answer in [
        "204 No Content\r\n",
        "205 Reset Content\r\nContent-Length: 0\r\n",
    ] {
        let answer = format!("HTTP/1.1 {answer}\r\n").into_bytes();
        let scene = Scene::new("sealed", "", HttpUpstream::start(move |_| answer.clone()));
        let json = scene.browser().request("GET", "/a", HOST, b"").problem(502);
        assert_eq!(json["type"], "urn:sealgate:error:not_an_envelope");
    }
}

#[test]
fn a_damaged_envelope_in_the_answer_to_a_write_is_a_502() {
    let upstream = HttpUpstream::start(|request| {
        let mut envelope = request.body.clone();
        if let Some(last) = envelope.last_mut() {
            *last ^= u8::from(request.target() == "/damaged");
        }
        response("200 OK", "", &envelope)
    });
    let scene = Scene::new("sealed", "", upstream);
    let whole = scene
        .browser()
        .request("POST", "/whole", HOST, b"question")
        .complete();
    assert_eq!(
        (whole.status(), whole.body.as_slice()),
        (200, &b"question"[..])
    );
    let json = scene
        .browser()
        .request("POST", "/damaged", HOST, b"question")
        .problem(502);
    assert_eq!(json["type"], "urn:sealgate:error:not_verified");
}

#[test]
fn a_request_that_says_it_has_no_body_has_none_behind_the_seal() {
    let scene = Scene::new(
        "sealed",
        "",
        HttpUpstream::start(|_| response("404 Not Found", "", b"")),
    );
    for method in ["DELETE", "GET", "HEAD"] {
        let length = format!("{HOST}Content-Length: 0\r\n");
        // Kept until then: a client that is gone has its request given up.
        let mut browser = scene.browser();
        browser.send(format!("{method} /{method} HTTP/1.1\r\n{length}\r\n"));
        let path = format!("/{method}");
        let seen = scene
            .upstream
            .wait("the request", |request| request.target() == path);
        assert!(seen.body.is_empty(), "{method}: {seen:?}");
    }
}
