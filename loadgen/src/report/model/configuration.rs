//! What was asked for.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A run as it was asked for, defaults filled in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Configuration {
    /// URL of the target.
    pub target: String,
    /// Address that was connected to.
    pub address: String,
    /// Connections.
    pub connections: u64,
    /// Threads of the generator, on all machines.
    pub threads: u64,
    /// `closed`, `constant`, `poisson` or `burst:N/TIME`.
    pub arrival: String,
    /// Planned rates in their order; empty in a closed loop.
    pub stages: Vec<Stage>,
    /// Bound of the measured time.
    pub duration_s: Option<f64>,
    /// Bound of the measured operations.
    pub count: Option<u64>,
    /// Time before measuring.
    pub warmup_s: f64,
    /// Longest time behind the last planned start.
    pub drain_s: f64,
    /// Longest time in which nothing moves.
    pub timeout_s: f64,
    /// Where chance comes from.
    pub seed: u64,
    /// `auto`, `on` or `off`.
    pub spin: String,
    /// Operations that may wait for a connection; absent in a closed loop.
    pub backlog: Option<u64>,
    /// How TLS was spoken; absent for plain TCP.
    pub tls: Option<TlsConfiguration>,
    /// How operations were spread over tenants; absent for one tenant without a name.
    #[serde(default)]
    pub tenants: Option<TenantConfiguration>,
    /// Objectives as they were written.
    pub slo: Vec<String>,
    /// Agents that ran the load, as they were named; empty where this machine did.
    #[serde(default)]
    pub agents: Vec<String>,
    /// Addresses and networks to connect from; empty where the system chooses.
    #[serde(default)]
    pub sources: Vec<String>,
    /// What is particular to the operation.
    pub particulars: BTreeMap<String, serde_json::Value>,
}

/// A stretch of time with a rate, or with a ramp from one to another.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stage {
    /// Operations per second at its start.
    pub from_per_s: f64,
    /// And at its end.
    pub to_per_s: f64,
    /// How long; absent when only `count` bounds the run.
    pub duration_s: Option<f64>,
}

/// How TLS was spoken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TlsConfiguration {
    /// Name in the ClientHello.
    pub server_name: String,
    /// Versions offered.
    pub versions: Vec<String>,
    /// Groups offered, in their order.
    pub groups: Vec<String>,
    /// Whether a client certificate was shown when asked for.
    pub client_certificate: bool,
    /// What of the target's certificate was checked.
    pub verification: String,
    /// After how much a connection asked for new keys.
    #[serde(default)]
    pub key_update: Option<String>,
    /// Application protocols offered, in their order.
    #[serde(default)]
    pub alpn: Vec<String>,
}

/// How operations were spread over tenants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TenantConfiguration {
    /// How many.
    pub count: u64,
    /// `uniform`, `zipf(S)`, or a file of weights.
    pub spread: String,
    /// What they are called; absent when a file names them.
    pub name: Option<String>,
    /// Shares that were multiplied: `t3=10x`.
    pub noisy: Vec<String>,
}
