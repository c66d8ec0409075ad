//! Flags of what speaks HTTP.

use clap::{Args, ValueEnum};

/// Flags of what speaks HTTP.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "HTTP")]
pub struct HttpArgs {
    /// Version of HTTP [default: 1.1]. Over TLS, 2 offers h2 alone and fails where it is not chosen;
    /// auto asks the target once, before the run, which it prefers. With --plain or an http URL, 2
    /// is spoken at once (prior knowledge).
    #[arg(long = "http", value_name = "VERSION")]
    pub version: Option<HttpVersion>,
    /// Requests under way at once on each connection, each on a stream of its own; needs --http 2 or
    /// auto [default: 1].
    #[arg(short = 'm', long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub streams: Option<u32>,
}

/// Versions of HTTP by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum HttpVersion {
    /// HTTP/1.1: one request at a time on each connection.
    #[value(name = "1.1")]
    Http1,
    /// HTTP/2: as many at once as -m says and the target allows.
    #[value(name = "2")]
    Http2,
    /// What the target prefers, by ALPN.
    Auto,
}
