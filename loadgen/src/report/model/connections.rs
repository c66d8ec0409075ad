//! Connections: how many stood, and what was negotiated and said on them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Distribution, Names};

/// Connections set up, those before the start included; where handshakes are the operation, the
/// measured ones that are as they should be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Connections {
    /// How many stood.
    pub established: u64,
    /// Handshakes that only fetched a ticket.
    pub priming: u64,
    /// Connections that ended by a panic of the generator.
    pub died: u64,
    /// TCP connect.
    pub connect: Distribution,
    /// TLS handshake.
    pub handshake: Distribution,
}

/// What handshakes negotiated, counted per connection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Negotiated {
    /// Protocol versions.
    pub version: Names,
    /// Cipher suites.
    pub suite: Names,
    /// Key exchange groups.
    pub group: Names,
    /// `full`, `full_hello_retry`, `resumed`.
    pub kind: Names,
    /// Application protocols.
    pub alpn: Names,
    /// Names asked for.
    pub server_name: Names,
    /// What became of early data: `accepted`, `rejected`, or `not_allowed` by the ticket. Of all
    /// measured handshakes that were to send some, those of the wrong kind included.
    #[serde(default)]
    pub early_data: Names,
}

/// KeyUpdates (RFC 8446 §4.6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KeyUpdates {
    /// Ours: those that ask the target for one, and answers to its own.
    pub sent: u64,
    /// The target's. An answer that comes when nobody reads any more is not in it.
    pub received: u64,
}

/// How HTTP was spoken.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Http {
    /// Versions, counted per connection: `1.1`, `2`.
    pub version: Names,
    /// The fewest streams at once that the target allowed on a connection; absent where these were
    /// as many as were wanted.
    pub streams_allowed: Option<u64>,
    /// Streams that the target reset, by error code. With `NO_ERROR` some may have succeeded: it
    /// answered them without taking their bodies whole.
    pub resets: Names,
    /// Connections that the target ended with GOAWAY while they were in use, by error code.
    pub go_aways: Names,
}
