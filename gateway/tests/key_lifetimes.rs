//! How long keys live in the running gateway: what happens to a keyring file is noticed without a reload, a file that is away is lived
//! without for the hard lifetime, and keys that nobody uses or that were taken away leave memory.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use sealgate_keys::Keyring;
use support::http::{Browser, Message};
use support::objects::{Objects, header};
use support::pki::http_route;
use support::program::sealgate;
use support::tls::{Tls, dial};
use support::{DEADLINE, Gateway, Site};

/// Two tenants with keyrings before one store.
struct Scene {
    site: Site,
    objects: Objects,
    gateway: Gateway,
}

impl Scene {
    /// `lifetimes`: the table `[keys]`.
    fn new(lifetimes: &str) -> Self {
        Self::prepared(lifetimes, |_| {})
    }

    /// `prepare` changes what stands in the folder before the gateway starts.
    fn prepared(lifetimes: &str, prepare: impl FnOnce(&Site)) -> Self {
        let (site, objects) = (Site::new(), Objects::start());
        let tenant = |id: &str| {
            site.keyring(id);
            let keyring = format!("keyring = \"{id}.keyring\"");
            site.tenant(id, &[&format!("{id}.test")], &keyring)
                + &http_route(id, "sealed", &[objects.address()], "readers = \"anyone\"")
        };
        let body = format!("[keys]\n{lifetimes}\n") + &tenant("one") + &tenant("two");
        prepare(&site);
        let gateway = site.run(&body);
        Self {
            site,
            objects,
            gateway,
        }
    }

    fn client(&self, tenant: &'static str) -> Client {
        Client {
            browser: Browser::new(self.site.connect(&format!("{tenant}.test"))),
            tenant,
        }
    }

    fn keyring(&self) -> PathBuf {
        self.site.path("one.keyring")
    }

    fn keys(&self, words: &[&str]) {
        let output = sealgate(&[&["keys"], words].concat());
        assert!(output.status.success(), "{words:?}: {output:?}");
    }

    /// The value of a metric with these labels, as they are written.
    fn metric(&self, name: &str) -> u64 {
        let mut browser = Browser::new(dial(self.site.admin).unwrap());
        let fields = "Host: localhost\r\nConnection: close\r\n";
        let answer = browser.request("GET", "/metrics", fields, b"").complete();
        let text = String::from_utf8(answer.body).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let value = line.unwrap_or_else(|| panic!("no {name} in {text}"));
        value.trim().parse().unwrap()
    }

    fn status(&self) -> serde_json::Value {
        let mut browser = Browser::new(dial(self.site.admin).unwrap());
        let fields = "Host: localhost\r\nConnection: close\r\n";
        let answer = browser.request("GET", "/status", fields, b"").complete();
        serde_json::from_slice(&answer.body).unwrap()
    }

    /// Waits for a line of the log.
    fn logs(&self, words: &[&str]) {
        self.gateway.entry(&words.join(", "), |entry| {
            words.iter().all(|word| entry.line.contains(word))
        });
    }

    fn has_logged(&self, words: &[&str]) -> bool {
        let entries = self.gateway.entries();
        entries
            .iter()
            .any(|entry| words.iter().all(|word| entry.line.contains(word)))
    }

    /// The name of the branch key, `<branch>/<epoch>`, for which a stored object is sealed.
    fn branch_key(&self, path: &str) -> String {
        let header = header(&self.objects.stored(path).unwrap());
        let info = header.recipients().next().unwrap().provider_info.to_vec();
        // After the name come the lengths of tag and nonce, and the nonce.
        String::from_utf8(info[..info.len() - 20].to_vec()).unwrap()
    }
}

/// One connection of a client of one tenant.
struct Client {
    browser: Browser<Tls>,
    tenant: &'static str,
}

impl Client {
    fn ask(&mut self, method: &str, path: &str, body: &[u8]) -> Message {
        let host = format!("Host: {}.test\r\n", self.tenant);
        self.browser.request(method, path, &host, body).complete()
    }

    fn put(&mut self, path: &str, body: &[u8]) -> Message {
        self.ask("PUT", path, body)
    }

    fn stores(&mut self, path: &str) {
        let answer = self.put(path, b"body");
        assert_eq!(answer.status(), 201, "{answer:?}");
    }

    fn reads(&mut self, path: &str) {
        let answer = self.ask("GET", path, b"");
        assert_eq!(
            (answer.status(), &*answer.body),
            (200, &b"body"[..]),
            "{answer:?}"
        );
    }

    /// Stores until it is refused; gives the refusal.
    fn until_refused(&mut self) -> Message {
        until("a refusal", || {
            let answer = self.put("/again", b"body");
            (answer.status() != 201).then_some(answer)
        })
    }

    fn until_served(&mut self) {
        until("an answer", || {
            let answer = self.put("/again", b"body");
            assert!([201, 503].contains(&answer.status()), "{answer:?}");
            (answer.status() == 201).then_some(())
        });
    }
}

/// Does it again until it gives something.
fn until<T>(what: &str, mut step: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = step() {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain for {what}");
    }
}

/// The problem's type, after a look at when to come back.
fn refusal(answer: Message) -> String {
    let seconds = answer.fields.number("retry-after").unwrap();
    assert!((1..=30).contains(&seconds), "{answer:?}");
    answer.problem(503)["type"].as_str().unwrap().to_owned()
}

#[test]
fn a_disabled_keyring_ends_and_comes_back_without_a_reload() {
    let scene = Scene::new("soft_lifetime = \"100ms\"");
    let (mut one, mut two) = (scene.client("one"), scene.client("two"));
    one.stores("/a");
    two.stores("/b");
    assert_eq!(scene.status()["keys_withdrawn"], serde_json::json!([]));

    scene.keys(&["disable", &scene.site.arg("one.keyring")]);
    let answer = one.until_refused();
    assert_eq!(refusal(answer), "urn:sealgate:error:keys_withdrawn");
    assert_eq!(scene.status()["keys_withdrawn"], serde_json::json!(["one"]));
    scene.logs(&[
        "keyring not loaded",
        "\"one\"",
        "\"file\"",
        "refused",
        "disabled",
    ]);
    let asked = scene.objects.http().seen().len();
    // Neither is read, and the service is not asked.
    assert_eq!(one.ask("GET", "/a", b"").status(), 503);
    assert_eq!(one.ask("HEAD", "/a", b"").status(), 503);
    assert_eq!(scene.objects.http().seen().len(), asked);
    two.reads("/b");

    scene.keys(&["disable", &scene.site.arg("one.keyring"), "--undo"]);
    one.until_served();
    one.reads("/a");
    scene.logs(&["keyring loaded again", "\"one\""]);
    assert_eq!(scene.status()["keys_withdrawn"], serde_json::json!([]));
}

#[test]
fn a_shredded_keyring_ends_without_a_reload() {
    let scene = Scene::new("soft_lifetime = \"100ms\"");
    let (mut one, mut two) = (scene.client("one"), scene.client("two"));
    one.stores("/a");
    scene.keys(&["shred", &scene.site.arg("one.keyring"), "--confirm", "one"]);
    let answer = one.until_refused();
    assert_eq!(refusal(answer), "urn:sealgate:error:keys_withdrawn");
    two.stores("/b");
}

#[test]
fn traffic_goes_on_while_the_keyring_cannot_be_loaded() {
    let scene = Scene::new("soft_lifetime = \"100ms\"");
    let mut one = scene.client("one");
    one.stores("/a");
    let text = fs::read_to_string(scene.keyring()).unwrap();
    scene.site.write("one.keyring", "half a key");
    until("a load that fails", || {
        one.stores("/again");
        scene
            .has_logged(&[
                "keyring not loaded",
                "\"one\"",
                "\"file\"",
                "failed",
                "TOML",
            ])
            .then_some(())
    });
    one.reads("/a");
    one.stores("/b");
    // It is asked for again and again, and said once.
    until("another load that fails", || {
        one.stores("/again");
        (scene.metric("sealgate_key_loads_total{outcome=\"failed\"}") > 1).then_some(())
    });
    let told = scene.gateway.entries();
    let told = told
        .iter()
        .filter(|entry| entry.line.contains("keyring not loaded"));
    assert_eq!(told.count(), 1);
    scene.site.write("one.keyring", &text);
    until("a load that succeeds", || {
        one.stores("/again");
        scene
            .has_logged(&["keyring loaded again", "\"one\""])
            .then_some(())
    });
}

#[test]
fn a_keyring_that_others_may_read_is_refused_while_the_gateway_runs() {
    let scene = Scene::new("soft_lifetime = \"100ms\"\nhard_lifetime = \"1s\"");
    let mut one = scene.client("one");
    one.stores("/a");
    fs::set_permissions(scene.keyring(), fs::Permissions::from_mode(0o644)).unwrap();
    let answer = one.until_refused();
    assert_eq!(refusal(answer), "urn:sealgate:error:keys_unavailable");
    scene.logs(&["keyring not loaded", "mode 0644", "chmod 600"]);
    fs::set_permissions(scene.keyring(), fs::Permissions::from_mode(0o600)).unwrap();
    one.until_served();
    one.reads("/a");
}

#[test]
fn after_the_hard_lifetime_there_is_no_traffic_until_the_keyring_is_back() {
    let scene = Scene::new("soft_lifetime = \"100ms\"\nhard_lifetime = \"1s\"");
    let (mut one, mut two) = (scene.client("one"), scene.client("two"));
    one.stores("/a");
    let away = scene.site.path("away");
    fs::rename(scene.keyring(), &away).unwrap();
    let answer = one.until_refused();
    assert_eq!(refusal(answer), "urn:sealgate:error:keys_unavailable");
    let entry = scene.gateway.finished("keys_unavailable");
    let error = entry.text("error");
    for word in ["tenant one", "from file", "No such file"] {
        assert!(error.contains(word), "no {word} in {entry:?}");
    }
    assert!(scene.metric("sealgate_errors_total{cause=\"keys_unavailable\"}") > 0);
    assert!(scene.metric("sealgate_key_loads_total{outcome=\"failed\"}") > 0);
    two.until_served();

    fs::rename(&away, scene.keyring()).unwrap();
    one.until_served();
    one.reads("/a");
}

#[test]
fn a_keyring_of_another_tenant_in_its_place_is_not_used() {
    let scene = Scene::new("soft_lifetime = \"100ms\"\nhard_lifetime = \"1s\"");
    let mut one = scene.client("one");
    one.stores("/a");
    fs::copy(scene.site.path("two.keyring"), scene.site.path("copy")).unwrap();
    fs::rename(scene.site.path("copy"), scene.keyring()).unwrap();
    let answer = one.until_refused();
    assert_eq!(refusal(answer), "urn:sealgate:error:keys_unavailable");
    scene.logs(&["keyring not loaded", "the keyring of tenant two"]);
}

#[test]
fn a_rotated_keyring_is_picked_up_without_a_reload_and_the_old_epoch_opens() {
    let scene = Scene::new("soft_lifetime = \"100ms\"");
    let mut one = scene.client("one");
    one.stores("/a");
    assert_eq!(scene.branch_key("/a"), "main/1");
    scene.keys(&["rotate", &scene.site.arg("one.keyring")]);
    until("the new epoch", || {
        one.stores("/b");
        (scene.branch_key("/b") == "main/2").then_some(())
    });
    one.reads("/a");
    one.reads("/b");
    // Time alone rotates nothing unless it is told to.
    assert!(!scene.has_logged(&["epoch rotated"]));
}

#[test]
fn what_another_gateway_has_sealed_under_a_new_epoch_opens_without_a_reload() {
    // Nothing is due to be loaded for long.
    let scene = Scene::new("soft_lifetime = \"23h\"\nhard_lifetime = \"24h\"");
    let mut one = scene.client("one");
    one.stores("/a");
    let rotated = Keyring::load(scene.keyring()).ok().unwrap();
    let rotated = rotated.rotate_epoch().unwrap();
    let context = rotated.context("1", "/b").unwrap();
    let (mut sealer, mut message) = rotated.seal_begin(&context, Default::default()).unwrap();
    sealer.write(b"body", &mut message).unwrap();
    sealer.finish(&mut message).unwrap();
    scene.objects.store("/b", &message, "");
    assert_eq!(scene.branch_key("/b"), "main/2");
    // A keyring that was loaded a moment ago is not loaded again.
    until("the other gateway's object", || {
        let answer = one.ask("GET", "/b", b"");
        assert!([200, 502].contains(&answer.status()), "{answer:?}");
        (answer.status() == 200).then(|| assert_eq!(answer.body, b"body"))
    });
    one.reads("/a");
    one.stores("/c");
    assert_eq!(scene.branch_key("/c"), "main/2");
}

#[test]
fn an_epoch_that_has_sealed_for_long_enough_is_rotated() {
    let old = SystemTime::now() - Duration::from_secs(48 * 3600);
    let scene = Scene::prepared("rotate_epoch_after = \"24h\"", |site| {
        let keyring = Keyring::load(site.path("one.keyring")).ok().unwrap();
        keyring.rotate_epoch_at(old).unwrap();
    });
    let entry = scene
        .gateway
        .entry("the rotation", |entry| entry.line.contains("epoch rotated"));
    assert_eq!(entry.text("tenant"), "one");
    assert_eq!(
        (entry.number("old_epoch"), entry.number("new_epoch")),
        (2, 3)
    );
    let mut one = scene.client("one");
    until("the new epoch", || {
        one.stores("/a");
        (scene.branch_key("/a") == "main/3").then_some(())
    });
    one.reads("/a");
    let epochs = |name: &str| {
        let keyring = Keyring::load(scene.site.path(name)).ok().unwrap();
        keyring.epochs().last()
    };
    assert_eq!(epochs("one.keyring"), Some(3));
    assert_eq!(epochs("two.keyring"), Some(1), "it is young");
    assert_eq!(
        scene.metric("sealgate_key_rotations_total{outcome=\"rotated\"}"),
        1
    );
}

#[test]
fn status_and_check_tell_the_bound_on_revocation() {
    let scene = Scene::new("soft_lifetime = \"10m\"\nhard_lifetime = \"2h\"");
    let keys = &scene.status()["keys"];
    assert_eq!(keys["revocation_bound_seconds"], 7200.0, "{keys}");
    assert_eq!(keys["soft_lifetime_seconds"], 600.0, "{keys}");
    assert_eq!(keys["held"], 2, "{keys}");
    let checked = sealgate(&["check", "--config", &scene.site.arg("gateway.toml")]);
    let words = String::from_utf8(checked.stdout).unwrap();
    assert!(
        words.contains("loaded anew after 10m, dropped after 2h at most"),
        "{words}"
    );
}
