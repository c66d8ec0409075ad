//! Where an output's bytes wait until they make whole blocks.
//!
//! ```text
//! a file    whole blocks at whole offsets, past the page cache where the file system lets it; the rest at the end
//! a stream  everything at once
//! ```
//!
//! A command flushes its file before it gives it a name. A copy in the page cache would not spare the disk, so copying there is all it
//! would do, and that costs more than sealing. Whoever makes the bytes makes them in place: see [`BlockFile::room`].

use std::fs::File;
use std::io::{self, ErrorKind, Write};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use zeroize::Zeroizing;

/// What is written at once: long enough for a disk, and short enough for a core's cache.
const BLOCK_LEN_BYTES: usize = 1024 * 1024;
/// What memory and offsets have to be multiples of for the strictest device.
const ALIGNMENT_BYTES: usize = 4096;

/// A file or a stream, and what was not written to it yet: less than a block between calls.
pub(super) struct BlockFile {
    file: File,
    way: Way,
    /// Wiped, as it may be plaintext. Empty until somebody asks for room.
    buffer: Zeroizing<Vec<u8>>,
    /// Where in the buffer its aligned part begins.
    start: usize,
    filled: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// A stream.
    AtOnce,
    /// A file that has no whole block yet.
    Blocks,
    BlocksPastCache,
    BlocksThroughCache,
}

impl BlockFile {
    /// A regular file, from its start on.
    pub(super) fn blocks(file: File) -> Self {
        Self::new(file, Way::Blocks)
    }

    /// A pipe, a terminal, a device.
    pub(super) fn stream(file: File) -> Self {
        Self::new(file, Way::AtOnce)
    }

    fn new(file: File, way: Way) -> Self {
        Self {
            file,
            way,
            buffer: Zeroizing::default(),
            start: 0,
            filled: 0,
        }
    }

    /// The file itself.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// A place for `len` bytes; [`BlockFile::advance`] says how many of them there are.
    pub(super) fn room(&mut self, len: usize) -> &mut [u8] {
        if self.buffer.len() - self.start < self.filled + len {
            self.grow(self.filled.max(BLOCK_LEN_BYTES) + len);
        }
        &mut self.buffer[self.start + self.filled..][..len]
    }

    fn grow(&mut self, len: usize) {
        let mut buffer = Zeroizing::new(vec![0; len + ALIGNMENT_BYTES]);
        // Memory that cannot be aligned makes the first block go through the cache, and no more.
        let start = buffer.as_ptr().align_offset(ALIGNMENT_BYTES) % ALIGNMENT_BYTES;
        buffer[start..][..self.filled].copy_from_slice(&self.buffer[self.start..][..self.filled]);
        (self.buffer, self.start) = (buffer, start);
    }

    /// The first `len` bytes of the room are to be written.
    ///
    /// # Errors
    /// Of writing; how much is written then nobody knows.
    pub(super) fn advance(&mut self, len: usize) -> io::Result<()> {
        self.filled += len;
        let len = match self.way {
            Way::AtOnce => self.filled,
            _ => self.filled - self.filled % BLOCK_LEN_BYTES,
        };
        if len > 0 {
            self.write_out(len)?;
        }
        Ok(())
    }

    /// Takes bytes that were made elsewhere.
    ///
    /// # Errors
    /// As [`BlockFile::advance`].
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.way == Way::AtOnce {
            return self.file.write_all(bytes);
        }
        self.room(bytes.len()).copy_from_slice(bytes);
        self.advance(bytes.len())
    }

    /// Writes the rest, and gives the file.
    ///
    /// # Errors
    /// Of writing.
    pub(super) fn finish(mut self) -> io::Result<File> {
        if self.filled > 0 {
            self.use_cache()?;
            self.write_out(self.filled)?;
        }
        Ok(self.file)
    }

    /// Writes the first `len` bytes that wait.
    fn write_out(&mut self, len: usize) -> io::Result<()> {
        if self.way == Way::Blocks {
            self.pass_cache();
        }
        let mut written = 0;
        while written < len {
            let from = self.start + written;
            match self.file.write(&self.buffer[from..self.start + len]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(some) => written += some,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // The device wants other multiples than it was given, perhaps after a part of a block.
                Err(error) if self.is_refused_for_its_place(&error) => self.use_cache()?,
                Err(error) => return Err(error),
            }
        }
        let (waits, start) = (self.start + len..self.start + self.filled, self.start);
        self.buffer.copy_within(waits, start);
        self.filled -= len;
        Ok(())
    }

    fn is_refused_for_its_place(&self, error: &io::Error) -> bool {
        self.way == Way::BlocksPastCache && Errno::from_io_error(error) == Some(Errno::INVAL)
    }

    fn pass_cache(&mut self) {
        let flags = fcntl_getfl(&self.file).map(|flags| flags | OFlags::DIRECT);
        self.way = match flags.and_then(|flags| fcntl_setfl(&self.file, flags)) {
            Ok(()) => Way::BlocksPastCache,
            // Not every file system can.
            Err(_) => Way::BlocksThroughCache,
        };
    }

    fn use_cache(&mut self) -> io::Result<()> {
        if self.way == Way::BlocksPastCache {
            let flags = fcntl_getfl(&self.file)?;
            fcntl_setfl(&self.file, flags - OFlags::DIRECT)?;
            self.way = Way::BlocksThroughCache;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn bytes(len: usize) -> Vec<u8> {
        (0..len).map(|at| (at * 31 + at / 4096) as u8).collect()
    }

    /// Puts `bytes` into a file in `folder`, in steps of `step` bytes in turn by room and by copy.
    fn write(folder: &Path, way: Way, bytes: &[u8], step: usize) -> Vec<u8> {
        let path = folder.join("file");
        let mut file = BlockFile::new(File::create(&path).unwrap(), way);
        for (turn, step) in bytes.chunks(step).enumerate() {
            if turn % 2 == 0 {
                // More room than is used.
                file.room(step.len() + 17)[..step.len()].copy_from_slice(step);
                file.advance(step.len()).unwrap();
            } else {
                file.write(step).unwrap();
            }
            assert!(file.filled < BLOCK_LEN_BYTES);
        }
        file.finish().unwrap();
        fs::read(path).unwrap()
    }

    /// Beside the test's program, where there is a disk more likely than in a folder for temporary files.
    fn folder_on_disk() -> tempfile::TempDir {
        let program = std::env::current_exe().unwrap();
        tempfile::tempdir_in(program.parent().unwrap()).unwrap()
    }

    #[test]
    fn any_steps_give_the_same_file() {
        let disk = folder_on_disk();
        let memory = tempfile::tempdir_in("/dev/shm").unwrap();
        let block = BLOCK_LEN_BYTES;
        for folder in [disk.path(), memory.path()] {
            for len in [0, 1, 4096, block - 1, block, block + 1, 3 * block + 4095] {
                let bytes = bytes(len);
                for step in [4096, 65_568, block, block + 1, 2 * block + 512] {
                    for way in [Way::Blocks, Way::BlocksThroughCache, Way::AtOnce] {
                        let written = write(folder, way, &bytes, step);
                        assert!(written == bytes, "{len} bytes in steps of {step}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_device_with_other_multiples_gets_its_bytes_through_the_cache() {
        let folder = folder_on_disk();
        let path = folder.path().join("file");
        let mut file = BlockFile::blocks(File::create(&path).unwrap());
        let bytes = bytes(2 * BLOCK_LEN_BYTES);
        // At an odd offset, as if the device's blocks were longer than ours.
        file.file.write_all(b"x").unwrap();
        file.write(&bytes).unwrap();
        file.finish().unwrap();
        let written = fs::read(path).unwrap();
        assert!(written[..1] == *b"x" && written[1..] == bytes);
    }
}
