//! Key files, read whole into memory that is wiped.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use zeroize::Zeroizing;

use super::message_error::{KeyFileFault, MessageError, Operation};

/// RSA of 8192 bits takes some 6 KiB in PEM; a file may hold a certificate or two beside it.
const LEN_BYTES_MOST: usize = 64 * 1024;

/// Reads a key file, which may be a pipe.
///
/// # Errors
/// [`MessageError::Io`] or [`KeyFileFault::TooLong`].
pub(super) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, MessageError> {
    let name = path.display().to_string();
    let file = File::open(path).map_err(MessageError::io(Operation::Open, &name))?;
    // Reserved whole, so that no copy stays behind where it grew.
    let mut bytes = Zeroizing::new(Vec::with_capacity(LEN_BYTES_MOST + 1));
    file.take(LEN_BYTES_MOST as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(MessageError::io(Operation::Read, &name))?;
    if bytes.len() > LEN_BYTES_MOST {
        return Err(MessageError::KeyFile {
            path: path.to_owned(),
            fault: KeyFileFault::TooLong {
                most: LEN_BYTES_MOST,
            },
        });
    }
    Ok(bytes)
}
