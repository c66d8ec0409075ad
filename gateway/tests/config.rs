//! Promise: a configuration is loaded whole or refused whole, with every error at once, each with its file,
//! line, key, what is wrong and what would be right.

// A helper that unwraps reports its place as well as a test does.
#![allow(clippy::unwrap_used)]

mod config {
    pub mod folder;
    pub mod mistake;

    mod examples;
    mod flags;
    mod hostile;
    mod mistakes_of_form;
    mod mistakes_of_reference;
    mod mistakes_of_trust;
    mod warnings;
}
