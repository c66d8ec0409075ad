//! Where frames are put: behind the end of a vector, or into a buffer that the caller keeps.
//!
//! Both see the same calls, so sealing and opening are written once.

use zeroize::optimization_barrier;

/// Takes the bytes of frames, one piece after the other.
pub(crate) trait Output {
    /// Appends `len` bytes, all of which `fill` writes. On failure they are wiped and taken back.
    ///
    /// # Panics
    /// If a buffer has no room for them: its owner has looked before.
    fn append_with<E>(
        &mut self,
        len: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<(), E>;

    /// Everything that stands there.
    fn as_slice(&self) -> &[u8];
}

/// It grows, and safe code can only grow it by bytes that were written once already: each piece is filled with zeros first.
impl Output for Vec<u8> {
    fn append_with<E>(
        &mut self,
        len: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let start = self.len();
        self.resize(start + len, 0);
        let filled = fill_or_wipe(&mut self[start..], fill);
        if filled.is_err() {
            self.truncate(start);
        }
        filled
    }

    fn as_slice(&self) -> &[u8] {
        self
    }
}

/// A buffer and how much of it is written. What stood in it is overwritten and never read.
pub(crate) struct Buffer<'a> {
    bytes: &'a mut [u8],
    written: usize,
}

impl<'a> Buffer<'a> {
    pub(crate) fn new(bytes: &'a mut [u8]) -> Self {
        Self { bytes, written: 0 }
    }

    pub(crate) fn written(&self) -> usize {
        self.written
    }
}

impl Output for Buffer<'_> {
    fn append_with<E>(
        &mut self,
        len: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        fill_or_wipe(&mut self.bytes[self.written..self.written + len], fill)?;
        self.written += len;
        Ok(())
    }

    fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.written]
    }
}

/// The library says that a failed call leaves the area "overwritten in an unspecified way": perhaps with plaintext that did not verify.
fn fill_or_wipe<E>(
    area: &mut [u8],
    fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
) -> Result<(), E> {
    let filled = fill(area);
    if filled.is_err() {
        wipe(area);
    }
    filled
}

/// Overwrites `bytes` with zeros, and the compiler may not leave that out. As fast as any fill, unlike `Zeroize` of a slice, which stores
/// each byte by itself and takes longer over a frame than sealing it.
pub(crate) fn wipe(bytes: &mut [u8]) {
    bytes.fill(0);
    optimization_barrier(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write_some_then_fail(area: &mut [u8]) -> Result<(), ()> {
        area[1..].fill(7);
        Err(())
    }

    #[test]
    fn what_was_written_before_a_failure_is_wiped_and_nothing_else() {
        let mut bytes = [1; 8];
        let mut buffer = Buffer::new(&mut bytes);
        assert_eq!(buffer.append_with(2, |_| Ok::<(), ()>(())), Ok(()));
        assert_eq!(buffer.append_with(4, write_some_then_fail), Err(()));
        assert_eq!(buffer.as_slice(), [1, 1]);
        assert_eq!(bytes, [1, 1, 0, 0, 0, 0, 1, 1]);
    }

    #[test]
    fn a_vector_is_as_it_was_after_a_failure() {
        let mut bytes = vec![1; 2];
        assert_eq!(bytes.append_with(4, write_some_then_fail), Err(()));
        assert_eq!(bytes, [1, 1]);
    }
}
