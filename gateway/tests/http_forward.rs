//! Layer 7, class `terminated`: HTTP/1.1 in and out, forwarded as a proxy has to.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use support::http::{Browser, HttpUpstream, Message, response};
use support::pki::http_route;
use support::tls::Tls;
use support::{End, Gateway, Site, noise};

struct Scene {
    site: Site,
    upstream: HttpUpstream,
    gateway: Gateway,
}

impl Scene {
    fn new(answer: impl Fn(&Message) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::with("", answer)
    }

    fn with(more: &str, answer: impl Fn(&Message) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let (site, upstream) = (Site::new(), HttpUpstream::start(answer));
        let gateway = run(&site, upstream.address(), more);
        Self {
            site,
            upstream,
            gateway,
        }
    }

    fn browser(&self) -> Browser<Tls> {
        Browser::new(self.site.connect("a.test"))
    }
}

fn run(site: &Site, upstream: SocketAddr, more: &str) -> Gateway {
    site.run(
        &(site.tenant("acme", &["a.test"], "")
            + &http_route("acme", "terminated", &[upstream], "")
            + more),
    )
}

const HOST: &str = "Host: a.test\r\n";

fn ok(request: &Message) -> Vec<u8> {
    response(
        "200 OK",
        "Content-Type: text/plain\r\n",
        request.target().as_bytes(),
    )
}

#[test]
fn a_request_and_its_response_pass_with_one_log_line() {
    let scene = Scene::new(ok);
    let mut browser = scene.browser();
    let answer = browser
        .request("GET", "/hello?x=1&y=%20", HOST, b"")
        .complete();
    assert_eq!(
        (answer.status(), &answer.body[..]),
        (200, &b"/hello?x=1&y=%20"[..])
    );
    assert_eq!(answer.fields.one("content-type"), Some("text/plain"));
    let seen = &scene.upstream.seen()[0];
    assert_eq!(seen.first_line, "GET /hello?x=1&y=%20 HTTP/1.1");
    assert_eq!(seen.fields.one("host"), Some("a.test"));
    let entry = scene
        .gateway
        .entry("the request", |entry| entry.has("method", "GET"));
    for (field, value) in [
        ("tenant", "acme"),
        ("route", "acme-terminated"),
        ("class", "terminated"),
        ("path", "/hello"),
        ("status", "200"),
        ("tls_version", "TLSv1.3"),
        ("sni", "a.test"),
        ("outcome", "ok"),
    ] {
        assert_eq!(entry.text(field), value, "{field} in {entry:?}");
    }
    assert!(
        !entry.line.contains("x=1"),
        "queries may hold tokens: {entry:?}"
    );
    let id = entry.text("request_id");
    assert!(!id.is_empty());
    assert_eq!(answer.fields.one("x-request-id"), Some(&*id));
    assert_eq!(seen.fields.one("x-request-id"), Some(&*id));
}

#[test]
fn bodies_of_every_size_pass_both_ways() {
    let scene = Scene::new(|request| response("200 OK", "", &request.body));
    let mut browser = scene.browser();
    for (seed, size) in [0, 1, 1000, 65_535, 65_536, 65_537, 3_000_000]
        .into_iter()
        .enumerate()
    {
        let body = noise(size, seed as u64);
        let answer = browser.request("POST", "/echo", HOST, &body).complete();
        assert_eq!(answer.fields.number("content-length"), Some(size as u64));
        assert!(answer.body == body, "{size} bytes differ");
        assert_eq!(
            scene.upstream.seen()[seed].fields.number("content-length"),
            Some(size as u64)
        );
    }
}

#[test]
fn connections_are_kept_on_both_sides() {
    let scene = Scene::new(ok);
    let mut browser = scene.browser();
    for number in 0..20 {
        let path = format!("/{number}");
        assert_eq!(
            browser.request("GET", &path, HOST, b"").complete().body,
            path.as_bytes()
        );
    }
    assert_eq!(scene.upstream.connections(), 1);
    assert_eq!(
        browser
            .request("GET", "/bye", "Host: a.test\r\nConnection: close\r\n", b"")
            .complete()
            .status(),
        200
    );
    assert_eq!(browser.end(), (vec![], End::Clean));
}

#[test]
fn http_1_0_gets_one_answer() {
    let scene = Scene::new(ok);
    let mut browser = scene.browser();
    browser.send("GET /old HTTP/1.0\r\nHost: a.test\r\n\r\n");
    assert_eq!(browser.response("GET").complete().body, b"/old");
    assert_eq!(browser.end(), (vec![], End::Clean));
    assert!(scene.upstream.seen()[0].first_line.ends_with("HTTP/1.1"));
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let scene = Scene::new(ok);
    let mut browser = scene.browser();
    let all: String = (0..10)
        .map(|number| format!("GET /{number} HTTP/1.1\r\n{HOST}\r\n"))
        .collect();
    browser.send(all);
    for number in 0..10 {
        assert_eq!(
            browser.response("GET").complete().body,
            format!("/{number}").into_bytes()
        );
    }
}

#[test]
fn head_has_the_length_and_not_the_body() {
    let scene = Scene::new(|request| match request.method() {
        "HEAD" => b"HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n".to_vec(),
        _ => response("200 OK", "", b"body"),
    });
    let mut browser = scene.browser();
    let answer = browser.request("HEAD", "/", HOST, b"").complete();
    assert_eq!(answer.fields.number("content-length"), Some(12_345));
    // The connection is still in step.
    assert_eq!(
        browser.request("GET", "/", HOST, b"").complete().body,
        b"body"
    );
}

#[test]
fn responses_without_a_body_stay_in_step() {
    let scene = Scene::new(|request| match request.target() {
        "/204" => b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
        "/304" => b"HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n".to_vec(),
        _ => response("200 OK", "", b""),
    });
    let mut browser = scene.browser();
    for status in [204, 304, 200, 204] {
        let path = format!("/{status}");
        assert_eq!(
            browser.request("GET", &path, HOST, b"").complete().status(),
            status
        );
    }
}

#[test]
fn chunks_pass_both_ways() {
    let scene = Scene::new(|request| {
        let mut answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        for part in request.body.chunks(10_000) {
            answer.extend(format!("{:x};ext=1\r\n", part.len()).into_bytes());
            answer.extend_from_slice(part);
            answer.extend_from_slice(b"\r\n");
        }
        answer.extend_from_slice(b"0\r\nX-Trailer: dropped\r\n\r\n");
        answer
    });
    let mut browser = scene.browser();
    let body = noise(100_000, 1);
    let mut request =
        format!("POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
    for part in body.chunks(7777) {
        request.extend(format!("{:X}\r\n", part.len()).into_bytes());
        request.extend_from_slice(part);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"0\r\n\r\n");
    browser.send(request);
    let answer = browser.response("POST").complete();
    assert!(answer.body == body);
    assert_eq!(answer.fields.one("transfer-encoding"), Some("chunked"));
    let seen = &scene.upstream.seen()[0];
    assert_eq!(seen.fields.one("transfer-encoding"), Some("chunked"));
    assert!(seen.body == body);
}

#[test]
fn a_response_that_ends_with_its_connection_is_whole_for_the_client() {
    let scene =
        Scene::new(|_| b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end".to_vec());
    let mut browser = scene.browser();
    for _ in 0..2 {
        assert_eq!(
            browser.request("GET", "/", HOST, b"").complete().body,
            b"until the end"
        );
    }
}

#[test]
fn what_is_said_hop_by_hop_does_not_pass() {
    let scene = Scene::new(|_| {
        response(
            "200 OK",
            "Connection: keep-alive, X-Own\r\nX-Own: 1\r\nKeep-Alive: timeout=5\r\n\
             Proxy-Authenticate: Basic\r\nUpgrade: h2c\r\nX-Kept: 1\r\n",
            b"",
        )
    });
    let mut browser = scene.browser();
    let answer = browser.request(
        "GET",
        "/",
        "Host: a.test\r\nConnection: keep-alive, X-Own, TE\r\nX-Own: 1\r\nKeep-Alive: timeout=5\r\n\
         Proxy-Connection: keep-alive\r\nProxy-Authorization: Basic Zm9v\r\nTE: trailers\r\n\
         Upgrade: websocket\r\nTrailer: X\r\nX-Kept: 1\r\nAuthorization: Bearer t\r\n",
        b"",
    );
    let gone = [
        "x-own",
        "keep-alive",
        "proxy-connection",
        "proxy-authorization",
        "te",
        "upgrade",
        "trailer",
        "proxy-authenticate",
    ];
    let seen = &scene.upstream.seen()[0];
    for fields in [&seen.fields, &answer.fields] {
        for name in gone {
            assert_eq!(fields.one(name), None, "{name}");
        }
        assert_eq!(fields.one("x-kept"), Some("1"));
    }
    assert_eq!(seen.fields.one("authorization"), Some("Bearer t"));
}

#[test]
fn connection_cannot_take_out_what_the_gateway_relies_on() {
    let scene = Scene::new(ok);
    let mut browser = scene.browser();
    browser
        .request(
            "POST",
            "/",
            "Host: a.test\r\nConnection: Content-Length, Host, X-Forwarded-For, X-Forwarded-Proto\r\n",
            b"12345",
        )
        .complete();
    let seen = &scene.upstream.seen()[0];
    assert_eq!(seen.body, b"12345");
    assert_eq!(seen.fields.one("host"), Some("a.test"));
    assert_eq!(seen.fields.one("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(seen.fields.one("x-forwarded-proto"), Some("https"));
}

#[test]
fn the_service_learns_of_the_client_from_the_gateway_only() {
    let scene = Scene::new(ok);
    let mut browser = scene.browser();
    let port = scene.site.listen.port();
    browser
        .request(
            "GET",
            "/",
            &format!(
                "Host: a.test:{port}\r\nX-Forwarded-For: 1.2.3.4\r\nX-Forwarded-For: 5.6.7.8\r\n\
                 X-Forwarded-Proto: http\r\nX-Forwarded-Host: evil.test\r\nX-Forwarded-Port: 1\r\n\
                 x-forwarded-user: root\r\nForwarded: for=1.2.3.4\r\nX-Real-IP: 1.2.3.4\r\n\
                 X-Request-Id: mine\r\n"
            ),
            b"",
        )
        .complete();
    let fields = &scene.upstream.seen()[0].fields;
    assert_eq!(fields.one("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(fields.one("x-forwarded-proto"), Some("https"));
    assert!(
        fields
            .one("x-forwarded-host")
            .unwrap()
            .starts_with("a.test")
    );
    for name in [
        "forwarded",
        "x-real-ip",
        "x-forwarded-user",
        "x-forwarded-port",
    ] {
        assert!(
            !fields
                .all(name)
                .iter()
                .any(|value| value.contains("1") || value.contains("root")),
            "{name}"
        );
    }
    assert_ne!(fields.one("x-request-id"), Some("mine"));
}

#[test]
fn host_has_to_name_the_tenant_of_the_tls_session() {
    let (site, upstream) = (Site::new(), HttpUpstream::start(ok));
    let _gateway = site.run(
        &(site.tenant("one", &["one.test", "*.one.test"], "")
            + &site.tenant("two", &["two.test"], "")
            + &http_route("one", "terminated", &[upstream.address()], "")
            + &http_route("two", "terminated", &[upstream.address()], "")),
    );
    let port = site.listen.port();
    let mut browser = Browser::new(site.connect("one.test"));
    for host in ["one.test", "ONE.test", "x.one.test"] {
        let fields = format!("Host: {host}\r\n");
        assert_eq!(
            browser
                .request("GET", "/", &fields, b"")
                .complete()
                .status(),
            200,
            "{host}"
        );
    }
    let with_port = format!("Host: one.test:{port}\r\n");
    assert_eq!(
        browser
            .request("GET", "/", &with_port, b"")
            .complete()
            .status(),
        200
    );
    let before = upstream.seen().len();
    for host in ["two.test", "nobody.test", "one.test.evil.test", "127.0.0.1"] {
        let mut browser = Browser::new(site.connect("one.test"));
        let json = browser
            .request("GET", "/", &format!("Host: {host}\r\n"), b"")
            .problem(421);
        assert_eq!(json["type"], "urn:sealgate:error:misdirected");
        // The absolute form overrides Host.
        let mut browser = Browser::new(site.connect("one.test"));
        let target = format!("http://{host}/");
        browser
            .request("GET", &target, "Host: one.test\r\n", b"")
            .problem(421);
    }
    assert_eq!(
        upstream.seen().len(),
        before,
        "a misdirected request was forwarded"
    );
}

#[test]
fn an_absolute_target_is_forwarded_in_origin_form() {
    let scene = Scene::new(ok);
    let mut browser = scene.browser();
    let answer = browser
        .request("GET", "https://a.test/x?y=1", "Host: a.test\r\n", b"")
        .complete();
    assert_eq!(answer.body, b"/x?y=1");
    let seen = &scene.upstream.seen()[0];
    assert_eq!(seen.first_line, "GET /x?y=1 HTTP/1.1");
    assert_eq!(seen.fields.all("host"), ["a.test"]);
}

#[test]
fn the_longest_path_prefix_wins_and_no_route_is_404() {
    let site = Site::new();
    let [short, long] = ["short", "long"]
        .map(|word| HttpUpstream::start(move |_| response("200 OK", "", word.as_bytes())));
    let tenant = site.tenant("acme", &["a.test"], "");
    let route = |name: &str, path: &str, upstream: &HttpUpstream| {
        http_route(
            "acme",
            "terminated",
            &[upstream.address()],
            &format!("path = \"{path}\""),
        )
        .replace("acme-terminated", name)
    };
    let _gateway = site.run(&(tenant + &route("s", "/a/", &short) + &route("l", "/a/b/", &long)));
    let mut browser = Browser::new(site.connect("a.test"));
    for (path, word) in [
        ("/a/", "short"),
        ("/a/b/c", "long"),
        // A service that takes the two for one must not get what was meant for the other route.
        ("/a/b", "long"),
        ("/a/bc", "short"),
        ("/a/%62/", "long"),
    ] {
        assert_eq!(
            browser.request("GET", path, HOST, b"").complete().body,
            word.as_bytes(),
            "{path}"
        );
    }
    browser.request("GET", "/b", HOST, b"").problem(404);
    // A path must not be one thing to us and another to the service.
    for path in [
        "/a/../b",
        "/a/%2e%2e/b",
        "/a/b%2f..",
        "/a/./b",
        "//a/b/c",
        "/a//b/c",
        "/a/b;x/c",
    ] {
        Browser::new(site.connect("a.test"))
            .request("GET", path, HOST, b"")
            .problem(400);
    }
}

#[test]
fn curl_waits_for_100_continue_and_gets_it() {
    let scene = Scene::new(|request| response("200 OK", "", &request.body));
    let body = noise(2_000_000, 1);
    let file = scene.site.path("body");
    std::fs::write(&file, &body).unwrap();
    let data = format!("@{}", file.display());
    let curl = scene.site.curl(
        "a.test",
        "/upload",
        &[
            "--request",
            "PUT",
            "--data-binary",
            &data,
            "--header",
            "Expect: 100-continue",
            "--expect100-timeout",
            "15",
        ],
    );
    assert_eq!((curl.code, curl.status), (0, 200), "{}", curl.stderr);
    assert!(curl.body == body);
    let interim = curl
        .stderr
        .find("HTTP/1.1 100")
        .expect("no interim response");
    assert!(
        interim < curl.stderr.find("HTTP/1.1 200").unwrap(),
        "{}",
        curl.stderr
    );
    assert!(
        !curl.stderr.contains("Done waiting for 100-continue"),
        "{}",
        curl.stderr
    );
}

#[test]
fn curl_and_the_program_without_a_file() {
    let (site, upstream) = (Site::new(), HttpUpstream::start(ok));
    let identity = site.server("acme", &["a.test"]);
    let url = format!("http://{}", upstream.address());
    let _gateway = site.run_flags("http", &identity, &["--upstream", &url]);
    for version in ["--tlsv1.3", "--tls-max"] {
        let flags: &[&str] = if version == "--tls-max" {
            &["--tls-max", "1.2"]
        } else {
            &[version]
        };
        let curl = site.curl("a.test", "/over/curl", flags);
        assert_eq!((curl.code, curl.status), (0, 200), "{}", curl.stderr);
        assert_eq!(curl.body, b"/over/curl");
        assert!(
            curl.stderr.contains("ALPN: server accepted http/1.1")
                || curl.stderr.contains("ALPN, server accepted"),
            "{}",
            curl.stderr
        );
    }
}

#[test]
fn a_request_head_has_to_come_in_time() {
    let scene = Scene::with("[timeouts]\nhead = \"400ms\"\nkeep_alive = \"1s\"\n", ok);
    let mut browser = scene.browser();
    browser.send("GET / HTTP/1.1\r\nHost: a.te");
    let (answer, _) = browser.end();
    assert!(
        answer.is_empty() || answer.starts_with(b"HTTP/1.1 408"),
        "{answer:?}"
    );
    scene.gateway.finished("head_timeout");
    // Between requests another limit holds, and its end is an ordinary one.
    let mut browser = scene.browser();
    browser.request("GET", "/", HOST, b"").complete();
    std::thread::sleep(Duration::from_millis(600));
    browser.request("GET", "/", HOST, b"").complete();
    assert_eq!(browser.end(), (vec![], End::Clean));
    // So it is for who says nothing at all.
    assert_eq!(scene.browser().end(), (vec![], End::Clean));
}

#[test]
fn a_slow_upload_is_forwarded_as_it_comes() {
    let (site, upstream) = (Site::new(), support::tcp::Upstream::listen());
    let _gateway = run(&site, upstream.address, "");
    let mut client = site.connect("a.test");
    client
        .write_all(
            format!("PUT /slow HTTP/1.1\r\n{HOST}Content-Length: 10\r\n\r\n12345").as_bytes(),
        )
        .unwrap();
    client.flush().unwrap();
    // Half the body is enough for the service to see the request and that half.
    let mut behind = upstream.accept();
    let mut seen = Vec::new();
    while !seen.ends_with(b"12345") {
        seen.extend(support::tls::read_exactly(&mut behind, 1));
    }
    client.write_all(b"67890").unwrap();
    assert_eq!(support::tls::read_exactly(&mut behind, 5), b"67890");
    behind.write_all(&response("201 Created", "", b"")).unwrap();
    assert_eq!(
        Browser::new(client).response("PUT").complete().status(),
        201
    );
}
