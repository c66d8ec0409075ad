//! Keys: what seals and opens a tenant's messages, and where it is kept.
//!
//! ```text
//! keyring file --KEK--> branch keys by epoch --wrap--> data key of one message -> Sealer
//!                                            --unwrap-> data key of one message -> Opener
//!                      branch keys --recovery key--> recovery file --shares--> another keyring file
//! ```
//!
//! The file keyring holds its KEK beside the keys that the KEK wraps: key bytes on disk, protected by the file's mode alone. Who reads the
//! file can open everything that was sealed for the tenant. That is stated, not hidden; providers that keep the KEK elsewhere come
//! beside it.
//!
//! What this crate does not do: count wraps across processes. [`BranchKey::wraps`] counts what this process wrapped since the keyring was
//! loaded; an operator who runs many nodes on one keyring rotates its epoch by the sum of that metric.

pub mod cache;
pub mod limits;
pub mod private_file;
pub mod process;
pub mod provider;
pub mod slip39;

mod branch_key;
mod keyring;
#[cfg(test)]
mod memory_test;
mod secret;

pub use branch_key::BranchKey;
pub use keyring::context_key;
pub use keyring::errors::{Encoding, FileOperation, KeyPath, KeyringError, KeyringFault};
pub use keyring::{
    Description, EpochDescription, KekRotation, Keyring, KeyringState, LocalKeyring,
    OpenBeginError, RecoveryFault, RewrapProgress, Role, RotationDue, RotationPolicy,
    SealBeginError, Shredded,
};
pub use secret::{Secret, SecretLen};
