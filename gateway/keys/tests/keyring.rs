//! What a keyring promises: its messages open under it and nobody else's, retired epochs open, and a file that is not right is refused with
//! what would be.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of a test: a panic is its report"
)]

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use sealgate_envelope::{Context, Header, ParsedHeader, SealSettings};
use sealgate_keys::{Keyring, KeyringFault, OpenBeginError, SealBeginError};
use tempfile::TempDir;

/// A change of a keyring file's text.
type Edit = fn(String) -> String;

struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("acme.keyring")
    }

    fn keyring(&self) -> Keyring {
        Keyring::create(self.path(), "acme").unwrap()
    }

    /// A keyring file whose text was changed by `edit`.
    fn edited(edit: impl FnOnce(String) -> String) -> (Self, KeyringFault) {
        let place = Self::new();
        place.keyring().rotate_epoch().unwrap();
        let text = edit(fs::read_to_string(place.path()).unwrap());
        fs::write(place.path(), text).unwrap();
        let fault = fault(&place.path());
        (place, fault)
    }
}

fn fault(path: &Path) -> KeyringFault {
    let error = Keyring::load(path).err().expect("refused");
    assert_eq!(error.path, path);
    assert!(
        error
            .to_string()
            .starts_with(&format!("keyring {}: ", path.display()))
    );
    error.fault
}

fn seal(keyring: &Keyring, path: &str, plaintext: &[u8]) -> Vec<u8> {
    let context = keyring.context("1", path).unwrap();
    let (mut sealer, mut message) = keyring
        .seal_begin(&context, SealSettings::default())
        .ok()
        .unwrap();
    sealer.write(plaintext, &mut message).unwrap();
    sealer.finish(&mut message).unwrap();
    message
}

fn header(message: &[u8]) -> (Header, usize) {
    match Header::parse(message).unwrap() {
        ParsedHeader::Complete { header, len_bytes } => (header, len_bytes),
        ParsedHeader::NeedMore { .. } => panic!("incomplete"),
    }
}

fn open(keyring: &Keyring, path: &str, message: &[u8]) -> Result<Vec<u8>, OpenBeginError> {
    let (header, len_bytes) = header(message);
    let expected = Context::from_pairs([("path", path)]).unwrap();
    let mut opener = keyring.open_begin(&header, &expected)?;
    let mut plaintext = Vec::new();
    opener.write(&message[len_bytes..], &mut plaintext)?;
    let whole = opener.finish()?;
    assert_eq!(whole.plaintext_len_bytes(), plaintext.len() as u64);
    Ok(plaintext)
}

#[test]
fn opens_what_it_sealed_also_after_loading_again() {
    let place = Place::new();
    let keyring = place.keyring();
    let message = seal(&keyring, "/a", b"attack at dawn");
    assert_eq!(open(&keyring, "/a", &message).unwrap(), b"attack at dawn");

    let loaded = Keyring::load(place.path()).ok().unwrap();
    assert_eq!(
        (loaded.tenant(), loaded.pseudonym()),
        ("acme", keyring.pseudonym())
    );
    assert_eq!(open(&loaded, "/a", &message).unwrap(), b"attack at dawn");
}

#[test]
fn messages_name_the_pseudonym_and_never_the_tenant() {
    let place = Place::new();
    let keyring = place.keyring();
    let message = seal(&keyring, "/a", b"x");
    let (header, _) = header(&message);
    let recipient = header.recipients().next().unwrap();
    assert_eq!(
        recipient.provider_id,
        format!("sealgate/{}", keyring.pseudonym()).as_bytes()
    );
    assert!(recipient.provider_info.starts_with(b"main/1"));
    assert_eq!(keyring.current().name(), "main/1");
    assert!(!message.windows(4).any(|window| window == b"acme"));
    assert_eq!(keyring.pseudonym().len(), 32);
}

#[test]
fn the_header_is_as_long_as_announced() {
    let place = Place::new();
    let keyring = place.keyring();
    let context = keyring.context("7", "/some/path").unwrap();
    for header_len_bytes in [None, Some(512), Some(4096)] {
        let settings = SealSettings {
            header_len_bytes,
            ..SealSettings::default()
        };
        let (_, header) = keyring.seal_begin(&context, settings).ok().unwrap();
        assert_eq!(header.len(), keyring.header_len_bytes(&context, settings));
        assert!(header_len_bytes.is_none_or(|fixed| fixed as usize == header.len()));
    }
}

#[test]
fn another_tenants_keyring_is_refused() {
    let (place, elsewhere) = (Place::new(), Place::new());
    let message = seal(&place.keyring(), "/a", b"x");
    let other = elsewhere.keyring();
    assert_eq!(
        open(&other, "/a", &message),
        Err(OpenBeginError::NotForThisTenant)
    );
}

#[test]
fn another_path_or_policy_is_refused_and_named() {
    let place = Place::new();
    let keyring = place.keyring();
    let message = seal(&keyring, "/a", b"x");
    let differs_in = |key: &str| Err(OpenBeginError::ContextMismatch { key: key.into() });
    assert_eq!(
        open(&keyring, "/b", &message).map(|_| ()),
        differs_in("path")
    );

    let (header, _) = header(&message);
    let begin = |pairs: &[(&str, &str)]| {
        let expected = Context::from_pairs(pairs.iter().copied()).unwrap();
        keyring.open_begin(&header, &expected).map(|_| ())
    };
    assert_eq!(begin(&[]), differs_in("path"));
    assert_eq!(
        begin(&[("path", "/a"), ("policy", "2")]),
        differs_in("policy")
    );
    assert_eq!(begin(&[("path", "/a"), ("part", "1")]), differs_in("part"));
    assert_eq!(
        begin(&[("path", "/a"), ("tenant", "other")]),
        differs_in("tenant")
    );
    assert_eq!(
        begin(&[
            ("path", "/a"),
            ("policy", "1"),
            ("tenant", keyring.pseudonym())
        ]),
        Ok(())
    );
}

#[test]
fn a_context_of_another_tenant_is_not_sealed() {
    let place = Place::new();
    let keyring = place.keyring();
    for pairs in [
        vec![("tenant", "acme"), ("path", "/a")],
        vec![("path", "/a")],
        vec![],
    ] {
        let context = Context::from_pairs(pairs).unwrap();
        let refused = keyring.seal_begin(&context, SealSettings::default()).err();
        assert_eq!(refused, Some(SealBeginError::NotThisTenantsContext));
    }
    assert_eq!(keyring.current().wraps(), 0);
}

#[test]
fn a_message_whose_context_was_changed_is_refused() {
    let place = Place::new();
    let keyring = place.keyring();
    let mut message = seal(&keyring, "/a", b"x");
    let at = message
        .windows(2)
        .position(|window| window == b"/a")
        .unwrap();
    message[at + 1] = b'b';
    assert_eq!(
        open(&keyring, "/b", &message),
        Err(OpenBeginError::WrappedKeyNotAuthentic { epoch: 1 })
    );
}

#[test]
fn a_message_whose_context_names_another_tenant_is_refused_for_that() {
    let place = Place::new();
    let keyring = place.keyring();
    let mut message = seal(&keyring, "/a", b"x");
    // The context stands before the recipients, so the first place is the context's.
    let pseudonym = keyring.pseudonym().as_bytes();
    let at = message
        .windows(32)
        .position(|window| window == pseudonym)
        .unwrap();
    message[at] = if pseudonym[0] == b'0' { b'1' } else { b'0' };
    assert_eq!(
        open(&keyring, "/a", &message),
        Err(OpenBeginError::ContextMismatch {
            key: "tenant".into()
        })
    );
}

#[test]
fn a_new_epoch_seals_and_the_retired_one_opens() {
    let place = Place::new();
    let first = place.keyring();
    let old = seal(&first, "/a", b"old");
    let second = first.rotate_epoch().unwrap();
    assert_eq!(second.epochs().collect::<Vec<_>>(), [1, 2]);
    assert_eq!(second.current().epoch(), 2);
    let new = seal(&second, "/a", b"new");
    let loaded = Keyring::load(place.path()).ok().unwrap();
    for keyring in [&second, &loaded] {
        assert_eq!(open(keyring, "/a", &old).unwrap(), b"old");
        assert_eq!(open(keyring, "/a", &new).unwrap(), b"new");
    }
    assert_eq!(
        open(&first, "/a", &new),
        Err(OpenBeginError::UnknownEpoch { epoch: 2 })
    );
    assert_eq!(open(&first.reload().unwrap(), "/a", &new).unwrap(), b"new");
    assert!(
        fs::read_dir(place.folder.path()).unwrap().count() == 1,
        "nothing is left beside the keyring"
    );
    assert_eq!(
        fs::metadata(place.path()).unwrap().permissions().mode() & 0o7777,
        0o600
    );
}

#[test]
fn rotation_survives_what_an_earlier_one_left() {
    let place = Place::new();
    let keyring = place.keyring();
    fs::write(place.folder.path().join("acme.keyring.new"), "half").unwrap();
    assert_eq!(keyring.rotate_epoch().unwrap().current().epoch(), 2);
    assert!(!place.folder.path().join("acme.keyring.new").exists());
}

#[test]
fn two_rotations_do_not_lose_an_epoch() {
    let place = Place::new();
    let keyring = place.keyring();
    let held = File::open(place.path()).unwrap();
    held.lock().unwrap();
    assert_eq!(
        keyring.rotate_epoch().err().unwrap().fault,
        KeyringFault::Busy
    );
    drop(held);
    keyring.rotate_epoch().unwrap();
    assert_eq!(
        keyring.rotate_epoch().unwrap().epochs().collect::<Vec<_>>(),
        [1, 2, 3]
    );
}

#[test]
fn racing_rotations_lose_no_epoch() {
    const ROTATIONS: usize = 15;
    let place = Place::new();
    let keyring = place.keyring();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut rotated = 0;
                while rotated < ROTATIONS {
                    match keyring.rotate_epoch() {
                        Ok(_) => rotated += 1,
                        Err(error) => assert_eq!(error.fault, KeyringFault::Busy),
                    }
                }
            });
        }
    });
    let epochs: Vec<u32> = keyring.reload().unwrap().epochs().collect();
    assert_eq!(epochs, (1..=1 + 4 * ROTATIONS as u32).collect::<Vec<_>>());
}

#[test]
fn rotation_behind_a_link_keeps_the_link() {
    let place = Place::new();
    place.keyring();
    let link = place.folder.path().join("link");
    symlink(place.path(), &link).unwrap();
    Keyring::load(&link).ok().unwrap().rotate_epoch().unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(
        Keyring::load(place.path()).ok().unwrap().current().epoch(),
        2
    );
}

#[test]
fn wraps_are_counted_by_clones_and_go_on_after_a_reload() {
    let place = Place::new();
    let keyring = place.keyring();
    let clone = keyring.clone();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..8).for_each(|_| drop(seal(&clone, "/a", b"x"))));
        }
    });
    assert_eq!(keyring.current().wraps(), 32);
    let reloaded = keyring.reload().unwrap();
    seal(&reloaded, "/a", b"x");
    assert_eq!(keyring.current().wraps(), 33);
    assert_eq!(keyring.rotate_epoch().unwrap().current().wraps(), 0);
}

#[test]
fn another_keyring_in_the_files_place_is_refused() {
    let place = Place::new();
    let keyring = place.keyring();
    fs::remove_file(place.path()).unwrap();
    Keyring::create(place.path(), "acme").unwrap();
    assert_eq!(
        keyring.reload().err().unwrap().fault,
        KeyringFault::AnotherKeyring
    );
    assert_eq!(
        keyring.rotate_epoch().err().unwrap().fault,
        KeyringFault::AnotherKeyring
    );
}

#[test]
fn a_new_file_is_private_and_never_overwrites() {
    let place = Place::new();
    place.keyring();
    assert_eq!(
        fs::metadata(place.path()).unwrap().permissions().mode() & 0o7777,
        0o600
    );
    let before = fs::read(place.path()).unwrap();
    assert_eq!(
        Keyring::create(place.path(), "acme").err().unwrap().fault,
        KeyringFault::AlreadyExists
    );
    assert_eq!(fs::read(place.path()).unwrap(), before);
    for tenant in ["", "a\nb", &"x".repeat(256)] {
        let refused = Keyring::create(place.folder.path().join("other"), tenant)
            .err()
            .unwrap();
        assert_eq!(refused.fault, KeyringFault::TenantName);
    }
    let quoted = Keyring::create(place.folder.path().join("quoted"), "a \"b\" \\ 'c' ü").unwrap();
    assert_eq!(quoted.reload().unwrap().tenant(), "a \"b\" \\ 'c' ü");
}

#[test]
fn a_file_that_others_can_access_is_refused_with_the_command_that_helps() {
    for mode in [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o666] {
        let place = Place::new();
        place.keyring();
        fs::set_permissions(place.path(), Permissions::from_mode(mode)).unwrap();
        assert_eq!(
            fault(&place.path()),
            KeyringFault::OpenToOthers {
                mode,
                path: place.path()
            }
        );
        let text = Keyring::load(place.path()).err().unwrap().to_string();
        assert!(text.contains(&format!("mode {mode:04o}")), "{text}");
        assert!(
            text.contains(&format!("chmod 600 {}", place.path().display())),
            "{text}"
        );
        fs::set_permissions(place.path(), Permissions::from_mode(0o400)).unwrap();
        assert!(Keyring::load(place.path()).is_ok());
    }
}

#[test]
fn what_is_not_a_regular_file_is_refused_without_waiting() {
    let place = Place::new();
    assert_eq!(fault(place.folder.path()), KeyringFault::NotRegularFile);
    let pipe = place.folder.path().join("pipe");
    let made = rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    );
    made.unwrap();
    assert_eq!(fault(&pipe), KeyringFault::NotRegularFile);
    assert!(matches!(fault(&place.path()), KeyringFault::Io { .. }));
}

#[test]
fn damage_is_refused_and_named() {
    let refused = |edit: Edit| Place::edited(edit).1.to_string();
    let cases: [(&str, Edit); 23] = [
        ("key `format` is 3, expected 2", |text| {
            text.replace("format = 2", "format = 3")
        }),
        ("key `format` is missing", |text| {
            text.replace("format = 2", "")
        }),
        ("key `tenant` should be text", |text| {
            text.replace("tenant = \"acme\"", "tenant = 1")
        }),
        ("key `tenant` should be 1 to 255", |text| {
            text.replace("tenant = \"acme\"", "tenant = \"\"")
        }),
        ("key `kek[0].secret` is missing", |text| {
            text.replace("secret = ", "# ")
        }),
        ("key `kek[0].secret` should be 32 bytes in base64", |text| {
            text.replace("secret = \"", "secret = \"AAAA")
        }),
        ("key `kek[0].secret` should be text", |text| {
            text.replace("secret = \"", "secret = 1 # ")
        }),
        ("key `kke` is unknown", |text| {
            text.replace("branch = ", "kke = \"\"\nbranch = ")
        }),
        ("key `branch_key[1].epoc` is unknown", |text| {
            text.replace("epoch = 2\nkek", "epoch = 2\nepoc = 2\nkek")
        }),
        ("key `branch_key[0].kek_version` is missing", |text| {
            text.replacen("\nkek_version = 1\nact", "\nact", 1)
        }),
        ("key `branch_key[0].wrapped` should be 60 bytes", |text| {
            text.replacen("wrapped = \"", "wrapped = \"AAAA", 1)
        }),
        (
            "key `pseudonym` should be 16 bytes in lower-case hex",
            |text| text.replace("pseudonym = \"", "pseudonym = \"A"),
        ),
        ("epoch 2 stands there twice", |text| {
            text.replace("epoch = 1\nkek", "epoch = 2\nkek")
        }),
        ("key `branch_key[0].epoch` should be a number", |text| {
            text.replace("epoch = 1\nkek", "epoch = 0\nkek")
        }),
        ("`current_epoch` is 1, but there is epoch 2", |text| {
            text.replace("current_epoch = 2", "current_epoch = 1")
        }),
        ("`current_epoch` is 3, which no", |text| {
            text.replace("current_epoch = 2", "current_epoch = 3")
        }),
        ("key `next_epoch` is 3, which no newer", |text| {
            text.replace("current_epoch = 2", "current_epoch = 2\nnext_epoch = 3")
        }),
        ("key `next_epoch` is 1, which no newer", |text| {
            text.replace("current_epoch = 2", "current_epoch = 2\nnext_epoch = 1")
        }),
        ("KEK version 2 is needed and not there", |text| {
            text.replacen(
                "epoch = 1\nkek_version = 1",
                "epoch = 1\nkek_version = 2",
                1,
            )
        }),
        ("KEK version 1 stands there twice", |text| {
            let kek = &text[text.find("[[kek]]").unwrap()..text.find("[[branch_key]]").unwrap()];
            text.replace(kek, &kek.repeat(2))
        }),
        ("key `kek` is missing", |text| {
            let kek = &text[text.find("[[kek]]").unwrap()..text.find("[[branch_key]]").unwrap()];
            text.replace(kek, "")
        }),
        ("key `state` should be", |text| {
            text.replace("state = \"enabled\"", "state = \"on\"")
        }),
        ("key `branch` should be", |text| {
            text.replace("branch = \"main\"", "branch = \"Main/\"")
        }),
    ];
    for (expected, edit) in cases {
        let found = refused(edit);
        assert!(
            found.contains(expected),
            "expected `{expected}`, found `{found}`"
        );
    }
    assert_eq!(
        Place::edited(|text| text.replace("format", "= format")).1,
        KeyringFault::NotToml { line: 3 }
    );
    assert_eq!(
        Place::edited(|_| String::new()).1.to_string(),
        "key `format` is missing; restore the file from its backup"
    );
    assert_eq!(
        Place::edited(|text| text + &" ".repeat(2 << 20)).1,
        KeyringFault::TooLong
    );
}

#[test]
fn text_that_is_not_utf8_is_refused() {
    let place = Place::new();
    place.keyring();
    OpenOptions::new()
        .append(true)
        .open(place.path())
        .unwrap()
        .write_all(&[0xFF])
        .unwrap();
    assert_eq!(fault(&place.path()), KeyringFault::NotUtf8);
}

#[test]
fn wraps_are_bound_to_their_tenant_branch_and_epoch() {
    // Swapped epochs: each wrap stands under the other's number.
    let swapped = Place::edited(|text| {
        text.replace("epoch = 1\nkek", "epoch = X\nkek")
            .replace("epoch = 2\nkek", "epoch = 1\nkek")
            .replace("epoch = X\n", "epoch = 2\n")
    });
    assert_eq!(swapped.1, KeyringFault::WrapDamaged { epoch: 1 });
    let moved = Place::edited(|text| text.replace("branch = \"main\"", "branch = \"side\""));
    assert_eq!(moved.1, KeyringFault::WrapDamaged { epoch: 1 });
    let renamed = Place::edited(|text| {
        let at = text.find("pseudonym = \"").unwrap() + "pseudonym = \"".len();
        format!("{}{}{}", &text[..at], "0".repeat(32), &text[at + 32..])
    });
    assert_eq!(renamed.1, KeyringFault::WrapDamaged { epoch: 1 });
}

#[test]
fn errors_never_quote_the_file() {
    let place = Place::new();
    place.keyring();
    let text = fs::read_to_string(place.path()).unwrap();
    let kek = text
        .lines()
        .find_map(|line| line.strip_prefix("secret = "))
        .unwrap()
        .trim_matches('"')
        .to_owned();
    for broken in [
        text.replace("secret = \"", "secret = "),
        text.replace("format = 2", &format!("format = \"{kek}\"")),
        text.replace("secret =", "secret "),
    ] {
        fs::write(place.path(), broken).unwrap();
        let error = Keyring::load(place.path()).err().unwrap();
        assert!(!format!("{error} {error:?}").contains(&kek[..8]));
    }
}

#[test]
fn a_keyring_crosses_threads() {
    fn crosses<T: Send + Sync + Clone>() {}
    crosses::<Keyring>();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_file_with_any_byte_changed_loads_the_same_keys_or_is_refused(at in 0_usize..700, byte in any::<u8>()) {
        let place = Place::new();
        let keyring = place.keyring();
        let message = seal(&keyring, "/a", b"x");
        let mut bytes = fs::read(place.path()).unwrap();
        let at = at % bytes.len();
        bytes[at] = byte;
        fs::write(place.path(), bytes).unwrap();
        if let Ok(loaded) = Keyring::load(place.path()) {
            prop_assert_eq!(open(&loaded, "/a", &message), Ok(b"x".to_vec()));
        }
    }
}
