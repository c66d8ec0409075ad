//! `tls.engine`: both engines carry the same traffic, to clients and to upstreams, with clients and servers of other make.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::io::{Read, Write};
use std::sync::Arc;

use support::pki::{Validity, tcp_route};
use support::tcp::Upstream;
use support::tls::{accept, close_notify, echo, read_to_end, server_config};
use support::{End, Gateway, Site, noise};

const ENGINES: [&str; 2] = ["direct", "rustls"];

/// TLS on both sides; the upstream asks for new keys now and then.
struct Scene {
    site: Site,
    gateway: Gateway,
    _upstream: Upstream,
}

impl Scene {
    fn run(engine: &str) -> Scene {
        let site = Site::new();
        let backends = site.other_ca("backends");
        let backend = site.issue(&backends, "backend", &["backend.test"], Validity::Now);
        let config = server_config(&backend, None);
        let upstream = Upstream::serve(move |socket| {
            let Ok(mut tls) = accept(Arc::clone(&config), socket) else {
                return;
            };
            let (mut room, mut echoed) = (vec![0; 40_000], 0);
            while let Ok(n) = tls.read(&mut room) {
                if n == 0 || tls.write_all(&room[..n]).is_err() {
                    break;
                }
                echoed += n;
                if echoed > 500_000 {
                    echoed = 0;
                    tls.conn.refresh_traffic_keys().unwrap();
                }
            }
            tls.conn.send_close_notify();
            // The peer may be gone.
            let _ = tls.flush();
        });
        let gateway = site.run(&format!(
            "[tls]\nengine = \"{engine}\"\n{}{}[route.upstream_tls]\nca = \"backends.pem\"\n\
             server_name = \"backend.test\"\n",
            site.tenant("acme", &["a.test"], ""),
            tcp_route("acme", &[upstream.address], ""),
        ));
        Scene {
            site,
            gateway,
            _upstream: upstream,
        }
    }

    fn status(&self) -> String {
        let mut socket = std::net::TcpStream::connect(self.site.admin).unwrap();
        socket
            .write_all(b"GET /status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer
    }
}

#[test]
fn bulk_data_and_new_keys_on_both_sides_pass_both_engines() {
    for engine in ENGINES {
        let scene = Scene::run(engine);
        let status = scene.status();
        let named = format!("\"tls_engine\":\"{engine}\"");
        assert!(status.replace(' ', "").contains(&named), "{status}");
        let mut client = scene.site.connect("a.test");
        for round in 0..6 {
            echo(&mut client, &noise(300_000 + round, round as u64));
            client.conn.refresh_traffic_keys().unwrap();
        }
        echo(&mut client, b"x");
        close_notify(&mut client);
        assert_eq!(read_to_end(&mut client), (vec![], End::Clean));
        scene.gateway.finished("ok");
    }
}

#[test]
fn openssl_renews_its_keys_and_asks_for_ours() {
    for engine in ENGINES {
        let scene = Scene::run(engine);
        let mut openssl = scene
            .site
            .s_client(&["-servername", "a.test", "-tls1_3", "-state"]);
        openssl.echo("first line");
        for (at, command) in ["K", "k", "K", "K"].into_iter().enumerate() {
            openssl.send(command);
            // What stands behind the command in one read would be lost.
            openssl.wait_times(at + 1, "KEYUPDATE");
            openssl.echo(&format!("line {at} after {command}"));
        }
        // Each K was answered.
        let printed = openssl.finish();
        let answers = printed.matches("TLSv1.3 read server key update").count();
        assert_eq!(answers, 3, "{printed}");
        scene.gateway.finished("ok");
    }
}

#[test]
fn an_unknown_engine_is_refused_with_those_that_are_known() {
    let site = Site::new();
    let upstream = Upstream::echo();
    let config = site.configure(&format!(
        "[tls]\nengine = \"kernel\"\n{}{}",
        site.tenant("acme", &["a.test"], ""),
        tcp_route("acme", &[upstream.address], "")
    ));
    let output = support::program::sealgate(&["check", "--config", config.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8_lossy(&output.stderr);
    for part in ["tls.engine", "kernel", "\"direct\"", "\"rustls\""] {
        assert!(errors.contains(part), "no {part} in {errors}");
    }
}
