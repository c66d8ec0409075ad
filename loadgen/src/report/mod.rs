//! What a run says: a verdict on itself, a JSON result, and a summary for people.

pub mod json;
pub mod summary;
pub mod verdict;
