//! Foreign text, made fit to be shown: what a message says must not move the cursor, change colours or turn letters around.

use std::fmt::Write as _;

use serde_json::Value;

/// `bytes` as text without control, format or other invisible characters; what is not UTF-8 as `\x..`.
pub(super) fn bytes(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => self::text(text),
        Err(_) => bytes.escape_ascii().to_string(),
    }
}

/// As [`bytes`](fn@bytes).
pub(super) fn text(text: &str) -> String {
    text.escape_debug().to_string()
}

/// One line of words with such characters escaped, and quotes and backslashes left as they are: names in it may be anybody's.
pub(super) fn line(words: &str) -> String {
    let mut shown = String::with_capacity(words.len());
    for letter in words.chars() {
        if letter == ' ' || letter.is_ascii_graphic() {
            shown.push(letter);
        } else {
            // Behind another letter, where accents that combine are text.
            shown.extend(String::from_iter(['a', letter]).escape_debug().skip(1));
        }
    }
    shown
}

/// As [`line`](fn@line), for words of several lines.
pub(super) fn lines(words: &str) -> String {
    words.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// `value` as JSON on one line, in which such characters are written as `\u....`; a parser gives them back.
pub(super) fn json(value: &Value) -> String {
    let mut shown = String::new();
    for letter in value.to_string().chars() {
        // Quotes and backslashes of JSON itself are ASCII, as are the control characters that it escapes already.
        if letter.is_ascii() || letter.escape_debug().len() == 1 {
            shown.push(letter);
            continue;
        }
        for unit in letter.encode_utf16(&mut [0; 2]) {
            // A string takes every text.
            let _ = write!(shown, "\\u{unit:04x}");
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_a_terminal_as_a_command() {
        assert_eq!(
            text("a\x1b[31m\u{202e}b\n\u{9b}ü"),
            "a\\u{1b}[31m\\u{202e}b\\n\\u{9b}ü"
        );
        assert_eq!(bytes(b"\xff\x1b"), "\\xff\\x1b");
    }

    #[test]
    fn names_in_words_are_not_escaped_twice() {
        assert_eq!(
            line("a \"\\u{1b}\" \x1b]0;x\x07\n\u{9b}\u{202e}u\u{308}ü"),
            "a \"\\u{1b}\" \\u{1b}]0;x\\u{7}\\n\\u{9b}\\u{202e}u\u{308}ü"
        );
        assert_eq!(lines("a\n\x1bb"), "a\n\\u{1b}b");
    }

    #[test]
    fn json_says_the_same_without_them() {
        let value = Value::from("a\x1b\u{9b}\u{202e}\"\\\u{e0001}ü");
        let shown = json(&value);
        assert_eq!(shown, r#""a\u001b\u009b\u202e\"\\\udb40\udc01ü""#);
        assert_eq!(serde_json::from_str::<Value>(&shown).unwrap(), value);
    }
}
