//! Reading text that somebody else wrote, up to a bound. Length by `stat` says nothing of a pipe or a device.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

/// Reads a file, which has to end within `limit` bytes.
///
/// # Errors
///
/// What the system says; `FileTooLarge`; `InvalidData` for what is no UTF-8.
pub fn read_file(path: &Path, limit: u64) -> io::Result<String> {
    read(File::open(path)?, limit)
}

/// Reads to the end, which has to come within `limit` bytes.
///
/// # Errors
///
/// As [`read_file`].
pub fn read(source: impl Read, limit: u64) -> io::Result<String> {
    let mut text = String::new();
    let read = source.take(limit + 1).read_to_string(&mut text)?;
    match read as u64 > limit {
        true => Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it has more than {limit} bytes, which is more than it can need"),
        )),
        false => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_longer_than_its_bound_is_not_read() {
        assert_eq!(read(&b"four"[..], 4).unwrap(), "four");
        let error = read(io::repeat(b'x'), 4).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        let endless = read_file(Path::new("/dev/zero"), 4).unwrap_err();
        assert_eq!(endless.kind(), io::ErrorKind::FileTooLarge);
    }
}
