//! What a run says: the model that is stored, and its renderings.

pub mod advice;
pub mod agent_table;
pub mod agents;
pub mod build;
pub mod conns;
pub mod evidence;
pub mod model;
pub mod objective;
pub mod parse;
pub mod reason;
pub mod summary;
pub mod summary_conns;
pub mod verdict;

pub mod render;
pub mod markdown;
pub mod html;
pub mod facts;
pub mod compare;
pub mod csv;
pub mod hgrm;
pub mod hlog;
pub mod levels;
pub mod live;
pub mod quantity;

pub mod ab;
pub mod calibration;
pub mod search;
pub mod sweep;

#[cfg(test)]
mod schema;

pub mod time;
