//! Configuration files become settings.
