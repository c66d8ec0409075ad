//! Hostile bytes never panic, whatever they say.

use super::folder::{Folder, example};

/// The reference without comments: they do not matter, and the same time buys more.
fn bare_reference() -> Vec<u8> {
    let text = example("gateway.toml");
    let lines = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim_end());
    let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    lines.join("\n").into_bytes()
}

#[test]
fn truncations_at_every_byte() {
    let folder = Folder::new();
    let text = bare_reference();
    let mut good = 0;
    for end in 0..text.len() {
        match folder.load(&text[..end]) {
            Ok(_) => good += 1,
            Err(errors) => assert!(errors.iter().next().is_some()),
        }
    }
    // Where the last route, or a key that may be left out, is cut off whole: not many places.
    assert!(good < 60, "{good} truncations were taken for good");
}

#[test]
fn one_wrong_byte_anywhere() {
    let folder = Folder::new();
    let text = bare_reference();
    for (position, byte) in (0..text.len()).zip(b"\"[]{}=.,\n#0a\\\xff\xc3\0 ".iter().cycle()) {
        let mut wrong = text.clone();
        wrong[position] = *byte;
        let _ = folder.load(&wrong);
    }
}

#[test]
fn every_line_missing_or_twice() {
    let folder = Folder::new();
    let text = example("gateway.toml");
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .collect();
    for index in 0..lines.len() {
        let mut without = lines.clone();
        without.remove(index);
        let _ = folder.load(without.join("\n"));
        let mut twice = lines.clone();
        twice.insert(index, lines[index]);
        let _ = folder.load(twice.join("\n"));
    }
}

#[test]
fn deep_nesting_is_an_error() {
    let folder = Folder::new();
    let deep = format!("workers = {}", "[".repeat(100_000));
    assert!(folder.load(deep).is_err());
    let dotted = format!("{}x = 1", "a.".repeat(100_000));
    assert!(folder.load(dotted).is_err());
    let tables = format!("x = {}", "{a=".repeat(50_000));
    assert!(folder.load(tables).is_err());
}
