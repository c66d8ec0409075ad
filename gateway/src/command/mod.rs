//! Commands that do one thing and end: what stands behind `sealgate keys ...`, and the commands on messages.
//!
//! ```text
//! input -> header -> keys, context -> data key -> frames -> output, which has its name when it is whole
//! ```
//!
//! They print results on standard output and everything else on standard error.

pub mod arguments;
pub mod device;
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
mod context;
mod device_file;
mod device_key;
mod device_pair;
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
