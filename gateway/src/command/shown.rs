//! Foreign text, made fit to be shown: what a message says must not move the cursor, change colours or turn letters around.

/// `bytes` as text without control, format or other invisible characters; what is not UTF-8 as `\x..`.
pub(super) fn bytes(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => self::text(text),
        Err(_) => bytes.escape_ascii().to_string(),
    }
}

/// As [`bytes`].
pub(super) fn text(text: &str) -> String {
    text.escape_debug().to_string()
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
}
