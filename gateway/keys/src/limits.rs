//! Every bound on keys, in one place.

/// Longest keyring file that is read. The longest that is written, with [`EPOCHS_MOST`] epochs, is shorter.
pub const KEYRING_FILE_LEN_BYTES_MOST: usize = 1024 * 1024;

/// Most epochs of one keyring: eleven years of daily rotation.
pub const EPOCHS_MOST: usize = 4096;

/// Most KEK versions of one keyring at a time: each rotation ends with one.
pub const KEKS_MOST: usize = 16;

/// Most branch keys that a KEK rotation wraps anew before it writes the file: what a crash makes it do again.
pub const REWRAP_BATCH: usize = 64;

/// Longest tenant name.
pub const TENANT_LEN_BYTES_MOST: usize = 255;

/// Hard stop for wraps under one branch key, because their nonces are random (`ENVELOPE.md`, "Limits").
pub const WRAPS_MOST: u64 = sealgate_envelope::limits::WRAPS_MOST;

/// Wraps that a thread takes from the shared count at a time. Small enough that what all threads of a large machine hold unused is nothing
/// beside [`WRAPS_MOST`].
pub const WRAP_BLOCK: u64 = 64;

/// How long a thread uses what it found in the cache before it looks again, at most: so late does it begin to load anew, and so late does
/// the cache hear that a keyring is in use.
pub const LOOK_AGAIN: std::time::Duration = std::time::Duration::from_secs(1);

/// Largest iteration exponent of SLIP-39 shares that are combined: ten million PBKDF2 iterations, some seconds. The standard allows 327
/// million, the shares that this program writes ask for 20 thousand.
pub const SLIP39_EXPONENT_MOST: u8 = 10;
