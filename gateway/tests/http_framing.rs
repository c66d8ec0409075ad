//! Where a message ends is never in doubt: what reaches the upstream has one meaning.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::io::Write;

use support::http::{Browser, HttpUpstream, response};
use support::pki::http_route;
use support::{End, Gateway, Site, contains};

struct Scene {
    site: Site,
    upstream: HttpUpstream,
    gateway: Gateway,
}

impl Scene {
    fn new() -> Self {
        let site = Site::new();
        let upstream = HttpUpstream::start(|_| response("200 OK", "", b"answered"));
        let gateway = site.run(
            &(site.tenant("acme", &["a.test"], "")
                + &http_route("acme", "terminated", &[upstream.address()], "")
                + "[limits]\nmax_head_bytes = 16384\nmax_head_fields = 50\n"),
        );
        Self {
            site,
            upstream,
            gateway,
        }
    }

    /// Sends these bytes, ends our side, and gives all that comes back.
    fn send(&self, bytes: &[u8]) -> (Vec<u8>, End) {
        let mut client = self.site.connect("a.test");
        // A refusal may come in the middle.
        let _ = client.write_all(bytes);
        support::tls::close_notify(&mut client);
        support::tls::read_to_end(&mut client)
    }

    /// All that reached the upstream, which parses strictly and refuses what has two meanings.
    fn reached(&self) -> Vec<u8> {
        self.upstream
            .seen()
            .iter()
            .flat_map(|request| request.raw.clone())
            .collect()
    }

    /// It is refused with this status, and nothing of it reaches the upstream as a whole request.
    fn refused(&self, bytes: &[u8], status: &str) {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
        let (answer, _) = self.send(bytes);
        let line = String::from_utf8_lossy(&answer[..answer.len().min(60)]).into_owned();
        assert!(
            answer.starts_with(format!("HTTP/1.1 {status} ").as_bytes()),
            "{shown:?}: {line:?}"
        );
        assert_eq!(
            answer
                .windows(9)
                .filter(|nine| nine == b"HTTP/1.1 ")
                .count(),
            1,
            "{shown:?}"
        );
        let whole = self
            .upstream
            .seen()
            .iter()
            .filter(|request| request.cut.is_none())
            .count();
        assert_eq!(
            whole,
            0,
            "{shown:?} reached the upstream: {:?}",
            self.upstream.seen()
        );
        assert!(!contains(&self.reached(), b"smuggled"), "{shown:?}");
    }
}

#[test]
fn both_length_headers_never_reach_the_upstream_and_smuggle_nothing() {
    for second in [
        "Content-Length: 6\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 6",
    ] {
        let scene = Scene::new();
        let bytes = format!(
            "POST /a HTTP/1.1\r\nHost: a.test\r\n{second}\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n"
        );
        let (answer, _) = scene.send(bytes.as_bytes());
        // RFC 9112 §6.1: refuse, or take the chunks and close the connection after the answer.
        let answers = answer
            .windows(9)
            .filter(|nine| nine == b"HTTP/1.1 ")
            .count();
        assert_eq!(answers, 1, "{}", String::from_utf8_lossy(&answer));
        for request in scene.upstream.seen() {
            assert_eq!(
                request.fields.all("content-length").len()
                    + request.fields.all("transfer-encoding").len(),
                1,
                "{request:?}"
            );
        }
        assert!(
            !contains(&scene.reached(), b"smuggled"),
            "{:?}",
            scene.upstream.seen()
        );
    }
}

#[test]
fn two_content_lengths_are_refused() {
    let scene = Scene::new();
    for lengths in [
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5, 6",
        "Content-Length: +5",
        "Content-Length: -5",
        "Content-Length: 5 5",
        "Content-Length: 0x5",
        "Content-Length: 99999999999999999999",
    ] {
        scene.refused(
            format!("POST /a HTTP/1.1\r\nHost: a.test\r\n{lengths}\r\n\r\n12345").as_bytes(),
            "400",
        );
    }
}

#[test]
fn other_transfer_codings_are_refused() {
    let scene = Scene::new();
    for coding in [
        "gzip",
        "chunked, identity",
        "xchunked",
        "chunked\r\nTransfer-Encoding: identity",
        "\x0bchunked",
        "identity",
    ] {
        scene.refused(
            format!("POST /a HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: {coding}\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n").as_bytes(),
            "400",
        );
    }
}

#[test]
fn a_chunked_body_in_http_1_0_is_refused() {
    let scene = Scene::new();
    scene.refused(
        b"POST /a HTTP/1.0\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n",
        "400",
    );
}

#[test]
fn bad_chunk_sizes_never_make_a_whole_request() {
    for chunk in [
        "-1\r\nx\r\n",
        "+1\r\nx\r\n",
        "0x1\r\nx\r\n",
        " 1\r\nx\r\n",
        "g\r\nx\r\n",
        "\r\nx\r\n",
        "fffffffffffffffff\r\nx\r\n",
        "1\r\nxx\r\n",
        "1\nx\n",
        "5\r\nx\r\n",
    ] {
        let scene = Scene::new();
        let bytes = format!(
            "POST /a HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}0\r\n\r\n"
        );
        let (answer, end) = scene.send(bytes.as_bytes());
        let whole = scene
            .upstream
            .seen()
            .iter()
            .filter(|request| request.cut.is_none())
            .count();
        if chunk == "1\nx\n" || chunk == " 1\r\nx\r\n" {
            // Where a parser is lenient, what it passes on has to be in strict form: the upstream is strict.
            continue;
        }
        assert_eq!(
            whole,
            0,
            "{chunk:?}: {:?} answered {:?} {end:?}",
            scene.upstream.seen(),
            String::from_utf8_lossy(&answer)
        );
        assert!(!contains(&answer, b"200 OK"), "{chunk:?}");
    }
}

#[test]
fn obsolete_folding_does_not_reach_the_upstream() {
    let scene = Scene::new();
    for fold in [" folded", "\tfolded", " Content-Length: 5"] {
        scene.refused(
            format!("GET /a HTTP/1.1\r\nHost: a.test\r\nX-Field: first\r\n{fold}\r\n\r\n")
                .as_bytes(),
            "400",
        );
    }
}

#[test]
fn fields_that_could_be_read_two_ways_are_refused() {
    let scene = Scene::new();
    for field in [
        "X-Field : 1",
        "X Field: 1",
        ": 1",
        "no colon",
        "X-Field: a\0b",
        "X-Field: a\rb",
        "Content-Length : 5",
        "Transfer-Encoding\u{a0}: chunked",
    ] {
        scene.refused(
            format!("GET /a HTTP/1.1\r\nHost: a.test\r\n{field}\r\n\r\n").as_bytes(),
            "400",
        );
    }
}

#[test]
fn hosts_that_could_be_read_two_ways_are_refused() {
    let scene = Scene::new();
    for hosts in [
        "",
        "Host: a.test\r\nHost: b.test\r\n",
        "Host: a.test\r\nHost: a.test\r\n",
        "Host: a.test, b.test\r\n",
        "Host: x@a.test\r\n",
        "Host: a.test/b\r\n",
    ] {
        scene.refused(format!("GET /a HTTP/1.1\r\n{hosts}\r\n").as_bytes(), "400");
    }
}

#[test]
fn request_lines_that_could_be_read_two_ways_are_refused() {
    let scene = Scene::new();
    for line in [
        "GET  /a HTTP/1.1",
        "GET /a b HTTP/1.1",
        "GET /a HTTP/1.1 ",
        "GET /a",
        "G@T /a HTTP/1.1",
        "GET a HTTP/1.1",
        "GET /a#b HTTP/1.1",
        "GET /a HTTP/9.9",
    ] {
        let (answer, _) = scene.send(format!("{line}\r\nHost: a.test\r\n\r\n").as_bytes());
        let shown = String::from_utf8_lossy(&answer).into_owned();
        // Refused, or passed on in a form with one meaning.
        if answer.starts_with(b"HTTP/1.1 200") {
            let seen = scene.upstream.seen();
            assert_eq!(
                seen.last().unwrap().first_line,
                "GET /a HTTP/1.1",
                "{line:?}"
            );
        } else {
            assert!(
                answer.is_empty()
                    || answer.starts_with(b"HTTP/1.1 4")
                    || answer.starts_with(b"HTTP/1.1 505"),
                "{line:?}: {shown}"
            );
        }
    }
}

#[test]
fn connect_and_trace_are_not_available() {
    let scene = Scene::new();
    scene.refused(b"TRACE /a HTTP/1.1\r\nHost: a.test\r\n\r\n", "405");
    scene.refused(
        b"CONNECT a.test:443 HTTP/1.1\r\nHost: a.test\r\n\r\n",
        "405",
    );
}

#[test]
fn an_oversized_head_is_431_and_disturbs_nobody() {
    let scene = Scene::new();
    let mut bystander = Browser::new(scene.site.connect("a.test"));
    bystander
        .request("GET", "/before", "Host: a.test\r\n", b"")
        .complete();
    for head in [
        format!("X-Long: {}\r\n", "x".repeat(20_000)),
        (0..60).map(|n| format!("X-{n}: 1\r\n")).collect(),
        (0..40)
            .map(|n| format!("X-{n}: {}\r\n", "y".repeat(1000)))
            .collect(),
    ] {
        let (answer, _) =
            scene.send(format!("GET /long HTTP/1.1\r\nHost: a.test\r\n{head}\r\n").as_bytes());
        assert!(
            answer.starts_with(b"HTTP/1.1 431 "),
            "{:?}",
            String::from_utf8_lossy(&answer[..answer.len().min(100)])
        );
    }
    let (answer, _) = scene.send(
        format!(
            "GET /{} HTTP/1.1\r\nHost: a.test\r\n\r\n",
            "z".repeat(20_000)
        )
        .as_bytes(),
    );
    assert!(
        answer.starts_with(b"HTTP/1.1 431 ") || answer.starts_with(b"HTTP/1.1 414 "),
        "{:?}",
        String::from_utf8_lossy(&answer[..answer.len().min(100)])
    );
    bystander
        .request("GET", "/after", "Host: a.test\r\n", b"")
        .complete();
    let paths: Vec<String> = scene
        .upstream
        .seen()
        .iter()
        .map(|seen| seen.target().to_owned())
        .collect();
    assert_eq!(paths, ["/before", "/after"]);
    scene.gateway.entry("the refused head", |entry| {
        entry.line.contains("client_http")
    });
}

#[test]
fn a_head_just_below_the_limit_passes() {
    let scene = Scene::new();
    let mut browser = Browser::new(scene.site.connect("a.test"));
    let field = format!("Host: a.test\r\nX-Long: {}\r\n", "x".repeat(15_000));
    assert_eq!(
        browser
            .request("GET", "/long", &field, b"")
            .complete()
            .status(),
        200
    );
    assert_eq!(
        scene.upstream.seen()[0].fields.one("x-long").unwrap().len(),
        15_000
    );
}

#[test]
fn two_hosts_are_a_problem_of_ours() {
    let scene = Scene::new();
    let mut browser = Browser::new(scene.site.connect("a.test"));
    browser.send("GET /a HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n");
    browser.response("GET").problem(400);
}

/// hyper answers these itself: a right status, the end of the connection, and no body of ours.
#[test]
fn what_is_no_request_at_all_is_a_bare_400() {
    let scene = Scene::new();
    let (answer, _) = scene.send(b"NONSENSE\r\n\r\n");
    let answer = String::from_utf8(answer).unwrap().to_lowercase();
    assert!(answer.starts_with("http/1.1 400 "), "{answer}");
    assert!(answer.contains("content-length: 0\r\n"), "{answer}");
    assert!(answer.contains("connection: close\r\n"), "{answer}");
    assert!(scene.upstream.seen().is_empty());
}
