//! How a mistake is made and what has to be said about it.

use super::folder::{Folder, changed};

/// Changes lines of the good configuration and adds more at its end. Each line that has to be named ends with
/// `#!`; `errors` says what has to be said there, in the order of lines: the beginning of
/// `KEY: what is wrong; what would be right`.
pub fn expect(folder: &Folder, changes: &[(&str, &str)], more: &str, errors: &[&str]) {
    let text = changed(changes, more);
    let marked = text
        .lines()
        .enumerate()
        .filter(|(_, line)| line.ends_with("#!"));
    let lines: Vec<usize> = marked.map(|(index, _)| index + 1).collect();
    assert_eq!(
        lines.len(),
        errors.len(),
        "one mark for each error: {changes:?}"
    );
    let wanted: Vec<String> = lines
        .iter()
        .zip(errors)
        .map(|(line, error)| format!("gateway.toml:{line}: {error}"))
        .collect();
    let found = folder.bad(&text);
    let same = found.len() == wanted.len()
        && found
            .iter()
            .zip(&wanted)
            .all(|(found, wanted)| found.starts_with(wanted));
    assert!(same, "found  {found:#?}\nwanted {wanted:#?}");
    for error in found {
        let (_, right) = error.split_once("; ").unwrap_or_default();
        assert!(
            !right.is_empty(),
            "{error} does not say what would be right"
        );
    }
}

/// One changed line, one error.
pub fn one(folder: &Folder, old: &str, new: &str, error: &str) {
    let new = format!("{new} #!");
    expect(folder, &[(old, &new)], "", &[error]);
}

pub const ROUTE_TCP: &str = "[[route]]\nname = \"feed\"\ntenant = \"acme\"\nprotocol = \"tcp\"\nupstream = \"127.0.0.1:9000\"\n";

/// The good configuration with a plain route instead of the sealed one, and without a keyring.
const TERMINATED: [(&str, &str); 3] = [
    ("keyring = \"acme.keyring\"", ""),
    ("class = \"sealed\"", "class = \"terminated\""),
    ("readers = \"mtls\"", ""),
];

pub fn terminated<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut changes = TERMINATED.to_vec();
    for change in more {
        changes.retain(|(old, _)| *old != change.0);
        changes.push(*change);
    }
    changes
}

/// The same as a tcp route.
pub fn tcp<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut changes = terminated(&[
        ("protocol = \"http\"", "protocol = \"tcp\""),
        (
            "upstream = \"http://127.0.0.1:9080\"",
            "upstream = \"127.0.0.1:9000\"",
        ),
    ]);
    for change in more {
        changes.retain(|(old, _)| *old != change.0);
        changes.push(*change);
    }
    changes
}

#[test]
fn the_configuration_that_the_others_change_is_good() {
    let folder = Folder::new();
    let settings = folder.good(super::folder::GOOD);
    assert!(settings.warnings.is_empty(), "{:?}", settings.warnings);
    assert!(
        folder
            .good(changed(&terminated(&[]), ""))
            .warnings
            .is_empty()
    );
    assert!(folder.good(changed(&tcp(&[]), "")).warnings.is_empty());
}
