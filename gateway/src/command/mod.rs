//! Commands that do one thing and end. One file for each: `seal`, `open` (and `open_range`), `inspect`, `grant`, `reseal`, `device`, `keys`, `doctor`.
//! The others are stations on the way that these share:
//!
//! ```text
//! *_arguments, range_argument, context       what the command line says        command_line: when it is wrong
//!        |
//! sealing_keys, opening_keys                 <- key_file <- secret_file, device_key <- device_file
//!        |                                      (a raw key's bytes)       (a pair: device_pair)
//!        v
//! input -> message_reader -> open  -> release -> output       release: when plaintext is let out
//! input -------------------> seal  ------------> output       output: a name when it is whole, or a pipe <- block_file
//! input -> message_reader -> frame_walk -> inspect            recipient_kind: what a foreign header names
//! reseal_walk -> reseal_file -> reseal_place                  the new message beside the old, then in its place
//!        |
//!        v
//! answer                                     words or JSON, and the exit status; progress; shown: foreign text made harmless
//! ```
//!
//! Errors are `message_error`, and `reseal_error` for one file of many; `answer` maps each to its exit status. `directory` gives finished files
//! their names. Results go to standard output and everything else to standard error. No cryptography is here: that is `sealgate_envelope`'s.

pub mod arguments;
pub mod command_line;
pub mod device;
pub mod doctor;
pub mod grant;
pub mod inspect;
pub mod keys;
pub mod message_arguments;
pub mod open;
pub mod range_argument;
pub mod reseal;
pub mod reseal_arguments;
pub mod seal;

mod answer;
mod block_file;
mod context;
mod device_file;
mod device_key;
mod device_pair;
mod directory;
mod frame_walk;
mod input;
mod key_file;
mod message_error;
mod message_reader;
mod open_range;
mod opening_keys;
mod output;
mod progress;
mod recipient_kind;
mod release;
mod reseal_error;
mod reseal_file;
mod reseal_place;
mod reseal_walk;
mod sealing_keys;
mod secret_file;
mod shown;
