//! Keys that are no longer to be used are not in the gateway's memory: looked for in the memory of the real program.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sealgate_keys::provider::WrapContext;
use support::http::Browser;
use support::objects::Objects;
use support::pki::http_route;
use support::program::sealgate;
use support::{DEADLINE, Gateway, Site};

/// Enough that nothing else is taken for it: the last bytes, as an allocator writes over the first ones of what it is given back.
const NEEDLE_LEN_BYTES: usize = 16;

/// The tail of the branch key of epoch 1, unwrapped here by hand.
fn branch_key_tail(keyring: &Path) -> Vec<u8> {
    let file: toml::Table = fs::read_to_string(keyring).unwrap().parse().unwrap();
    let text = |value: &toml::Value| value.as_str().unwrap().to_owned();
    let kek = STANDARD.decode(text(&file["kek"][0]["secret"])).unwrap();
    let wrapped = STANDARD
        .decode(text(&file["branch_key"][0]["wrapped"]))
        .unwrap();
    let (nonce, ciphertext) = wrapped.split_at(NONCE_LEN);
    let context = WrapContext {
        pseudonym: text(&file["pseudonym"]).into(),
        branch: text(&file["branch"]).into(),
        epoch: 1,
    };
    let mut opened = ciphertext.to_vec();
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &kek).unwrap())
        .open_in_place(
            Nonce::try_assume_unique_for_key(nonce).unwrap(),
            Aad::from(context.to_aad()),
            &mut opened,
        )
        .unwrap();
    assert_eq!(key.len(), 32);
    key[32 - NEEDLE_LEN_BYTES..].to_vec()
}

/// How often `needle` stands in memory that the process can write.
fn count(pid: u32, needle: &[u8]) -> io::Result<usize> {
    const CHUNK: usize = 1 << 20;
    const PAGE: usize = 4096;
    let zeros = vec![0; PAGE + needle.len()];
    let memory = File::open(format!("/proc/{pid}/mem"))?;
    let mut buffer = vec![0; CHUNK + needle.len()];
    let mut found = 0;
    for line in fs::read_to_string(format!("/proc/{pid}/maps"))?.lines() {
        let (range, rest) = line.split_once(' ').unwrap();
        if !rest.starts_with("rw") {
            continue;
        }
        let (start, end) = range.split_once('-').unwrap();
        let [mut at, end] = [start, end].map(|text| u64::from_str_radix(text, 16).unwrap());
        while at < end {
            let len = buffer.len().min((end - at) as usize);
            // A page may have gone since the list was made; the ring's own pages cannot be read.
            let read = memory.read_at(&mut buffer[..len], at).unwrap_or(0);
            for page in (0..read.min(CHUNK)).step_by(PAGE) {
                let end = read.min(page + PAGE + needle.len() - 1);
                let page = &buffer[page..end];
                // Most were never touched.
                if *page != zeros[..page.len()] {
                    found += page
                        .windows(needle.len())
                        .filter(|window| *window == needle)
                        .count();
                }
            }
            at += CHUNK as u64;
        }
    }
    Ok(found)
}

struct Scene {
    site: Site,
    _objects: Objects,
    gateway: Gateway,
    needle: Vec<u8>,
}

impl Scene {
    /// `None` where this user may not look into the memory of a process that is not dumpable, which root may. It says so on the test's own
    /// standard error, past what the harness captures.
    fn new(lifetimes: &str) -> Option<Self> {
        let (site, objects) = (Site::new(), Objects::start());
        let keyring = site.keyring("one");
        let body = format!("[keys]\n{lifetimes}\n")
            + &site.tenant("one", &["one.test"], "keyring = \"one.keyring\"")
            + &http_route(
                "one",
                "sealed",
                &[objects.address()],
                "readers = \"anyone\"",
            );
        let scene = Self {
            needle: branch_key_tail(&keyring),
            gateway: site.run(&body),
            site,
            _objects: objects,
        };
        match count(scene.gateway.pid(), &scene.needle) {
            Ok(_) => Some(scene),
            Err(error) => {
                assert!(!rustix::process::geteuid().is_root(), "{error}");
                let said = format!("SKIPPED, run as root: memory of the gateway: {error}\n");
                io::stderr().write_all(said.as_bytes()).unwrap();
                None
            }
        }
    }

    fn put(&self) -> u16 {
        let mut browser = Browser::new(self.site.connect("one.test"));
        let fields = "Host: one.test\r\nConnection: close\r\n";
        browser.request("PUT", "/a", fields, b"body").status()
    }

    fn is_in_memory(&self) -> bool {
        count(self.gateway.pid(), &self.needle).unwrap() > 0
    }

    fn until_it_is_gone(&self) {
        let end = Instant::now() + DEADLINE;
        while self.is_in_memory() {
            assert!(Instant::now() < end, "the key stays in memory");
        }
    }
}

#[test]
fn keys_that_are_disabled_are_gone_after_a_reload() {
    let Some(scene) = Scene::new("") else { return };
    assert_eq!(scene.put(), 201);
    assert!(scene.is_in_memory(), "the search finds what is there");
    let disabled = sealgate(&["keys", "disable", &scene.site.arg("one.keyring")]);
    assert!(disabled.status.success(), "{disabled:?}");
    scene.gateway.reload();
    scene.until_it_is_gone();
    assert_eq!(scene.put(), 503);
}

#[test]
fn keys_that_nobody_uses_leave_memory_and_come_back() {
    let Some(scene) = Scene::new("unused_lifetime = \"1s\"") else {
        return;
    };
    assert_eq!(scene.put(), 201);
    scene.until_it_is_gone();
    assert_eq!(scene.put(), 201);
}

#[test]
fn keys_that_cannot_be_loaded_again_leave_memory_at_the_hard_lifetime() {
    let Some(scene) = Scene::new("soft_lifetime = \"100ms\"\nhard_lifetime = \"1s\"") else {
        return;
    };
    assert_eq!(scene.put(), 201);
    fs::remove_file(scene.site.path("one.keyring")).unwrap();
    // In use all the time.
    let end = Instant::now() + DEADLINE;
    while scene.put() == 201 {
        assert!(Instant::now() < end, "they are used for too long");
    }
    scene.until_it_is_gone();
}
