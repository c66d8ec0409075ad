//! Configuration files and flags become settings.
//!
//! ```text
//! file (TOML) --file--> draft --build--> Settings
//! flags --from_flags--> draft --build--> Settings
//! ```
//!
//! The promise: every error at once, each with its line and with what would be right. So nothing on
//! the way stops at the first error. Building reads the files that a configuration names and resolves
//! its names, but binds and connects to nothing.

mod file;
mod section;
pub mod from_flags;
mod draft;
mod build;
mod pem;
mod nearest;
mod problem;
mod errors;
mod check;

use std::path::Path;
use std::time::SystemTime;

pub use self::check::{check, check_to};
use self::errors::Report;
pub use self::errors::{ConfigError, ConfigErrors};
use self::pem::Files;
use crate::settings::Settings;

/// The settings of a configuration file, loaded and checked.
///
/// Reads the file and everything it names (certificates, keys, keyrings), resolves upstream names, and
/// takes as long as the resolver does: not for a worker thread.
///
/// # Errors
/// Everything that is wrong, at once; the operator's fault. Nothing is left behind.
pub fn load(path: &Path) -> Result<Settings, ConfigErrors> {
    let mut report = Report::on_file(path);
    let files = Files {
        directory: path.parent().unwrap_or(Path::new("")),
        now: SystemTime::now(),
    };
    let settings = file::read(path, &mut report)
        .and_then(|draft| build::settings(&draft, &files, &mut report));
    report.finish(settings)
}
